"""The constants by which the four planners of nnU-Net differ."""

from dataclasses import dataclass
from itertools import chain, repeat
from typing import Literal

FIRST_FEATURES = 32
MOST_FEATURES = {2: 512, 3: 320}
REFERENCE_BATCH = {2: 12, 3: 2}
RESIDUAL_BLOCKS = (1, 3, 4)  # of the first encoder stages; DEEP_BLOCKS in every further one
DEEP_BLOCKS = 6


@dataclass(frozen=True)
class Variant:
    """One planner.

    Attributes:
        name: As in our registry.
        original: The class of nnU-Net that it reproduces.
        plans: The name nnU-Net gives such plans.
        shared_data: Configurations whose preprocessed data nnU-Net shares with the default planner.
        encoder: Plain convolutions or residual blocks.
        gpu_gb: The memory it plans for unless told otherwise; the reference values belong to the same.
        reference: Activations that fit ``gpu_gb`` at the reference batch size, per dimension.
        most_of_data: A batch never holds more than this share of all voxels.
        corrects_for_batch: Whether a patch is shrunk to fit at batch 2 (else: at the reference batch size).
    """

    name: str
    original: str
    plans: str
    encoder: Literal["plain", "residual"]
    gpu_gb: float
    reference: dict[int, int]
    most_of_data: float
    corrects_for_batch: bool

    @property
    def decoder_convolutions(self) -> int:
        """Convolutions per decoder level."""
        return 2 if self.encoder == "plain" else 1

    def encoder_units(self, stages: int) -> tuple[int, ...]:
        """Convolutions, or residual blocks, per encoder stage."""
        if self.encoder == "plain":
            return (2,) * stages
        blocks = chain(RESIDUAL_BLOCKS, repeat(DEEP_BLOCKS))
        return tuple(next(blocks) for _ in range(stages))

    def features(self, stages: int, dimension: int) -> tuple[int, ...]:
        """Feature maps per stage."""
        return tuple(min(FIRST_FEATURES * 2**stage, MOST_FEATURES[dimension]) for stage in range(stages))


def _residual(size: str, gpu_gb: float, reference_2d: int, reference_3d: int) -> Variant:
    return Variant(
        name=f"nnunet_resenc_{size.lower()}",
        original=f"nnUNetPlannerResEnc{size}",
        plans=f"nnUNetResEncUNet{size}Plans",
        encoder="residual",
        gpu_gb=gpu_gb,
        reference={2: reference_2d, 3: reference_3d},
        most_of_data=1.0,
        corrects_for_batch=False,
    )


PLAIN = Variant(
    name="nnunet",
    original="ExperimentPlanner",
    plans="nnUNetPlans",
    encoder="plain",
    gpu_gb=8.0,
    reference={2: 85_000_000, 3: 560_000_000},
    most_of_data=0.05,
    corrects_for_batch=True,
)
RESIDUAL_M = _residual("M", 8.0, 135_000_000, 680_000_000)
RESIDUAL_L = _residual("L", 24.0, 380_000_000, 2_100_000_000)
RESIDUAL_XL = _residual("XL", 40.0, 560_000_000, 3_600_000_000)
VARIANTS = {variant.name: variant for variant in (PLAIN, RESIDUAL_M, RESIDUAL_L, RESIDUAL_XL)}
