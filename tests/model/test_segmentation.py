import threading

import numpy as np
import pytest

from autoseg import model
from autoseg.contracts import Bias, Blend, Decision
from autoseg.errors import UsageError
from autoseg.model import arrays, population
from autoseg.postprocessing import file_values, segment
from autoseg.volumes.blending import mean, on_scale
from tests.model import tiny


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("m") / "model"
    tiny.make(folder)
    return model.load(folder, device="cpu")


@pytest.fixture(scope="module")
def image():
    generator = np.random.default_rng(1)
    return np.kron(generator.normal(size=(4, 5, 6)), np.ones((4, 4, 4))) * 100 + generator.normal(size=(16, 20, 24))


def test_masks_hold_file_values_on_the_arrays_own_grid(loaded, image):
    mask = loaded.predict(image, (1.0, 1.0, 1.0))
    assert mask.shape == image.shape and mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 3, 7} and len(np.unique(mask)) > 1


def test_other_spacing_is_resampled_there_and_back(loaded, image):
    mask = loaded.predict(image, (2.0, 0.8, 1.3))
    assert mask.shape == image.shape and len(np.unique(mask)) > 1


def test_probabilities_sum_to_one_and_their_largest_is_the_mask(loaded, image):
    probabilities = loaded.predict_probabilities(image, (1.0, 1.0, 1.0))
    assert probabilities.shape == (3, *image.shape) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    expected = np.array([0, 3, 7])[probabilities.argmax(0)]
    np.testing.assert_array_equal(loaded.predict(image, (1.0, 1.0, 1.0)), expected)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ("RAS", lambda a: a[:, ::-1, ::-1]),  # x and y grow the other way
        ("LPI", lambda a: a[::-1]),
        ("PSL", lambda a: np.transpose(a, (2, 0, 1))),  # x' = y, y' = z, z' = x
        ("RIA", lambda a: np.transpose(a[::-1, ::-1, ::-1], (1, 0, 2))),  # x' = -x, y' = -z, z' = -y
    ],
)
def test_the_same_anatomy_stored_otherwise_gives_the_same_mask(loaded, image, orientation, turn):
    spacing = np.array([2.0, 1.5, 1.0])
    order = turn(np.arange(27).reshape(3, 3, 3))
    strides = [abs(int(order.take(1, axis).flat[0] - order.take(0, axis).flat[0])) for axis in range(3)]
    turned_spacing = tuple(spacing[{9: 0, 3: 1, 1: 2}[stride]] for stride in strides)
    expected = turn(loaded.predict(image, spacing))
    np.testing.assert_array_equal(loaded.predict(turn(image), turned_spacing, orientation), expected)


def test_absurd_values_are_clipped_as_in_files(loaded, image):
    spiked = image.copy()
    spiked[3, 4, 5] = 1e30
    with pytest.warns(UserWarning, match="absurd values, up to 1e\\+30; clipped to"):
        found = loaded.predict(spiked, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(found, loaded.predict(np.where(spiked == 1e30, image.max(), spiked), (1.0, 1.0, 1.0)))


def test_what_is_no_real_number_is_refused(loaded, image):
    with pytest.raises(UsageError, match="complex128"):
        loaded.predict(image + 1j, (1.0, 1.0, 1.0))


def test_mirrored_copies_are_averaged_when_asked_for(loaded, image):
    plain, full = (loaded.predict_probabilities(image, (1.0, 1.0, 1.0), tta=tta) for tta in ("none", "full"))
    auto = loaded.predict_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(plain, auto)  # the record says mirror=False
    assert np.abs(full - plain).max() > 1e-3


def test_members_are_blended_by_weight_in_probability_space(tmp_path, image):
    both = tiny.draft(members=(("3d_fullres", 3.0), ("2d", 1.0)), folds=2)
    tiny.make(tmp_path / "both", both)
    blend = model.load(tmp_path / "both", device="cpu")
    single = []
    for name in ("3d_fullres", "2d"):
        kept = both.model_copy(update={"members": tuple(m for m in both.members if m.configuration == name)})
        made = model.write(
            model.folder.ModelFolder(tmp_path / name),
            kept,
            lambda n, fold: tmp_path / "both_jobs" / f"{n}_{fold}.safetensors",
        )
        assert [c.name for c in made.configurations] == [name] and len(made.weights) == 2
        single.append(model.load(tmp_path / name, device="cpu").predict_probabilities(image, (1.0, 1.0, 1.0)))
    found = blend.predict_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found, 0.75 * single[0] + 0.25 * single[1], atol=1e-5)


