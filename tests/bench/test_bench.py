"""`baleen bench` on the tiny shape, its arithmetic on fixed numbers, and every way it ends badly."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from baleen.bench.agreement import compared
from baleen.bench.contender import ContenderError, weights_of
from baleen.bench.options import Options, fitted
from baleen.bench.rounds import Comparison, Rounds, Row, comparisons
from baleen.bench.shapes import SHAPES, shape
from baleen.cli import bench_tables
from baleen.cli.main import main
from baleen.cost.roofline import Roofline
from baleen.evaluation.timing import Sample
from baleen.installation import install_command
from baleen.ops import cpu

LENGTHS = ["--contexts", "8", "160", "--prompts", "24", "--prefix", "64", "--streams", "2"]
SMALL = [*LENGTHS, "--tokens", "4", "--repeats", "2", "--seconds", "120"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, kernels: None) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("bench")
    words = ["--shape", "tiny", *SMALL, "--keep", str(folder / "model")]
    words += ["--json", str(folder / "figures.json"), "--plot", str(folder / "figure.svg")]
    assert main(["bench", *words]) == 0
    return json.loads((folder / "figures.json").read_text()), folder


def test_the_json_has_every_measurement(run: tuple[dict[str, Any], Path]) -> None:
    figures, _ = run
    found = {(row["measurement"], row["at"], row["engine"]) for row in figures["measurements"]}
    wanted = {("streams", 1), ("streams", 2), ("first token", 64), ("first token, cached", 64)}
    wanted |= {("prefill", 24), ("decode", 8), ("decode", 160)}
    assert found == {(*key, "baleen") for key in wanted}
    for row in figures["measurements"]:
        assert len(row["values"]) == 2 and min(row["values"]) > 0
        assert row["roofline_share"] > 0 and row["bound"] in ("memory", "compute")
    assert figures["parameters"] == {"total": 776_208, "active": 455_424}
    assert figures["environment"]["pinned"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert figures["environment"]["pinned"]["OMP_NUM_THREADS"] == "1"
    assert figures["roofline"]["bandwidth"] > 0 and figures["roofline"]["flops"]["float32"] > 0
    assert figures["kernels"]
    assert figures["failures"] == figures["agreement"] == []


def test_the_figure_is_an_svg(run: tuple[dict[str, Any], Path]) -> None:
    text = (run[1] / "figure.svg").read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "baleen" in text and "roofline" in text


def test_a_kept_model_is_measured_again_and_shown(
    run: tuple[dict[str, Any], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(run[1] / "model"), *SMALL, "--weights", "int8", "--chunk", "32"]) == 0
    out = capsys.readouterr().out
    for text in (
        "int8",
        "decode at 160",
        "streams: 2",
        "the same, cached",
        "flatness",
        "OMP_WAIT_POLICY=PASSIVE",
    ):
        assert text in out
    assert main(["bench", "--shape", "tiny", "--keep", str(run[1] / "model")]) == 1
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.slow
def test_beside_transformers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    words = ["--shape", "tiny", *SMALL, "--peers", "transformers", "--json", str(tmp_path / "figures.json")]
    assert main(["bench", *words]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    (agreed,) = figures["agreement"]
    assert agreed["equal"] and agreed["same_tokens"] == 16 and agreed["logprob_difference"] < 1e-3
    assert agreed["prompt_tokens"] > 2 * agreed["index_topk"]
    found = {(row["measurement"], row["at"]) for row in figures["measurements"] if row["engine"] != "baleen"}
    assert found == {("prefill", 24), ("decode", 8), ("decode", 160)}
    ratios = {(row["name"], row["at"]) for row in figures["comparisons"]}
    assert ("decode, baleen over transformers", 160) in ratios
    assert "transformers agrees with baleen" in capsys.readouterr().out


def row(measurement: str, at: int, engine: str, tokens: int, *seconds: float, roof: float = 1.0) -> Row:
    return Row(measurement, at, engine, tokens, roof, "memory", list(seconds))


def test_a_row_in_its_unit() -> None:
    figures = row("decode", 64, "baleen", 8, 2.0, 4.0, 1.0, roof=0.5).figures()
    assert figures["values"] == [4.0, 2.0, 8.0] and figures["unit"] == "tokens/s"
    assert (figures["median"], figures["spread"], figures["roofline_share"]) == (4.0, 0.75, 0.25)
    figures = row("first token", 64, "baleen", 0, 2.0, roof=0.5).figures()
    assert (figures["median"], figures["unit"]) == (2000.0, "ms")


def test_one_round_has_no_spread() -> None:
    once = row("decode", 64, "baleen", 8, 2.0)
    assert once.figures()["spread"] is None
    compared_once = Comparison("a ratio", 64, Sample((1.2,)))
    assert compared_once.figures()["spread"] is None
    assert bench_tables._spread(once.figures()) == "unknown"
    assert bench_tables._spread(row("decode", 64, "baleen", 8, 2.0, 2.0).figures()) == "0\u00a0%"


def test_without_kernels_nothing_is_measured_unless_asked_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cpu, "missing", lambda: "no C++ compiler was found; install g++")
    assert main(["bench", "--shape", "tiny"]) == 1
    err = capsys.readouterr().err
    assert "no C++ compiler was found" in err and "--plain" in err


def test_what_is_compared_with_what() -> None:
    rows = [
        row("decode", 2048, "baleen", 8, 1.0, 2.0),
        row("decode", 4096, "baleen", 8, 1.0, 2.0),
        row("decode", 32768, "baleen", 8, 1.5, 3.0),
        row("decode", 2048, "llama.cpp", 8, 2.0, 3.0),
        row("streams", 1, "baleen", 8, 1.0, 1.0),
        row("streams", 4, "baleen", 32, 2.0, 1.0),
        row("first token", 512, "baleen", 0, 6.0, 8.0),
        row("first token, cached", 512, "baleen", 0, 2.0, 2.0),
    ]
    found = {c.name: c.sample.values for c in comparisons({(r.measurement, r.at, r.engine): r for r in rows})}
    assert found == {
        "flatness: ms a token at 32,768 over 2,048": (1.5, 1.5),
        "throughput of 4 streams over 1": (2.0, 4.0),
        "first token without over with the prefix cached": (3.0, 4.0),
        "decode, baleen over llama.cpp": (2.0, 1.5),
    }


def test_agreement_ends_at_the_first_other_token() -> None:
    ours = {"token_ids": [5, 6, 7], "logprobs": [-1.0, -2.0, -3.0]}
    same = compared("x", 200, ours, {"token_ids": [5, 6, 7], "logprobs": [-1.0, -2.25, -3.0]})
    assert (same.equal, same.same_tokens, same.logprob_difference) == (True, 3, 0.25)
    other = compared("x", 200, ours, {"token_ids": [5, 9, 7], "logprobs": [-1.0, -9.0, -9.0]})
    assert (other.equal, other.same_tokens, other.logprob_difference) == (False, 1, 0.0)
    short = compared("x", 200, ours, {"token_ids": [5], "logprobs": [-1.0]})
    assert not short.equal


class Scripted:
    """A contender that answers everything in the same time, until it fails."""

    def __init__(self, engine: str, seconds: float, fails_at: str = ""):
        self.engine, self.seconds, self.fails_at = engine, seconds, fails_at
        self.asked: list[str] = []
        self.ended = False

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append(operation)
        if operation == self.fails_at and arguments.get("tokens") != 2:  # not in the warm-up
            raise ContenderError(f"{self.engine} took too long")
        return {"seconds": self.seconds, "cold": self.seconds, "warm": self.seconds, "cached": 48}

    def end(self, patience: float) -> None:
        self.ended = True


def rounds(*contenders: Scripted) -> Rounds:
    options = fitted(Options(contexts=(160,), prompts=(24,), prefix=64, repeats=2), shape("tiny"))
    engines: dict[str, Any] = {contender.engine: contender for contender in contenders}
    return Rounds(options, shape("tiny"), engines, Roofline(1e9, 1e9), lambda line: None)


def test_a_peer_that_fails_is_left_out_and_named() -> None:
    peer = Scripted("llama.cpp", 2.0, fails_at="decode")
    all_rounds = rounds(Scripted("baleen", 1.0), peer)
    all_rounds.run()
    assert all_rounds.failures == ["llama.cpp took too long"] and peer.ended
    assert peer.asked == ["prefill", "decode", "prefill", "prefill", "decode"]
    assert ("prefill", 24, "llama.cpp") in all_rounds.rows and (
        "decode",
        160,
        "llama.cpp",
    ) not in all_rounds.rows
    assert len(all_rounds.rows["decode", 160, "baleen"].seconds) == 2


def test_without_our_own_there_is_nothing_to_tell() -> None:
    with pytest.raises(ContenderError, match="baleen took too long"):
        rounds(Scripted("baleen", 1.0, fails_at="decode")).run()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("", 2, "give either a model folder or --shape"),
        ("somewhere --shape tiny", 2, "give either a model folder or --shape"),
        ("somewhere", 1, "does not exist"),
        ("somewhere --keep there", 2, "--keep is for the model of --shape"),
        ("--shape huge", 2, "shape"),
        ("--shape tiny --tokens 0", 2, "--tokens is 0"),
        ("--shape tiny --repeats -1", 2, "--repeats is -1"),
        ("--shape tiny --contexts 0", 2, "at least 1"),
        ("--shape tiny --contexts 65530", 1, "max_position_embeddings is 65536"),
        ("--shape tiny --prefix 65536", 1, "max_position_embeddings is 65536"),
        ("--shape tiny --plot figure.png", 2, "does not end in .svg"),
        ("--shape tiny --json nowhere/figures.json", 1, "nowhere is no folder"),
        ("--shape tiny --weights int8 --plain", 2, "--plain has no int8 weights"),
        ("--shape tiny --weights fp4", 2, "weights"),
        ("--shape tiny --peers vllm", 2, "known are transformers, llama.cpp"),
    ],
)
def test_bad_input(words: str, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words.split()]) == code
    assert text in capsys.readouterr().err


def test_beside_int8_transformers_computes_in_bfloat16() -> None:
    kinds = ("float32", "bfloat16", "int8")
    assert [weights_of("transformers", kind) for kind in kinds] == ["float32", "bfloat16", "bfloat16"]
    assert [weights_of("baleen", kind) for kind in kinds] == list(kinds)


def test_a_peer_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert main(["bench", "--shape", "tiny", "--peers", "llama.cpp"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "needs xllamacpp and gguf" in lines[0] and install_command("bench") in lines[0]


def test_lengths_that_are_not_given_fit_the_model() -> None:
    options = fitted(Options(), shape("140m"))
    assert (options.contexts, options.prompts, options.prefix) == (
        (1536, 2048, 16384, 32768),
        (512, 2048),
        4096,
    )
    options = fitted(Options(), shape("140m").replace(max_position_embeddings=2048))
    assert (options.contexts, options.prompts, options.prefix) == ((1536,), (512,), 2015)


@pytest.mark.parametrize(("name", "total", "active"), [("400m", 410, 93), ("140m", 140, 60)])
def test_the_shapes_are_of_the_size_they_are_named_for(name: str, total: int, active: int) -> None:
    from baleen.cost.parameters import count_parameters

    assert name in SHAPES
    config = shape(name)
    counts = count_parameters(config)
    assert (round(counts.total / 1e6), round(counts.active / 1e6), config.index_topk) == (total, active, 512)
