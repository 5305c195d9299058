"""What is drawn, against what nnU-Net v2 draws for three-dimensional images."""

from itertools import chain

import numpy as np
import pytest
from scipy import stats

from autoseg.learn.augmentation import draw_geometry, draw_intensities
from planners.contracts import Augmentation
from tests.learn.tiny import STILL

DRAWS = 4000
CHANNELS = 4
UNLIKELY = 1e-3
"""Draws are always the same; a p-value below this would be a wrong range."""


def uniform(low, high):
    return stats.uniform(low, high - low).cdf


def two_sided(low, high):
    """Below 1 as often as above."""
    return lambda x: np.where(x < 1, 0.5 * (x - low) / (1 - low), 0.5 + 0.5 * (x - 1) / (high - 1))


def assert_distributed(values, cdf):
    assert len(values) > 100
    assert stats.kstest(values, cdf).pvalue > UNLIKELY


def assert_share(count, of, probability):
    assert stats.binomtest(count, of, probability).pvalue > UNLIKELY


def geometries(plan, dimension=3):
    rng = np.random.default_rng(0)
    return [draw_geometry(rng, plan, dimension) for _ in range(DRAWS)]


@pytest.fixture(scope="module")
def intensities():
    rng = np.random.default_rng(0)
    return [draw_intensities(rng, Augmentation(), CHANNELS, 3) for _ in range(DRAWS)]


def test_rotation_and_scaling():
    drawn = [g.affine.matrix for g in geometries(Augmentation()) if g.affine]
    assert_share(len(drawn), DRAWS, 1 - 0.8 * 0.8)
    factors = np.array([np.cbrt(np.linalg.det(matrix)) for matrix in drawn])
    turns = np.array([matrix / factor for matrix, factor in zip(drawn, factors, strict=True)])
    scaled, turned = abs(factors - 1) > 1e-9, np.abs(turns - np.eye(3)).max(axis=(1, 2)) > 1e-9
    assert_share(scaled.sum(), DRAWS, 0.2)
    assert_share(turned.sum(), DRAWS, 0.2)
    assert_distributed(factors[scaled], uniform(0.7, 1.4))
    turn = turns[turned]  # Rx · Ry · Rz, the first axis turned first
    angles = (
        np.arctan2(turn[:, 2, 1], turn[:, 2, 2]),
        -np.arcsin(turn[:, 2, 0]),
        np.arctan2(turn[:, 1, 0], turn[:, 0, 0]),
    )
    for angle in angles:
        assert_distributed(np.degrees(angle), uniform(-30, 30))


def test_slices_turn_in_their_plane():
    plan = Augmentation(rotation_deg=(180.0, 0.0, 0.0), rotation_probability=1.0)
    for dimension in (2, 3):
        drawn = [g.affine for g in geometries(plan, dimension)]
        angles = [np.degrees(np.arctan2(a.matrix[-1, -2], a.matrix[-1, -1])) for a in drawn]
        assert_distributed(angles, uniform(-180, 180))
        assert all(a.interpolated == (False, True, True)[-dimension:] for a in drawn)


def test_mirroring_of_allowed_axes_alone():
    drawn = geometries(STILL.model_copy(update={"mirror_axes": (0, 2)}))
    assert all(g.affine is None for g in drawn)
    for axis, probability in ((0, 0.5), (1, 0.0), (2, 0.5)):
        assert_share(sum(axis in g.mirrored for g in drawn), DRAWS, probability)
    assert_share(sum(g.mirrored == (0, 2) for g in drawn), DRAWS, 0.25)


def test_mirroring_goes_into_the_affine_where_there_is_one():
    plan = STILL.model_copy(update={"mirror_axes": (1,), "scale_probability": 1.0})
    drawn = geometries(plan)
    assert not any(g.mirrored for g in drawn)
    assert_share(sum(g.affine.matrix[1, 1] < 0 for g in drawn), DRAWS, 0.5)


def test_nothing_is_drawn_of_what_never_happens():
    assert {(g.affine, g.mirrored) for g in geometries(STILL)} == {(None, ())}
    drawn = draw_intensities(np.random.default_rng(0), STILL, CHANNELS, 3)
    assert not any(vars(drawn).values())


@pytest.mark.parametrize(
    ("name", "probability", "share"),
    [
        ("noise", 0.1, 1.0),
        ("blur", 0.2, 0.5),
        ("brightness", 0.15, 1.0),
        ("contrast", 0.15, 1.0),
        ("low_resolution", 0.25, 0.5),
        ("gamma_inverted", 0.1, 1.0),
        ("gamma", 0.3, 1.0),
    ],
)
def test_how_often_and_which_channels_together(intensities, name, probability, share):
    taken = [len(getattr(drawn, name)) for drawn in intensities]
    assert_share(sum(count > 0 for count in taken), DRAWS, probability * (1 - (1 - share) ** CHANNELS))
    together = [count for count in taken if count]
    everything = share**CHANNELS / (1 - (1 - share) ** CHANNELS)
    assert_share(together.count(CHANNELS), len(together), everything)


@pytest.mark.parametrize(
    ("name", "cdf"),
    [
        ("brightness", two_sided(0.75, 1.25)),
        ("contrast", two_sided(0.75, 1.25)),
        ("gamma_inverted", two_sided(0.7, 1.5)),
        ("gamma", two_sided(0.7, 1.5)),
    ],
)
def test_factors_differ_by_channel_and_lie_on_both_sides_of_1(intensities, name, cdf):
    drawn = [list(getattr(d, name).values()) for d in intensities if getattr(d, name)]
    assert_distributed(list(chain(*drawn)), cdf)
    assert all(len(set(values)) == CHANNELS for values in drawn)


def test_noise_has_one_deviation_for_all_channels_and_a_seed_for_each(intensities):
    drawn = [list(d.noise.values()) for d in intensities if d.noise]
    assert_distributed([values[0][0] for values in drawn], uniform(0, 0.1))
    assert all(len({deviation for deviation, _ in values}) == 1 for values in drawn)
    assert all(len({seed for _, seed in values}) == CHANNELS for values in drawn)


def test_blur_differs_by_axis(intensities):
    sigmas = [sigma for d in intensities for sigma in d.blur.values()]
    assert all(len(set(sigma)) == 3 for sigma in sigmas)
    assert_distributed(list(chain(*sigmas)), uniform(0.5, 1.0))


def test_low_resolution_is_alike_along_all_axes_and_spares_thick_slices(intensities):
    zooms = [zoom for d in intensities for zoom in d.low_resolution.values()]
    assert all(len(set(zoom)) == 1 for zoom in zooms)
    assert_distributed([zoom[0] for zoom in zooms], uniform(0.5, 1.0))
    plan = Augmentation(rotation_deg=(180.0, 0.0, 0.0), low_resolution_probability=1.0)
    rng = np.random.default_rng(0)
    drawn = [zoom for _ in range(20) for zoom in draw_intensities(rng, plan, 1, 3).low_resolution.values()]
    assert all(zoom[0] == 1.0 > zoom[1] == zoom[2] for zoom in drawn)
    assert drawn
