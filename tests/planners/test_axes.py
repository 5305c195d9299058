"""The order of axes: thick slices first, whatever plane they lie in."""

import pytest

from planners.axes import reordered, thickest_first, working_axes
from planners.registry import plan
from tests.strategies import budget, fingerprint, gpu

SAGITTAL = fingerprint(((256, 256, 20),) * 10, ((0.7, 0.7, 4.0),))
OBLIQUE = fingerprint(
    ((200, 12, 200), (200, 200, 12), (12, 200, 200)) * 4, ((1.4, 8.0, 1.4), (1.4, 1.4, 8.0), (8.0, 1.4, 1.4))
)


@pytest.mark.parametrize(
    ("spacing", "order"),
    [((4.0, 1.0, 1.0), (0, 1, 2)), ((1.0, 4.0, 1.0), (1, 0, 2)), ((1.0, 1.0, 4.0), (2, 0, 1)), ((1.0,) * 3, (0, 1, 2))],
)
def test_the_thickest_axis_comes_first(spacing, order):
    assert thickest_first(spacing) == order


def test_one_plane_gives_one_order():
    order, reason = working_axes(SAGITTAL)
    assert order == (2, 0, 1)
    assert reason.chose == "x, z, y"
    assert reordered(SAGITTAL, order).cases[0].shape == (20, 256, 256)


def test_different_planes_are_ordered_case_by_case():
    order, reason = working_axes(OBLIQUE)
    assert order is None
    assert "z in 4 cases, y in 4 cases, x in 4 cases" in reason.saw
    turned = reordered(OBLIQUE, None)
    assert {case.shape for case in turned.cases} == {(12, 200, 200)}
    assert {case.spacing_mm for case in turned.cases} == {(8.0, 1.4, 1.4)}


@pytest.mark.parametrize(
    "data",
    [
        fingerprint(((90, 100, 110),), ((1.0, 1.1, 1.2),)),  # about cubes
        fingerprint(((1, 100, 110),), ((1.0, 0.1, 0.1),), dimension=2),
        fingerprint(  # sides must lie alike
            ((200, 12, 200), (200, 200, 12)),
            ((1.4, 8.0, 1.4), (1.4, 1.4, 8.0)),
            names=("kidney_left", "kidney_right"),
        ),
    ],
)
def test_where_order_means_nothing_or_too_much_axes_stay(data):
    assert working_axes(data)[0] == (0, 1, 2)
    assert reordered(data, (0, 1, 2)) is data


def test_plans_look_at_the_planes_that_were_taken():
    made = plan(SAGITTAL, gpu())
    assert [configuration.name for configuration in made.configurations] == ["3d_fullres", "2d"]
    for configuration in made.configurations:
        assert (configuration.axes, configuration.median_shape_vox) == ((2, 0, 1), (20, 256, 256))
    assert made.configurations[0].spacing_mm == (4.0, 0.7, 0.7)
    assert plan(OBLIQUE, budget(hours=1.0)).configurations[0].axes is None


def test_mirroring_spares_the_sides_wherever_they_lie():
    kidneys = fingerprint(((256, 256, 20),) * 10, ((0.7, 0.7, 4.0),), names=("kidney_left", "kidney_right"))
    full, flat = plan(kidneys, gpu()).configurations
    assert full.training.augmentation.mirror_axes == (1, 2)  # left and right are the first working axis
    assert flat.training.augmentation.mirror_axes == (0, 1)
