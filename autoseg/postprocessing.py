"""From probabilities to the final class map, as a label set and a selection say.

``segment`` is the one path from blended probabilities to masks: validation, selection and the deployed model all take
it, so what is scored is what ships. It has two parts, of which the first, ``votes``, can be done piece by piece of an
image. File values come in at the very end, by ``file_values``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from autoseg.contracts import Decision, LabelSet, Postprocessing
from autoseg.errors import LabelError
from autoseg.labelling import class_of, to_classes
from autoseg.volumes import labels as volume_labels
from autoseg.volumes.labels import Classes, Probabilities
from planners.contracts import Spacing

Votes = Classes | volume_labels.Mask
"""Class indices (z, y, x) of exclusive labels, masks (T, z, y, x) of regions."""


def segment(
    probabilities: Probabilities,
    labels: LabelSet,
    spacing_mm: Spacing,
    postprocessing: Sequence[Postprocessing] = (),
    decision: Decision = Decision(),
) -> Classes:
    """The class map (z, y, x) of probabilities (H, z, y, x).

    Exclusive labels: voxels removed from a label become background, and what is added to one fills background only.
    Regions: each region's mask is cleaned before the regions are painted over each other.

    Args:
        probabilities: On the canonical grid, or a crop of it that holds all foreground.
        labels: What the heads mean.
        spacing_mm: Size of a voxel, for volumes and lengths.
        postprocessing: At most one entry per target; targets without one stay as they are.
        decision: How heads compete, and what happens to all targets together before any is cleaned.

    Raises:
        LabelError: An entry names an unknown target, or the heads do not match the label set.
    """
    return finished(votes(probabilities, labels, decision), labels, spacing_mm, postprocessing, decision)


def votes(probabilities: Probabilities, labels: LabelSet, decision: Decision = Decision()) -> Votes:
    """What each voxel by itself decides for: classes (z, y, x), or region masks (T, z, y, x).

    Raises:
        LabelError: The decision names an unknown target, or the heads do not match the label set.
    """
    if len(probabilities) != labels.heads:
        raise LabelError(f"{len(probabilities)} heads of probabilities, but the label set has {labels.heads}")
    _require_known({bias.target for bias in decision.biases}, labels)
    biases = biases_of(decision, labels)
    if labels.kind == "regions":
        return volume_labels.over_threshold(probabilities, biases)
    return volume_labels.to_classes(probabilities, "exclusive", biases=biases)


def finished(
    decided: Votes,
    labels: LabelSet,
    spacing_mm: Spacing,
    postprocessing: Sequence[Postprocessing] = (),
    decision: Decision = Decision(),
) -> Classes:
    """The class map (z, y, x) of votes, which are changed in place; the rest is as for ``segment``."""
    steps = {step.target: step for step in postprocessing if is_active(step)}
    _require_known(set(steps), labels)
    if labels.kind == "regions":
        return _finished_regions(cast(volume_labels.Mask, decided), labels, spacing_mm, steps, decision)
    classes = cast(Classes, decided)
    if decision.joint_largest:
        classes[~volume_labels.largest_component(classes > 0)] = 0
    for index, name in enumerate(labels.targets, start=1):
        if name in steps:
            before = classes == index
            after = _clean(before, spacing_mm, steps[name])
            classes[before & ~after] = 0
            classes[after & (classes == 0)] = index
    return classes


def _require_known(targets: set[str], labels: LabelSet) -> None:
    unknown = targets - set(labels.targets)
    if unknown:
        raise LabelError(f"post-processing of unknown targets {sorted(unknown)}; there are {list(labels.targets)}")


def is_active(step: Postprocessing) -> bool:
    """Whether an entry does anything at all."""
    return step.keep_largest or step.fill_holes or step.minimum_mm3 > 0 or step.smooth_mm > 0


def biases_of(decision: Decision, labels: LabelSet) -> tuple[float, ...]:
    """The bias of each target, in their order; empty where there are none."""
    known = {bias.target: bias.logit for bias in decision.biases}
    return tuple(known.get(name, 0.0) for name in labels.targets) if known else ()


def parents_of(labels: LabelSet) -> tuple[int | None, ...]:
    """The smallest region before each that holds all of its labels and more; None where there is none.

    >>> from autoseg.contracts import Label, Region
    >>> names = tuple(Label(name=name, value=value) for value, name in enumerate("abc", start=1))
    >>> nested = [("all", (1, 2, 3)), ("two", (1, 2)), ("one", (1,)), ("other", (3,))]
    >>> regions = tuple(Region(name=name, members=members, writes=members[-1]) for name, members in nested)
    >>> parents_of(LabelSet(kind="regions", labels=names, regions=regions))
    (None, 0, 1, 0)
    """
    found: list[int | None] = []
    members = [set(each) for each in labels.members]
    for index, own in enumerate(members):
        around = [other for other in range(index) if members[other] > own]
        found.append(min(around, key=lambda other: len(members[other])) if around else None)
    return tuple(found)


def written_classes(labels: LabelSet) -> tuple[int, ...]:
    """Class index that each region paints, from the file value it writes; empty for exclusive labels.

    Raises:
        LabelError: A region writes a value that no label has.
    """
    index_of = {label.value: index for index, label in enumerate(labels.labels, start=1)}
    for region in labels.regions:
        if region.writes not in index_of:
            raise LabelError(f"region {region.name!r} writes {region.writes}, which is none of {sorted(index_of)}")
    return tuple(index_of[region.writes] for region in labels.regions)


def file_values(classes: Classes, labels: LabelSet) -> npt.NDArray[np.integer]:
    """The class map in the values of the user's files, in a dtype that holds all of them."""
    return volume_labels.to_file_values(classes, [label.value for label in labels.labels], labels.background_value)


def class_indices(array: npt.NDArray[Any], labels: LabelSet) -> Classes:
    """The class map of a label file's values; unannotated voxels get ``labels.ignore_index``.

    Raises:
        LabelError: The array holds values that the label set does not know.
    """
    return to_classes(array, class_of(labels))


def _finished_regions(
    masks: npt.NDArray[np.bool_],
    labels: LabelSet,
    spacing_mm: Spacing,
    steps: Mapping[str, Postprocessing],
    decision: Decision,
) -> Classes:
    """Regions are cleaned as masks; their nesting is restored last, when no parent shrinks any more."""
    if decision.joint_largest:
        masks &= volume_labels.largest_component(np.asarray(masks.any(axis=0)))
    for index, name in enumerate(labels.targets):
        if name in steps:
            masks[index] = _clean(masks[index], spacing_mm, steps[name])
    parents = parents_of(labels) if decision.nested_regions else ()
    return volume_labels.paint(volume_labels.inside_parents(masks, parents), written_classes(labels))


def _clean(mask: volume_labels.Mask, spacing_mm: Spacing, step: Postprocessing) -> volume_labels.Mask:
    return volume_labels.clean(
        mask,
        spacing_mm,
        keep_largest=step.keep_largest,
        minimum_mm3=step.minimum_mm3,
        fill_holes=step.fill_holes,
        smooth_mm=step.smooth_mm,
    )
