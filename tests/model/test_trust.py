"""What a model says of its own results: calibrated probabilities and expected Dice, and that masks stay as they are."""

import json

import numpy as np
import pytest

from autoseg import model, records
from autoseg.contracts import DicePredictor, DiceTerm, Expectation
from autoseg.errors import DataError, RefusedError
from autoseg.model import folder as model_folder
from autoseg.quality import Segmented, expect, features
from autoseg.volumes.blending import tempered
from autoseg.volumes.rounding import rounded
from tests.model import tiny

SPACING = (1.0, 1.0, 1.0)


def expectation(target="organ", feature="expected_dice") -> Expectation:
    term = DiceTerm(feature=feature, mean=0.5, scale=0.4, coefficient=0.05, low=-9.0, high=9.0)
    predictor = DicePredictor(
        intercept=1.0, terms=(term,), residual_low=-0.2, residual_high=0.1, median_dice=0.7, low_dice=0.5
    )
    return Expectation(target=target, present=1.0, predictor=predictor)


def made(folder, labels=tiny.EXCLUSIVE, **changes):
    record = tiny.draft(labels=labels).model_copy(update=changes)
    tiny.make(folder, record)
    return model.load(folder, device="cpu")


@pytest.fixture(scope="module")
def image():
    generator = np.random.default_rng(1)
    return np.kron(generator.normal(size=(4, 5, 6)), np.ones((4, 4, 4))) * 100 + generator.normal(size=(16, 20, 24))


@pytest.mark.parametrize("labels", [tiny.EXCLUSIVE, tiny.REGIONS])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_changes_probabilities_and_no_mask(tmp_path, image, labels, temperature):
    plain, other = made(tmp_path / "plain", labels), made(tmp_path / "other", labels, temperature=temperature)
    np.testing.assert_array_equal(plain.predict(image, SPACING), other.predict(image, SPACING))
    raw, shown = (one.predict_probabilities(image, SPACING) for one in (plain, other))
    exclusive = labels.kind == "exclusive"
    expected = tempered(rounded(raw, exclusive=exclusive), labels.kind, temperature)
    np.testing.assert_array_equal(shown, expected)
    assert np.abs(shown - raw).max() > 0.02
    flatter = temperature > 1
    assert (np.abs(shown - 0.5).mean() < np.abs(raw - 0.5).mean()) == flatter


def test_models_of_versions_before_have_no_temperature_and_expect_nothing(tmp_path, image):
    made(tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    record = json.loads(path.read_text())
    assert (record.pop("temperature"), record.pop("expectations")) == (1.0, [])
    path.write_text(json.dumps(record))
    loaded = model.load(tmp_path / "m", device="cpu")
    blended = loaded.blended(image[None].astype(np.float32), SPACING)
    assert loaded.record.temperature == 1.0
    assert loaded.calibrated(blended.probabilities) is blended.probabilities
    assert loaded.expected(blended, loaded.decide(blended.probabilities, SPACING), SPACING) == ()


def test_a_fresh_folder_expects_what_selection_expected_of_the_same_probabilities(tmp_path, image):
    known = expectation("organ"), expectation("lesion").model_copy(update={"predictor": None})
    loaded = made(tmp_path / "m", temperature=1.3, expectations=known)
    blended = loaded.blended(image[None].astype(np.float32), SPACING)
    classes = loaded.decide(blended.probabilities, SPACING)
    box = tuple((0, size) for size in image.shape)
    seen = Segmented(blended.probabilities, classes, (), SPACING, box, image.shape)
    organ = expect(known[0], features(seen, loaded.labels, 1.3)[0])
    assert loaded.expected(blended, classes, SPACING)[0] == organ
    assert organ.dice is not None and organ.low <= organ.dice <= organ.high
    assert loaded.expected(blended, classes, SPACING)[1].dice is None


def test_members_are_compared_only_where_that_tells_something(tmp_path, image):
    both = (("3d_fullres", 0.5), ("2d", 0.5))
    for feature, opinions in (("agreement", 2), ("volume", 0)):
        record = tiny.draft(members=both).model_copy(update={"expectations": (expectation(feature=feature),)})
        tiny.make(tmp_path / feature, record)
        loaded = model.load(tmp_path / feature, device="cpu")
        blended = loaded.blended(image[None].astype(np.float32), SPACING)
        assert len(blended.opinions) == opinions
        classes = loaded.decide(blended.probabilities, SPACING)
        assert len(loaded.expected(blended, classes, SPACING)) == 1


@pytest.mark.parametrize("wrong", [("stranger",), ("organ", "organ")])
def test_expectations_of_other_masks_are_refused(tmp_path, wrong):
    with pytest.raises(RefusedError, match="it judges masks of"):
        made(tmp_path / "m", expectations=tuple(expectation(target) for target in wrong))


@pytest.mark.parametrize("edit", [
    {"temperature": 0.0},
    {"temperature": 1e9},
    {"temperature": "NaN"},
    {"expectations": [{"target": "organ", "present": 7.0}]},
    {"expectations": [{"target": "organ", "present": 1.0, "predictor": {"intercept": 1e999}}]},
])  # fmt: skip
def test_tampered_numbers_are_refused(tmp_path, edit):
    made(tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises((DataError, RefusedError), match=r"model\.json"):
        model.load(tmp_path / "m", device="cpu")


def test_other_expectations_are_another_model(tmp_path):
    """So that results of the one are not taken for results of the other."""
    plain = tiny.draft()
    judging = plain.model_copy(update={"expectations": (expectation(),)})
    warm = plain.model_copy(update={"temperature": 1.5})
    assert len({model_folder.identity(one) for one in (plain, judging, warm)}) == 3
    path = tmp_path / "model.json"
    records.write(path, judging)
    assert records.read(path, type(judging)) == judging
