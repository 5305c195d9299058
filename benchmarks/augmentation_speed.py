"""How many augmented samples a second does one thread make, beside batchgeneratorsv2 with nnU-Net's transforms?

    pip install --no-deps --target PEER batchgeneratorsv2==0.3.6
    python -m benchmarks.augmentation_speed PEER

``--target`` keeps the peer out of this environment and ``--no-deps`` keeps its torch: what it needs (torch, numpy,
batchgenerators, scikit-image, pandas) is here already.

Both make batches of two from arrays in memory, one channel and three labels, with the transforms, ranges and
probabilities that nnU-Net trains 3D images with. Theirs starts from the larger patch that its loader has cut; ours
draws and cuts as well. The two take turns in one process; counted is the processor's time, which other work on the
machine changes little. The interval is of the ratio of all time to all time, from turns drawn again 1000 times. Then,
for ours, milliseconds of each operation when it happens and on average in a sample.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from batchgenerators.augmentations.utils import rotate_coords_3d
from torch import Tensor

from autoseg.learn import memory
from autoseg.learn.augmentation import Geometry, intensity, show
from autoseg.learn.augmentation.geometry import Affine
from autoseg.learn.cases import CaseSource
from autoseg.learn.loader import assemble
from autoseg.learn.sampling import sample
from planners.contracts import Augmentation, TrainingPlan

CPU = torch.device("cpu")
BATCH = 2
LARGEST_ANGLE = np.radians(30.0)
PATCHES = {(40, 56, 40): (30, 20), (128, 128, 128): (20, 4)}
"""Patch sizes: turns, and batches in each."""
PLAN = Augmentation(mirror_axes=(0, 1, 2))


@dataclass(frozen=True)
class Turn:
    """Seconds of processor time for the batches of one turn."""

    theirs_s: float
    ours_s: float


def volume(size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """An image of noise, (1, *size), and labels of two nested balls, (*size)."""
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in size], indexing="ij")
    radius = torch.stack(axes).square().sum(0)
    return torch.randn(1, *size), ((radius < 0.3).to(torch.int16) + (radius < 0.1).to(torch.int16))


def loader_patch(patch: tuple[int, ...]) -> tuple[int, ...]:
    """What nnU-Net's loader cuts for a patch: its edges turned about each axis, divided by 0.85."""
    edges = np.array(patch, dtype=float)
    turned = [np.abs(rotate_coords_3d(edges, *(LARGEST_ANGLE * np.eye(3)[axis]))) for axis in range(3)]
    return tuple(int(n) for n in np.max([edges, *turned], axis=0) / 0.85)


def their_transforms(patch: tuple[int, ...]) -> Callable[..., dict[str, Tensor]]:
    """nnU-Net 2.8.1's training transforms for 3D, but for the smaller copies of labels that deep supervision wants."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    spatial = SpatialTransform(
        patch,
        0,
        random_crop=False,
        p_rotation=0.2,
        rotation=(-LARGEST_ANGLE, LARGEST_ANGLE),
        p_scaling=0.2,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
    intensities: list[tuple[Any, float]] = [
        (GaussianNoiseTransform((0, 0.1), 1, synchronize_channels=True), 0.1),
        (GaussianBlurTransform((0.5, 1.0), p_per_channel=0.5, benchmark=True), 0.2),
        (MultiplicativeBrightnessTransform(BGContrast((0.75, 1.25)), False, 1), 0.15),
        (ContrastTransform(BGContrast((0.75, 1.25)), True, False, 1), 0.15),
        (SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 0.5), 0.25),
        (GammaTransform(BGContrast((0.7, 1.5)), 1, False, 1, 1), 0.1),
        (GammaTransform(BGContrast((0.7, 1.5)), 0, False, 1, 1), 0.3),
    ]
    chances = [RandomTransform(transform, apply_probability=chance) for transform, chance in intensities]
    return ComposeTransforms([spatial, *chances, MirrorTransform((0, 1, 2)), RemoveLabelTansform(-1, 0)])


def their_batch(transforms: Callable[..., dict[str, Tensor]], image: Tensor, labels: Tensor) -> None:
    """Two samples, stacked as nnU-Net's loader does."""
    made = [transforms(image=image.clone(), segmentation=labels[None].clone()) for _ in range(BATCH)]
    torch.stack([m["image"] for m in made]), torch.stack([m["segmentation"] for m in made])


def our_batch(source: CaseSource, plan: TrainingPlan, step: int) -> None:
    """Two samples, from the draw of their place on."""
    assemble([sample(source, plan, (0, step, index)) for index in range(BATCH)], plan, CPU)


def case_source(patch: tuple[int, ...]) -> CaseSource:
    """One case in memory, large enough for most patches to be cut out of it whole."""
    image, labels = volume(tuple(2 * n for n in patch))
    return CaseSource(("case",), lambda case: (image.numpy(), labels.numpy()), ((1,), (2,)))


