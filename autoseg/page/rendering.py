"""The templates, and what they may call on values."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autoseg.page import metric_table, wording


def render(context: Mapping[str, object]) -> str:
    """Fill the templates. The page forbids itself the network and every script but its own, by the script's hash."""
    environment = _environment()
    script = environment.get_template("sort.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(**context, script=Markup(script), script_digest=digest)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("autoseg"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        wording.score,
        wording.interval,
        wording.percent,
        wording.duration,
        wording.size,
        wording.energy,
        wording.quantity,
        wording.sizes,
        wording.axis_names,
        wording.plural,
        wording.listing,
        wording.short,
        metric_table.columns,
    ):
        environment.filters[function.__name__] = function
    return environment
