"""The quickstart with many seeds: does it pass with each, and how large and how steady is every effect?

    python benchmarks/quickstart_seeds.py --seeds 0-9 --out runs/seeds
    python benchmarks/quickstart_seeds.py --seeds 0-2 --threads 1 --out runs/seeds-one-thread

Each seed has its folder, OUT/seed-N, and its output in OUT/seed-N.log. Ctrl-C or SIGTERM stops the runs after they
have saved; the same command goes on: finished seeds are skipped, the others resumed. Options that this script does
not know go to `baleen quickstart`. Results: OUT/seeds.md and OUT/seeds.json.

Exit code 0 if that of every seed is 0, 130 if stopped.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from baleen.config import UserError
from baleen.config.recipe import load_recipe
from baleen.runs.files import write_atomic, write_json
from baleen.runs.jsonl import JsonlFile

QUICKSTART = [sys.executable, "-m", "baleen.cli.main", "quickstart"]
STATES = ("passed", "uncertain", "failed")


def main(words: Sequence[str] | None = None) -> int:
    options, passed_on = arguments(words)
    settings = {
        "threads": options.threads,
        "recipe": options.recipe and str(options.recipe.resolve()),
        "arguments": passed_on,
    }
    try:
        with JsonlFile(options.out, "sessions.jsonl", settings) as sessions:
            runs = Runs(options, passed_on, sessions)
            runs.run()
            summary = summarize(options.out, options.seeds, list(sessions.rows()))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = markdown(summary)
    write_json(options.out / "seeds.json", {"settings": settings, **summary})
    write_atomic(options.out / "seeds.md", text)
    print(text)
    if runs.stopped:
        print("stopped early; the same command goes on")
        return 130
    return int(any(row["exit_code"] != 0 for row in summary["seeds"]))


def arguments(words: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Our own options, and those for the quickstart."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("0-9"), help="as 0-9 or 0,3,11-12")
    parser.add_argument("--threads", type=int, default=2, help="workers of each run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--recipe", type=Path, help="another recipe than the quickstart's own")
    options, passed_on = parser.parse_known_args(words)
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; give at least 1")
    return options, passed_on


def seeds_of(text: str) -> list[int]:
    """0-2,7 -> [0, 1, 2, 7]. Raises ValueError."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(seeds))


@dataclass
class Run:
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.time)


