"""Bytes that somebody broke on purpose: whatever comes, only errors that a user can act on may come out.

Valid files of every format are mutated: bytes changed, cut out, doubled, numbers in headers replaced by extreme ones. A
reader may succeed or raise an ``AutosegError``; it may not crash, hang, or take much memory.
"""

import gzip
import io
import zlib
from functools import cache

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from autoseg import formats
from autoseg.errors import AutosegError
from tests.fuzzing import broken_bytes, fuzz, one_of


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


def broken(suffix: str, generator: np.random.Generator) -> bytes:
    """A broken file; of compressed ones half are broken before they are compressed."""
    content = one_of(seeds(suffix), generator)
    if suffix == ".nii.gz" and generator.random() < 0.7:
        return gzip.compress(broken_bytes(gzip.decompress(content), generator), 1)
    return broken_bytes(content, generator)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr", ".nrrd", ".mha", ".png", ".jpg", ".bmp", ".tif"])
def test_broken_files_give_errors_that_users_can_act_on(suffix, tmp_path):
    path = tmp_path / f"broken{suffix}"

    def look(generator):
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

    fuzz(look)
