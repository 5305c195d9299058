"""The candidates of a selection as a reader wants them: each once, in words, the best first, the known ones marked."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.contracts import Selection, Trial
from autoseg.selection.choice import blend_in_words, steps_in_words
from autoseg.selection.store import Pipeline

_SHOWN = 12


@dataclass(frozen=True)
class CandidateRow:
    """One candidate.

    Attributes:
        rank: By oof mean Dice among all that differ; of equals, the cheaper one comes first.
        blend: Its networks.
        steps: What happens after them; empty: nothing.
        marks: What a reader knows it by.
    """

    rank: int
    blend: str
    steps: tuple[str, ...]
    trial: Trial
    marks: tuple[str, ...]
    ships: bool


def candidates(selection: Selection) -> tuple[tuple[CandidateRow, ...], int]:
    """The best dozen, and the marked ones beyond; and how many different candidates there are."""
    latest = {Pipeline.of(trial): trial for trial in selection.trials}  # finalists, measured on volumes, come last
    ranked = sorted(latest.items(), key=lambda item: (-item[1].oof_mean_dice, item[1].case_s or 0.0))
    known = _known([pipeline for pipeline, _ in ranked], selection)
    rows = [
        CandidateRow(
            rank=rank,
            blend=blend_in_words(pipeline).rstrip(","),
            steps=tuple(steps_in_words(pipeline)),
            trial=trial,
            marks=tuple(name for name, one in known.items() if one == pipeline),
            ships=pipeline == Pipeline.of(selection),
        )
        for rank, (pipeline, trial) in enumerate(ranked, start=1)
    ]
    return tuple(row for row in rows if row.rank <= _SHOWN or row.marks or row.ships), len(rows)


def _known(ranked: Sequence[Pipeline], selection: Selection) -> dict[str, Pipeline]:
    """Candidates that a reader knows, by what they are called."""
    singles = [one for one in ranked if len(one.members) == 1 and one == Pipeline(one.members)]
    known = {"best single configuration": singles[0]} if singles else {}
    if selection.nnunet is not None:
        known[selection.nnunet.name] = Pipeline.of(selection.nnunet)
    if selection.preferred is not None and Pipeline.of(selection.preferred) != Pipeline.of(selection):
        known["preferred by the search, not confirmed on other folds"] = Pipeline.of(selection.preferred)
    return known
