"""Reports from untrusted runs: read when whole, refused when anything about them is odd."""

import pytest

from baleen.environments.code import junit
from baleen.environments.code.junit import ReportError, read_junit

WHOLE = """<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase classname="tests.test_a" name="test_x"/>
<testcase classname="tests.test_a" name="test_y"><failure message="assert 1 == 2">long text</failure></testcase>
<testcase classname="tests.test_a" name="test_z"><skipped message="not here"/></testcase>
<testcase classname="" name="tests.test_b"><error>ImportError: no</error></testcase>
</testsuite></testsuites>"""


def test_statuses_and_messages() -> None:
    cases = read_junit(WHOLE.encode())
    assert [case.status for case in cases] == ["passed", "failed", "skipped", "failed"]
    assert [case.message for case in cases] == ["", "assert 1 == 2", "", "ImportError: no"]
    assert cases[0].suites == ("pytest",) and cases[0].classname == "tests.test_a"


def test_ctest_says_failure_by_an_attribute() -> None:
    text = '<testsuite name="c"><testcase name="a" status="fail"/><testcase name="b" status="notrun"/></testsuite>'
    assert [case.status for case in read_junit(text.encode())] == ["failed", "skipped"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        WHOLE[:-5],
        WHOLE + WHOLE,
        WHOLE + "<x/>",
        "<html/>",
        '<!DOCTYPE t [<!ENTITY a "aa">]><testsuites/>',
        '<!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuites/>',
        "<testsuites>&unknown;</testsuites>",
        "<testsuite>" * 100 + "</testsuite>" * 100,
        '<testsuite><testcase name="a"><testcase name="b"/></testcase></testsuite>',
    ],
)
def test_what_is_not_one_whole_report_is_refused(text: str) -> None:
    with pytest.raises(ReportError):
        read_junit(text.encode())


def test_sizes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MAX_BYTES", 100)
    with pytest.raises(ReportError, match="limit"):
        read_junit(WHOLE.encode())
    monkeypatch.undo()
    monkeypatch.setattr(junit, "MAX_CASES", 3)
    with pytest.raises(ReportError, match="more than 3"):
        read_junit(WHOLE.encode())
