"""One way to solve the task."""

from collections.abc import Collection, Sequence
from typing import Literal

from planners.contracts.base import Axes, ConfigurationName, Record, Shape
from planners.contracts.training import TrainingPlan


class Normalization(Record):
    """How one channel's intensities become network input.

    ``ct``: clip to [lower, upper], subtract mean, divide by std (all from the fingerprint). ``zscore``: per image.
    ``rgb_to_0_1``: divide by 255. ``rescale_to_0_1``: per image. ``none``: as is.
    """

    channel: str
    scheme: Literal["ct", "zscore", "rescale_to_0_1", "rgb_to_0_1", "none"]
    inside_nonzero: bool = False  # statistics from, and applied to, non-zero voxels only
    lower: float | None = None  # null unless scheme is "ct", also below
    upper: float | None = None
    mean: float | None = None
    std: float | None = None


class NetworkPlan(Record):
    """A U-shaped network. Tuples are per resolution stage, full resolution first; the first stride is always 1.

    ``plain_unet`` counts convolutions per stage. ``residual_unet`` counts residual blocks of two convolutions in its
    encoder, which begins with one more convolution, and convolutions in its decoder.
    """

    family: Literal["plain_unet", "residual_unet"]
    dimension: Literal[2, 3]
    in_channels: int
    heads: int
    features: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    convolutions_encoder: tuple[int, ...]
    convolutions_decoder: tuple[int, ...]  # one element fewer
    deep_supervision: bool = True


class Cost(Record):
    """What the planner expects of a configuration on the measured machine."""

    memory_bytes: int  # peak of training
    step_s: float
    fold_training_s: float
    case_inference_s: float  # one model, no test-time augmentation


class Configuration(Record):
    """One way to solve the task, complete enough to be preprocessed, trained and deployed.

    Its own tuples are along its working axes, of which ``axes`` says which canonical axes they are; a two-dimensional
    configuration slices across the first.
    """

    name: ConfigurationName
    dimension: Literal[2, 3]
    axes: Axes | None = (0, 1, 2)  # null: in each case, the axis with the thickest voxels comes first
    spacing_mm: tuple[float | None, float, float]  # null along the first axis: slices keep their own spacing
    median_shape_vox: Shape  # of the resampled cases
    normalization: tuple[Normalization, ...]
    network: NetworkPlan
    training: TrainingPlan
    cost: Cost
    previous_stage: ConfigurationName | None = None  # its masks, one per target, are extra input channels


def with_previous_stages(names: Collection[str], configurations: Sequence[Configuration]) -> tuple[Configuration, ...]:
    """The configurations called ``names`` and all that they build on, each after what it builds on.

    Raises:
        ValueError: One builds on itself, or on one that is not there.
    """
    by_name = {configuration.name: configuration for configuration in configurations}
    kept: list[Configuration] = []
    for configuration in configurations:
        chain = [configuration] if configuration.name in names else []
        while chain and chain[0].previous_stage is not None:
            before = by_name.get(chain[0].previous_stage)
            if before is None or before in chain:
                raise ValueError(f"{chain[0].name} builds on {chain[0].previous_stage}, which cannot come before it")
            chain.insert(0, before)
        kept += (link for link in chain if link not in kept)
    return tuple(kept)
