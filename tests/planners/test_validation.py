"""Edited plans: what is legal passes, what is not is refused with the nearest legal value."""

import pytest

from planners.contracts import Plan, SmallerPatch
from planners.errors import InvalidPlan
from planners.registry import PLANNERS, plan
from planners.validation import check
from tests.strategies import budget, fingerprint, gpu

DATA = fingerprint(((36, 50, 35),) * 160, names=("Anterior", "Posterior"))
MACHINE = budget(hours=0.4)
MADE = plan(DATA, MACHINE)


def edited(part: str | None, **changes) -> Plan:
    """The plan with fields of its configuration, or of one part of that, changed."""
    configuration = MADE.configurations[0]
    if part is not None:
        changes = {part: getattr(configuration, part).model_copy(update=changes)}
    return MADE.model_copy(update={"configurations": (configuration.model_copy(update=changes),)})


def smaller(*patches):
    return tuple(SmallerPatch(patch_vox=patch, until_share=share) for patch, share in patches)


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_what_planners_make_is_legal(name):
    check(plan(DATA, gpu(), name), DATA, gpu())


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("training", {"batch": 1, "steps": 10, "learning_rate": 1e-4}),
        ("training", {"patch_vox": (48, 64, 48)}),
        ("training", {"smaller_patches": smaller(((24, 32, 24), 0.2), ((40, 40, 40), 0.4))}),
        (None, {"spacing_mm": (2.0, 1.5, 1.0)}),
        (None, {"axes": (2, 1, 0)}),
    ],
)
def test_legal_edits_pass(part, changes):
    check(edited(part, **changes), DATA, MACHINE)


@pytest.mark.fault(
    60, "a hand-edited plan with values that cannot be", "refused, naming the place and the nearest legal value"
)
@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("training", {"patch_vox": (40, 60, 40)}, r"patch_vox\[1\]: 60; expected a multiple of 8.*nearest is 64"),
        ("training", {"patch_vox": (3, 56, 40)}, r"patch_vox\[0\]: 3; .*nearest is 8"),
        ("training", {"patch_vox": (40, 56)}, "expected 3 edges"),
        ("training", {"batch": 0}, "batch: 0; expected 1 or more"),
        ("training", {"batch": 200}, r"need \d+.* GB; expected at most 4.80 GB on cpu: a batch of \d+ fits"),
        ("training", {"patch_vox": (512, 512, 512)}, "make the patch smaller"),
        ("training", {"learning_rate": 0.0}, "learning_rate: 0; expected above 0"),
        ("training", {"foreground_fraction": 1.5}, "expected 0 to 1, e.g. 1"),
        (
            "training",
            {"smaller_patches": smaller(((24, 30, 24), 0.2))},
            r"smaller_patches\[0\].patch_vox\[1\]: 30; .*32",
        ),
        (
            "training",
            {"smaller_patches": smaller(((24, 24), 0.2))},
            r"smaller_patches\[0\].patch_vox.*expected 3 edges",
        ),
        ("training", {"smaller_patches": smaller(((48, 32, 24), 0.2))}, "48; expected edges up to those of the patch"),
        (
            "training",
            {"smaller_patches": smaller(((24, 32, 24), 1.2))},
            "until_share: 1.2; expected more than 0.*up to 1",
        ),
        (
            "training",
            {"smaller_patches": smaller(((24, 32, 24), 0.4), ((32, 32, 32), 0.4))},
            r"smaller_patches\[1\].until_share: 0.4; expected more than 0.4",
        ),
        (None, {"spacing_mm": (-1.0, 1.0, 1.0)}, "spacing_mm: -1 along z; expected mm above 0, e.g. 1"),
        (None, {"axes": (0, 0, 1)}, "in some order"),
        (None, {"previous_stage": "3d_lowres"}, "'3d_lowres' is not planned"),
        (None, {"previous_stage": "3d_fullres"}, "configurations.*round in a circle"),
        ("training", {"batch": 2**31 - 1}, r"need \d+.* GB; expected at most 4.80 GB on cpu: a batch of \d+ fits"),
        ("training", {"steps": 10**400}, "training.steps: a number beyond 2147483647"),
        (
            "network",
            {"convolutions_encoder": (2, 2, 2, 10**6)},
            "1000000 convolutions in one stage; expected at most",
        ),
        ("network", {"heads": 2}, "heads: 2; expected 3"),
        ("network", {"in_channels": 4}, "in_channels: 4; expected 1"),
        ("network", {"features": (8, 16)}, "expected 2 for 2 stages"),
        ("network", {"kernels": ((2, 3, 3),) * 4}, "kernels: 2; expected odd numbers, e.g. 3"),
        ("network", {"strides": ((2, 1, 1),) * 4}, "the first stage has full resolution"),
    ],
)
def test_illegal_edits_are_refused_with_the_way_out(part, changes, said):
    with pytest.raises(InvalidPlan, match=said) as caught:
        check(edited(part, **changes), DATA, MACHINE)
    assert "configurations" in str(caught.value)


def test_all_complaints_come_at_once():
    with pytest.raises(InvalidPlan) as caught:
        check(edited("training", batch=0, steps=0, patch_vox=(41, 56, 40)), DATA, MACHINE)
    assert len(str(caught.value).splitlines()) == 4
