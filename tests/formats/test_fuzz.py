"""Bytes that somebody broke on purpose: whatever comes, only errors that a user can act on may come out.

Valid files of every format are mutated: bytes changed, cut out, doubled, numbers in headers replaced by extreme ones. A
reader may succeed or raise an ``AutosegError``; it may not crash, hang, or take much memory. The nightly profile looks
at a hundred times as many as every day's run: about a million inputs in all, an hour or two of one core.
"""

import gzip
import io
import json
import struct
import tempfile
import tracemalloc
import zlib
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from autoseg import formats
from autoseg.errors import AutosegError
from autoseg.layouts import declaration

INPUTS = settings.default.max_examples**2 // 40  # of each format: 1000 every day, 100 000 at night
PER_EXAMPLE = 50
LARGEST_BYTES = 2**28
EXTREMES = [
    *(struct.pack(order + "h", v) for order in "<>" for v in (0, -1, 32767, -32768, 1)),
    *(struct.pack(order + "i", v) for order in "<>" for v in (0, -1, 2**31 - 1, -(2**31), 65536)),
    *(struct.pack(order + "q", v) for order in "<>" for v in (-1, 2**63 - 1, 2**40)),
    *(struct.pack("<f", v) for v in (float("nan"), float("inf"), 0.0, -1.0, 1e30, 1e-30)),
    *(b"-1", b"0", b"99999999999", b"nan", b"inf", b"1e400", b"none", b"..", b"/"),
    *(b"\n", b"\n\n", b"\0", b"%", b"(", b":="),
]  # fmt: skip


@cache
def seeds(suffix: str) -> tuple[bytes, ...]:
    """Valid files of a format."""
    generator = np.random.default_rng(0)
    grey = generator.integers(0, 255, (5, 6), np.uint8)
    volume = generator.integers(0, 255, (3, 4, 5)).astype(np.int16)
    colour = np.stack([grey] * 3, -1)
    if suffix in (".nii", ".nii.gz", ".hdr"):
        kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
        plain = [kind(volume, np.diag([-1.0, -2.0, 3.0, 1.0])).to_bytes() for kind in kinds]
        return tuple(gzip.compress(content) if suffix == ".nii.gz" else content for content in plain)
    if suffix == ".nrrd":
        head = (
            b"NRRD0004\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 5 4 3\n"
            b"space directions: (1,0,0) (0,2,0) (0,0,3)\nkinds: domain domain domain\nspace origin: (1,2,3)\n"
            b"endian: little\n"
        )
        data = volume.tobytes()
        return head + b"encoding: raw\n\n" + data, head + b"encoding: gzip\n\n" + gzip.compress(data)
    if suffix == ".mha":
        head = (
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = {}\n"
            "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 1 2 3\nDimSize = 5 4 3\n"
            "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        )
        data = volume.tobytes()
        return head.format(False).encode() + data, head.format(True).encode() + zlib.compress(data)
    if suffix in (".tif", ".tiff"):
        return (
            _tiff(volume, imagej=True, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}),
            _tiff(volume, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}),
            _tiff(np.tile(grey, (8, 8)), tile=(16, 16), compression="zlib"),
            _tiff(colour, photometric="rgb", bigtiff=True),
        )
    pictures = [Image.fromarray(grey), Image.fromarray(colour), Image.fromarray(grey).convert("P")]
    return tuple(_picture(picture, {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP"}[suffix]) for picture in pictures)


def _tiff(array, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def _picture(picture: Image.Image, name: str) -> bytes:
    buffer = io.BytesIO()
    (picture.convert("RGB") if name == "JPEG" else picture).save(buffer, name)
    return buffer.getvalue()


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """The bytes with one to four things done to them."""
    data = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        reach = len(data) if generator.random() < 0.3 else min(len(data), 600)  # headers stand in front
        at = int(generator.integers(0, max(1, reach)))
        match generator.integers(0, 6):
            case 0:
                data[at : at + 1] = bytes([int(generator.integers(0, 256))])
            case 1:
                piece = EXTREMES[int(generator.integers(0, len(EXTREMES)))]
                data[at : at + len(piece)] = piece
            case 2:
                piece = EXTREMES[int(generator.integers(0, len(EXTREMES)))]
                data[at:at] = piece
            case 3:
                del data[at : at + int(generator.integers(1, 40))]
            case 4:
                data[at:at] = data[at : at + int(generator.integers(1, 40))]
            case 5:
                del data[int(generator.integers(0, len(data) + 1)) :]
    return bytes(data)


def broken(suffix: str, generator: np.random.Generator) -> bytes:
    """A broken file; of compressed ones half are broken before they are compressed."""
    files = seeds(suffix)
    content = files[int(generator.integers(0, len(files)))]
    if suffix == ".nii.gz" and generator.random() < 0.7:
        return gzip.compress(mutated(gzip.decompress(content), generator), 1)
    return mutated(content, generator)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr", ".nrrd", ".mha", ".png", ".jpg", ".bmp", ".tif"])
def test_broken_files_give_errors_that_users_can_act_on(suffix):
    @settings(max_examples=INPUTS // PER_EXAMPLE)
    @given(st.integers(0, 2**64 - 1))
    def look(seed):
        generator = np.random.default_rng(seed)
        for _ in range(PER_EXAMPLE):
            path.write_bytes(broken(suffix, generator))
            if suffix == ".hdr":
                path.with_suffix(".img").write_bytes(broken(suffix, generator))
            try:
                volume = formats.read(path, mask=bool(generator.integers(0, 2)))
            except AutosegError as error:
                assert path.stem in str(error)
            else:
                assert np.isfinite(volume.grid.affine).all()
                assert volume.array.shape[1:] == volume.grid.shape

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"broken{suffix}"
        tracemalloc.start()
        try:
            look()
            assert tracemalloc.get_traced_memory()[1] < LARGEST_BYTES
        finally:
            tracemalloc.stop()


WORDS = st.text(max_size=6) | st.sampled_from(["../x", "/etc", "0", "1", "2", "background", "ignore"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
KEYS = ("labels", "channel_names", "modality", "training", "regions_class_order", "file_ending", "numTraining", "test")


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6), st.integers(0, 2**64 - 1))
def test_broken_declarations_give_errors_that_users_can_act_on(content, seed):
    generator = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.json"
        text = json.dumps(content).encode()
        for raw in (text, *(mutated(text, generator) for _ in range(5))):
            path.write_bytes(raw)
            try:
                read = declaration.read(path)
                declaration.label_set(read, path)
                declaration.channels(read.get("channel_names"), "$.channel_names", path)
                declaration.inside(read.get("file_ending"), "$.file_ending", path)
            except AutosegError as error:
                assert "dataset.json" in str(error)
