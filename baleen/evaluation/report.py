"""Write a run's report: one HTML file that needs nothing else, no network included."""

import os
from pathlib import Path

import jinja2
from markupsafe import Markup

from baleen.evaluation import cost_model, cost_plots, exhibits, plots, rl_plots, story
from baleen.evaluation.formats import duration, figures, percent, short
from baleen.evaluation.prices import price
from baleen.evaluation.run_data import STAGES, Run, read_run
from baleen.evaluation.theme import Plot

_FACTS = ("baleen", "git_commit", "platform", "python", "cpu", "cores", "memory_bytes") + (
    "packages",
    "seed",
    "threads",
    "earlier",
)


def write_report(run_dir: Path) -> Path:
    """Write `run_dir/report.html` from what the run folder holds and return its path.

    Stages that have not run are named as such. Raises UserError when the folder holds no run or a file in it
    is damaged, OSError when the report cannot be written; an earlier report then stays as it was.
    """
    html = render(read_run(run_dir))
    path = run_dir / "report.html"
    partial = path.with_name(".report.html.partial")
    try:
        partial.write_text(html, encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return path


def render(run: Run) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("baleen.evaluation", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "short": short, "percent": percent, "figures": figures}
    mixed, free = (run.stages[s].evals if s in run.stages else () for s in ("mixed", "speciale"))
    state, sentence = story.verdict(run)
    return environment.get_template("report.html.j2").render(
        run=run,
        e={name: run.environment.get(name) for name in _FACTS},
        titles=STAGES,
        state=state,
        verdict=sentence,
        marks={"passed": "✓", "uncertain": "≈", "failed": "✗", "unfinished": "…"},
        parameters=cost_model.total_parameters(run.config) if run.config else None,
        seconds=sum(stage.seconds for stage in run.stages.values()),
        tiles=story.tiles(run),
        journey=story.journey(run),
        losses=story.attention_losses(run),
        cost=story.cost_summary(run),
        loads=exhibits.expert_loads(run),
        thinking=story.task_table(run, "thinking"),
        chat=story.task_table(run, "chat"),
        hard=story.speciale_summary(run),
        cards=exhibits.sample_cards(run),
        domains=story.DOMAINS,
        rises={domain: story.specialist_rise(run, domain) for domain in story.DOMAINS},
        mismatch=story.mismatch(run),
        price=price(),
        plots={
            "loss": _svg(plots.loss_curves(run)),
            "indexer": _svg(plots.indexer(run)),
            "attention": _svg(plots.attention_losses(story.attention_losses(run))),
            "measured": _svg(cost_plots.measured(run.cost, run.config)),
            "modelled": _svg(cost_plots.modelled(run.config)),
            "rewards": _svg(rl_plots.rewards(run)),
            "speciale": _svg(rl_plots.speciale(mixed, free)),
            "bits": _svg(plots.bits_per_byte(run)),
        },
    )


def _svg(plot: Plot | None) -> tuple[Markup, Markup] | None:
    # Markup: matplotlib escapes the text in its figures.
    return (Markup(plot.wide), Markup(plot.narrow)) if plot else None
