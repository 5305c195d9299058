"""Model folders from a stranger: nothing in them is run, and nothing is believed that the record does not say."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from autoseg import model, phantoms
from autoseg.cli import app
from autoseg.contracts import Settings
from autoseg.errors import DataError, RefusedError
from autoseg.model import folder as model_folder
from autoseg.stages import dataset as stage
from tests.model import tiny

WEIGHTS = "weights/3d_fullres_fold_0.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "model"
    tiny.make(folder)
    return folder


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    monkeypatch.setattr(model_folder, "_checked", set())  # the golden sample is looked at again
    return shutil.copytree(made, tmp_path / "copy")


def put(folder, name, content):
    """Replace a file and correct its checksum, as somebody who tampers would."""
    (folder / name).write_bytes(content)
    record = json.loads((folder / "model.json").read_text())
    digest = hashlib.sha256(content).hexdigest()
    if name == "golden.npz":
        record["golden"] = digest
    else:
        record["weights"][0]["sha256"] = digest
    (folder / "model.json").write_text(json.dumps(record))


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def bombs(canary):
    plain = pickle.dumps(Canary(canary))
    tensors = io.BytesIO()
    torch.save({"heads.0.bias": Canary(canary)}, tensors)
    objects, archive = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("image", "spacing_mm", "classes", "clear", "probabilities", "precise"):
            file.writestr(f"{name}.npy", objects.getvalue())
    return {"pickle": plain, "torch": tensors.getvalue(), "npy": objects.getvalue(), "npz": archive.getvalue()}


@pytest.mark.fault(85, "pickled code in weights or in the golden sample", "refused (exit 6); it is never unpickled")
@pytest.mark.parametrize("kind", ["pickle", "torch", "npy", "npz"])
@pytest.mark.parametrize("name", [WEIGHTS, "golden.npz"])
def test_pickles_are_not_opened(copy, tmp_path, kind, name):
    canary = tmp_path / "canary"
    put(copy, name, bombs(canary)[kind])
    with pytest.raises(RefusedError) as caught:
        model.load(copy, device="cpu")
    assert caught.value.exit_code == 6
    assert not canary.exists()
    if kind == "pickle":  # it would have sung
        pickle.loads(bombs(canary)[kind])
        assert canary.exists()


def safetensors_with(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


CRAFTED = {
    "overlapping": safetensors_with({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)),
    "negative shape": safetensors_with({"a": tensor([-2], 0, 8)}, bytes(8)),
    "huge shape": safetensors_with({"a": tensor([2**62, 4], 0, 8)}, bytes(8)),
    "beyond the end": safetensors_with({"a": tensor([2], 0, 2**40)}, bytes(8)),
    "huge header": struct.pack("<Q", 2**62) + b"{}",
    "duplicate keys": safetensors_with(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}', bytes(4)),
    "unknown type": safetensors_with({"a": tensor([2], 0, 8, "X9")}, bytes(8)),
    "deep nesting": safetensors_with(b"[" * 100_000),
    "empty": b"",
}


@pytest.mark.fault(
    86, "crafted weights file: overlaps, absurd sizes, doubled names", "refused (exit 6) before it is used"
)
@pytest.mark.parametrize("what", CRAFTED)
def test_crafted_weights_are_refused(copy, what):
    put(copy, WEIGHTS, CRAFTED[what])
    with pytest.raises(RefusedError):
        model.load(copy, device="cpu")


@pytest.mark.fault(86, "record of absurd size", "refused (exit 6) unread")
def test_a_record_of_absurd_size_is_refused(copy):
    with open(copy / "model.json", "ab") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(RefusedError, match="expected at most"):
        model.load(copy, device="cpu")


@pytest.mark.fault(87, "model that names a file outside of its folder, also by a link", "refused (exit 6)")
def test_links_out_of_the_model_are_refused(copy, tmp_path):
    outside = tmp_path / "outside.safetensors"
    shutil.move(copy / WEIGHTS, outside)
    (copy / WEIGHTS).symlink_to(outside)
    with pytest.raises(RefusedError, match="outside the model folder"):
        model.load(copy, device="cpu")


@pytest.mark.fault(88, "golden sample that unfolds to gigabytes", "refused (exit 6) before anything is allocated")
def test_a_golden_bomb_is_refused(copy):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("image", "spacing_mm", "classes", "clear", "probabilities", "precise"):
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                head, {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**10, 2**10)}
            )
            file.writestr(f"{name}.npy", head.getvalue() + bytes(2**22))
    put(copy, "golden.npz", archive.getvalue())
    with pytest.raises(RefusedError, match="golden"):
        model.load(copy, device="cpu")


NAMES_OF_CODE = {
    "a class to make": lambda record: record.update(_target_="os.system", path="touch canary"),
    "a network of another module": lambda record: record["configurations"][0]["network"].update(family="os.system"),
    "a scheme that is an expression": lambda record: record["configurations"][0]["normalization"][0].update(
        scheme="__import__('os').mkdir('canary')"
    ),
}


@pytest.mark.fault(
    89, "a model that names code to run", "refused: names are looked up in fixed tables, what is not known is an error"
)
@pytest.mark.parametrize("what", NAMES_OF_CODE)
def test_names_are_never_code(copy, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = json.loads((copy / "model.json").read_text())
    NAMES_OF_CODE[what](record)
    (copy / "model.json").write_text(json.dumps(record))
    with pytest.raises((RefusedError, DataError)) as caught:
        model.load(copy, device="cpu")
    assert caught.value.exit_code in (3, 6)
    assert not (tmp_path / "canary").exists()


@pytest.mark.fault(
    89,
    "planner or data set declaration that names code to run",
    "exit 2; a reader that is asked for is ignored",
)
def test_a_planner_is_no_module(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    phantoms.write_nnunet(tmp_path / "data", 2, (8, 10, 12))
    declared = tmp_path / "data" / "dataset.json"
    declared.write_text(json.dumps(json.loads(declared.read_text()) | {"overwrite_image_reader_writer": "os.system"}))
    assert len(stage.inspect(tmp_path / "data", Settings())[0].cases) == 2
    ended = CliRunner().invoke(app, ["run", str(tmp_path / "data"), str(tmp_path / "out"), "--planner", "os.system"])
    assert ended.exception.exit_code == 2
    assert "os.system" in str(ended.exception)


@pytest.mark.fault(
    90, "a model of a newer or older format", "refused (exit 6) with both versions, before anything is read"
)
@pytest.mark.parametrize("version", [0, 2])
def test_another_format_is_refused(copy, version):
    record = json.loads((copy / "model.json").read_text())
    record |= {"schema_version": version, "autoseg_version": "7.3", "what_comes_then": []}
    (copy / "model.json").write_text(json.dumps(record))
    with pytest.raises(RefusedError, match=rf"format {version}, written by autoseg 7\.3; .* reads format 1"):
        model.load(copy, device="cpu")