class Runs:
    """The runs of all seeds, `jobs` at a time. `stopped`: whether somebody asked for an end."""

    def __init__(self, options: argparse.Namespace, passed_on: Sequence[str], sessions: JsonlFile) -> None:
        self.stopped = False
        self._options = options
        self._passed_on = passed_on
        self._sessions = sessions
        self._running: dict[int, Run] = {}

    def run(self) -> None:
        finished = {row["seed"] for row in self._sessions.rows() if row["finished"]}
        waiting = [seed for seed in self._options.seeds if seed not in finished]
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while self._running or (waiting and not self.stopped):
                while waiting and not self.stopped and len(self._running) < self._options.jobs:
                    self._start(waiting.pop(0))
                time.sleep(0.1)
                for seed, run in list(self._running.items()):
                    if run.process.poll() is not None:
                        self._record(seed, self._running.pop(seed))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _start(self, seed: int) -> None:
        folder = self._options.out / f"seed-{seed}"
        words = ["--seed", str(seed), "--threads", str(self._options.threads), "--out", str(folder)]
        words += ["--recipe", str(self._options.recipe)] if self._options.recipe else []
        with open(f"{folder}.log", "ab") as log:
            # A session of its own: Ctrl-C in the terminal must reach it once, through us, for twice ends it unsaved.
            process = subprocess.Popen(
                [*QUICKSTART, *words, *self._passed_on],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running[seed] = Run(process)
        if self.stopped:  # heard between the two lines above
            process.send_signal(signal.SIGINT)
        print(f"seed {seed}: started, see {folder}.log", flush=True)

    def _record(self, seed: int, run: Run) -> None:
        code, seconds = run.process.returncode, time.time() - run.began
        report = self._options.out / f"seed-{seed}" / "report.html"
        # A failed check and a crash both end with 1, but only the end of a run writes its report.
        ended = code == 0 or (code == 1 and report.exists() and report.stat().st_mtime >= run.began)
        row = {"seed": seed, "exit_code": code, "seconds": round(seconds, 1), "finished": ended}
        self._sessions.append(row)
        print(f"seed {seed}: exit code {code} after {minutes(seconds)}", flush=True)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        for run in self._running.values():
            run.process.send_signal(signal.SIGINT)


def checks_of(folder: Path) -> list[dict[str, Any]]:
    """All checks of a run in the order of its stages, each with its `stage`."""
    checks: list[dict[str, Any]] = []
    for stage in load_recipe(folder / "resolved.toml").stages if (folder / "resolved.toml").exists() else ():
        path = folder / "stages" / f"{stage.name}.json"
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            checks += [{"stage": stage.name, "title": stage.heading, **check} for check in record["checks"]]
    return checks


def summarize(out: Path, seeds: Iterable[int], sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`seeds`: what became of each; `checks`: each check over all seeds; `machine`: where the first of them ran."""
    rows = [_seed_row(out, seed, [row for row in sessions if row["seed"] == seed]) for seed in seeds]
    values: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        for check in row["checks"]:
            values.setdefault((check["stage"], check["name"]), []).append(check)
    path = out / f"seed-{rows[0]['seed']}" / "environment.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    machine = {name: facts.get(name) for name in ("cpu", "cores", "threads", "git_commit")}
    return {
        "seeds": rows,
        "checks": [_pooled(*key, found) for key, found in values.items()],
        "machine": machine,
    }


def _seed_row(out: Path, seed: int, sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """exit_code is None until the run has finished."""
    checks = checks_of(out / f"seed-{seed}")
    ended = [row["exit_code"] for row in sessions if row["finished"]]
    return {
        "seed": seed,
        "exit_code": ended[-1] if ended else None,
        "seconds": sum(row["seconds"] for row in sessions),
        "sessions": len(sessions),
        **{state: sum(check["state"] == state for check in checks) for state in STATES},
        "checks": checks,
    }


def _pooled(stage: str, name: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    estimates = [check["estimate"] for check in found if check["estimate"] is not None]
    return {
        "stage": stage,
        "title": found[0]["title"],
        "name": name,
        "wanted": f"{found[0]['relation']} {found[0]['bound']:g}",
        "seeds": len(found),
        "mean": statistics.fmean(estimates) if estimates else None,
        "deviation": statistics.stdev(estimates) if len(estimates) > 1 else None,
        "least": min(estimates, default=None),
        "most": max(estimates, default=None),
        **{state: sum(check["state"] == state for check in found) for state in STATES},
    }


def markdown(summary: Mapping[str, Any]) -> str:
    """Three tables: the seeds, each check over all seeds, each check of each seed."""
    seeds, checks = summary["seeds"], summary["checks"]
    runs = [
        [row["seed"], "unfinished" if row["exit_code"] is None else row["exit_code"], minutes(row["seconds"])]
        + [row["sessions"], *(row[state] for state in STATES)]
        for row in seeds
    ]
    pooled = [
        [row["title"], row["name"], row["wanted"], shown(row["mean"]), shown(row["deviation"])]
        + [f"{shown(row['least'])} to {shown(row['most'])}", *(row[state] for state in STATES)]
        for row in checks
    ]
    of_seed = [{(check["stage"], check["name"]): effect(check) for check in row["checks"]} for row in seeds]
    effects = [
        [
            row["title"],
            row["name"],
            *(found.get((row["stage"], row["name"]), "–") for found in of_seed),
        ]
        for row in checks
    ]
    machine = ", ".join(f"{name} {value}" for name, value in summary["machine"].items())
    parts = [
        f"Machine: {machine}.",
        table(["seed", "exit code", "wall", "sessions", *STATES], runs),
        table(["stage", "check", "wanted", "mean", "± between seeds", "range", *STATES], pooled),
        table(["stage", "check", *(f"seed {row['seed']}" for row in seeds)], effects),
    ]
    return "\n\n".join(parts) + "\n"


def effect(check: Mapping[str, Any]) -> str:
    """As `0.93 [0.87, 0.97]`, with its state where it did not pass."""
    interval = "" if check["low"] is None else f" [{shown(check['low'])}, {shown(check['high'])}]"
    state = "" if check["state"] == "passed" else f" **{check['state']}**"
    return shown(check["estimate"]) + interval + state


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
