"""Successive halving: who goes on, what a search learns from, and that it depends on seed and results alone."""

from autoseg.contracts import Interval, Scores
from autoseg.selection import halving
from planners.contracts import Variation
from planners.variation import AS_PLANNED, CHOICES, FIRST

WORTH = {"width": {1.5: 0.03, 0.75: -0.02}, "rate": {0.3: 0.02, 3.0: -0.2}, "loss": {"dice_topk": -0.01}}


def scores(dice: float | None) -> Scores:
    mean = Interval(value=dice, n=0 if dice is None else 9)
    return Scores(tolerance_mm=1.0, cases=(), targets=(), mean_dice=mean, mean_nsd=Interval(), convention="")


class Bench:
    """A made-up truth of what each choice is worth; remembers what was judged."""

    def __init__(self, failing: Variation | None = None, fits=lambda variation: True):
        self.failing, self.fits = failing, fits
        self.seen: list[tuple[int, int]] = []

    def refuses(self, variation):
        return "" if self.fits(variation) else "too large"

    def judge(self, number, variation, rung):
        self.seen.append((number, rung))
        if variation == self.failing and rung == 0:
            return "training diverged"
        gain = sum(WORTH.get(name, {}).get(value, 0.0) for name, value in variation)
        return scores(0.7 + 0.05 * rung + gain)


def search(bench, variants=12, seed=1):
    return halving.search(CHOICES, FIRST, bench, variants, seed)


def test_the_best_third_goes_on_and_the_plan_always_does():
    bench = Bench()
    tried = search(bench)
    assert len(tried) == 13
    assert tried[0].variation == AS_PLANNED
    assert [trial.variation for trial in tried[1 : 1 + len(FIRST)]] == list(FIRST)
    assert [sum(rung == k for _, rung in bench.seen) for k in range(3)] == [13, 5, 2]
    assert all((0, rung) in bench.seen for rung in range(3))
    winner = max(tried[1:], key=lambda trial: (trial.scores[0].mean_dice.value, -trial.number))
    assert len(winner.scores) == 3


def test_no_rung_is_climbed_after_which_as_many_go_on():
    bench = Bench()
    tried = search(bench, variants=4)
    assert [sum(rung == k for _, rung in bench.seen) for k in range(3)] == [5, 2, 0]
    assert sorted(len(trial.scores) for trial in tried) == [1, 1, 1, 2, 2]
    alone = search(Bench(), variants=1)
    assert [len(trial.scores) for trial in alone] == [1, 1]


def test_no_variation_is_tried_twice_and_a_small_space_ends():
    tried = halving.search({"rate": (1.0, 0.3, 3.0)}, FIRST, Bench(), 20, 1)
    assert {trial.variation for trial in tried} == {AS_PLANNED, Variation(rate=0.3), Variation(rate=3.0)}
    many = search(Bench(), variants=25)
    assert len({trial.variation for trial in many}) == 26


def test_the_same_results_give_the_same_trials_and_another_seed_others():
    assert search(Bench()) == search(Bench())
    assert [t.variation for t in search(Bench(), seed=2)] != [t.variation for t in search(Bench())]


def test_a_failure_keeps_its_cause_and_takes_no_place():
    tried = search(Bench(failing=FIRST[1]))
    assert tried[2].cause == "training diverged"
    assert tried[2].value is None
    assert len(tried[2].scores) == 0
    assert sum(len(trial.scores) == 3 for trial in tried) == 2


def test_what_is_refused_takes_no_place():
    bench = Bench(fits=lambda variation: variation.width <= 1.0 and variation.patch == 1.0)
    tried = search(bench)
    refused = [trial for trial in tried if trial.refused]
    assert {FIRST[1], FIRST[2]} <= {trial.variation for trial in refused}
    assert all(trial.cause == "too large" and not trial.scores for trial in refused)
    assert len(tried) - len(refused) == 13
    assert [trial.number for trial in tried] == list(range(len(tried)))
    assert [sum(rung == k for _, rung in bench.seen) for k in range(3)] == [13, 5, 2]


def test_a_sampler_that_finds_nothing_new_does_not_end_the_search_while_there_is_more():
    """Three of 2592 fit: a sampler would hardly meet them; asked for four, the search knows that there are three."""
    fitting = {
        Variation(width=1.25, spacing=0.8, patch=0.5, augmentation=0.5, rate=3.0, loss="tversky_ce"),
        Variation(width=0.75, spacing=1.25, rate=0.3, planner="nnunet_resenc_m"),
        Variation(width=1.5, augmentation=2.0, loss="dice_focal", planner="nnunet_resenc_m"),
    }
    bench = Bench(fits=lambda variation: variation == AS_PLANNED or variation in fitting)
    for asked, found in ((2, 2), (4, 3)):
        tried = search(bench, variants=asked)
        met = {trial.variation for trial in tried[1:] if not trial.refused}
        assert met <= fitting and len(met) == found
