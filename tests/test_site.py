"""The documentation site builds without a warning, asks nothing of the network and says what the commands say."""

import html
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from baleen.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
FETCHES = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
EXAMPLES = {
    "howto/environment": "own_environment",
    "howto/train": "train_your_recipe",
    "howto/rl": "rl_on_your_tasks",
    "reference/index": "generate",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Fetched(HTMLParser):
    """Addresses that a browser loads by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name == FETCHES.get(tag) and value]


def test_a_page_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if "source" not in page.parts]
    assert len(pages) > 40
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.found and not [url for url in parser.found if "//" in url], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_home_page_is_the_readme(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "make quickstart" in re.sub(r"<[^>]*>", "", home) and 'href="howto/serve.html"' in home


@pytest.mark.parametrize(("page", "example"), EXAMPLES.items())
def test_a_page_shows_its_example(site: Path, page: str, example: str) -> None:
    text = re.sub(r"<[^>]*>", "", (site / f"{page}.html").read_text(encoding="utf-8"))
    assert (ROOT / "examples" / f"{example}.py").read_text(encoding="utf-8").strip() in html.unescape(text)


def test_every_command_shows_its_options(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for command in [*COMMANDS, "synth search", "agent replay"]:
        assert f"usage: baleen {command}" in page, command
    assert "--max-num-seqs" in page


def test_every_room_has_a_page_of_the_reference() -> None:
    rooms = {path.parent.name for path in (ROOT / "baleen").glob("*/__init__.py")} - {"cli"}
    assert {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")} - {"index"} == rooms


def test_the_map_leads_to_the_line_that_defines_a_symbol(site: Path) -> None:
    page = (site / "paper_map.html").read_text(encoding="utf-8")
    link = re.search(
        r'href="(source/baleen/rl/loss\.py\.html)#(__codelineno-0-(\d+))"><code>unbiased_kl<', page
    )
    assert link
    assert f'name="{link[2]}"' in (site / link[1]).read_text(encoding="utf-8")
    lines = (ROOT / "baleen" / "rl" / "loss.py").read_text(encoding="utf-8").splitlines()
    assert lines[int(link[3]) - 1].startswith("def unbiased_kl(")
