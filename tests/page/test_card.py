"""The model card: the honest number, weaknesses in plain words, and no case names."""

import pytest

from autoseg.contracts import Interval
from autoseg.page import card, verdict
from planners import finetune
from tests import report_records as made
from tests.report_records import Sample

STRONG = Interval(value=0.9, low=0.88, high=0.92, n=40)


def _card(sample):
    run = made.run(sample)
    return card.make(run.dataset, run.fingerprint, run.selection, run.holdout), run


def test_honest_number_is_the_holdout_then_nested_then_none():
    run = made.run()
    assert card.honest(run.selection, run.holdout) == (run.holdout.mean_dice, "holdout")
    assert card.honest(run.selection, None) == (run.selection.nested_mean_dice, "nested")
    assert card.honest(None, None) == (Interval(), "none")
    assert card.honest(run.selection, made.scores(Sample(), ())) == (run.selection.nested_mean_dice, "nested")


def test_card_describes_the_development_population_only():
    made_card, run = _card(Sample())
    assert (made_card.cases, made_card.subjects) == (80, 80)
    shapes = [case.shape for case in run.fingerprint.cases]
    assert made_card.shape_min == tuple(min(axis) for axis in zip(*shapes, strict=True))
    assert made_card.shape_max == tuple(max(axis) for axis in zip(*shapes, strict=True))
    assert made_card.modalities == ("MRI",)
    assert made_card.mean_dice_kind == "holdout"
    assert "Anterior and Posterior" in made_card.intended_use


def test_card_names_no_case():
    made_card, run = _card(Sample(dice=0.5, spread=0.2))
    words = card.text(made_card)
    assert not [name for name in (case.case for case in run.dataset.cases) if name in words]
    assert "Not a medical device" in words


def test_weaknesses_are_named():
    weak, _ = _card(Sample(dice=0.45, spread=0.1, development=8, holdout=0, flat=True, labels=("nucleus",)))
    words = " ".join(weak.weakest)
    assert "made from 8 subjects only" in words
    assert "nucleus reaches a mean Dice of" in words
    assert "below a Dice of 0.5" in words
    assert "size of a voxel is unknown" in words
    assert weak.mean_dice_kind == "nested"


def test_small_targets_that_are_harder_are_named():
    run = made.run(Sample(holdout=20))
    cases = tuple(
        case.model_copy(
            update={
                "targets": tuple(
                    t.model_copy(update={"dice": 0.6 if i < 5 else 0.9, "reference_mm3": 10.0 + i})
                    for t in case.targets
                )
            }
        )
        for i, case in enumerate(run.holdout.cases)
    )
    holdout = run.holdout.model_copy(update={"cases": cases})
    words = card.make(run.dataset, run.fingerprint, run.selection, holdout).weakest
    assert "small targets are outlined less well (mean Dice 0.60 in the smallest quarter, else 0.90)" in words


def test_no_score_is_said():
    made_card, _ = _card(Sample(development=1, holdout=0, folds=1))
    assert made_card.mean_dice == Interval()
    assert made_card.mean_dice_kind == "none"
    assert "its failures are unknown" in made_card.weakest[-1]
    assert "no honest score exists" in card.text(made_card)


@pytest.mark.parametrize(
    ("estimate", "level"),
    [
        (STRONG, "good"),
        (Interval(value=0.9, low=0.8, high=0.92, n=40), "fair"),
        (Interval(value=0.7, low=0.6, high=0.78, n=40), "weak"),
        (Interval(value=0.97, low=0.86, high=0.99, n=40), "fair"),  # too wide
        (Interval(value=0.9, low=0.88, high=0.92, n=9), "fair"),  # too few
    ],
)
def test_light_follows_the_lower_end(estimate, level):
    assert verdict.judge(estimate, "holdout", None).level == level


def test_a_label_at_zero_takes_the_green_light():
    scores = made.scores(Sample(labels=("a", "b"), dice=0.95, spread=0.005), tuple(f"c{i}" for i in range(30)))
    assert verdict.judge(STRONG, "holdout", scores).level == "good"
    lost = scores.targets[1].model_copy(update={"dice": Interval(value=0.0, low=0.0, high=0.0, n=30)})
    judged = verdict.judge(STRONG, "holdout", scores.model_copy(update={"targets": (scores.targets[0], lost)}))
    assert judged.level == "fair"
    assert "Weak on b (0.00)." in judged.remarks


def test_poor_is_called_poor():
    assert verdict.judge(Interval(value=0.3, low=0.2, high=0.4, n=30), "nested", None).title.startswith("Poor")


def test_headlines_are_honest():
    words = verdict.headline(Interval(value=0.876, low=0.871, high=0.881, n=40), "holdout", 40)
    assert words == "Mean Dice 0.876 (95% CI 0.871–0.881) on 40 hold-out cases that no choice saw"
    assert "nested cross-validation on 7 cases" in verdict.headline(STRONG, "nested", 7)
    assert verdict.headline(Interval(), "none", 0).startswith("No honest score")


def test_a_score_of_a_model_that_goes_on_from_another_says_on_what_it_hangs():
    words = verdict.headline(STRONG, "nested", 7, continued=True)
    assert words.endswith("did not see it, unless the model that training went on from did")
    judged = verdict.judge(STRONG, "nested", None, continued=True)
    assert "another model" in judged.remarks[0]
    assert judged.level == verdict.judge(STRONG, "nested", None).level  # it may well be honest: nobody here can tell
    run = made.run()
    card_of = card.make(run.dataset, run.fingerprint, run.selection, run.holdout, continued=True)
    assert any("another model" in weakness for weakness in card_of.weakest)


def test_only_plans_for_going_on_are_taken_for_such():
    run = made.run()
    training = run.plan.configurations[0].training
    reason = finetune.gentler(training)[1]
    assert not finetune.continues(run.plan)
    assert finetune.continues(run.plan.model_copy(update={"reasons": (*run.plan.reasons, reason)}))
