"""From the values of one mask to class indices: as declared, as the data set agreed, or as far as it can tell alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autoseg.contracts import Coding, LabelSet
from autoseg.errors import LabelError
from autoseg.intake import values
from autoseg.intake.drawing import Drawing
from autoseg.intake.findings import Finding
from autoseg.intake.masks import Annotation, LooksLikeImage
from autoseg.intake.values import Sorted, Tally
from autoseg.labelling import class_of, infer, spelled

_LISTED = 5


@dataclass(frozen=True)
class Agreed:
    """What the data set settled on, for cases that must be read with it in mind.

    Attributes:
        labels: Of all cases.
        nearest: For each stray value the label that it is taken for.
    """

    labels: LabelSet
    nearest: Mapping[int, int]


class Undeclared(LabelError):
    """Values occur that are not declared; ``values`` are those."""

    def __init__(self, message: str, values: tuple[int, ...]) -> None:
        super().__init__(message)
        self.values = values


@dataclass(frozen=True, eq=False)
class Classed:
    """A mask in class indices.

    Attributes:
        drawn: What is drawn, uint8 or uint16.
        labels: What they refer to.
        coding: How the file holds them.
        tallies: The values of the file.
        nearest: Strays that were taken for labels.
        findings: What is told of them.
    """

    drawn: Drawing
    labels: LabelSet
    coding: Coding
    tallies: tuple[Tally, ...]
    nearest: Mapping[int, int]
    findings: tuple[Finding, ...]

    @property
    def present(self) -> tuple[int, ...]:
        """Values that occur and are labels, or background."""
        return tuple(item.value for item in self.tallies if item.value not in self.nearest)


def classify(annotation: Annotation, declared: LabelSet | None, agreed: Agreed | None, *, snap: bool) -> Classed:
    """Tell labels from strays and translate.

    Args:
        annotation: A mask of values or colours.
        declared: Declared labels; None: the values that occur are the labels.
        agreed: What an earlier look at all cases led to; None at the first look.
        snap: All strays become labels, however many there are.

    Raises:
        Undeclared: Values occur that are not declared.
        LooksLikeImage: These are no labels.
        LabelError: So many values that they cannot be classes.
    """
    coding, label = annotation.coding, annotation.values
    if agreed is not None and agreed.labels.coding == "rgb" and coding == "values":
        coding, label = "rgb", _as_grey_colours(label)
    drawn = Drawing.of(label)
    tallies = values.tally(label, drawn.voxels, coding)
    found = _sorted(tallies, coding, declared, agreed, snap)
    labels = agreed.labels if agreed else declared or infer({*found.labels, 0}, coding=coding)
    classes = class_of(labels)
    classes |= {stray: classes[near] for stray, near in found.nearest.items()}
    finding = None
    if declared is not None:
        finding = _checked(tallies, found, classes, coding, snap)
    elif agreed is not None:  # the first look at a case leaves it to the others what its strays are
        finding = values.judge(tallies, found, coding, snap=True)[1]
    findings = () if finding is None else (finding,)
    return Classed(drawn.translated(classes), labels, coding, tallies, found.nearest, findings)


def _sorted(
    tallies: tuple[Tally, ...], coding: Coding, declared: LabelSet | None, agreed: Agreed | None, snap: bool
) -> Sorted:
    if agreed is not None:
        present = {item.value for item in tallies}
        strays = {value: near for value, near in agreed.nearest.items() if value in present}
        return Sorted(tuple(class_of(agreed.labels)), strays)
    if declared is not None:
        found = values.sort_declared(tallies, class_of(declared), coding, snap=snap)
    else:
        found = values.sort_out([tallies], coding, snap=snap)
    if values.looks_like_image(tallies, found, coding):
        low, high = (spelled(item.value, coding) for item in (tallies[0], tallies[-1]))
        raise LooksLikeImage(
            f"the label holds {len(tallies)} different values from {low} to {high}; it looks like an image, not a mask"
        )
    return found


def _checked(
    tallies: tuple[Tally, ...], found: Sorted, classes: Mapping[int, int], coding: Coding, snap: bool
) -> Finding | None:
    """What is told of strays beside declared labels."""
    problem, finding = values.judge(tallies, found, coding, snap=snap)
    if problem:
        raise Undeclared(problem, tuple(found.nearest))
    unknown = [item for item in tallies if item.value not in classes]
    if not unknown:
        return finding
    listed = ", ".join(f"{spelled(item.value, coding)} ({item.voxels} voxels)" for item in unknown[:_LISTED])
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    raise Undeclared(
        f"the label has values that are not declared: {listed}{more}; expected {sorted(classes)[:20]}; declare them, "
        "correct the mask, or add --snap-labels to take each for the nearest label",
        tuple(item.value for item in unknown),
    )


def _as_grey_colours(label: np.ndarray) -> np.ndarray:
    """Grey levels among colour masks; black and white masks lose their colours in reading."""
    if label.min() < 0 or label.max() > 255:
        raise LabelError("the other masks hold colours, this one grey levels beyond 255; save all of them alike")
    return label.astype(np.int32) * 0x010101
