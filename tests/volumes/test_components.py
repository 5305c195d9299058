import numpy as np
import pytest

from autoseg.volumes import labels
from autoseg.volumes.components import Cleaning, PieceTable, measure
from autoseg.volumes.overlap import dice

SPACING = (2.0, 1.0, 1.0)
RULES = [Cleaning(), Cleaning(True), Cleaning(False, 9.0), Cleaning(False, 0.0, True), Cleaning(True, 9.0, True)]


def noisy(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A reference block, and a prediction of it with islands and a hole."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((10, 16, 16), dtype=bool)
    truth[2:8, 3:9, 3:10] = True
    guess = truth.copy()
    guess[4:6, 5:7, 5:7] = False
    guess[0, 12 : 13 + rng.integers(3), 12] = True
    guess[9, 14, 1] = True
    return truth, guess


def pieces(truth, guess, annotated=None, fillable=None):
    everywhere = np.ones(truth.shape, dtype=bool)
    annotated = everywhere if annotated is None else annotated
    fillable = everywhere if fillable is None else fillable
    return measure(guess, truth & annotated, annotated, fillable, int((truth & annotated).sum()), 2.0)


def direct(truth, guess, rule):
    cleaned = labels.clean(guess, SPACING, **rule._asdict())
    return dice(int((cleaned & truth).sum()), int(truth.sum()), int(cleaned.sum()))


@pytest.mark.parametrize("rule", RULES)
def test_the_table_knows_what_cleaning_would_give(rule):
    cases = [noisy(seed) for seed in range(4)]
    table = PieceTable([pieces(*case) for case in cases])
    assert table.dice(rule).tolist() == pytest.approx([direct(*case, rule) for case in cases])


def test_absent_targets():
    empty = np.zeros((3, 3, 3), dtype=bool)
    full = ~empty
    table = PieceTable([pieces(empty, empty), pieces(full, empty), pieces(empty, full)])
    found = table.dice(Cleaning())
    assert np.isnan(found[0])
    assert found[1:].tolist() == [0.0, 0.0]
    assert np.isnan(table.dice(Cleaning(minimum_mm3=1000.0))[2])  # the false alarm is gone


def test_unannotated_voxels_do_not_count_but_belong_to_their_component():
    truth, guess = noisy(0)
    annotated = np.ones(truth.shape, dtype=bool)
    annotated[:4] = False
    found = PieceTable([pieces(truth, guess, annotated)]).dice(Cleaning(keep_largest=True))
    cleaned = labels.largest_component(guess) & annotated
    assert found[0] == pytest.approx(
        dice(int((cleaned & truth).sum()), int((truth & annotated).sum()), int(cleaned.sum()))
    )


def test_holes_that_hold_another_label_are_not_filled():
    truth, guess = noisy(0)
    table = PieceTable([pieces(truth, guess, fillable=np.zeros(truth.shape, dtype=bool))])
    assert table.dice(Cleaning(fill_holes=True)) == table.dice(Cleaning())
    assert table.has_holes()


def test_islands_are_all_but_the_largest():
    truth, guess = noisy(0)
    table = PieceTable([pieces(truth, truth), pieces(truth, guess)])
    assert len(table.island_volumes_mm3(np.array([0]))) == 0
    assert sorted(table.island_volumes_mm3(np.array([0, 1])))[0] == 2.0


def test_a_hole_goes_with_the_component_around_it():
    mask = np.zeros((5, 5, 12), dtype=bool)
    mask[:, :, :6] = True
    mask[1:4, 1:4, 8:11] = True
    mask[2, 2, 9] = False  # in the small one
    table = PieceTable([pieces(mask, mask)])
    assert table.dice(Cleaning(keep_largest=True, fill_holes=True)) == table.dice(Cleaning(keep_largest=True))
