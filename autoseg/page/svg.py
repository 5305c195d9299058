"""Drawings as inline SVG that take their colours and font from the page they stand in.

Matplotlib draws once in placeholder colours, which become CSS variables (``var(--ink)``, ``var(--series-1)``, ...). So
one drawing serves a light page, a dark page and paper. Text stays text: it can be selected, searched and read aloud.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#010201", "#010202", "#010203", "#010204", "#010205")
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper"} | {
    color: f"--series-{number}" for number, color in enumerate(SERIES, start=1)
}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}
_PX_PER_IN = 110  # of a wide page; a narrow one scales the drawing down
_NOTHING = {"Date": None, "Creator": None, "Type": None, "Format": None}


@contextmanager
def canvas(width_in: float, height_in: float) -> Iterator[Figure]:
    """An empty figure in the page's style, which does not leak into the caller's matplotlib."""
    with rc_context(_STYLE):
        yield Figure(figsize=(width_in, height_in))


def serialize(figure: Figure, name: str, alternative: str) -> Markup:
    """Turn a figure into markup for a page.

    Args:
        figure: Made by ``canvas``.
        name: Unique on the page; keeps the ids of two drawings apart.
        alternative: What a screen reader says.
    """
    stream = io.StringIO()
    with rc_context(_STYLE | {"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(stream, metadata=_NOTHING)
    written = stream.getvalue()
    opening = written.index("<svg")
    end = written.index(">", opening) + 1
    box = re.search(r'viewBox="[^"]*"', written[opening:end])
    body = re.sub(r'<g id="[A-Za-z0-9_.]*"', "<g", written[end:])
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var({variable})")
    width_px = figure.get_figwidth() * _PX_PER_IN
    return Markup(
        f'<svg class="chart" role="img" aria-label="{escape(alternative)}" style="max-width:{width_px:.0f}px" '
        f'{box.group() if box else ""} xmlns:xlink="http://www.w3.org/1999/xlink">{body}'
    )
