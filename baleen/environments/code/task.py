"""What the data of a code task holds: where the solver starts, and the tests that grade the result."""

from dataclasses import dataclass, field

from baleen.environments.code.edits import Edit
from baleen.environments.record import Record

# folders of the assets
RUNTIMES, TREES, PASSING = "runtimes", "trees", "passing"


@dataclass(frozen=True)
class Suite(Record):
    """How the tests of a repository are run.

    Attributes:
        runner: name of the test runner.
        python_path: folders of the repository to import from.
        runtime: folder of the Python packages that the tests need, below `RUNTIMES`; "" for none.
        seconds: time limit of one run.
    """

    runner: str
    python_path: tuple[str, ...] = (".",)
    runtime: str = ""
    seconds: float = 60.0


@dataclass(frozen=True, kw_only=True)
class CodeTask(Record):
    """Data of a code task. Paths are relative to the assets folder of its synthesis.

    Attributes:
        package: name of the package.
        version: version that the solver starts from.
        licence: license of the package, in the words of its metadata.
        label: "bug" or "feature".
        suite: how its tests are run.
        tree: file of the repository that the solver starts from, before `edits`.
        frame: file of the repository whose tests grade the result; its own source is the solution.
        edits: the fault that is put into `tree`.
        passing: file of the names of all tests that pass with the solution.
        fail_to_pass: names of the tests that fail at the start and must pass at the end.
        controlled: those of `fail_to_pass` that the control run is known to break.
        ignored: names of passing tests that are skipped at the start; they do not count.
    """

    package: str = ""
    version: str = ""
    licence: str = ""
    label: str = ""
    suite: Suite
    tree: str
    frame: str
    edits: tuple[Edit, ...] = field(repr=False)
    passing: str
    fail_to_pass: tuple[str, ...] = field(repr=False)
    controlled: tuple[str, ...] = field(repr=False)
    ignored: tuple[str, ...] = field(repr=False)
