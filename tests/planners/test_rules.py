"""Spacing, intensity, topology and patch ladders, one rule at a time."""

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners import intensity, patch, spacing, topology
from tests.strategies import fingerprint, statistics

WIDTHS = ((8, 0), (16, 48**3))


# ------------------------------------------------------------------------------------------------------- spacing


def test_isotropic_spacing_is_the_median():
    data = fingerprint(((40, 40, 40),) * 3, ((1.0, 0.9, 0.8), (1.2, 1.0, 1.0), (1.4, 1.1, 1.2)))
    assert spacing.target_3d(data)[0] == (1.2, 1.0, 1.0)


def test_thick_slices_take_the_tenth_percentile():
    data = fingerprint(((12, 256, 256),) * 11, tuple((float(z), 1.0, 1.0) for z in range(5, 16)))
    assert spacing.target_3d(data)[0] == (6.0, 1.0, 1.0)


def test_target_is_never_finer_than_the_plane():
    data = fingerprint(((12, 256, 256),) * 4, ((0.5, 1.0, 1.0), (6.0, 1.0, 1.0), (6.0, 1.0, 1.0), (6.0, 1.0, 1.0)))
    assert spacing.target_3d(data)[0][0] >= 1.0


def test_target_has_no_jump_at_any_anisotropy():
    def along_z(scale):
        spacings = tuple((scale * z, 1.0, 1.0) for z in (0.5, 0.8, 1.0, 1.1, 1.2))
        return spacing.target_3d(fingerprint(((12, 256, 256),) * 5, spacings))[0][0]

    scales = [1.0 + 0.01 * step for step in range(500)]
    jumps = [abs(along_z(b) - along_z(a)) for a, b in zip(scales, scales[1:], strict=False)]
    assert max(jumps) < 0.06


@pytest.mark.parametrize(
    ("label_mm", "voxel_mm"),
    [(80.0, 2.0), (8.0, 2.0), (6.0, 1.5), (4.0, 1.0), (2.0, 0.7), (0.1, 0.7), (None, 2.0)],
)
def test_small_structures_ask_for_finer_voxels_as_far_as_the_data_have_them(label_mm, voxel_mm):
    spacings = tuple((mm, mm, mm) for mm in (0.5, 1.0, 2.0, 2.0, 2.0))
    target, reason = spacing.target_3d(fingerprint(((64, 64, 64),) * 5, spacings, label_mm=label_mm))
    assert target == pytest.approx((voxel_mm,) * 3)
    assert ("smallest structures" in reason.because) == (voxel_mm < 2.0)


LARGE = ((55, 163, 163),) * 3, ((3.27, 0.977, 0.977),)


def test_the_low_resolution_has_cubes_and_few_voxels():
    data = fingerprint(*LARGE, label_mm=80.0)
    (z, y, x), reason = spacing.target_low(data)
    assert z == y == x > 3.27
    voxels = prod(spacing.median_shape(spacing.resampled_shapes(data, (z, y, x))))
    assert voxels == pytest.approx(spacing.LOW_VOXELS, rel=0.05)
    assert reason.configuration == "3d_lowres"


def test_the_finest_axes_are_coarsened_first():
    data = fingerprint(((12, 200, 200),), ((10.0, 1.0, 1.0),), label_mm=500.0)
    z, y, x = spacing.target_low(data)[0]
    assert z == 10.0 > y == x > 1.0


@pytest.mark.parametrize("label_mm", [24.0, 36.0])
def test_a_voxel_of_the_low_resolution_is_thinner_than_the_thinnest_label(label_mm):
    data = fingerprint(*LARGE, label_mm=label_mm)
    assert spacing.thickness_mm(data.labels[0]) == pytest.approx(label_mm / 6)
    assert max(spacing.target_low(data)[0][1:]) == pytest.approx(label_mm / 12)


@pytest.mark.parametrize(
    "data",
    [
        fingerprint(*LARGE),  # of unknown size
        fingerprint(*LARGE, label_mm=6.0),  # a ball of two voxels is lost
        fingerprint(((36, 50, 35),), label_mm=20.0),  # small already
    ],
)
def test_no_low_resolution_where_it_would_lose_or_save_nothing(data):
    assert spacing.target_low(data) is None


def test_unknown_spacing_keeps_the_pixel_grid():
    data = fingerprint(((1, 64, 72),), dimension=2, spacing_known=False)
    target, reason = spacing.target_2d(data)
    assert target == (None, 1.0, 1.0)
    assert spacing.resampled_shapes(data, target) == ((1, 64, 72),)
    assert "no spacing" in reason.saw


def test_slices_are_never_resampled_along_z():
    data = fingerprint(((10, 100, 100),) * 2, ((8.0, 1.0, 1.0), (9.0, 2.0, 2.0)))
    target, _ = spacing.target_2d(data)
    assert target == (None, 1.5, 1.5)
    assert spacing.resampled_shapes(data, target) == ((10, 67, 67), (10, 133, 133))
    assert spacing.median_shape(spacing.resampled_shapes(data, target)) == (10, 100, 100)


