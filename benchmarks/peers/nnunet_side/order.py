"""What the other environment is asked to do. Standard library only: both environments import it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """One piece of work.

    Attributes:
        kind: ``time``, ``train`` or ``step``; see ``work.py``.
        dataset: nnU-Net's name, ``DatasetNNN_Name``.
        configuration: ``2d`` or ``3d_fullres``.
        fold: In its ``splits_final.json``.
        seed: Of everything that draws in this process.
        seconds: Of timing.
        iterations: Of training.
        device: ``cpu`` or ``cuda``.
        threads: Of torch.
        bf16: Whether to train under autocast.
        images: Files of each case to predict, one per channel.
        out: Gets ``mirrored/`` and ``plain/``, the predicted masks.
    """

    kind: str
    dataset: str
    configuration: str
    fold: int
    seed: int
    seconds: float
    iterations: int
    device: str
    threads: int
    bf16: bool
    images: list[list[str]]
    out: str
