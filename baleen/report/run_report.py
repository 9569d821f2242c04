"""Write a run's report: one HTML file that needs nothing else, no network included."""

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from baleen.cost.parameters import count_parameters
from baleen.cost.prices import price
from baleen.report import cost_plots, effects, plots, rl_plots, story, tables
from baleen.report.decode_times import DecodeTimes
from baleen.report.formats import change, duration, figures, percent, points, short, times, visible
from baleen.report.page import template
from baleen.report.run_data import Run, read_run
from baleen.report.selection import index_scores, read_selection
from baleen.report.theme import Plot
from baleen.runs.files import write_atomic

_FACTS = ("baleen", "git_commit", "platform", "python", "cpu", "cores", "memory_bytes") + (
    "packages",
    "seed",
    "threads",
    "earlier",
)

CONTENTS = {
    "setting": "Setting",
    "journey": "Journey",
    "losses": "Text",
    "indexer": "Indexer",
    "selection": "Selection",
    "cost": "Cost",
    "experts": "Experts",
    "rl": "Rewards",
    "tasks": "Tasks",
    "speciale": "Speciale",
    "samples": "Samples",
    "bits": "Reading",
    "checks": "Checks",
    "data": "Data",
}
"""The page's sections, by id, with short names for the list at its top."""


def write_report(run_dir: Path) -> Path:
    """Write `report.html` in a run's folder. Stages that have not run are shown as such.

    Returns:
        The path of the report.

    Raises:
        UserError: the folder holds no run, or a file in it is damaged.
        OSError: the report cannot be written; an earlier one stays as it was.
    """
    html = render(read_run(run_dir))
    path = run_dir / "report.html"
    write_atomic(path, html)
    return path


def render(run: Run) -> str:
    """The report as HTML."""
    formats = (change, duration, figures, percent, points, short, times, visible)
    page = template("report.html.j2", **{each.__name__: each for each in formats})
    before, after = (effects.rows_of(run, stage) for stage in effects.speciale_stages(run) or ("", ""))
    state, sentence = story.verdict(run)
    losses, decoding = effects.attention_losses(run), DecodeTimes.of(run.cost)
    selection = read_selection(run.selection)
    script = _script()
    return page.render(
        run=run,
        contents=CONTENTS,
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        e={name: run.environment.get(name) for name in _FACTS},
        titles=run.titles,
        state=state,
        verdict=sentence,
        marks={"passed": "✓", "uncertain": "≈", "failed": "✗", "unfinished": "…"},
        parameters=count_parameters(run.config).total,
        seconds=sum(stage.seconds for stage in run.stages.values()),
        tiles=story.tiles(run),
        journey=story.journey(run),
        losses=losses,
        decoding=decoding,
        selection=selection,
        scores=[_svg(index_scores(found, i)) for i, found in enumerate(selection.documents)]
        if selection
        else [],
        loads=tables.expert_loads(run),
        thinking=story.task_table(run, "thinking"),
        chat=story.task_table(run, "chat"),
        hard=effects.speciale_effect(run),
        cards=tables.sample_cards(run),
        outcomes=tables.outcome_shares(run),
        domains={domain: effects.DOMAINS.get(domain, domain) for domain in run.domains},
        rises={domain: effects.specialist_rise(run, domain) for domain in run.domains},
        mismatch=story.mismatch(run),
        price=price(),
        plots={
            "loss": _svg(plots.loss_curves(run)),
            "indexer": _svg(plots.indexer(run)),
            "attention": _svg(plots.attention_losses(losses)),
            "measured": _svg(cost_plots.measured(decoding, run.config)),
            "modeled": _svg(cost_plots.modeled(run.config)),
            "rewards": _svg(rl_plots.rewards(run)),
            "speciale": _svg(rl_plots.speciale(before, after)),
            "budgets": _svg(rl_plots.budgets(run)),
            "bits": _svg(plots.bits_per_byte(run)),
        },
    )


def _script() -> str:
    """The page's only script. No data is in it, so it can be pinned by its hash."""
    return (Path(__file__).parent / "templates" / "selection.js").read_text(encoding="utf-8")


def _svg(plot: Plot | None) -> tuple[Markup, Markup] | None:
    # Markup: matplotlib escapes the text in its figures.
    return (Markup(plot.wide), Markup(plot.narrow)) if plot else None
