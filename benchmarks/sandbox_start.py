"""How long does a sandbox take to start, and what does the first one of a process cost?

    python benchmarks/sandbox_start.py [--repeats 50] [--json FILE]

Wall time of `Sandbox().run(["true"])`, of the same with our interpreter mounted and started, of a program that is
started and killed, and of `true` without a sandbox. Median, smallest and largest of the repeats, in milliseconds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from baleen.environments.sandbox import Sandbox, python_mounts


def milliseconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    probe = milliseconds(Sandbox)
    print(f"{'first sandbox of a process (probe)':38} {probe:8.1f}")
    plain, python = Sandbox(), Sandbox(python_mounts())
    actions: dict[str, Callable[[], object]] = {
        "true, no sandbox": lambda: subprocess.run(["true"], check=True),
        "true": lambda: plain.run(["true"]),
        "python -I -S -c pass": lambda: python.run([sys.executable, "-I", "-S", "-c", "pass"]),
        "start and kill sleep": lambda: plain.start(["sleep", "60"]).close(),
    }
    rows = {"first sandbox of a process (probe)": [probe]}
    for name, action in actions.items():
        action()  # once to warm up
        rows[name] = times = [milliseconds(action) for _ in range(options.repeats)]
        print(f"{name:38} {statistics.median(times):8.1f}   {min(times):.1f} to {max(times):.1f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