def test_the_record_says_how_to_blend_and_decide(tmp_path, image):
    """What selection measured out of fold, by the same two functions, is what a loaded model does."""
    how, bias = Blend(scale="logits"), Decision(biases=(Bias(target="organ", logit=0.75),), joint_largest=True)
    both = tiny.draft(members=(("3d_fullres", 3.0), ("2d", 1.0))).model_copy(update={"blend": how, "decision": bias})
    tiny.make(tmp_path / "both", both)
    loaded = model.load(tmp_path / "both", device="cpu")
    single = []
    for name in ("3d_fullres", "2d"):
        kept = tuple(m for m in both.members if m.configuration == name)
        alone = loaded.record.model_copy(update={"members": kept, "blend": Blend()})
        single.append(loaded.with_record(alone).predict_probabilities(image, (1.0, 1.0, 1.0)))
    parts = [on_scale(one, "exclusive", "logits", 1.0) for one in single]
    found = loaded.predict_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found, mean(parts, [3, 1], "exclusive", "logits"), atol=1e-3)
    decided = segment(found, both.labels, (1.0, 1.0, 1.0), (), bias)
    np.testing.assert_array_equal(loaded.predict(image, (1.0, 1.0, 1.0)), file_values(decided, both.labels))


@pytest.mark.parametrize("how", [Blend(scale="logits"), Blend(temperature=0.5)])
def test_members_are_blended_fold_by_fold_as_they_were_out_of_fold(tmp_path, image, how):
    members = (("3d_fullres", 3.0), ("2d", 1.0))
    both = tiny.draft(members=members, folds=2).model_copy(update={"blend": how})
    tiny.make(tmp_path / "both", both)
    loaded = model.load(tmp_path / "both", device="cpu")
    blends = []
    for fold in range(2):
        alone = model.SegmentationModel(
            loaded.record, {n: loaded._networks[n][fold : fold + 1] for n, _ in members}, loaded.device
        )
        blends.append(alone.predict_probabilities(image, (1.0, 1.0, 1.0)))
    found = loaded.predict_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found, np.mean(blends, axis=0), atol=1e-5)


def test_regions_are_painted_in_their_file_values(tmp_path, image):
    tiny.make(tmp_path / "model", tiny.draft(labels=tiny.REGIONS))
    loaded = model.load(tmp_path / "model", device="cpu")
    mask = loaded.predict(image, (1.0, 1.0, 1.0))
    whole, core = loaded.predict_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(mask, np.where(core > 0.5, 300, np.where(whole > 0.5, 1, 0)))
    assert mask.dtype == np.uint16


def test_postprocessing_of_the_record_is_applied(tmp_path, image):
    from scipy import ndimage

    from autoseg.contracts import Postprocessing

    cleaned = tiny.draft(postprocessing=(Postprocessing(target="organ", keep_largest=True),))
    tiny.make(tmp_path / "model", cleaned)
    mask = model.load(tmp_path / "model", device="cpu").predict(image, (1.0, 1.0, 1.0))
    assert ndimage.label(mask == 3, np.ones((3, 3, 3)))[1] == 1