# ----------------------------------------------------------------------------------------------------- intensity


def test_ct_is_clipped_to_the_foreground_range():
    (scheme,), _ = intensity.normalization(fingerprint(modalities=("ct",)))
    foreground = statistics(-50, 250)
    assert scheme.scheme == "ct"
    assert (scheme.lower, scheme.upper) == (foreground.percentile_00_5, foreground.percentile_99_5)
    assert (scheme.mean, scheme.std) == (foreground.mean, foreground.std)


def test_ct_with_constant_foreground_is_scaled_per_image():
    data = fingerprint(modalities=("ct",))
    flat = data.channels[0].model_copy(update={"foreground": statistics(7, 7)})
    (scheme,), (reason,) = intensity.normalization(data.model_copy(update={"channels": (flat,)}))
    assert scheme.scheme == "zscore"
    assert "one value" in reason.because


@pytest.mark.parametrize(("cropped", "inside"), [((40, 40, 40), False), ((20, 30, 30), True)])
def test_zeros_are_left_out_where_cropping_removed_much(cropped, inside):
    (mri, rgb), _ = intensity.normalization(fingerprint(((40, 40, 40),), cropped=(cropped,), modalities=("mri", "rgb")))
    assert (mri.scheme, mri.inside_nonzero) == ("zscore", inside)
    assert (rgb.scheme, rgb.inside_nonzero) == ("zscore", False)


# ------------------------------------------------------------------------------------------------------ topology


@pytest.mark.parametrize(
    ("edges", "spacing_mm", "strides", "kernels"),
    [
        ((40, 56, 40), (1, 1, 1), ["111", "222", "222", "222"], ["333"] * 4),
        (
            (20, 256, 224),
            (5, 1.5625, 1.5625),
            ["111", "122", "222", "222", "122", "122"],
            ["133", "333", "333", "333", "333", "333"],
        ),
        (
            (20, 320, 256),
            (3.6, 0.625, 0.625),
            ["111", "122", "122", "222", "222", "122", "122"],
            ["133", "133", "333", "333", "333", "333", "333"],
        ),
        (
            (64, 192, 160),
            (1.6, 0.79, 0.79),
            ["111", "122", "222", "222", "222", "222"],
            ["133", "333", "333", "333", "333", "333"],
        ),
    ],
)
def test_published_topologies(edges, spacing_mm, strides, kernels):
    shape = topology.topology(edges, spacing_mm, 9)
    assert ["".join(map(str, stride)) for stride in shape.strides] == strides
    assert ["".join(map(str, kernel)) for kernel in shape.kernels] == kernels


@settings(deadline=None)
@given(
    edges=st.tuples(*[st.integers(1, 2000)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.01, 100)] * 3),
    most_stages=st.integers(1, 9),
)
def test_padding_changes_no_topology(edges, spacing_mm, most_stages):
    shape = topology.topology(edges, spacing_mm, most_stages)
    assert topology.topology(shape.pad(edges), spacing_mm, most_stages).strides == shape.strides
    assert len(shape.strides) <= most_stages


def test_a_single_slice_gets_flat_kernels():
    shape = topology.topology((1, 64, 64), (0.1, 1.0, 1.0), 5)
    assert set(shape.kernels) == {(1, 3, 3)}


def test_features_double_up_to_a_limit():
    network = topology.unet((128, 128, 128), (1.0, 1.0, 1.0), channels=2, heads=4, width=32, most_stages=6)
    assert network.features == (32, 64, 128, 256, 320, 320)


# --------------------------------------------------------------------------------------------------------- patch


def climb(shape, spacing_mm):
    return patch.ladder(shape, spacing_mm, most_stages=6, widths=WIDTHS)


def test_the_top_covers_a_small_image():
    assert climb((36, 50, 35), (1.0, 1.0, 1.0))[-1] == patch.Rung((40, 56, 40), 16, wider=True)


def test_the_top_is_roughly_cubic_in_mm_inside_a_large_image():
    top = climb((482, 512, 512), (1.0, 0.77, 0.77))[-1].patch
    extents = [edge * size for edge, size in zip(top, (1.0, 0.77, 0.77), strict=True)]
    assert max(extents) / min(extents) < 1.5


def test_a_long_image_does_not_get_a_needle():
    lowest = climb((2000, 100, 100), (1.0, 1.0, 1.0))[0].patch
    assert max(lowest) / min(lowest) <= 6


@settings(deadline=None, max_examples=60)
@given(shape=st.tuples(*[st.integers(1, 2000)] * 3), spacing_mm=st.tuples(*[st.floats(0.01, 100)] * 3))
def test_each_rung_contains_the_one_below(shape, spacing_mm):
    rungs = climb(shape, spacing_mm)
    for low, high in zip(rungs, rungs[1:], strict=False):
        assert all(a <= b for a, b in zip(low.patch, high.patch, strict=True))
        assert low.width <= high.width
        assert low != high
    assert rungs[-1].width == 16
