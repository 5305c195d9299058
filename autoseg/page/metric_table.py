"""Which metrics a table of scores has, what they are called there, how they are written, and what they mean."""

from dataclasses import dataclass
from typing import Literal

from autoseg.contracts import Interval, Measures, Scores
from autoseg.page import wording
from autoseg.volumes.metrics import METRICS

_MAIN = (
    "dice",
    "nsd",
    "hd95_mm",
    "assd_mm",
    "sensitivity",
    "precision",
    "relative_volume_error",
    "lesion_f1",
)
_HEADINGS = {
    "dice": "Dice",
    "iou": "IoU",
    "volume_error_mm3": "Volume error, absolute",
    "relative_volume_error": "Volume error",
    "nsd": "NSD",
    "hd95_mm": "HD95",
    "hd_mm": "HD",
    "assd_mm": "ASSD",
    "lesion_f1": "Lesion F1",
}
_PLAIN = {
    "dice": "overlap, twice the shared part over the sum of both; 1 is perfect",
    "nsd": "share of the outline within the tolerance of the reference",
    "hd95_mm": "95 % of the outline is closer to the other outline than this",
    "assd_mm": "mean distance between the two outlines",
    "sensitivity": "share of the reference that was found",
    "precision": "share of the prediction that is right",
    "relative_volume_error": "how much too large (+) or too small (−) the prediction is",
    "lesion_f1": "separate parts found, against parts missed and made up; 1 is perfect",
}
_SEVERAL = 1.5  # components that a label has in the mean case, from where counting them tells something
_IN_PERCENT = ("relative_volume_error",)


@dataclass(frozen=True)
class Column:
    """One metric in a table.

    Attributes:
        name: As in ``METRICS``.
        heading: What it is called, with its unit.
        meaning: In plain words.
        definition: How it is computed, and when it is undefined.
    """

    name: str
    heading: str
    meaning: str
    definition: str

    def of(self, measures: Measures[Interval]) -> Interval:
        """This metric of a label."""
        found: Interval = getattr(measures, self.name)
        return found

    def mean(self, scores: Scores) -> Interval:
        """This metric over all labels; records of earlier versions have the mean of two only."""
        early = {"dice": scores.mean_dice, "nsd": scores.mean_nsd}
        found = self.of(scores.means)
        return early.get(self.name, found) if found.value is None else found

    def value(self, estimate: Interval) -> str:
        """The estimate alone."""
        return wording.MISSING if estimate.value is None else self._number(estimate.value) + self._percent

    def span(self, estimate: Interval) -> str:
        """Its interval; empty where there is none."""
        if estimate.low is None or estimate.high is None:
            return ""
        between = " to " if METRICS[self.name].better == "near 0" else "–"
        return f"{self._number(estimate.low)}{between}{self._number(estimate.high)}{self._percent}"

    @property
    def _percent(self) -> str:
        return " %" if self.name in _IN_PERCENT else ""

    def _number(self, value: float) -> str:
        if self.name in _IN_PERCENT:
            return f"{100 * value:+.1f}"
        if METRICS[self.name].unit == "mm3":
            return ("+" if value > 0 else "") + wording.quantity(value)
        return wording.score(value, 2 if METRICS[self.name].unit else 3)


def columns(scores: Scores, distance: str, which: Literal["main", "all"] = "main") -> tuple[Column, ...]:
    """The metrics to show: those that are defined for any label.

    Args:
        scores: The table's.
        distance: What distances are measured in.
        which: All of ``METRICS``, or those that a reader looks at first; among them lesion F1 only where some label has
            several components in the mean case.
    """
    names = tuple(METRICS) if which == "all" else tuple(n for n in _MAIN if n != "lesion_f1" or _several(scores))
    made = (_column(name, distance) for name in names)
    return tuple(column for column in made if any(column.of(target).value is not None for target in scores.targets))


def _column(name: str, distance: str) -> Column:
    metric = METRICS[name]
    unit = {"mm": f" ({distance})", "mm3": f" ({'mm³' if distance == 'mm' else distance})"}.get(metric.unit, "")
    undefined = f"; n/a where {metric.undefined}" if metric.undefined else ""
    heading = _HEADINGS.get(name, name.replace("_", " ").capitalize())
    return Column(name, heading + unit, _PLAIN.get(name, ""), metric.what + undefined)


def _several(scores: Scores) -> bool:
    """Whether the mean case has several components of some label."""
    means = ((target.lesions_found.value, target.lesions_missed.value) for target in scores.targets)
    return any(found is not None and found + (missed or 0.0) >= _SEVERAL for found, missed in means)
