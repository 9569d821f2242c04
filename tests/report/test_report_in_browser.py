"""The report in a real browser: it asks the network for nothing, complains about nothing, fits a phone.

Chromium is driven by its command line alone: the console goes to stderr, every request to a log file.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from baleen.report.run_report import write_report
from tests.report.synthetic_run import STAGES, write_run

pytestmark = pytest.mark.browser

# The resolver knows no name and no proxy is asked: the browser's own calls home end here, too.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--dump-dom",
)


@dataclass(frozen=True)
class Visit:
    """What happened while a page was open: addresses it asked for, console lines, the page in the end."""

    requests: list[str]
    console: list[str]
    dom: str


@pytest.fixture(scope="session")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        assert not os.environ.get("CI"), "install chromium: in continuous integration this test must run"
        pytest.skip("needs Chromium; on Debian: apt-get install chromium")
    return found


def visit(chromium: str, page: Path, scratch: Path) -> Visit:
    log = scratch / "net.json"
    done = subprocess.run(
        [
            chromium,
            *FLAGS,
            f"--user-data-dir={scratch / 'profile'}",
            f"--log-net-log={log}",
            "--window-size=1200,1000",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    record = json.loads(log.read_text())
    start = record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [event["params"] for event in record["events"] if event["type"] == start and "params" in event]
    # What the browser wants for itself has no origin; what a page wants has one.
    asked = [job["url"] for job in jobs if job.get("initiator") != "not an origin" and "url" in job]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Visit([url for url in asked if not url.startswith(("file:", "data:"))], console, done.stdout)


def test_the_watch_itself_sees_requests_and_complaints(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://127.0.0.1:9/picture.png"><script>console.error("oh no")</script>')
    seen = visit(chromium, page, tmp_path)
    assert seen.requests == ["http://127.0.0.1:9/picture.png"]
    assert len(seen.console) == 1 and "oh no" in seen.console[0]


@pytest.mark.parametrize("finished", [len(STAGES), 3])
def test_no_request_and_no_complaint(chromium: str, tmp_path: Path, finished: int) -> None:
    page = write_report(write_run(tmp_path / "run", STAGES[:finished]))
    seen = visit(chromium, page, tmp_path)
    assert "</svg>" in seen.dom and "Configuration, resolved" in seen.dom
    assert seen.requests == []
    assert seen.console == []


@pytest.mark.parametrize("width", [400, 820])
def test_nothing_sticks_out_at_any_width(chromium: str, tmp_path: Path, width: int) -> None:
    page = write_report(write_run(tmp_path / "run"))
    # A copy that may run a script, and has one that measures; in a frame, since windows have a least width.
    copy, frame = tmp_path / "copy.html", tmp_path / "frame.html"
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    script = f"<script>onload = () => parent.postMessage({excess}, '*')</script>"
    copy.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    frame.write_text(
        "<script>onmessage = e => document.title = `sticks out by ${e.data}`</script>"
        f'<iframe src="{copy.as_uri()}" width="{width}" height="900"></iframe>'
    )
    assert "<title>sticks out by 0</title>" in visit(chromium, frame, tmp_path).dom
