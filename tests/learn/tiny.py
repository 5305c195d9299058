"""Networks, plans and cases small enough to train in a second."""

import numpy as np

from autoseg.learn.cases import CaseSource
from autoseg.learn.infer import Ensemble
from planners.contracts import Augmentation, NetworkPlan, TrainingPlan

STILL = Augmentation(
    rotation_probability=0.0,
    scale_probability=0.0,
    noise_probability=0.0,
    blur_probability=0.0,
    brightness_probability=0.0,
    contrast_probability=0.0,
    low_resolution_probability=0.0,
    gamma_probability=0.0,
    gamma_invert_probability=0.0,
)
"""Augmentation that never does anything."""


def network_plan(dimension=3, heads=2, stages=3, **changes):
    """A U-Net with one convolution per stage and level."""
    values = {
        "family": "plain_unet",
        "dimension": dimension,
        "in_channels": 1,
        "heads": heads,
        "features": tuple(4 * 2**s for s in range(stages)),
        "strides": ((1,) * dimension,) + ((2,) * dimension,) * (stages - 1),
        "kernels": ((3,) * dimension,) * stages,
        "convolutions_encoder": (1,) * stages,
        "convolutions_decoder": (1,) * (stages - 1),
    }
    return NetworkPlan(**(values | changes))


def training_plan(dimension=3, **changes):
    values = {
        "patch_vox": (8,) * dimension,
        "batch": 2,
        "steps": 30,
        "optimizer": "adamw",
        "learning_rate": 5e-3,
        "warmup_share": 0.1,
    }
    return TrainingPlan(**(values | changes))


def ball_case(seed, shape=(12, 12, 12), label=1):
    """A bright ball in noise, and its mask."""
    rng = np.random.default_rng(seed)
    centre = [n / 2 + rng.uniform(-1, 1) for n in shape]
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    # in a single plane the ball is a disc
    distance = sum((g - c) ** 2 for g, c, n in zip(grid, centre, shape, strict=True) if n > 1)
    inside = distance < (max(shape) / 4) ** 2
    image = rng.normal(0, 0.3, shape) + 2.0 * inside
    return image[None].astype(np.float32), (inside * label).astype(np.uint8)


def source(cases=4, members=((1,),), ignore_index=None, shape=(12, 12, 12)):
    arrays = {f"case{i}": ball_case(i, shape) for i in range(cases)}
    return CaseSource(tuple(arrays), arrays.__getitem__, members, ignore_index)


def predict_volume(networks, image, patch_vox, activation, mirror_axes, device, precision) -> np.ndarray:
    """All that an ensemble says of an image, (H, z, y, x)."""
    ensemble = Ensemble(networks, patch_vox, activation, device, precision)
    return np.concatenate(list(ensemble.rows(image, mirror_axes)), axis=1)
