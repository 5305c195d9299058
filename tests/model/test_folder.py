import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from autoseg import model, records
from autoseg.contracts import Model
from autoseg.errors import DataError, RefusedError, UsageError
from autoseg.model import folder as model_folder
from autoseg.model import golden
from autoseg.workspace import ModelFolder
from tests.model import tiny

WEIGHTS = "weights/3d_fullres_fold_0.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "model"
    tiny.make(folder)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def edit(folder, change):
    """Change ``model.json`` as a stranger would."""
    path = folder / "model.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def replace_weights(folder, change, *, hide=True):
    """Change tensors; ``hide`` also corrects the checksum, as somebody who tampers would."""
    path = folder / WEIGHTS
    tensors = safetensors.torch.load_file(path)
    path.write_bytes(safetensors.torch.save(change(tensors)))
    if hide:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(folder, lambda content: content["weights"][0].update(sha256=found))


def test_a_folder_holds_just_what_its_record_names(made):
    record = records.read(made / "model.json", Model)
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert files == {"model.json", "golden.npz", WEIGHTS}
    assert record.weights[0].file == WEIGHTS
    assert record.weights[0].sha256 == records.file_digest(made / WEIGHTS)
    assert record.golden == records.file_digest(made / "golden.npz")


def test_equal_models_are_written_with_equal_bytes(made, tmp_path):
    tiny.make(tmp_path / "model")
    assert (tmp_path / "model" / "model.json").read_bytes() == (made / "model.json").read_bytes()


def test_a_copy_elsewhere_gives_the_same_mask_in_another_process(made, copy, tmp_path):
    image = np.random.default_rng(0).normal(size=(18, 20, 22))
    np.save(tmp_path / "image.npy", image)
    script = (
        "import sys, numpy, autoseg\n"
        "mask = autoseg.load(sys.argv[1], device='cpu').predict(numpy.load(sys.argv[2]), (1.0, 1.0, 1.0))\n"
        "numpy.save(sys.argv[3], mask)\n"
    )
    command = [sys.executable, "-c", script, str(copy), str(tmp_path / "image.npy"), str(tmp_path / "mask.npy")]
    subprocess.run(command, check=True, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)})
    expected = model.load(made, device="cpu").predict(image, (1.0, 1.0, 1.0))
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), expected)


def test_rewriting_removes_networks_of_the_former_model(tmp_path):
    tiny.make(tmp_path / "model", tiny.draft(folds=2))
    record = tiny.make(tmp_path / "model", tiny.draft(folds=1))
    assert [path.name for path in (tmp_path / "model" / "weights").iterdir()] == ["3d_fullres_fold_0.safetensors"]
    assert len(record.weights) == 1


def test_weights_other_than_those_trained_are_not_shipped(tmp_path):
    record = tiny.draft()
    claimed = record.weights[0].model_copy(update={"sha256": "0" * 64})
    weights = tiny.weights_of(record, tmp_path / "jobs")
    with pytest.raises(RefusedError, match="expected 000000000000 as recorded after training"):
        model.write(ModelFolder(tmp_path / "m"), record.model_copy(update={"weights": (claimed,)}), weights)
    assert not (tmp_path / "m" / "model.json").exists()


def test_a_folder_without_record_is_no_model(made, tmp_path):
    with pytest.raises(UsageError, match="not a model folder"):
        model.load(tmp_path)
    with pytest.raises(UsageError, match=r"did you mean .*model\?"):
        model.load(made.parent)


def test_a_broken_record_is_named(copy):
    edit(copy, lambda content: content.update(surprise=1))
    with pytest.raises(DataError, match=r"\$\.surprise"):
        model.load(copy)


@pytest.mark.parametrize("name", [WEIGHTS, "golden.npz"])
def test_changed_files_are_refused(copy, name, monkeypatch):
    monkeypatch.setattr(model_folder, "_checked", set())
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RefusedError, match=rf"{name}: was changed: SHA-256"):
        model.load(copy, device="cpu")


def test_missing_files_are_refused(copy):
    (copy / WEIGHTS).unlink()
    with pytest.raises(RefusedError, match="missing from the model folder"):
        model.load(copy, device="cpu")


@pytest.mark.parametrize("file", ["../outside.safetensors", "/etc/hostname"])
def test_files_outside_the_folder_are_refused(copy, file):
    edit(copy, lambda content: content["weights"][0].update(file=file))
    with pytest.raises(RefusedError, match="outside the model folder"):
        model.load(copy, device="cpu")


