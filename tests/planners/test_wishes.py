"""What somebody asks for is planned, or refused with what is possible."""

import pytest

from planners.contracts import Wishes
from planners.errors import ImpossibleWish
from planners.registry import PLANNERS, plan
from planners.validation import check
from tests.strategies import budget, fingerprint, gpu

LIVER = fingerprint(((482, 512, 512),) * 20, ((1.0, 0.77, 0.77),), modalities=("ct",), label_mm=150.0)
SAGITTAL = fingerprint(((256, 256, 20),) * 10, ((0.7, 0.7, 4.0),))
PHOTOS = fingerprint(((1, 300, 300),) * 9, dimension=2, spacing_known=False)
ALL = ("3d_fullres", "3d_lowres", "2d", "3d_cascade_fullres")


def names(made):
    return {configuration.name for configuration in made.configurations}


@pytest.mark.parametrize("planner", sorted(PLANNERS))
@pytest.mark.parametrize("wanted", [("2d",), ("3d_lowres",), ("2d", "3d_fullres"), ALL])
def test_the_configurations_asked_for_are_planned_and_no_others(planner, wanted):
    made = plan(LIVER, gpu(), planner, Wishes(configurations=wanted))
    assert names(made) == set(wanted)
    assert {skipped.configuration for skipped in made.skipped} == set(ALL) - set(wanted)
    check(made, LIVER, budget(device="cuda:0", memory_gb=500.0))


@pytest.mark.parametrize("planner", ["auto", "nnunet"])
def test_the_spacing_asked_for_is_planned_along_the_patient(planner):
    made = plan(SAGITTAL, gpu(), planner, Wishes(spacing_mm=(1.0, 1.4, 5.0)))
    full = made.configuration("3d_fullres")
    assert (full.axes, full.spacing_mm) == ((2, 0, 1), (5.0, 1.0, 1.4))
    assert full.median_shape_vox == (16, 179, 128)
    assert made.configuration("2d").spacing_mm == (None, 1.0, 1.4)


@pytest.mark.parametrize("planner", sorted(PLANNERS))
@pytest.mark.parametrize("z_mm", [0.25, 1.0, 5.0, 2000.0])
def test_single_slices_stay_single_slices_whatever_is_asked_for_across_them(planner, z_mm):
    scans = fingerprint(((1, 300, 300),) * 9, ((1.0, 0.5, 0.5),), dimension=2)
    (only,) = plan(scans, gpu(), planner, Wishes(spacing_mm=(z_mm, 1.0, 1.0))).configurations
    assert (only.name, only.axes, only.spacing_mm) == ("2d", (0, 1, 2), (None, 1.0, 1.0))
    assert only.median_shape_vox == (1, 150, 150)


def test_the_reason_of_a_wish_is_the_wish():
    made = plan(LIVER, gpu(), wishes=Wishes(spacing_mm=(2.0, 1.5, 1.5)))
    reason = next(reason for reason in made.reasons if reason.rule == "spacing.target")
    assert reason.source == "the user"


@pytest.mark.parametrize(
    ("data", "wishes", "said"),
    [
        (PHOTOS, Wishes(configurations=("3d_fullres",)), "only 2d is possible"),
        (PHOTOS, Wishes(spacing_mm=(1.0, 0.5, 0.5)), "the files state none"),
        (SAGITTAL, Wishes(configurations=("3d_lowres",)), "size is unknown"),
        (LIVER, Wishes(configurations=("3d_cascade_fullres",)), "ask for both"),
        (LIVER, Wishes(configurations=()), "name some of"),
    ],
)
def test_the_impossible_is_refused(data, wishes, said):
    with pytest.raises(ImpossibleWish, match=said):
        plan(data, gpu(), wishes=wishes)


def test_an_incumbent_without_such_a_configuration_says_which_it_has():
    with pytest.raises(ImpossibleWish, match="plans 3d_fullres, 2d for these data, not 3d_lowres"):
        plan(fingerprint(((36, 50, 35),) * 9), gpu(), "nnunet", Wishes(configurations=("3d_lowres",)))
