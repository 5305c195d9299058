import pytest

from planners import finetune
from planners.contracts import Wishes
from planners.errors import ImpossibleWish, InfeasibleBudget
from planners.registry import plan
from tests.strategies import budget, fingerprint


@pytest.fixture(scope="module")
def known():
    """The main configuration of a model for some data."""
    return plan(fingerprint(), budget(hours=1.0)).configurations[0]


def test_all_that_shaped_the_network_is_kept(known):
    coarse = fingerprint(spacings=((3.0, 2.0, 2.0),), names=("liver", "spleen", "tumor"))
    made = plan(coarse, budget(hours=1.0), wishes=Wishes(like=known))
    (configuration,) = made.configurations
    assert configuration.spacing_mm == known.spacing_mm
    assert configuration.training.patch_vox == known.training.patch_vox
    kept = configuration.network.model_copy(update={"heads": known.network.heads})
    assert kept == known.network
    assert configuration.network.heads == coarse.heads
    assert {item.channel: item for item in configuration.normalization} == {
        item.channel: item for item in known.normalization
    }
    assert {item.configuration for item in made.skipped}.isdisjoint({configuration.name})


def test_the_learning_rate_is_lower_and_the_plan_says_what_is_kept(known):
    scratch = plan(fingerprint(), budget(hours=1.0)).configurations[0].training
    made = plan(fingerprint(), budget(hours=1.0), wishes=Wishes(like=known))
    assert made.configurations[0].training.learning_rate == pytest.approx(finetune.RATE * scratch.learning_rate)
    said = {reason.rule: reason for reason in made.reasons}
    assert said["patch.size"].source == said["spacing.target"].source == "the model that training starts from"
    assert f"{finetune.RATE * scratch.learning_rate:g}" in said["schedule.finetuning"].chose


def test_what_cannot_be_kept_is_an_error_that_says_why(known):
    second = known.model_copy(update={"name": "3d_cascade_fullres", "previous_stage": "3d_lowres"})
    with pytest.raises(ImpossibleWish, match="builds on masks of 3d_lowres"):
        plan(fingerprint(), budget(), wishes=Wishes(like=second))
    with pytest.raises(ImpossibleWish, match="is for volumes, but the images are single slices"):
        plan(fingerprint(((1, 50, 50),), dimension=2), budget(), wishes=Wishes(like=known))
    for wish in ({"spacing_mm": (1.0, 1.0, 1.0)}, {"configurations": ("2d",)}):
        with pytest.raises(ImpossibleWish, match="leave out --planner, --configurations and --spacing"):
            plan(fingerprint(), budget(), wishes=Wishes(like=known, **wish))
    with pytest.raises(ImpossibleWish, match="leave out --planner"):
        plan(fingerprint(), budget(), "nnunet", Wishes(like=known))
    with pytest.raises(InfeasibleBudget, match="the network, with batch 1, needs"):
        plan(fingerprint(), budget(memory_gb=0.3), wishes=Wishes(like=known))
