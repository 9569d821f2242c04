"""JUnit XML from untrusted test runs.

The bytes come from a process that ran model-written code, so document types, entities and reports of unlimited size are
refused. A report with any error raises ReportError; it never counts as "all tests failed".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from xml.parsers import expat

Status = Literal["passed", "failed", "skipped"]

MAX_BYTES = 32 << 20
MAX_CASES = 50_000
_MAX_DEPTH = 64
_MESSAGE_CHARACTERS = 600  # of a failure that are kept
_FAILURES = ("failure", "error")
_RANK: dict[Status, int] = {"skipped": 0, "passed": 1, "failed": 2}


class ReportError(ValueError):
    """The bytes are not one complete JUnit report."""


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        suites: names of the enclosing suites, the outermost first.
        classname: as in the report.
        name: as in the report.
        status: its result.
        message: the first message of a failed test.
    """

    suites: tuple[str, ...]
    classname: str
    name: str
    status: Status
    message: str = ""


def read_junit(data: bytes) -> list[Case]:
    """The test cases of a report, in its order. Raises ReportError."""
    if len(data) > MAX_BYTES:
        raise ReportError(f"the report has {len(data)} bytes; the limit is {MAX_BYTES}")
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ReportError(f"the report is not XML: {error}") from None
    if not reader.is_report:
        raise ReportError("the report's root is not testsuites or testsuite")
    return reader.cases


def worst(cases: Mapping[str, Case], name: str, case: Case) -> Case:
    """Which of two cases of the same name counts: a failure overrides a pass, a pass overrides a skip."""
    other = cases.get(name)
    return case if other is None or _RANK[case.status] > _RANK[other.status] else other


@dataclass
class _Open:
    """A test case whose end has not been read yet."""

    classname: str
    name: str
    status: Status = "passed"
    message: str = ""
    text: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.is_report = False
        self._depth = 0
        self._suites: list[str] = []
        self._case: _Open | None = None
        self._inside_failure = False
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse(self, *_: object) -> None:
        raise ReportError("the report declares a document type or an entity")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ReportError(f"the report is nested deeper than {_MAX_DEPTH} levels")
        if self._depth == 1:
            self.is_report = tag in ("testsuites", "testsuite")
        if tag == "testsuite":
            self._suites.append(attributes.get("name", ""))
        elif tag == "testcase":
            if self._case is not None:
                raise ReportError("the report has a test case inside a test case")
            status = attributes.get("status", "")  # CTest writes "fail", "run" or "notrun" here
            self._case = _Open(attributes.get("classname", ""), attributes.get("name", ""))
            if status in ("fail", "disabled", "notrun"):
                self._case.status = "failed" if status == "fail" else "skipped"
        elif self._case is not None and tag in _FAILURES:
            self._case.status = "failed"
            self._case.message = self._case.message or attributes.get("message", "")
            self._inside_failure = True
        elif self._case is not None and tag == "skipped" and self._case.status == "passed":
            self._case.status = "skipped"

    def _text(self, text: str) -> None:
        if self._case is not None and self._inside_failure and len(self._case.text) < 200:
            self._case.text.append(text)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag in _FAILURES:
            self._inside_failure = False
        elif tag == "testsuite":
            self._suites.pop()
        elif tag == "testcase" and self._case is not None:
            case, self._case = self._case, None
            if len(self.cases) >= MAX_CASES:
                raise ReportError(f"the report has more than {MAX_CASES} test cases")
            message = (case.message or "".join(case.text).strip())[:_MESSAGE_CHARACTERS]
            shown = message if case.status == "failed" else ""
            self.cases.append(Case(tuple(self._suites), case.classname, case.name, case.status, shown))
