import numpy as np
import pytest

from autoseg.contracts import Bias, Decision, Label, LabelSet, Postprocessing, Region
from autoseg.errors import LabelError
from autoseg.postprocessing import class_indices, file_values, segment, written_classes
from tests.oof_world import EXCLUSIVE, REGIONS, probabilities

MM = (1.0, 1.0, 1.0)


def classes() -> np.ndarray:
    """An organ with a hole, a lesion in another hole, and an island of each."""
    found = np.zeros((9, 12, 12), dtype=np.uint8)
    found[1:8, 1:8, 1:8] = 1
    found[3, 3, 3] = 0
    found[5, 5, 5] = 2
    found[4, 5, 5] = 2
    found[0, 10, 10] = 1
    found[8, 10, 1] = 2
    return found


def test_without_steps_probabilities_decide():
    assert np.array_equal(segment(probabilities(classes(), EXCLUSIVE), EXCLUSIVE, MM), classes())
    assert np.array_equal(segment(probabilities(classes(), REGIONS), REGIONS, MM), classes())


def test_exclusive_steps_touch_their_own_class_only():
    step = Postprocessing(target="organ", keep_largest=True, fill_holes=True)
    found = segment(probabilities(classes(), EXCLUSIVE), EXCLUSIVE, MM, (step,))
    assert found[0, 10, 10] == 0  # removed voxels become background
    assert found[3, 3, 3] == 1  # the hole is filled
    assert found[5, 5, 5] == 2  # but not over another label
    assert found[8, 10, 1] == 2


def test_region_steps_act_before_painting():
    step = Postprocessing(target="core", minimum_mm3=2.0)
    found = segment(probabilities(classes(), REGIONS), REGIONS, MM, (step,))
    assert found[5, 5, 5] == 2
    assert found[8, 10, 1] == 1  # no core there any more, but the whole still is
    found = segment(
        probabilities(classes(), REGIONS), REGIONS, MM, (Postprocessing(target="whole", keep_largest=True),)
    )
    assert found[0, 10, 10] == 0
    assert found[8, 10, 1] == 2  # the core's own mask is left alone


def test_errors_name_the_trouble():
    heads = probabilities(classes(), EXCLUSIVE)
    with pytest.raises(LabelError, match=r"unknown targets \['liver'\]"):
        segment(heads, EXCLUSIVE, MM, (Postprocessing(target="liver", fill_holes=True),))
    with pytest.raises(LabelError, match="2 heads of probabilities, but the label set has 3"):
        segment(heads[:2], EXCLUSIVE, MM)


def test_regions_write_file_values_of_labels():
    labels = LabelSet(
        kind="regions",
        labels=(Label(name="edema", value=2), Label(name="core", value=4)),
        regions=(Region(name="all", members=(1, 2), writes=2), Region(name="core", members=(2,), writes=4)),
    )
    assert written_classes(labels) == (1, 2)
    assert written_classes(EXCLUSIVE) == ()
    wrong = labels.model_copy(update={"regions": (Region(name="all", members=(1,), writes=3),)})
    with pytest.raises(LabelError, match="'all' writes 3"):
        written_classes(wrong)


def test_file_values_and_back():
    labels = LabelSet(labels=(Label(name="a", value=500),), background_value=7, ignore_value=9)
    written = file_values(np.array([[[0, 1]]], dtype=np.uint8), labels)
    assert (written.dtype, written.tolist()) == (np.uint16, [[[7, 500]]])
    assert class_indices(np.array([[[7, 500, 9]]]), labels).tolist() == [[[0, 1, labels.ignore_index]]]


def test_only_the_largest_of_all_foreground():
    joint = Decision(joint_largest=True)
    for labels in (EXCLUSIVE, REGIONS):
        found = segment(probabilities(classes(), labels), labels, MM, (), joint)
        assert found[0, 10, 10] == found[8, 10, 1] == 0
        assert found[5, 5, 5] == 2


def test_a_region_stays_inside_the_one_around_it_also_after_cleaning():
    nested = Decision(nested_regions=True)
    clean = (Postprocessing(target="whole", keep_largest=True),)
    found = segment(probabilities(classes(), REGIONS), REGIONS, MM, clean, nested)
    assert found[8, 10, 1] == 0
    assert found[5, 5, 5] == 2


def test_a_bias_moves_one_target_only():
    heads = probabilities(classes(), EXCLUSIVE, certainty=0.6)
    more = segment(heads, EXCLUSIVE, MM, (), Decision(biases=(Bias(target="lesion", logit=2.0),)))
    assert (more == 2).all()
    less = segment(heads, EXCLUSIVE, MM, (), Decision(biases=(Bias(target="lesion", logit=-2.0),)))
    assert not (less == 2).any()
    assert np.array_equal(less == 1, classes() == 1)
    with pytest.raises(LabelError, match=r"unknown targets \['liver'\]"):
        segment(heads, EXCLUSIVE, MM, (), Decision(biases=(Bias(target="liver", logit=1.0),)))
