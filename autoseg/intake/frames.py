"""Points in time of images with a fourth axis, each as a case of its own: what ``--axis4 time`` asks for.

They are called ``<case>_t<number>``, from 0, and belong to the subject of their file, so that no split tears them
apart. Each needs its own label: one of as many points in time as the image, or none. One label for several points in
time is left to the audit, which refuses it, since nobody knows at which of them it was drawn.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from autoseg import formats
from autoseg.contracts import Case
from autoseg.errors import AutosegError, DataError, LayoutError
from autoseg.formats import Volume
from autoseg.layouts import Found


def in_time(found: Found, root: Path) -> Found:
    """A data set with a case for each point in time of its images.

    Where something is drawn at some points in time only, as at two phases of a heart beat, the others are taken for not
    annotated rather than for empty, and are predicted only.

    Args:
        found: As the layout gives it.
        root: What its paths are relative to.

    Raises:
        LayoutError: A point in time would get the name of another case.
    """
    made = [_each(case, root) for case in found.cases]
    split = sum(each[0].frame is not None for each in made)
    pairs = [(case, frame) for case, frames in zip(found.cases, made, strict=True) for frame in frames]
    bare = sum(case.labelled and not frame.labelled for case, frame in pairs)
    notes = []
    if split:
        notes.append(f"{split} of {len(found.cases)} cases hold points in time: each of these is a case of its own")
    if bare:
        notes.append(f"at {bare} points in time nothing is drawn, though at others of the same image: not annotated")
    return replace(found, cases=_distinct([frame for _, frame in pairs]), notes=(*found.notes, *notes))


def inputs_in_time(cases: Iterable[Case], root: Path) -> tuple[Case, ...]:
    """Images to predict, each point in time for itself.

    Raises:
        LayoutError: A point in time would get the name of another image.
    """
    return _distinct([frame for case in cases for frame in _each(case, root)])


def at(path: Path, frame: int, *, mask: bool = False) -> Volume:
    """One point in time of a file, or the file where it has no fourth axis.

    Raises:
        DataError: It does not reach so far.
        UnreadableFile, GeometryError, RefusedError, DoesNotFit: See ``formats.read``.
    """
    volume = _read(path, mask=mask)
    try:
        return volume.at(frame)
    except IndexError:
        held = len(volume.array)
        raise DataError(f"{path}: holds {held} points in time, expected more than {frame}; restore the file") from None


def forget() -> None:
    """Free the files that are remembered because their points in time are asked for in turn."""
    _remembered.cache_clear()


def _each(case: Case, root: Path) -> list[Case]:
    """The points in time of a case; itself where it has none, or none that its files agree on."""
    drawn = _drawn_at(case, root)
    digits = len(str(len(drawn) - 1))
    made = []
    for number, anything in enumerate(drawn):
        kept = case if anything or not any(drawn) else case.without_label()
        made.append(kept.model_copy(update={"case": f"{case.case}_t{number:0{digits}}", "frame": number}))
    return made or [case]


def _drawn_at(case: Case, root: Path) -> list[bool]:
    """For each point in time whether anything is drawn; empty where there are none, or not as many in each file.

    A file that cannot be read fails later, aloud.
    """
    try:
        images = [_read(root / file, mask=False) for file in case.images]
        if not all(volume.open_axis4 for volume in images):
            return []
        labels = [_drawn(_read(root / file, mask=True)) for file in case.label_files]
    except (AutosegError, MemoryError):
        return []
    counts = {len(volume.array) for volume in images} | {len(drawn) for drawn in labels}
    if len(counts) > 1:
        return []
    return [any(drawn[number] for drawn in labels) for number in range(counts.pop())]


def _drawn(label: Volume) -> list[bool]:
    """At which points in time not all voxels are the same."""
    return [bool(np.ptp(frame)) for frame in label.array] if label.open_axis4 else [True]


def _distinct(cases: Sequence[Case]) -> tuple[Case, ...]:
    twice = [name for name, count in Counter(case.case.casefold() for case in cases).items() if count > 1]
    if twice:
        raise LayoutError(f"a point in time and another case would both be called {twice[0]}; rename the file of one")
    return tuple(cases)


def _read(path: Path, *, mask: bool) -> Volume:
    """``formats.read`` that remembers an image and its label: their points in time are asked for in turn."""
    stamp = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0)
    return _remembered(path, stamp, mask)


@lru_cache(maxsize=2)
def _remembered(path: Path, stamp: tuple[int, int], mask: bool) -> Volume:
    return formats.read(path, mask=mask)
