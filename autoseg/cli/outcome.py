"""What became of a run, or of images to predict, in lines for the end of the output, where they are not overlooked."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.contracts import ExpectedDice, Prediction
from autoseg.page.wording import duration
from autoseg.workspace import Workspace

if TYPE_CHECKING:
    from autoseg.status import Status

_LISTED = 20


def progress(out: Path, found: "Status") -> Iterator[str]:
    """How far a run folder is, whether somebody works on it, and if not, what goes on."""
    bound = f" of at most {duration(3600 * found.hours)}" if found.hours else ""
    left = f", about {duration(found.left_s)} left" if found.left_s else ""
    yield f"{out}: worked {duration(found.worked_s)}{bound}{left}"
    for stage in found.stages:
        yield f"  {'done' if stage.done else 'open'}  {stage.stage:14s} {stage.detail}".rstrip()
    yield f"  {found.activity}"
    if all(stage.done for stage in found.stages):
        yield f"  finished: {Workspace(out).page} is the report, {Workspace(out).model.path} the model"
    elif found.working:
        yield f"  running: {', '.join(found.working)}"
    else:
        yield f"  nothing is running; `autoseg report {shlex.quote(str(out))}` goes on"


def unused(made: Prediction) -> Iterator[str]:
    """Images of the input folder that were not predicted, with the reasons."""
    pairs = list(zip(made.left_over, made.left_over_because, strict=True))
    yield from (f"left over: {file}: {why}" for file, why in pairs[:_LISTED])
    if len(pairs) > _LISTED:
        yield f"and {len(pairs) - _LISTED} more left over, see predict.json"


def expected(made: Prediction) -> Iterator[str]:
    """What Dice to expect of the masks, the least first; nothing where the model tells of none."""
    told = [(case, [one for one in case.expected if one.dice is not None]) for case in made.cases]
    rows = sorted(((min(one.dice or 0.0 for one in some), case.case, some) for case, some in told if some), key=_least)
    if rows:
        yield "expected Dice (90 % interval), the least first:"
    for _, name, some in rows[:_LISTED]:
        yield f"  {name}: " + ", ".join(f"{o.target} {o.dice:.2f} ({o.low:.2f} to {o.high:.2f})" for o in some)
    if len(rows) > _LISTED:
        yield f"  and {len(rows) - _LISTED} more, see predict.json"


def looks(made: Prediction) -> Iterator[str]:
    """Masks that somebody should look at before any other, with the reasons."""
    found = [(case.case, one) for case in made.cases for one in case.looks]
    if found:
        one = len(found) == 1
        yield f"look at {len(found)} {'mask' if one else 'masks'} before relying on {'it' if one else 'them'}:"
    yield from (f"  {name}, {one.target}: {one.look}" for name, one in found[:_LISTED])
    if len(found) > _LISTED:
        yield f"  and {len(found) - _LISTED} more, see predict.json"


def _least(row: tuple[float, str, list[ExpectedDice]]) -> tuple[float, str]:
    return row[:2]


def failures(made: Prediction) -> list[str]:
    """Cases that could not be predicted, under a headline; empty where there are none."""
    failed = [case for case in made.cases if case.status == "failed"]
    if not failed:
        return []
    more = [f"  and {len(failed) - _LISTED} more, see predict.json"] if len(failed) > _LISTED else []
    listed = [f"  {case.case}: {case.error}" for case in failed[:_LISTED]]
    return [f"{len(failed)} of {len(made.cases)} cases failed:", *listed, *more]
