"""The golden sample: a tiny made-up image and what the model said of it on the day it was made.

On first load in a process the model must say it again. That catches what checksums cannot: another version of a library
that resamples or convolves differently, a faulty device, an edited plan. Networks of large patches are tried on small
ones, so that the check takes seconds on a laptop even for a model that was made for a large GPU.
"""

import io
import zipfile
import zlib
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.contracts import Model
from autoseg.errors import RefusedError
from autoseg.model.segmentation import SegmentationModel
from autoseg.postprocessing import segment
from planners.axes import AS_THEY_ARE
from planners.contracts import Configuration, Normalization, Shape

CLEAR_MARGIN = 0.2
"""A voxel is clearly decided if its class leads by this much probability."""
_LARGEST_ARRAY_BYTES = 2**28
_COPY_AGAIN = "copy the model folder again from where it was made"
LEAST_EDGE = 16
"""Of the sample, and of the central block in which its probabilities are kept, in voxels."""


@dataclass(frozen=True)
class Tolerance:
    """What rounding may change.

    No limit on the largest difference: where a confident network draws a border, rounding alone can turn a probability
    from 0.3 to 0.7 (measured for bfloat16), and a model must not be refused on a machine for that.

    Attributes:
        agreement: Least share of the clearly decided voxels that keep their class.
        difference: Largest mean absolute difference of the probabilities.
    """

    agreement: float
    difference: float


BETWEEN_FP32 = Tolerance(agreement=0.995, difference=0.005)
"""Two float32 runs; a GPU may round products to 10 bits."""
WITH_16_BITS = Tolerance(agreement=0.98, difference=0.03)
"""One of the two, or both, in bfloat16 or float16. Rounding of random networks: 0.996 and 0.006."""


@dataclass(frozen=True)
class Golden:
    """A sample.

    Attributes:
        image: (C, z, y, x) float32, canonical.
        spacing_mm: (3,) of the image.
        classes: (z, y, x), before post-processing.
        clear: (z, y, x), where the decision does not hang on rounding.
        probabilities: (H, z, y, x) float16, the central block.
        precise: 0-d, whether all of it was computed in float32.
    """

    image: npt.NDArray[np.float32]
    spacing_mm: npt.NDArray[np.float64]
    classes: npt.NDArray[np.unsignedinteger]
    clear: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float16]
    precise: npt.NDArray[np.bool_]


def make(model: SegmentationModel) -> Golden:
    """Let a model segment a made-up image."""
    shrunk = _with_small_patches(model)
    first = shrunk.record.configurations[0]
    spacing = (first.spacing_mm[0] or 1.0, *first.spacing_mm[1:])
    image = _image(first, slices=1 if model.record.dimension == 2 else 3)
    order = first.axes or AS_THEY_ARE
    back = [order.index(axis) for axis in range(3)]
    return _sample(
        shrunk, np.ascontiguousarray(image.transpose(0, *(1 + axis for axis in back))), np.array(spacing)[back]
    )


