import numpy as np
import pytest

from autoseg.volumes import shape_statistics


def ball(radius: float, spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    axes = [np.arange(-np.ceil(radius / step), np.ceil(radius / step) + 1) * step for step in spacing]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius**2


def test_a_ball_is_more_compact_than_anything_and_as_much_in_thick_slices():
    round_one = shape_statistics.of(ball(12), (1.0, 1.0, 1.0), plane=False)
    thick = shape_statistics.of(ball(12, (3.0, 1.0, 1.0)), (3.0, 1.0, 1.0), plane=False)
    rod = shape_statistics.of(np.ones((40, 3, 3), dtype=bool), (1.0, 1.0, 1.0), plane=False)
    assert round_one.volume_mm3 == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)
    assert round_one.compactness == pytest.approx((2 / 3) ** 3, rel=0.1)  # faces make a ball's surface 3 / 2 as large
    assert thick.compactness == pytest.approx(round_one.compactness, rel=0.1)
    assert rod.compactness < 0.7 * round_one.compactness


def test_a_plane_has_area_and_perimeter_whatever_the_thickness_of_its_slice():
    square = np.ones((1, 10, 10), dtype=bool)
    thin, thick = (shape_statistics.of(square, (z, 1.0, 1.0), plane=True) for z in (1.0, 5.0))
    assert thin.compactness == pytest.approx(np.pi / 4)
    assert thick.compactness == thin.compactness


def test_pieces_are_counted_and_a_cut_at_the_image_counts_as_surface():
    mask = np.zeros((3, 9, 9), dtype=bool)
    mask[:, :2, :2], mask[1, 8, 8] = True, True
    shape = shape_statistics.of(mask, (2.0, 1.0, 1.0), plane=False)
    assert (shape.components, shape.volume_mm3) == (2, 26.0)
    assert shape.largest_share == 12 / 13
    assert shape_statistics.surface_mm2(np.ones((2, 2, 2), dtype=bool), (1.0, 1.0, 1.0), plane=False) == 24.0
