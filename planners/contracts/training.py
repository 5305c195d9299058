"""How a network is trained."""

from typing import Literal

from pydantic import field_validator

from planners.contracts.base import Precision, Record

LossName = Literal[
    "dice_ce",
    "dice_focal",
    "dice_topk",
    "topk",
    "tversky",
    "tversky_ce",
    "focal_tversky",
    "focal_tversky_ce",
    "generalized_dice",
    "generalized_dice_ce",
    "lovasz",
    "lovasz_ce",
    "exponential_logarithmic",
    "dice_ce_boundary",
    "dice_ce_hausdorff",
]
"""What training minimises; the terms, and where they were published, stand in ``autoseg.learn.losses``."""


class Augmentation(Record):
    """Training-time augmentation: ranges, and probabilities per sample.

    Of a sample that is blurred or coarsened each channel is taken with probability 0.5, else all channels are.
    """

    rotation_deg: tuple[float, float, float] = (30.0, 30.0, 30.0)  # largest angle about the (z, y, x) axis
    rotation_probability: float = 0.2
    scale: tuple[float, float] = (0.7, 1.4)  # how much of the image a patch shows; above 1, objects appear smaller
    scale_probability: float = 0.2
    mirror_axes: tuple[int, ...] = ()  # patch axes that may be flipped, each with probability 0.5
    noise_probability: float = 0.1
    noise_std: float = 0.1  # largest, in units of the normalized image
    blur_probability: float = 0.2
    blur_sigma_vox: tuple[float, float] = (0.5, 1.0)
    brightness_probability: float = 0.15
    brightness: tuple[float, float] = (0.75, 1.25)
    contrast_probability: float = 0.15
    contrast: tuple[float, float] = (0.75, 1.25)
    low_resolution_probability: float = 0.25
    low_resolution_zoom: tuple[float, float] = (0.5, 1.0)
    gamma_probability: float = 0.3
    gamma: tuple[float, float] = (0.7, 1.5)
    gamma_invert_probability: float = 0.1
    masks: int = 0  # last channels that are masks of a previous stage: not intensities, and disturbed instead
    mask_border_probability: float = 0.4
    mask_loss_probability: float = 0.2


class SmallerPatch(Record):
    """A patch that is trained on before a larger one: cheap steps first."""

    patch_vox: tuple[int, ...]
    until_share: float  # of the schedule


class TrainingPlan(Record):
    """Everything the training loop decides by; nothing is left to a class name."""

    patch_vox: tuple[int, ...]
    smaller_patches: tuple[SmallerPatch, ...] = ()  # one after the other, growing; then `patch_vox` for the rest
    batch: int
    steps: int
    seconds: float | None = None  # of work, after which the job ends if `steps` are not done before; null: steps alone
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.99
    weight_decay: float = 3e-5
    schedule: Literal["poly", "cosine"] = "poly"
    warmup_share: float = 0.02
    gradient_clip: float = 12.0
    ema_decay: float | None = 0.999  # of the shipped weights; null: the last weights ship
    loss: LossName = "dice_ce"
    batch_dice: bool = False
    foreground_fraction: float = 0.33
    augmentation: Augmentation = Augmentation()
    precision: Precision = "fp32"
    monitor_cases: int = 0  # of the training part, left out to watch whole volumes and end early; 0: to the planned end
    checkpoint_s: float = 60.0

    @field_validator("loss", mode="before")
    @classmethod
    def _one_name_for_both_kinds(cls, value: object) -> object:
        """Plans made before losses had one name for both kinds of labels called that of regions ``dice_bce``."""
        return "dice_ce" if value == "dice_bce" else value