@pytest.mark.parametrize(
    ("channels", "shape", "spacing", "result"),
    [
        (("R", "G", "B"), (3, 40, 32), (1.0, 1.0), (40, 32)),
        (("R", "G", "B"), (3, 1, 40, 32), (1.0, 1.0, 1.0), (1, 40, 32)),
        (("grey",), (40, 32), (1.0, 1.0), (40, 32)),
        (("grey",), (1, 40, 32), (1.0, 1.0), (40, 32)),
    ],
)
def test_plane_images(tmp_path, channels, shape, spacing, result):
    tiny.make(tmp_path / "model", tiny.draft(2, channels, tiny.NUCLEI))
    plane = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    loaded = model.load(tmp_path / "model", device="cpu")
    mask = loaded.predict(plane, spacing)
    assert mask.shape == result and set(np.unique(mask)) <= {0, 255}
    assert loaded.predict_probabilities(plane, spacing).shape == (2, *result)


@pytest.mark.parametrize(
    ("shape", "spacing", "orientation", "message"),
    [
        ((2, 8, 8, 8), (1.0, 1.0, 1.0), None, "2 channels"),
        ((8, 8), (1.0, 1.0), None, "cannot read an array of shape"),
        ((0, 8, 8), (1.0, 1.0, 1.0), None, "empty"),
        ((8, 8, 8), (1.0, 1.0), None, "spacing_mm"),
        ((8, 8, 8), (1.0, 0.0, 1.0), None, "spacing_mm"),
        ((8, 8, 8), (1.0, 1.0, 1.0), "LPX", "orientation='LPX'"),
        ((8, 8, 8), (1.0, 1.0, 1.0), "LRS", "orientation='LRS'"),
        ((8, 8, 8), (1.0, 1.0, 1.0), "L", "orientation='L'"),
    ],
)
def test_arrays_that_cannot_be_right_are_refused(loaded, shape, spacing, orientation, message):
    with pytest.raises(UsageError, match=message):
        loaded.predict(np.zeros(shape, np.float32), spacing, orientation)


def test_left_and_right_need_an_orientation(tmp_path, image):
    tiny.make(tmp_path / "model", tiny.draft(labels=tiny.SIDES))
    loaded = model.load(tmp_path / "model", device="cpu")
    with pytest.raises(UsageError, match="left and right"):
        loaded.predict(image, (1.0, 1.0, 1.0))
    assert loaded.predict(image, (1.0, 1.0, 1.0), "LPS").shape == image.shape


def test_side_words():
    from autoseg.contracts import Label, LabelSet

    def sides(*names):
        return arrays.has_sides(LabelSet(labels=tuple(Label(name=n, value=i + 1) for i, n in enumerate(names))))

    assert sides("kidney_left", "kidney_right") and sides("L-lung", "R-lung") and sides("LEFT atrium", "right atrium")
    assert not sides("liver", "right") and not sides("left ventricle") and not sides("leftover", "rightover")


def test_threads_get_what_a_single_caller_gets(loaded, image):
    expected = loaded.predict(image, (1.0, 1.0, 1.0))
    found = []
    threads = [threading.Thread(target=lambda: found.append(loaded.predict(image, (1.0, 1.0, 1.0)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and all(np.array_equal(mask, expected) for mask in found)


def test_doubts_about_images_unlike_the_training_images():
    card = tiny.draft().card
    good = np.random.default_rng(0).normal(size=(1, 16, 16, 16))
    assert population.doubts(card, good, (1.0, 1.0, 1.0), spacing_known=True) == ()
    assert "voxels of 5 x 1 x 1 mm" in population.doubts(card, good, (5.0, 1.0, 1.0), spacing_known=True)[0]
    assert "no voxel size" in population.doubts(card, good, (1.0, 1.0, 1.0), spacing_known=False)[0]
    assert "4 x 16 x 16 voxels" in population.doubts(card, good[:, :4], (1.0, 1.0, 1.0), spacing_known=True)[0]
    assert "no signal" in population.doubts(card, 0 * good, (1.0, 1.0, 1.0), spacing_known=True)[0]
