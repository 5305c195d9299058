import numpy as np
import pytest

from autoseg.contracts import Label, LabelSet
from autoseg.errors import LabelError
from autoseg.labelling import as_whole_numbers, class_of, count_values, infer, to_classes


def test_floats_that_are_whole_are_taken_silently():
    label, rounded = as_whole_numbers(np.array([0.0, 2.0], np.float32))
    assert label.tolist() == [0, 2]
    assert label.dtype.kind == "i"
    assert not rounded


@pytest.mark.parametrize("values", [[0.0, 0.4], [0.0, np.nan], [0.0, np.inf]])
def test_other_floats_are_refused(values):
    with pytest.raises(LabelError):
        as_whole_numbers(np.array(values))


@pytest.mark.parametrize(
    "values", [[0, 255], [-3, 0, 5], [0, 70000], [0, 2**40], [-(2**40), 0, 2**40], [0, 1, 3, 7, 117]]
)
def test_any_whole_values_become_indices_and_are_counted(values):
    label = np.array([values[0]] * 5 + values, np.int64).reshape(-1, 1, 1)
    assert count_values(label) == {value: 6 if value == values[0] else 1 for value in values}
    labels = infer(values)
    classes = to_classes(label, class_of(labels))
    assert classes.dtype == np.uint8
    back = {index: value for value, index in class_of(labels).items()}
    assert [back[index] for index in classes.ravel().tolist()] == label.ravel().tolist()


def test_unsigned_values_do_not_wrap_around():
    assert count_values(np.array([250, 255, 255], np.uint8)) == {250: 1, 255: 2}
    assert to_classes(np.array([0, 65535], np.uint16), {0: 0, 65535: 1}).tolist() == [0, 1]


def test_undeclared_values_are_named_with_their_counts():
    with pytest.raises(LabelError, match=r"7 \(2 voxels\)"):
        to_classes(np.array([0, 1, 7, 7]), {0: 0, 1: 1})


def test_ignore_has_the_last_index():
    labels = LabelSet(labels=(Label(name="a", value=4),), ignore_value=9)
    assert to_classes(np.array([0, 4, 9]), class_of(labels)).tolist() == [0, 1, 2]


def test_many_classes_need_two_bytes():
    classes = to_classes(np.arange(301), {value: value for value in range(301)})
    assert classes.dtype == np.uint16
    assert classes[300] == 300


def test_numbered_objects_are_no_classes():
    with pytest.raises(LabelError, match="objects"):
        infer(range(1000))


def test_an_empty_set_of_values():
    assert infer([0]).labels == ()
    assert count_values(np.zeros((0, 1, 1), np.uint8)) == {}
