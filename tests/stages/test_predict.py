import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from autoseg import formats
from autoseg.contracts import Case
from autoseg.errors import BusyError, Interrupted, RefusedError, UsageError
from autoseg.learn import infer
from autoseg.predicted_files import Options
from autoseg.stages import predict as stage
from autoseg.stages.predict import predict
from autoseg.workspace import ModelFolder
from tests.model import test_trust as trust
from tests.model import tiny

CPU = Options(device="cpu")
OBLIQUE = np.array([[0.99, -0.1, 0.0, -7.0], [0.1, 0.98, -0.17, 11.0], [0.02, 0.17, 0.98, 3.0], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def exclusive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exclusive") / "model"
    tiny.make(folder)
    return ModelFolder(folder)


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colour") / "model"
    tiny.make(folder, tiny.draft(2, ("R", "G", "B"), tiny.NUCLEI))
    return ModelFolder(folder)


def blocks(shape=(20, 16, 18), seed=0):
    """A lumpy image (x, y, z), so that random networks draw something."""
    generator = np.random.default_rng(seed)
    coarse = generator.normal(size=[-(-n // 4) for n in shape])
    fine = np.kron(coarse, np.ones((4,) * len(shape)))[tuple(slice(n) for n in shape)]
    return (100 * fine + generator.normal(size=shape)).astype(np.float32)


def write_nifti(path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine).to_filename(path)


def case(name, *images):
    return Case(case=name, subject=name, images=images or (f"{name}.nii.gz",))


def reoriented(image, codes):
    """The same voxels in space, stored with other axes."""
    want = nibabel.orientations.axcodes2ornt(codes)
    return image.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), want))


@pytest.mark.fault(
    18, "images to predict stored in any orientation", "one mask in space; each file on the exact grid of its image"
)
@pytest.mark.parametrize("affine", [np.diag([1.0, 1.2, 2.0, 1.0]), OBLIQUE])
def test_masks_lie_on_the_inputs_grid_however_it_is_stored(exclusive, tmp_path, affine):
    original = nibabel.Nifti1Image(blocks(), affine)
    inputs = {codes: reoriented(original, codes) for codes in ("RAS", "LAS", "LPS", "PIR", "SAL")}
    for codes, image in inputs.items():
        image.to_filename(tmp_path / f"{codes}.nii.gz")
    predict(exclusive, [case(codes) for codes in inputs], tmp_path, tmp_path / "out", CPU)
    in_space = []
    for codes in inputs:
        mask, image = (nibabel.load(folder / f"{codes}.nii.gz") for folder in (tmp_path / "out", tmp_path))
        np.testing.assert_array_equal(mask.affine, image.affine)
        assert mask.shape == image.shape and mask.get_data_dtype() == np.uint8
        in_space.append(np.asarray(nibabel.as_closest_canonical(mask).dataobj))
    assert set(np.unique(in_space[0])) == {0, 3, 7}
    for other in in_space[1:]:
        np.testing.assert_array_equal(other, in_space[0])


def test_the_record_tells_volumes_in_mm3(exclusive, tmp_path):
    write_nifti(tmp_path / "a.nii.gz", blocks(), np.diag([1.0, 1.0, 2.0, 1.0]))
    made = predict(exclusive, [case("a")], tmp_path, tmp_path / "out", CPU).cases[0]
    mask = np.asarray(nibabel.load(tmp_path / "out" / "a.nii.gz").dataobj)
    assert (made.status, made.output, made.error, made.warnings) == ("done", "a.nii.gz", "", ())
    np.testing.assert_allclose(made.volumes_mm3, [2 * (mask == 3).sum(), 2 * (mask == 7).sum()])


def test_masks_are_judged_and_stay_as_they_are(exclusive, tmp_path):
    """By a model that knows what to expect, and that shows probabilities at a temperature."""
    known = tuple(trust.expectation(target) for target in ("organ", "lesion"))
    told = tiny.draft().model_copy(update={"temperature": 2.0, "expectations": known})
    tiny.make(tmp_path / "model", told)
    for name, seed in (("a", 0), ("b", 1)):
        write_nifti(tmp_path / f"{name}.nii.gz", blocks(seed=seed))
    options, seen = Options(device="cpu", probabilities=True), []
    out, other = tmp_path / "out", tmp_path / "other"
    judging, cases = ModelFolder(tmp_path / "model"), [case("a"), case("b")]
    made = predict(judging, cases, tmp_path, out, options, observe=lambda name, heads: seen.append(name))
    predict(exclusive, cases, tmp_path, other, options)
    assert seen == ["a", "b"]
    for one in made.cases:
        assert [each.target for each in one.expected] == ["organ", "lesion"]
        assert all(each.dice is None or each.low <= each.dice <= each.high for each in one.expected)
        assert one.looks == tuple(each for each in one.expected if each.look)
        masks = [np.asarray(nibabel.load(folder / f"{one.case}.nii.gz").dataobj) for folder in (out, other)]
        heads = [np.load(folder / f"{one.case}.npz")["probabilities"].astype(float) for folder in (out, other)]
        np.testing.assert_array_equal(*masks)
        assert np.abs(heads[0] - heads[1]).max() > 0.02
    again = predict(judging, cases, tmp_path, out, options, observe=lambda name, heads: seen.append(name))
    assert again == made and seen == ["a", "b"]  # done already


def test_regions_overlap_in_volumes_and_not_in_masks(tmp_path):
    tiny.make(tmp_path / "model", tiny.draft(labels=tiny.REGIONS))
    write_nifti(tmp_path / "a.nii.gz", blocks())
    made = predict(ModelFolder(tmp_path / "model"), [case("a")], tmp_path, tmp_path / "out", CPU).cases[0]
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    values = np.asarray(mask.dataobj)
    assert set(np.unique(values)) == {0, 1, 300}
    assert made.volumes_mm3 == (float((values > 0).sum()), float((values == 300).sum()))


def test_channels_in_files_of_their_own_and_in_one_file_are_the_same(tmp_path):
    tiny.make(tmp_path / "model", tiny.draft(channels=("T1", "T2")))
    first, second = blocks(seed=1), blocks(seed=2)
    write_nifti(tmp_path / "two_0000.nii.gz", first)
    write_nifti(tmp_path / "two_0001.nii.gz", second)
    write_nifti(tmp_path / "one.nii.gz", np.stack([first, second], axis=-1))
    cases = [case("two", "two_0000.nii.gz", "two_0001.nii.gz"), case("one"), case("half", "two_0000.nii.gz")]
    made = predict(ModelFolder(tmp_path / "model"), cases, tmp_path, tmp_path / "out", CPU).cases
    assert [c.status for c in made] == ["done", "done", "failed"]
    masks = [np.asarray(nibabel.load(tmp_path / "out" / f"{name}.nii.gz").dataobj) for name in ("two", "one")]
    np.testing.assert_array_equal(np.squeeze(masks[0]), np.squeeze(masks[1]))
    assert "1 channels, the model needs 2: T1, T2" in made[2].error


def test_channels_elsewhere_fail_the_case(tmp_path):
    tiny.make(tmp_path / "model", tiny.draft(channels=("T1", "T2")))
    moved = np.diag([-1.0, -1.0, 1.0, 1.0])
    moved[:3, 3] = 100
    write_nifti(tmp_path / "a_0000.nii.gz", blocks())
    write_nifti(tmp_path / "a_0001.nii.gz", blocks(), moved)
    two = case("a", "a_0000.nii.gz", "a_0001.nii.gz")
    made = predict(ModelFolder(tmp_path / "model"), [two], tmp_path, tmp_path / "out", CPU).cases[0]
    assert made.status == "failed" and "a_0001.nii.gz" in made.error and made.output is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_pictures_give_pictures_in_label_values(colour, tmp_path, mode):
    grey = np.clip(blocks((64, 40)) + 128, 0, 255).astype(np.uint8)
    Image.fromarray(grey).convert(mode).save(tmp_path / "cell.png")
    made = predict(colour, [case("cell", "cell.png")], tmp_path, tmp_path / "out", CPU).cases[0]
    mask = np.asarray(Image.open(tmp_path / "out" / "cell.png"))
    assert mask.shape == grey.shape and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    assert any("grey" in warning for warning in made.warnings) == (mode == "L")


def test_jpeg_would_spoil_labels(colour, tmp_path):
    Image.fromarray(np.clip(blocks((64, 40)) + 128, 0, 255).astype(np.uint8)).convert("RGB").save(tmp_path / "p.jpg")
    made = predict(colour, [case("p", "p.jpg")], tmp_path, tmp_path / "out", CPU).cases[0]
    assert made.output == "p.png" and set(np.unique(np.asarray(Image.open(tmp_path / "out" / "p.png")))) == {0, 255}


def test_a_volume_is_no_plane(colour, tmp_path):
    write_nifti(tmp_path / "a.nii.gz", np.stack([blocks()] * 3, axis=-1))
    made = predict(colour, [case("a")], tmp_path, tmp_path / "out", CPU).cases[0]
    assert made.status == "failed" and "18 slices" in made.error


def test_one_bad_case_stops_no_other(exclusive, tmp_path):
    write_nifti(tmp_path / "good.nii.gz", blocks())
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "good.nii.gz").read_bytes()[:200])
    (tmp_path / "empty.nii.gz").touch()
    events = []
    cases = [case("cut"), case("good"), case("empty"), case("absent")]
    made = predict(exclusive, cases, tmp_path, tmp_path / "out", CPU, notify=events.append).cases
    assert [c.case for c in made] == ["cut", "good", "empty", "absent"]
    assert [c.status for c in made] == ["failed", "done", "failed", "failed"]
    assert all("nii.gz" in c.error for c in made if c.status == "failed")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["good.nii.gz"]
    progress = [(e.done, e.total, e.unit) for e in events if e.what == "progress"]
    assert progress == [(done, 4.0, "case") for done in (0.0, 1.0, 1.99, 2.0, 3.0, 4.0)]
    assert sum(e.what == "warning" for e in events) == 3