def spent_s(work: Callable[[int], None], first: int, batches: int) -> float:
    """Processor seconds for some batches."""
    started = time.process_time()
    for step in range(first, first + batches):
        work(step)
    return time.process_time() - started


def take_turns(patch: tuple[int, ...], turns: int, batches: int) -> list[Turn]:
    """Theirs, ours, theirs, ours, … after one unmeasured turn of both."""
    transforms, larger = their_transforms(patch), volume(loader_patch(patch))
    source, plan = case_source(patch), TrainingPlan(patch_vox=patch, batch=BATCH, steps=1, augmentation=PLAN)
    taken = []
    for turn in range(turns + 1):
        theirs = spent_s(lambda _: their_batch(transforms, *larger), 0, batches)
        ours = spent_s(partial(our_batch, source, plan), turn * batches, batches)
        taken.append(Turn(theirs, ours))
    return taken[1:]


def ratio_with_interval(turns: list[Turn]) -> tuple[float, float, float]:
    """Their time over ours, and where 95 % of the ratios lie when turns are drawn again."""
    spent = np.array([[turn.theirs_s, turn.ours_s] for turn in turns])
    again = spent[np.random.default_rng(0).integers(len(spent), size=(1000, len(spent)))].sum(axis=1)
    low, high = np.quantile(again[:, 0] / again[:, 1], [0.025, 0.975])
    total = spent.sum(axis=0)
    return float(total[0] / total[1]), float(low), float(high)


def operations(patch: tuple[int, ...]) -> dict[str, tuple[float, Callable[[], object]]]:
    """Ours one by one: how often in a sample, and what to run."""
    affine = Geometry(Affine.composed((0.25, 0.2, -0.15), (1.1, 1.1, 1.1)), ())
    size = affine.source_size(patch)
    box = volume(size)
    source, (image, labels) = case_source(patch), volume(patch)
    half = (0.5 * PLAN.blur_probability, 0.5 * PLAN.low_resolution_probability)
    turned = 1 - (1 - PLAN.rotation_probability) * (1 - PLAN.scale_probability)
    corner = tuple(n // 2 for n in patch)
    return {
        "cut the patch": (1 - turned, lambda: source.read("case", corner, patch)),
        "cut the larger box": (turned, lambda: source.read("case", (0, 0, 0), size)),
        "rotate and scale": (turned, lambda: show(*box, affine, patch)),
        "mirror": ((1 - turned) * 7 / 8, lambda: show(image, labels, Geometry(None, (0, 1, 2)), patch)),
        "stack": (1.0, lambda: (torch.stack([image]), torch.stack([labels]))),
        "noise": (PLAN.noise_probability, lambda: intensity.noise(image, [(0.0, 1)])),
        "blur": (half[0], lambda: intensity.blur(image, [(0.7, 0.7, 0.7)])),
        "brightness": (PLAN.brightness_probability, lambda: intensity.brightness(image, [1.0])),
        "contrast": (PLAN.contrast_probability, lambda: intensity.contrast(image, [0.99])),
        "low resolution": (half[1], lambda: intensity.low_resolution(image, [(0.75, 0.75, 0.75)])),
        "gamma": (
            PLAN.gamma_probability + PLAN.gamma_invert_probability,
            lambda: intensity.gamma(image, [1.1], inverted=False),
        ),
    }


def print_operations(patch: tuple[int, ...]) -> None:
    """A table of our operations, each the fastest of seven."""
    for name, (often, work) in operations(patch).items():
        work()
        spent_ms = 1e3 * min(spent_s(lambda _, work=work: work(), 0, 1) for _ in range(7))
        print(f"  {name:20s} {spent_ms:8.3f} ms   x {often:5.3f} = {spent_ms * often:7.3f} ms")


def main(peer: str) -> None:
    """Measure all patch sizes."""
    sys.path.insert(0, peer)
    torch.set_num_threads(1)
    np.random.seed(0)
    torch.manual_seed(0)
    for patch, (turns, batches) in PATCHES.items():
        taken = take_turns(patch, turns, batches)
        samples = turns * batches * BATCH
        theirs, ours = samples / sum(t.theirs_s for t in taken), samples / sum(t.ours_s for t in taken)
        ratio, low, high = ratio_with_interval(taken)
        print(f"{patch}, {samples} samples: batchgeneratorsv2 {theirs:.1f}/s, ours {ours:.1f}/s on one thread")
        print(f"  ratio {ratio:.2f} [{low:.2f}, {high:.2f}]   (wanted: at least 3)")
        print_operations(patch)


if __name__ == "__main__":
    with memory.recycling():  # for both
        main(sys.argv[1])
