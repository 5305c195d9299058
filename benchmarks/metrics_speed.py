"""How long scoring takes, beside MONAI for the same metrics and beside distance transforms for three of them.

    python -m benchmarks.metrics_speed [LABELS]

Ours computes every metric of ``METRICS``. MONAI's functions are called once for each metric that it has, with the
components numbered for it. The third column is what scoring was before: binary erosion and a distance transform of the
whole box, for Dice, NSD and HD95 alone. Seconds of the processor, on one thread, best of three rounds. LABELS is a
folder of masks, e.g. ``Task04_Hippocampus/labelsTr``: then its first twenty are scored too, against copies that moved.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from monai import metrics as monai
from scipy import ndimage

from autoseg import formats
from autoseg.volumes import metrics
from autoseg.volumes.labels import FACES, FULL, Mask
from planners.contracts import Spacing

ROUNDS = 3
TOLERANCE_MM = 2.0
MADE = {  # shape, spacing in mm, smoothing, share of the volume
    "organ, 1 mm": ((160, 200, 200), (1.0, 1.0, 1.0), 20.0, 0.1),
    "organ, thick slices": ((40, 320, 320), (5.0, 0.8, 0.8), 20.0, 0.1),
    "lesions": ((96, 160, 160), (1.0, 1.0, 1.0), 2.0, 0.01),
    "noise": ((64, 64, 64), (1.0, 1.0, 1.0), 0.0, 0.3),
    "nuclei, 2D": ((1, 1024, 1024), (1.0, 1.0, 1.0), 5.0, 0.15),
}
Pair = tuple[Mask, Mask, Spacing]


def made(shape: tuple[int, int, int], spacing_mm: Spacing, smoothing: float, share: float) -> Pair:
    """Smooth random structures, and the same after their border has moved."""
    rng = np.random.default_rng(0)
    sigma = [min(smoothing, size - 1) for size in shape]
    base, change = (ndimage.gaussian_filter(rng.standard_normal(shape), sigma) for _ in range(2))
    other = base + 0.2 * change
    return base > np.quantile(base, 1 - share), other > np.quantile(other, 1 - share), spacing_mm


def real(folder: Path) -> Iterator[Pair]:
    """Each label's mask of the first twenty files, and the same moved by a voxel and smoothed."""
    for path in sorted(file for file in folder.iterdir() if formats.is_image(file))[:20]:
        volume = formats.read(path)
        for value in np.unique(volume.array[0])[1:]:
            mask = volume.array[0] == value
            guess = ndimage.gaussian_filter(np.roll(mask, 1, 1).astype(np.float32), 1.0) > 0.5
            yield mask, guess, volume.grid.spacing_mm


def ours(reference: Mask, predicted: Mask, spacing_mm: Spacing) -> None:
    """All metrics of one pair."""
    metrics.measure(metrics.cropped(reference, predicted, spacing_mm, TOLERANCE_MM))


def theirs(reference: Mask, predicted: Mask, spacing_mm: Spacing) -> None:
    """Those of them that MONAI has."""
    flat = reference.shape[0] == 1
    y, guess = (torch.from_numpy(mask[0] if flat else mask)[None, None].float() for mask in (reference, predicted))
    own = {"include_background": True, "spacing": spacing_mm[1:] if flat else spacing_mm}
    monai.compute_dice(guess, y)
    monai.compute_iou(guess, y)
    confusion = monai.get_confusion_matrix(guess, y)
    for name in ("sensitivity", "specificity", "precision"):
        monai.compute_confusion_matrix_metric(name, confusion)
    monai.compute_surface_dice(guess, y, [TOLERANCE_MM], **own)
    monai.compute_hausdorff_distance(guess, y, percentile=95, **own)
    monai.compute_hausdorff_distance(guess, y, **own)
    monai.compute_average_surface_distance(guess, y, symmetric=True, **own)
    truth, found = (torch.from_numpy(ndimage.label(mask, FULL)[0]) for mask in (reference, predicted))
    if max(truth.max(), found.max()) <= 50:  # it compares whole volumes, pair by pair
        monai.compute_panoptic_quality(found, truth)


def before(reference: Mask, predicted: Mask, spacing_mm: Spacing) -> None:
    """Dice, NSD and HD95 by distance transforms."""
    pair = metrics.cropped(reference, predicted, spacing_mm, TOLERANCE_MM)
    pair.overlap.dice()
    truth, guess = (mask & ~ndimage.binary_erosion(mask, FACES) for mask in (pair.reference, pair.predicted))
    for origin, target in ((guess, truth), (truth, guess)):
        distances = ndimage.distance_transform_edt(~target, sampling=spacing_mm)[origin]
        np.count_nonzero(distances <= TOLERANCE_MM)
        np.percentile(distances, 95)


def seconds(way: Callable[[Mask, Mask, Spacing], None], pairs: list[Pair]) -> float:
    """Processor time of the best round over all pairs."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for pair in pairs:
            way(*pair)
        rounds.append(time.process_time() - start)
    return min(rounds)


def main() -> None:
    """Print a line for each kind of mask."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="monai")
    kinds = {name: [made(*how)] for name, how in MADE.items()}
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        kinds[f"{folder.parent.name}, {folder.name}"] = list(real(folder))
    print("| masks | pairs | ours, all metrics | MONAI / ours | before, three metrics / ours |\n|---|---|---|---|---|")
    for name, pairs in kinds.items():
        own, monais, old = (seconds(way, pairs) for way in (ours, theirs, before))
        each = 1e3 * own / len(pairs)
        print(f"| {name} | {len(pairs)} | {each:.1f} ms | {monais / own:.1f} | {old / own:.1f} |", flush=True)


if __name__ == "__main__":
    main()