def test_warnings_about_strange_images_reach_record_and_listener(exclusive, tmp_path):
    write_nifti(tmp_path / "thick.nii.gz", blocks(), np.diag([1.0, 1.0, 9.0, 1.0]))
    holes = blocks()
    holes[0, 0, 0] = np.nan
    write_nifti(tmp_path / "holes.nii.gz", holes)
    write_nifti(tmp_path / "flat.nii.gz", np.full((16, 16, 16), 5, np.int16))
    events = []
    cases = [case("thick"), case("holes"), case("flat")]
    made = predict(exclusive, cases, tmp_path, tmp_path / "out", CPU, notify=events.append).cases
    assert "voxels of 9 x 1 x 1 mm" in made[0].warnings[0]
    assert "1 of 5760 voxels" in made[1].warnings[0]
    assert "no signal" in made[2].warnings[0]
    assert len([e for e in events if e.what == "warning"]) == 3


def test_probabilities_lie_on_the_masks_grid(exclusive, tmp_path):
    reoriented(nibabel.Nifti1Image(blocks(), np.eye(4)), "PIR").to_filename(tmp_path / "a.nii.gz")
    predict(exclusive, [case("a")], tmp_path, tmp_path / "out", Options("cpu", probabilities=True))
    with np.load(tmp_path / "out" / "a.npz") as archive:
        probabilities = archive["probabilities"]
    mask = np.asarray(nibabel.load(tmp_path / "out" / "a.nii.gz").dataobj).T
    assert probabilities.shape == (3, *mask.shape) and probabilities.dtype == np.float16
    first, second = np.sort(probabilities, axis=0)[[-1, -2]]
    clear = first - second > 0.01
    np.testing.assert_array_equal(np.array([0, 3, 7])[probabilities.argmax(0)][clear], mask[clear])


