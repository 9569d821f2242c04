"""Loading the page templates. The colors and fonts that all pages share are in templates/palette.css."""

from collections.abc import Callable
from typing import Any

import jinja2


def template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """Load a template with autoescaping; an undefined variable is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("baleen.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