@pytest.mark.fault(
    86, "weights of another shape or type, NaN among them, or exchanged", "refused (exit 6), naming the tensor"
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {**t, "heads.0.bias": torch.full_like(t["heads.0.bias"], float("nan"))}, "not finite"),
        (lambda t: {**t, "heads.0.bias": t["heads.0.bias"][:1].clone()}, r"heads\.0\.bias is .* \(1,\), expected"),
        (lambda t: {**t, "heads.0.bias": t["heads.0.bias"].half()}, "torch.float16"),
        (lambda t: {k: v for k, v in t.items() if k != "heads.0.bias"}, "not those of the planned network"),
        (lambda t: {**t, "heads.0.bias": t["heads.0.bias"] + torch.tensor([4.0, 0, 0])}, "another result than when"),
    ],
)
def test_tampered_weights_are_refused(copy, change, message):
    replace_weights(copy, change)
    with pytest.raises(RefusedError, match=message):
        model.load(copy, device="cpu")


def test_weights_that_are_no_safetensors_are_refused(copy):
    (copy / WEIGHTS).write_bytes(b"\x80\x04 a pickle")
    found = records.file_digest(copy / WEIGHTS)
    edit(copy, lambda content: content["weights"][0].update(sha256=found))
    with pytest.raises(RefusedError, match="not a safetensors file"):
        model.load(copy, device="cpu")


@pytest.mark.fault(90, "weights and plan of a model that disagree", "refused (exit 6) with both")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["configurations"][0]["network"].update(heads=5), "expected 1 to 3"),
        (lambda c: c.update(members=[]), "do not match"),
        (lambda c: c["members"][0].update(weight=-1.0), "do not match"),
        (lambda c: c["configurations"][0].update(normalization=[]), "normalizes 0 channels"),
        (lambda c: c["configurations"][0]["network"].update(kernels=[[3, 3, 3]]), "cannot be built"),
    ],
)
def test_records_that_contradict_themselves_are_refused(copy, change, message):
    edit(copy, change)
    with pytest.raises(RefusedError, match=message):
        model.load(copy, device="cpu")


@pytest.mark.fault(
    90, "a model whose plan was edited", "refused (exit 6): it gives another result than its golden sample"
)
def test_an_edited_plan_fails_the_golden_sample(copy):
    edit(copy, lambda content: content["configurations"][0]["normalization"][0].update(scheme="none"))
    with pytest.raises(RefusedError, match="expected class agreement"):
        model.load(copy, device="cpu")


def test_the_golden_sample_is_checked_once_per_process(made, monkeypatch):
    monkeypatch.setattr(model_folder, "_checked", set())
    calls = []
    monkeypatch.setattr(golden, "check", lambda *given: calls.append(given))
    model.load(made, device="cpu")
    model.load(made, device="cpu")
    assert len(calls) == 1


def test_golden_samples_allow_for_rounding_but_not_for_more(made):
    loaded = model.load(made, device="cpu")
    sample = golden.make(loaded)
    shifted = {delta: sample.probabilities.astype(np.float32) + delta for delta in (0.003, 0.02)}
    near = golden.Golden(**{**vars(sample), "probabilities": shifted[0.003].astype(np.float16)})
    far = golden.Golden(**{**vars(sample), "probabilities": shifted[0.02].astype(np.float16)})
    golden.check(loaded, near)
    with pytest.raises(RefusedError, match="differ by at most 0.005"):
        golden.check(loaded, far)
    golden.check(loaded, golden.Golden(**{**vars(far), "precise": np.array(False)}))  # made in 16 bits
    flipped = np.where(sample.clear, (sample.classes + 1) % 3, sample.classes).astype(sample.classes.dtype)
    assert sample.clear.mean() > 0.1
    with pytest.raises(RefusedError, match="class agreement"):
        golden.check(loaded, golden.Golden(**{**vars(sample), "classes": flipped}))


def test_samples_of_another_shape_are_refused(made):
    loaded = model.load(made, device="cpu")
    sample = golden.make(loaded)
    with pytest.raises(RefusedError, match="1 channels"):
        golden.check(loaded, golden.Golden(**{**vars(sample), "image": sample.image[[0, 0]]}))
    with pytest.raises(RefusedError, match="results of shape"):
        golden.check(loaded, golden.Golden(**{**vars(sample), "classes": sample.classes[:1]}))
    with pytest.raises(RefusedError, match="not a golden sample"):
        golden.from_bytes(b"something else")


def test_golden_samples_of_large_patches_stay_small():
    record = tiny.draft()
    large = record.configurations[0]
    large = large.model_copy(update={"training": large.training.model_copy(update={"patch_vox": (128, 128, 128)})})
    assert golden.with_small_patch(large).training.patch_vox == (16, 16, 16)


def test_identity_is_of_what_decides_over_masks(made):
    record = records.read(made / "model.json", Model)
    card = record.card.model_copy(update={"cases": 99})
    assert model.identity(record.model_copy(update={"card": card})) == model.identity(record)
    assert model.identity(record.model_copy(update={"mirror": True})) != model.identity(record)