class TestAgain:
    @pytest.fixture
    def folder(self, exclusive, tmp_path, monkeypatch):
        for number, name in enumerate("ab"):
            write_nifti(tmp_path / f"{name}.nii.gz", blocks(seed=number))
        self.first = predict(exclusive, [case("a"), case("b")], tmp_path, tmp_path / "out", CPU)
        self.worked = []
        original = stage._predict
        monkeypatch.setattr(
            stage, "_predict", lambda job, *others: self.worked.append(job.case.case) or original(job, *others)
        )
        return tmp_path

    def again(self, model, folder, options=CPU, names="ab"):
        return predict(model, [case(name) for name in names], folder, folder / "out", options)

    @pytest.mark.fault(94, "masks of the same model and image already there", "kept as they are")
    def test_finished_cases_are_skipped(self, exclusive, folder):
        assert self.again(exclusive, folder) == self.first and self.worked == []

    def test_missing_masks_are_made_again(self, exclusive, folder):
        (folder / "out" / "a.nii.gz").unlink()
        self.again(exclusive, folder)
        assert self.worked == ["a"]

    def test_changed_images_are_predicted_again(self, exclusive, folder):
        write_nifti(folder / "b.nii.gz", blocks(seed=7))
        self.again(exclusive, folder)
        assert self.worked == ["b"]

    def test_a_changed_image_that_fails_leaves_no_old_mask(self, exclusive, folder):
        (folder / "b.nii.gz").write_bytes(b"nothing")
        assert [c.status for c in self.again(exclusive, folder).cases] == ["done", "failed"]
        assert not (folder / "out" / "b.nii.gz").exists()

    def test_other_settings_predict_again(self, exclusive, folder):
        self.again(exclusive, folder, Options("cpu", tta="full"))
        assert self.worked == ["a", "b"]
        self.again(exclusive, folder, Options("cpu", tta="full", probabilities=True))
        assert self.worked == ["a", "b", "a", "b"]

    @pytest.mark.fault(
        94, "masks of another model in the output folder", "exit 2 before any work; replaced only with --overwrite"
    )
    def test_masks_of_another_model_are_kept_unless_told_otherwise(self, folder, tmp_path):
        tiny.make(tmp_path / "other", seed=5)
        other = ModelFolder(tmp_path / "other")
        before = (folder / "out" / "a.nii.gz").read_bytes()
        with pytest.raises(UsageError, match="2 files in the output folder.*--overwrite"):
            self.again(other, folder)
        assert (folder / "out" / "a.nii.gz").read_bytes() == before and self.worked == []
        self.again(other, folder, Options("cpu", overwrite=True))
        assert (folder / "out" / "a.nii.gz").read_bytes() != before and self.worked == ["a", "b"]

    @pytest.mark.fault(94, "a mask of unknown origin in the output folder", "exit 2; never replaced unasked")
    def test_masks_of_unknown_origin_are_kept(self, exclusive, folder):
        (folder / "out" / "provenance" / "a.json").unlink()
        with pytest.raises(UsageError, match="1 files in the output folder, e.g. .*a.nii.gz"):
            self.again(exclusive, folder)

    def test_the_trace_names_model_and_inputs(self, folder):
        trace = json.loads((folder / "out" / "provenance" / "a.json").read_text())
        assert len(trace["model"]) == 64 and len(trace["inputs"][0]) == 64 and trace["tta"] == "auto"