def to_bytes(golden: Golden) -> bytes:
    """The content of ``golden.npz``; equal samples give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{field.name: getattr(golden, field.name) for field in fields(golden)})
    return buffer.getvalue()


def from_bytes(content: bytes) -> Golden:
    """Read the content of ``golden.npz``.

    Raises:
        RefusedError: It is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return Golden(**{field.name: _member(archive, f"{field.name}.npy") for field in fields(Golden)})
    except (OSError, KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise RefusedError(f"golden.npz is not a golden sample ({error}); {_COPY_AGAIN}") from error


def _member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """An array of the archive, unless it declares more than a sample can have or than is there."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_header(file)
        declared = prod(shape) * kind.itemsize
        if declared > min(size, _LARGEST_ARRAY_BYTES) or kind.hasobject:
            raise ValueError(f"{name} declares {declared:,} bytes of {kind}")
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def check(model: SegmentationModel, expected: Golden) -> None:
    """Let the model segment the sample again.

    Raises:
        RefusedError: It says something else than when it was made; the message tells what was expected and found.
    """
    shape, channels = expected.image.shape, len(model.record.channels)
    if len(shape) != 4 or len(expected.image) != channels or expected.spacing_mm.shape != (3,):
        raise RefusedError(f"the golden image has shape {shape}, the model {channels} channels; {_COPY_AGAIN}")
    found = _sample(_with_small_patches(model), expected.image, expected.spacing_mm)
    if _shapes(expected) != _shapes(found):
        raise RefusedError(
            f"the golden sample expects results of shape {_shapes(expected)}, found {_shapes(found)}; {_COPY_AGAIN}"
        )
    _compare(expected, found, BETWEEN_FP32 if expected.precise and found.precise else WITH_16_BITS)


def _shapes(golden: Golden) -> tuple[tuple[int, ...], ...]:
    return golden.classes.shape, golden.clear.shape, golden.probabilities.shape


def _compare(expected: Golden, found: Golden, tolerance: Tolerance) -> None:
    kept = (expected.classes == found.classes)[expected.clear]
    agreement = float(kept.mean()) if kept.size else 1.0
    before, now = expected.probabilities.astype(np.float32), found.probabilities.astype(np.float32)
    difference = float(np.abs(before - now).mean())  # NaN compares false below, so it is refused
    if agreement >= tolerance.agreement and difference <= tolerance.difference:
        return
    raise RefusedError(
        f"the model gives another result than when it was made: on its golden sample, expected class agreement of at "
        f"least {tolerance.agreement} and found {agreement:.4f}; expected probabilities to differ by at most "
        f"{tolerance.difference} on average and found {difference:.4f}; try another device, or the library versions "
        "that the model was made with"
    )


def _sample(model: SegmentationModel, image: npt.NDArray[np.float32], spacing_mm: npt.NDArray[np.float64]) -> Golden:
    z, y, x = (float(step) for step in spacing_mm)
    probabilities = model.canonical_probabilities(image, (z, y, x), tta="none")
    center = tuple(
        slice((edge - min(edge, LEAST_EDGE)) // 2, (edge + min(edge, LEAST_EDGE)) // 2) for edge in image.shape[1:]
    )
    return Golden(
        image=image,
        spacing_mm=spacing_mm,
        classes=segment(probabilities, model.labels, (z, y, x)),
        clear=_is_clear(probabilities, model.record),
        probabilities=probabilities[:, *center].astype(np.float16),
        precise=np.array(set(model.precisions) == {"fp32"}),
    )


def _is_clear(probabilities: npt.NDArray[np.float32], record: Model) -> npt.NDArray[np.bool_]:
    """Where the decision does not hang on rounding."""
    if record.labels.kind == "regions":
        return np.asarray((np.abs(probabilities - 0.5) > CLEAR_MARGIN / 2).all(axis=0))
    second, first = np.partition(probabilities, len(probabilities) - 2, axis=0)[-2:]
    return np.asarray(first - second > CLEAR_MARGIN)


def _image(configuration: Configuration, slices: int) -> npt.NDArray[np.float32]:
    """A smooth random image with noise, in intensities that the normalization expects."""
    edges = configuration.training.patch_vox
    z, y, x = edges if len(edges) == 3 else (slices, *edges)
    generator = np.random.default_rng(0)
    channels = [_channel(rule, (z, y, x), generator) for rule in configuration.normalization]
    return np.stack(channels).astype(np.float32)


def _channel(rule: Normalization, shape: Shape, generator: np.random.Generator) -> npt.NDArray[Any]:
    smooth = ndimage.gaussian_filter(generator.normal(size=shape), sigma=2.0)
    level = smooth / (smooth.std() + 1e-6) + 0.2 * generator.normal(size=shape)
    if rule.scheme == "ct" and rule.mean is not None and rule.std is not None:
        return rule.mean + rule.std * level
    if rule.scheme == "rgb_to_0_1":
        return np.clip(128 + 50 * level, 0, 255)
    return 100 * level


def _with_small_patches(model: SegmentationModel) -> SegmentationModel:
    """The same networks, on patches no larger than twice what their strides need."""
    small = tuple(with_small_patch(configuration) for configuration in model.record.configurations)
    return model.with_record(model.record.model_copy(update={"configurations": small}))


def with_small_patch(configuration: Configuration) -> Configuration:
    """The configuration with a patch no larger than twice what its strides need, or ``LEAST_EDGE``."""
    divisors = [prod(steps) for steps in zip(*configuration.network.strides, strict=True)]
    edges = zip(configuration.training.patch_vox, divisors, strict=True)
    patch = tuple(min(edge, max(2 * divisor, -(-LEAST_EDGE // divisor) * divisor)) for edge, divisor in edges)
    training = configuration.training.model_copy(update={"patch_vox": patch})
    return configuration.model_copy(update={"training": training})
