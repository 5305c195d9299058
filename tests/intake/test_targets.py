"""What is drawn, measured in its box, is what a plain look at the whole volume finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from autoseg.contracts import Label, LabelSet, Region, TargetScan
from autoseg.errors import LabelError
from autoseg.intake import targets
from autoseg.intake.drawing import Drawing
from autoseg.labelling import class_of, count_values, infer, to_classes
from autoseg.volumes.labels import FULL, member_mask

LABELS = tuple(Label(name=f"label_{value}", value=value) for value in (1, 2, 3))
EXCLUSIVE = LabelSet(labels=LABELS)
REGIONS = LabelSet(
    kind="regions",
    labels=LABELS,
    regions=(
        Region(name="whole", members=(1, 2, 3), writes=1),
        Region(name="edge", members=(1, 3), writes=2),
        Region(name="core", members=(3,), writes=3),
    ),
)


def plainly(name, mask):
    """Every number from the whole mask, the obvious way."""
    if not mask.any():
        return TargetScan(name=name, voxels=0, components=0, component_voxels=())
    numbers, count = ndimage.label(mask, structure=FULL)
    sizes = sorted(np.bincount(numbers.ravel())[1:].tolist(), reverse=True)
    indices = np.nonzero(mask)
    return TargetScan(
        name=name,
        voxels=int(mask.sum()),
        components=count,
        component_voxels=tuple(sizes[:64]),
        box=tuple((int(index.min()), int(index.max()) + 1) for index in indices),
        centroid_vox=tuple(index.min() + float((index - index.min()).sum()) / len(index) for index in indices),
    )


def blobs(roughness):
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, (80, 70, 75)), roughness)
    return np.digitize(noise / noise.std(), [0.7, 1.0, 1.4]).astype(np.uint8)


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS])
@pytest.mark.parametrize(("roughness", "as_runs"), [(9, True), (0.5, False)])
def test_targets(labels, roughness, as_runs):
    classes = np.pad(blobs(roughness), 3)[:, ::-1, ::-1].transpose(2, 0, 1)
    drawn = Drawing.of(classes)
    assert (drawn.runs is not None) == as_runs
    expected = [
        plainly(name, member_mask(classes, members))
        for name, members in zip(labels.targets, labels.members, strict=True)
    ]
    assert list(targets.measure_all(drawn, labels)) == expected


@pytest.mark.parametrize("roughness", [9, 0.5])
def test_a_mask(roughness):
    mask = np.pad(blobs(roughness) > 0, 3)
    assert targets.measure("a", mask) == plainly("a", mask)


def test_nothing_drawn():
    empty = np.zeros((3, 4, 5), np.uint8)
    assert targets.measure("a", empty > 0) == targets.absent("a")
    assert targets.measure_all(Drawing.of(empty), EXCLUSIVE) == tuple(map(targets.absent, EXCLUSIVE.targets))


@given(
    hnp.arrays(np.int16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.sampled_from([-2, 0, 1, 9])),
    st.sampled_from([0, 1]),
)
def test_a_drawing_is_the_whole_label(label, background):
    turned = label.transpose(1, 2, 0)[::-1]
    drawn = Drawing.of(turned)
    assert np.array_equal(drawn.whole(), turned)
    assert drawn.voxels == count_values(turned)
    classes = class_of(infer({-2, 0, 1, 9}, background))
    assert np.array_equal(drawn.translated(classes).whole(), to_classes(turned, classes))


def test_a_background_that_is_not_declared_is_named():
    label = np.ones((3, 3, 3), np.uint8)
    label[0] = 0
    with pytest.raises(LabelError, match=r"0 \(9 voxels\)"):
        Drawing.of(label).translated({1: 0})