@pytest.mark.parametrize("moment", [1.0, 1.5])
def test_an_interruption_keeps_what_is_done(exclusive, tmp_path, moment):
    for name in "ab":
        write_nifti(tmp_path / f"{name}.nii.gz", blocks((20, 16, 60)))

    def stop(event):
        if event.done >= moment:
            raise Interrupted("signal")

    with pytest.raises(Interrupted):
        predict(exclusive, [case("a"), case("b")], tmp_path, tmp_path / "out", CPU, notify=stop)
    assert [path.name for path in (tmp_path / "out").glob("*.nii.gz")] == ["a.nii.gz"]
    assert [path.name for path in (tmp_path / "out" / "provenance").glob("*.json")] == ["a.json"]


def test_a_large_image_tells_how_far_it_is(exclusive, tmp_path, monkeypatch):
    monkeypatch.setitem(infer.VOXELS_PER_BATCH, "cpu", 16**3)
    write_nifti(tmp_path / "a.nii.gz", blocks((20, 16, 60)))
    events = []
    predict(exclusive, [case("a")], tmp_path, tmp_path / "out", CPU, notify=events.append)
    done = [event.done for event in events if event.what == "progress"]
    assert done == sorted(done) and len(done) > 10 and done[-2:] == [0.99, 1.0]
    assert [event.detail for event in events[:2]] == ["a", f"a, {done[1]:.0%}"]


