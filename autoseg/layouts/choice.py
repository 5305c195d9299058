"""Choosing between readings of one folder: the user's word, a clear majority of cases, or a question."""

import dataclasses
from collections.abc import Sequence

from autoseg.errors import LayoutError, UsageError
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

_CLEARLY = 2
"""A reading with this many times as many labelled cases as any other is taken, and the others are told."""


def decided(found: Found, tree: Tree) -> Found:
    """The reading to use if nobody asked for one.

    Raises:
        LayoutError: Another one is about as plausible.
    """
    if not found.rivals:
        return found
    labelled = [sum(case.labelled for case in each.cases) for each in (found, *found.rivals)]
    if labelled[0] >= _CLEARLY * max(labelled[1:]):
        others = "; ".join(f"{rival.name}: {rival.summary()}" for rival in found.rivals[:3])
        note = f"read as {found.name}, which has by far the most cases; to read it otherwise, add --layout: {others}"
        return dataclasses.replace(found, rivals=(), notes=(note, *found.notes))
    best = (found, found.rivals[0])
    listed = "\n".join(f"  --layout {each.name}\n      {each.summary()}" for each in best)
    rest = [rival.name for rival in found.rivals[1:]]
    more = f"\n  also: {', '.join(rest[:6])}" if rest else ""
    raise LayoutError(
        f"{tree.root}: can be read in several ways, and nothing tells which is meant; say so by one of\n{listed}{more}"
    )


def asked_for(layout: str, every: Sequence[Found], tree: Tree) -> Found:
    """The reading that was asked for, by its name or that of its layout.

    Raises:
        UsageError: The folder cannot be read so.
        LayoutError: The layout was named, but has several readings.
    """
    readings = [reading for found in every for reading in (found, *found.rivals)]
    for reading in readings:
        if reading.reading == layout:
            return dataclasses.replace(reading, rivals=())
    for found in every:
        if found.layout == layout:
            return decided(found, tree)
    names = ", ".join(dict.fromkeys(reading.name for reading in readings))
    raise UsageError(f"--layout {layout}: {tree.root} cannot be read so; it can be read as: {names}")
