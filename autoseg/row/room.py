"""Whether the disk has room for what training will write: weights, checkpoints, out-of-fold predictions.

Checked before the first step, because a disk that is full after hours costs hours.
"""

import shutil
from collections.abc import Sequence
from math import prod
from pathlib import Path

from autoseg.contracts import Dataset, Prepared
from autoseg.errors import ResourceError
from autoseg.job import mirrors
from autoseg.row.jobs import Job
from planners.contracts import Plan
from planners.layers import parameters

OUT_OF_FOLD_BYTES = 0.75
"""Per voxel and head on the source grid: what a network that is sure of nothing takes; a sure one takes 0.15
(``benchmarks/results/selection.md``)."""
_WEIGHT_BYTES = 4
_CHECKPOINT_COPIES = 8  # two generations of weights, their average and the optimizer's two moments


def needed_bytes(jobs: Sequence[Job], plan: Plan, dataset: Dataset, prepared: Prepared) -> int:
    """Bytes that these jobs are predicted to leave on disk, with the checkpoint of the one at work."""
    voxels: dict[str, dict[str, int]] = {
        made.configuration: {case.case: prod(case.source_shape) for case in made.cases}
        for made in prepared.configurations
    }
    total, checkpoint = 0.0, 0
    for job in jobs:
        configuration, cases = plan.configuration(job.configuration), dataset.split.folds[job.fold]
        size = _WEIGHT_BYTES * parameters(configuration.network)
        kinds = 2 if mirrors(configuration, dataset) else 1
        seen = sum(voxels[job.configuration].get(case, 0) for case in cases)
        total += size + kinds * OUT_OF_FOLD_BYTES * configuration.network.heads * seen
        checkpoint = max(checkpoint, _CHECKPOINT_COPIES * size)
    return int(total + checkpoint)


def require(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: Where it will be written.
        needed: Bytes.

    Raises:
        ResourceError: There is less; the message says how much and how much it takes.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{folder}: training is predicted to write {needed / 1e9:.1f} GB of weights and out-of-fold predictions, "
            f"and {free / 1e9:.1f} GB are free on this disk; free some space, or begin in a folder on another disk"
        )