def test_what_a_crash_left_of_a_case_is_no_strangers_file(exclusive, tmp_path):
    """Probabilities without a mask, or a mask without its trace: the same command goes on."""
    write_nifti(tmp_path / "a.nii.gz", blocks())
    options, out = Options("cpu", probabilities=True), tmp_path / "out"
    left = {}

    def observe(name, heads):
        left["begun"] = (out / "provenance" / "a.json").read_bytes()

    [made] = predict(exclusive, [case("a")], tmp_path, out, options, observe=observe).cases
    (out / "provenance" / "a.json").write_bytes(left["begun"])
    (out / "a.nii.gz").unlink()
    [again] = predict(exclusive, [case("a")], tmp_path, out, options).cases
    assert (again.status, again.volumes_mm3) == ("done", made.volumes_mm3)
    assert (out / "a.nii.gz").is_file()


def test_a_case_that_fails_leaves_nothing_behind(exclusive, tmp_path, monkeypatch):
    write_nifti(tmp_path / "a.nii.gz", blocks())
    options, out = Options("cpu", probabilities=True), tmp_path / "out"

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "write_label", full)
    [made] = predict(exclusive, [case("a")], tmp_path, out, options).cases
    assert made.status == "failed"
    assert [path.name for path in out.rglob("a*")] == []


def test_outputs_never_replace_inputs_or_each_other(exclusive, tmp_path):
    write_nifti(tmp_path / "a.nii.gz", blocks())
    with pytest.raises(UsageError, match="replace an image"):
        predict(exclusive, [case("a")], tmp_path, tmp_path, Options("cpu", overwrite=True))
    with pytest.raises(UsageError, match="would both write"):
        predict(exclusive, [case("a"), case("a")], tmp_path, tmp_path / "out", CPU)


@pytest.mark.fault(
    12, "a link out of the output folder where a mask is to be written", "refused (exit 6), not followed"
)
def test_masks_are_never_written_through_links(exclusive, tmp_path):
    write_nifti(tmp_path / "a.nii.gz", blocks())
    (tmp_path / "elsewhere.nii.gz").write_bytes(b"of somebody")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    with pytest.raises(RefusedError, match="outside"):
        predict(exclusive, [case("a")], tmp_path, tmp_path / "out", Options("cpu", overwrite=True))
    assert (tmp_path / "elsewhere.nii.gz").read_bytes() == b"of somebody"


def test_two_processes_do_not_share_an_output_folder(exclusive, tmp_path):
    write_nifti(tmp_path / "a.nii.gz", blocks())
    with stage.hold(tmp_path / "out" / "provenance" / ".lock", "test"), pytest.raises(BusyError):
        predict(exclusive, [case("a")], tmp_path, tmp_path / "out", CPU)
