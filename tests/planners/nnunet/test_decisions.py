"""The incumbent's rules against plans of the real program: known figures here, whole files where they are at hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planner_parity import as_written, differences
from planners.errors import InfeasibleBudget, PlanningError
from planners.nnunet.decisions import Measured, decide
from planners.nnunet.element_count import elements
from planners.nnunet.topology import topology
from planners.nnunet.variants import PLAIN, RESIDUAL_L, RESIDUAL_M, RESIDUAL_XL


def data(spacing, shape, labels=3, cases=20, channels=("mri",), crop=1.0):
    """``cases`` equal cases."""
    return Measured(np.array([spacing] * cases), np.array([shape] * cases), cases, labels, channels, crop)


HIPPOCAMPUS = data((1, 1, 1), (36, 50, 35), 3, 260)
LIVER = data((1, 0.767578125, 0.767578125), (482, 512, 512), 3, 131)
CARDIAC = data((5, 1.5625, 1.5625), (18, 237, 208), 4, 200)
BRAIN = data((1, 1, 1), (138, 170, 138), 4, 484)
PROSTATE = data((3.6, 0.625, 0.625), (20, 320, 319), 3, 32)
LUNG = data((1.24, 0.78, 0.78), (252, 512, 512), 2, 63)
SPLEEN = data((1.6, 0.79, 0.79), (187, 512, 512), 2, 41)
PHOTOS = data((999, 1, 1), (1, 1500, 1500), 2, 804)
TINY = data((1, 1, 1), (12, 12, 12), 2, 20)

PLANS = [  # volume patch, batch; flat patch, batch: what the real planners answered
    (PLAIN, HIPPOCAMPUS, (40, 56, 40), 9, (56, 40), 366),
    (PLAIN, LIVER, (128, 128, 128), 2, (512, 512), 12),
    (PLAIN, CARDIAC, (20, 256, 224), 4, (256, 224), 56),
    (PLAIN, BRAIN, (128, 128, 128), 2, (192, 160), 105),
    (PLAIN, PROSTATE, (20, 320, 256), 2, (320, 320), 32),
    (PLAIN, LUNG, (80, 192, 160), 2, (512, 512), 12),
    (PLAIN, SPLEEN, (64, 192, 160), 2, (512, 512), 12),
    (PLAIN, PHOTOS, None, None, (1280, 1024), 2),
    (PLAIN, TINY, (12, 12, 12), 2, (12, 12), 12),
    (RESIDUAL_M, HIPPOCAMPUS, (40, 56, 40), 58, (56, 40), 1618),
    (RESIDUAL_M, CARDIAC, (20, 256, 224), 3, (256, 224), 57),
    (RESIDUAL_M, PROSTATE, (20, 256, 256), 2, (320, 320), 32),
    (RESIDUAL_M, PHOTOS, None, None, (512, 512), 13),
    (RESIDUAL_L, HIPPOCAMPUS, (40, 56, 40), 178, (56, 40), 4554),
    (RESIDUAL_L, LIVER, (192, 192, 192), 2, (512, 512), 35),
    (RESIDUAL_L, BRAIN, (160, 192, 160), 3, (192, 160), 301),
    (RESIDUAL_L, LUNG, (112, 256, 256), 2, (512, 512), 35),
    (RESIDUAL_L, PHOTOS, None, None, (896, 768), 13),
    (RESIDUAL_XL, HIPPOCAMPUS, (40, 56, 40), 183, (56, 40), 6711),
    (RESIDUAL_XL, LIVER, (224, 256, 224), 2, (512, 512), 52),
    (RESIDUAL_XL, PROSTATE, (20, 320, 320), 8, (320, 320), 133),
]


@pytest.mark.parametrize(("variant", "known", "patch", "batch", "flat_patch", "flat_batch"), PLANS)
def test_patch_and_batch_are_those_of_the_real_planner(variant, known, patch, batch, flat_patch, flat_batch):
    made = decide(known, variant)
    assert (made.flat.patch, made.flat.batch) == (flat_patch, flat_batch)
    assert (made.volume and (made.volume.patch, made.volume.batch)) == (patch and (patch, batch))


@pytest.mark.parametrize(
    ("variant", "known", "spacing", "median", "steps"),
    [
        (PLAIN, LIVER, (2.5001, 1.919, 1.919), (193, 205, 205), 31),
        (PLAIN, LUNG, (2.376, 1.4946, 1.4946), (132, 267, 267), 22),
        (PLAIN, SPLEEN, (2.7239, 1.3853, 1.3853), (110, 292, 292), 19),
        (RESIDUAL_L, LIVER, (1.6528, 1.2687, 1.2687), (292, 310, 310), 17),
        (RESIDUAL_XL, LIVER, (1.3842, 1.0625, 1.0625), (348, 370, 370), 11),
    ],
)
def test_low_resolutions_are_those_of_the_real_planner(variant, known, spacing, median, steps):
    low = decide(known, variant).low
    assert (low.kept, low.steps, low.found.median_shape) == (True, steps, median)
    assert low.found.spacing_mm == pytest.approx(spacing, abs=1e-4)


@pytest.mark.parametrize(("variant", "known"), [(RESIDUAL_XL, LUNG), (RESIDUAL_L, SPLEEN)])
def test_a_low_resolution_that_saves_too_little_is_dropped(variant, known):
    low = decide(known, variant).low
    assert low.found is not None
    assert not low.kept


@pytest.mark.parametrize(
    ("patch", "labels", "variant", "count"),
    [
        ((128, 128, 128), 3, PLAIN, 452_796_416),
        ((512, 512), 3, PLAIN, 82_886_656),
        ((128, 128, 128), 3, RESIDUAL_M, 557_420_544),
        ((192, 192, 192), 3, RESIDUAL_L, 1_881_294_336),
        ((12, 12, 12), 2, PLAIN, 307_584),
    ],
)
def test_element_counts(patch, labels, variant, count):
    assert elements(patch, topology(patch, (1.0,) * len(patch)), labels, variant) == count


def test_kernels_stay_flat_until_the_planes_catch_up():
    made = decide(PROSTATE, PLAIN).volume
    assert made.shape.kernels[:3] == ((1, 3, 3), (1, 3, 3), (3, 3, 3))
    assert made.shape.strides[:4] == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2))


def test_the_thickest_axis_comes_first_and_finds_its_way_back():
    grid = decide(data((0.7, 0.5, 2.0), (300, 400, 100)), PLAIN).grid
    assert (grid.forward, grid.backward) == ((2, 0, 1), (1, 2, 0))
    assert grid.spacing_mm == (2.0, 0.7, 0.5)


def test_thick_slices_take_a_low_percentile_but_no_finer_than_the_planes():
    spacings = np.array([(9.0, 1.0, 1.0)] * 8 + [(0.5, 1.0, 1.0)] * 2)
    shapes = np.array([(30, 200, 200)] * 10)
    made = decide(Measured(spacings, shapes, 10, 2, ("mri",), 1.0), PLAIN)
    assert made.grid.spacing_mm == (1.00001, 1.0, 1.0)


def test_normalization_follows_the_channel_names():
    names = ("CT", "T1", "noNorm", "rescale_to_0_1", "rgb_to_0_1")
    made = decide(data((1, 1, 1), (40, 40, 40), channels=names, crop=0.5), PLAIN)
    assert [name.removesuffix("Normalization") for name in made.normalization] == [
        *("CT", "ZScore", "No", "RescaleTo01", "RGBTo01")
    ]
    assert made.masked == (False, True, False, False, False)


def test_memory_that_holds_nothing_is_an_error():
    with pytest.raises(InfeasibleBudget, match="0 GB"):
        decide(HIPPOCAMPUS, PLAIN, 0.0)


def test_one_field_off_is_found():
    written = as_written(decide(LIVER, PLAIN))
    other = json.loads(json.dumps(written))
    other["configurations"]["3d_lowres"]["patch_size"][1] += 1
    del other["configurations"]["2d"]["strides"][-1]
    found = list(differences(written, other))
    assert [line.split(":")[0] for line in found] == [
        "configurations.2d.strides",
        "configurations.3d_lowres.patch_size[1]",
    ]
    assert list(differences(written, json.loads(json.dumps(written)))) == []


GOLDEN = Path(__file__).parents[4] / "shared" / "research" / "golden_public.json"


@pytest.mark.skipif(not GOLDEN.exists(), reason=f"the plans of the real program are not at {GOLDEN}")
def test_every_field_of_every_plan_at_hand():
    for entry in json.loads(GOLDEN.read_text()):
        given = entry["input"]
        known = Measured(
            np.array(given["spacings"]),
            np.array(given["shapes"]),
            given["n_cases"],
            given["n_labels"],
            tuple(given["channels"]),
            given["relative_crop"],
        )
        variant = next(v for v in (PLAIN, RESIDUAL_M, RESIDUAL_L, RESIDUAL_XL) if v.original == entry["planner"])
        made = as_written(decide(known, variant, entry["gpu_gb_effective"]))
        assert list(differences(made, entry["output"])) == [], entry["id"]


@pytest.mark.parametrize(
    ("given", "gpu_gb", "patch", "steps", "low_patch"),
    [
        (data((1000, 1, 1), (64, 256, 256)), 8.0, (3, 256, 256), 83, (14, 24, 24)),
        (data((0.5, 0.5, 0.5), (700, 700, 700)), 1000.0, (256, 256, 256), 19, (256, 256, 256)),
        (data((1, 1, 1), (256, 256, 1)), 8.0, (256, 256, 1), 0, None),
        (data((1, 1, 1), (1, 256, 256)), 8.0, None, 0, None),
    ],
)
def test_extremes_are_planned_as_the_real_planner_plans_them(given, gpu_gb, patch, steps, low_patch):
    made = decide(given, PLAIN, gpu_gb)
    assert (made.volume and made.volume.patch, made.low.steps) == (patch, steps)
    assert (made.low.found and made.low.found.patch) == low_patch


def test_a_grid_without_voxels_is_an_error():
    with pytest.raises(PlanningError, match="there is no such plan"):
        decide(data((1, 327, 1), (1, 125, 1)), PLAIN)
