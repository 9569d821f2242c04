"""Search tasks: built from small corpora, recounted by a twin that shares no code, solved by the walker only."""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from baleen.agent import ChatPlayer, ContextManagement, Limits, StopReason, play
from baleen.agent.context import Strategy
from baleen.agent.model import ModelFailure, Reply
from baleen.chat import Message
from baleen.cli import synth
from baleen.config import UserError
from baleen.environments import Task, environment_for, read_tasks
from baleen.environments.search.corpus import Corpus
from baleen.environments.search.world import is_named
from baleen.synthesis import Candidate, read_verdicts
from baleen.synthesis.search import Judge, Models, Seedling, Walker, debian, documents, wordnet
from baleen.synthesis.search.form import Link, Unknown
from baleen.synthesis.search.graph import Graph
from baleen.synthesis.search.mentions import NameFinder
from baleen.synthesis.search.verify import recount
from tests.agent.stand_in import Answer, fails, says, stand_in
from tests.synthesis import plain_recount
from tests.synthesis.tiny_corpora import write_documents, write_packages, write_wordnet


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run on each kind of corpus, by the command; and the raw files beside them."""
    folder = tmp_path_factory.mktemp("search")
    corpora = {
        "wordnet": ("--corpus", write_wordnet(folder / "wn")),
        "debian": ("--corpus", write_packages(folder / "Packages")),
        "documents": ("--documents", write_documents(folder / "docs.jsonl")),
    }
    for name, (option, source) in corpora.items():
        arguments = ["search", option, str(source), "--out", str(folder / name), "--workers", "1"]
        assert synth.main([*arguments, "--tasks", "40"]) == 0
    return {"raw": folder} | {name: folder / name for name in corpora}


def walk(task: Task, assets: Path, most_steps: int = 200) -> float:
    world = environment_for(task, assets)
    messages, walker = world.reset(), Walker(task)
    for _ in range(most_steps):
        messages.append(walker.complete(messages).message)
        results = world.step(messages[-1])
        if not results:
            break
        messages.extend(results)
    score = world.score(messages[-1])
    world.close()
    return score


@pytest.mark.parametrize("corpus", ["wordnet", "debian"])
def test_the_truth_is_the_only_answer_by_a_count_from_the_raw_files(
    runs: dict[str, Path], corpus: str
) -> None:
    if corpus == "wordnet":
        plain = plain_recount.of_wordnet(runs["raw"] / "wn")
    else:
        plain = plain_recount.of_packages((runs["raw"] / "Packages").read_text(encoding="utf-8"))
    tasks = read_tasks(runs[corpus] / "tasks.jsonl")
    assert {task.difficulty for task in tasks} == {1, 2, 3, 4}
    for task in tasks:
        assert plain.answers(task.data["form"]) == {task.data["witnesses"][0]}, task.question


@pytest.mark.parametrize("corpus", ["wordnet", "debian", "documents"])
def test_the_walker_solves_what_is_kept(runs: dict[str, Path], corpus: str) -> None:
    tasks = read_tasks(runs[corpus] / "tasks.jsonl")
    solved = sum(walk(task, runs[corpus] / "assets") for task in tasks)
    assert len(tasks) >= 20
    assert solved >= 0.95 * len(tasks)


@pytest.mark.parametrize("corpus", ["wordnet", "debian", "documents"])
def test_no_question_names_what_it_hides_and_no_attempt_is_right(runs: dict[str, Path], corpus: str) -> None:
    names = Graph(Corpus(runs[corpus] / "assets" / "corpus.db")).names
    questions = set()
    for task in read_tasks(runs[corpus] / "tasks.jsonl"):
        for witness in task.data["witnesses"]:
            assert not any(f" {name.lower()} " in f" {task.question.lower()} " for name in names[witness])
        answers = (task.answer, *task.data["aliases"])
        assert len(task.data["tried"]) >= 6
        assert not any(is_named(attempt, answers) for attempt in task.data["tried"].values())
        questions.add(task.question)
    assert len(questions) == len(read_tasks(runs[corpus] / "tasks.jsonl"))


def test_questions_of_one_answer_share_a_split(runs: dict[str, Path]) -> None:
    judge = Judge(Corpus(runs["wordnet"] / "assets" / "corpus.db"), Models())
    _, candidates = judge.candidates((1, 2, 3, 4), (1, 2), 0)
    splits: dict[str, list[str]] = {}
    for candidate in candidates:
        for task in judge(candidate).tasks:
            splits.setdefault(candidate.work.answer, []).append(task.split)
    assert sum(len(found) > 1 for found in splits.values()) > 10
    assert all(len(set(found)) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "heldout"}


def test_every_rejection_has_its_reason_and_detail(runs: dict[str, Path]) -> None:
    reasons = {verdict.reason: verdict.detail for verdict in read_verdicts(runs["wordnet"]) if verdict.reason}
    assert {"several entities fit", "no walk of this depth"} <= set(reasons)
    assert all(reasons.values())


def test_the_corpus_is_the_same_file_when_built_again(runs: dict[str, Path], tmp_path: Path) -> None:
    builds = {
        "wordnet": lambda path: wordnet.build(runs["raw"] / "wn", path),
        "debian": lambda path: debian.build(runs["raw"] / "Packages", path),
        "documents": lambda path: documents.build(runs["raw"] / "docs.jsonl", path),
    }
    for name, build in builds.items():
        build(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (runs[name] / "assets" / "corpus.db").read_bytes()
        about = Corpus(tmp_path / name).about
        assert about["source"] and about["licence"]
    assert b"example.org" not in (tmp_path / "debian").read_bytes()  # no addresses of maintainers


def test_sql_and_graph_agree_on_forms_with_many_answers(runs: dict[str, Path]) -> None:
    corpus = Corpus(runs["wordnet"] / "assets" / "corpus.db")
    graph = Graph(corpus)
    country = Unknown(labels=(("kind", "country"),))
    forms = [
        country,
        Unknown(labels=(("kind", "poet"),), numbers=(("born", 1700, 1799),)),
        Unknown(labels=(("kind", "town"),), links=(Link("part_of", True, country),)),
        Unknown(
            says=("known for",), links=(Link("mentions", False, Unknown(numbers=(("died", 1700, 1800),))),)
        ),
        Unknown(links=(Link("part_of", False, Unknown(labels=(("kind", "river"),))),)),
    ]
    for form in forms:
        fitting = graph.fits(form)
        assert len(fitting) > 1
        assert set(recount(corpus, form)) == fitting <= graph.fits(form, generous=True)


def test_names_are_found_for_certain_or_perhaps() -> None:
    finder = NameFinder(
        {"a": ["Macaulay"], "b": ["North Sea"], "c": ["Georgia"], "d": ["Georgia"], "e": ["Polish"]},
        ["Polish"],
    )
    assert finder.find("the shore of the North Sea near Macaulay") == ({"a", "b"}, set())
    assert finder.find("his uncle Lord Macaulay") == (set(), {"a"})
    assert finder.find("it is in Georgia") == (set(), {"c", "d"})
    assert finder.find("a Polish writer; a georgian, macaulay") == (set(), {"e"})


def test_years_of_lives() -> None:
    assert wordnet.years_of("German poet (1749-1832)") == {"born": 1749, "died": 1832}
    assert wordnet.years_of("Greek philosopher (384-322 BC)") == {"born": -384, "died": -322}
    assert wordnet.years_of("biochemist (born in England) (born in 1943)") == {"born": 1943}
    assert wordnet.years_of("king (born in Spain; 1601-66)") == {"born": 1601, "died": 1666}
    assert wordnet.years_of("a river (1,200 miles long)") == {}


def test_relations_with_versions_architectures_and_alternatives() -> None:
    value = "libc6 (>= 2.34), perl:any, a | b (>= 1), libx11-6 [amd64]"
    assert debian.relations_of(value) == (["libc6", "perl", "libx11-6"], ["a", "b"])


def test_a_folder_of_text_files_gives_the_same_documents(tmp_path: Path) -> None:
    folder = documents.read_documents(write_documents(tmp_path / "docs"))
    lines = documents.read_documents(write_documents(tmp_path / "docs.jsonl"))
    assert {(d.title, d.text) for d in folder} == {(d.title, d.text) for d in lines}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ('{"title": "a", "text": "b"}\n{"title": "c"}\n', "line 2"),
        ('{"title": "a", "text": "b"}\n', "has 1 documents"),
        ('{"title": "a", "text": "b"}\n{"title": "a", "text": "c"}\n', "two documents of id 'a'"),
        ("[1]\n", "line 1"),
    ],
)
def test_wrong_documents_are_named(tmp_path: Path, rows: str, wrong: str) -> None:
    (tmp_path / "d.jsonl").write_text(rows)
    with pytest.raises(UserError, match=wrong):
        documents.read_documents(tmp_path / "d.jsonl")


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--corpus", "nowhere"], "--corpus is 'nowhere'"),
        (["--depths", "0"], "--depths has"),
        (["--breadths", "9"], "--breadths has"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, arguments: Sequence[str], wrong: str) -> None:
    with pytest.raises(UserError, match=wrong):
        synth.main(["search", "--out", str(tmp_path / "out"), *arguments])


class FakeModel:
    """Says what `say` makes of the prompt."""

    def __init__(self, name: str, say: Any) -> None:
        self.name = name
        self.say = say
        self.asked = 0

    def complete(self, messages: Sequence[Message], tools: Sequence[Any] = (), **_: Any) -> Reply:
        self.asked += 1
        content = self.say(str(messages[-1]["content"]))
        return Reply({"role": "assistant", "content": content}, "stop", 10, 0, 5, 0.001)


def reject_reason(judge: Judge, candidates: Sequence[Candidate[Seedling]]) -> set[str]:
    return {judge(candidate).reason for candidate in candidates}


@pytest.fixture(scope="module")
def kept(runs: dict[str, Path]) -> tuple[Corpus, list[Candidate[Seedling]]]:
    """The corpus of the tiny WordNet, and candidates that are kept when no model is asked."""
    corpus = Corpus(runs["wordnet"] / "assets" / "corpus.db")
    names = {verdict.candidate for verdict in read_verdicts(runs["wordnet"]) if verdict.tasks}
    _, candidates = Judge(corpus, Models()).candidates((1, 2, 3, 4), (1, 2, 3), 0)
    return corpus, [candidate for candidate in candidates if candidate.name in names][:4]


def test_models_answer_verify_and_reword(kept: tuple[Corpus, list[Candidate[Seedling]]]) -> None:
    corpus, candidates = kept
    graph = Graph(corpus)
    truths = [graph.names[candidate.work.answer][0] for candidate in candidates]

    def judge(say_answer: Any = "Nobody", say_verdict: Any = None, say_wording: Any = None) -> Judge:
        verdict = say_verdict or (lambda p: f"VERDICT: {'WRONG' if 'Answer: Nobody' in p else 'RIGHT'}")
        answerer = FakeModel("answerer", lambda prompt: f"I think.\n{say_answer}")
        author = FakeModel("author", say_wording) if say_wording else None
        return Judge(corpus, Models(author, [answerer], [FakeModel("verifier", verdict)]))

    for candidate in candidates:
        verdict = judge()(candidate)
        assert verdict.tasks, verdict
        # two prompts of the answerer, two passes and one check of the wrong answer by the verifier
        assert verdict.usage["prompt_tokens"] == 50
        assert verdict.usage["dollars"] == pytest.approx(0.005)
    right = judge(say_answer=f"It is {truths[0]}.")
    assert right(candidates[0]).reason == "an answerer is right"
    assert reject_reason(judge(say_verdict=lambda p: "VERDICT: WRONG"), candidates) == {
        "a verifier doubts the truth"
    }
    assert reject_reason(judge(say_verdict=lambda p: "VERDICT: RIGHT"), candidates) == {
        "a verifier takes another answer"
    }
    assert reject_reason(
        judge(say_wording=lambda p: f"What of {truths[0]}, then, and who was it?"), candidates[:1]
    ) == {"the author's wording gives a name away"}
    assert reject_reason(judge(say_wording=lambda p: ""), candidates) == {"the author's wording is unusable"}
    reworded = judge(say_wording=lambda p: "Tell me, " + p.partition("\nQuestion: ")[2])(candidates[0])
    assert reworded.tasks[0].question.startswith("Tell me, ")


def test_a_model_that_fails_rejects_the_candidate(kept: tuple[Corpus, list[Candidate[Seedling]]]) -> None:
    def fail(prompt: str) -> str:
        raise ModelFailure("status 500")

    corpus, candidates = kept
    verdict = Judge(corpus, Models(answerers=[FakeModel("broken", fail)]))(candidates[0])
    assert (verdict.reason, verdict.detail) == ("a model failed", "status 500")


def test_the_walker_goes_on_from_what_it_settled(runs: dict[str, Path]) -> None:
    """A cleared context costs it the steps of what it did not note, never the answer."""
    tasks = [t for t in read_tasks(runs["wordnet"] / "tasks.jsonl") if t.difficulty >= 3]
    assert tasks
    for task in tasks[:5]:
        world = environment_for(task, runs["wordnet"] / "assets")
        opening = world.reset()
        messages, notes, steps = list(opening), "", 0
        while True:
            reply = Walker(task).complete(messages).message
            results = world.step(reply)
            steps += 1
            notes += "\n" + str(reply.get("reasoning_content") or "")
            messages += [reply, *results]
            if not results or steps > 150:
                break
            if steps % 12 == 0 and "settled" in notes:  # all but the question and the notes goes
                messages = [opening[0], {**opening[1], "content": opening[1]["content"] + notes}]
        assert world.score(messages[-1]) == 1.0
        world.close()


@pytest.mark.parametrize(
    ("strategy", "reasoning", "remembers"),
    [("discard-all", "keep", True), ("summary", "discard", True), ("discard-all", "discard", False)],
)
def test_the_walker_knows_what_its_window_shows_and_nothing_else(
    runs: dict[str, Path], strategy: Strategy, reasoning: Literal["discard", "keep"], remembers: bool
) -> None:
    """In a small window none ends; with its notes it goes on to the answer; without any it begins again and again."""
    tasks = [t for t in read_tasks(runs["wordnet"] / "tasks.jsonl") if t.difficulty >= 3]
    solved = {}
    for management in (None, ContextManagement(strategy, 3_000, reasoning=reasoning)):
        played = [
            asyncio.run(
                play(
                    ChatPlayer(Walker(task, seed=1)),
                    environment_for(task, runs["wordnet"] / "assets"),
                    Limits(100, 3_000),
                    management,
                )
            )
            for task in tasks
        ]
        solved[management is not None] = sum(done.reward or 0.0 for done in played) / len(tasks)
        wrong = [done for done in played if done.stop_reason is StopReason.FINISHED and not done.reward]
        assert not wrong, "what it finds with every condition met is the answer"
    assert solved[False] < 0.3
    assert (solved[True] > 0.6) == remembers


def test_a_walker_whose_window_was_cleared_begins_in_another_order(runs: dict[str, Path]) -> None:
    """In order it repeats itself to the letter; without its notes it must not, or it would fail as before for ever."""
    task = next(t for t in read_tasks(runs["wordnet"] / "tasks.jsonl") if t.difficulty >= 3)
    world = environment_for(task, runs["wordnet"] / "assets")
    opening = world.reset()

    def begins(walker: Walker) -> list[Message]:
        messages = list(opening)
        for _ in range(3):
            messages.append(walker.complete(messages).message)
            messages += world.step(messages[-1])
        return messages

    walker = Walker(task, seed=3)
    first, again = begins(walker), begins(walker)
    assert begins(Walker(task, seed=4)) == first and again != first
    assert begins(Walker(task, seed=4, in_order=False)) != first
    world.close()


def test_killed_at_any_moment_it_resumes_without_loss_or_duplicates(tmp_path: Path) -> None:
    packages = write_packages(tmp_path / "Packages", 60)
    command = [sys.executable, "-m", "baleen.cli.main", "synth", "search", "--corpus", str(packages)]
    command += ["--depths", "1", "2", "--workers", "2", "--out"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert subprocess.run([*command, str(whole)], capture_output=True).returncode == 0
    journal = broken / "candidates.jsonl"
    for lines in (1, 12, 40):  # killed once so many candidates are on record
        process = subprocess.Popen(
            [*command, str(broken)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
                break
            time.sleep(0.005)
        assert process.poll() is None, "the run ended before it could be killed: make the corpus larger"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with open(journal, "ab") as file:  # what a kill in the middle of a line leaves
        file.write(b'{"candidate": "half')
    assert subprocess.run([*command, str(broken)], capture_output=True).returncode == 0
    names = [json.loads(line)["candidate"] for line in journal.read_bytes().splitlines()]
    assert len(names) == len(set(names)) == len(read_verdicts(whole))
    assert (broken / "tasks.jsonl").read_bytes() == (whole / "tasks.jsonl").read_bytes()
    assert not list(broken.glob("assets/.*"))


def test_over_http_with_failures_and_a_budget(tmp_path: Path, runs: dict[str, Path]) -> None:
    """A model of refusals, truncation, 500s and good answers: the counts add up, no task is half-written."""
    answers = itertools.cycle(
        [
            says("Nobody knows."),
            says("VERDICT: RIGHT"),
            says("", "length"),
            fails(500),
            says("I cannot help with that."),
            says("VERDICT: WRONG"),
        ]
    )
    lock = threading.Lock()

    def script(request: dict[str, Any]) -> Answer:
        with lock:
            answer = next(answers)
        prompt = str(request["messages"][-1]["content"])
        if "Check an answer" in prompt and answer.status == 200:
            wrong = re.search(r"^Answer: (Nobody|VERDICT|I cannot)", prompt, re.MULTILINE)
            return says(f"VERDICT: {'WRONG' if wrong else 'RIGHT'}")
        return answer

    with stand_in(script) as server:
        arguments = ["search", "--corpus", str(runs["raw"] / "wn"), "--out", str(tmp_path / "out")]
        arguments += ["--workers", "2", "--retries", "0", "--tasks", "8", "--depths", "1", "2"]
        arguments += ["--base-url", server.url, "--model", "m"]
        arguments += ["--price-input", "100", "--price-output", "100"]
        arguments += ["--max-answer-tokens", "100"]
        with pytest.raises(UserError, match="max-cost"):
            synth.main([*arguments, "--max-cost", "0.6"])
        early = read_tasks(tmp_path / "out" / "tasks.jsonl")
        assert (tmp_path / "out" / "card.html").exists()
        assert synth.main(arguments) == 0
    verdicts = read_verdicts(tmp_path / "out")
    tasks = read_tasks(tmp_path / "out" / "tasks.jsonl")
    # 8 at most: which candidates meet a good answer depends on the order of the threads, and there are few
    assert len(tasks) == sum(len(verdict.tasks) for verdict in verdicts) <= 8
    assert {task.id for task in early} < {task.id for task in tasks}
    reasons = Counter(verdict.reason for verdict in verdicts)
    assert reasons["a model failed"] >= 1
    # what was answered was paid for, in whatever verdict it ended
    assert sum(v.usage["dollars"] for v in verdicts) == pytest.approx(
        sum(v.usage["prompt_tokens"] + v.usage["completion_tokens"] for v in verdicts) * 1e-4
    )
