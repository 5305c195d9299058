"""A made-up run folder after training: labels, scans and out-of-fold predictions with known flaws."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autoseg import records
from autoseg.contracts import Audit, Case, CaseContent, CaseScan, Channel, Dataset, Label, LabelSet, Region, Split
from autoseg.outoffold import write_pieces
from autoseg.workspace import Workspace
from planners.contracts import Augmentation, Configuration, Cost, NetworkPlan, Normalization, Plan, TrainingPlan

EXCLUSIVE = LabelSet(labels=(Label(name="organ", value=1), Label(name="lesion", value=2)))
REGIONS = LabelSet(
    kind="regions",
    labels=(Label(name="organ", value=1), Label(name="lesion", value=2)),
    regions=(Region(name="whole", members=(1, 2), writes=1), Region(name="core", members=(2,), writes=2)),
)
SHAPE = (12, 16, 14)


def write_out_of_fold(path: Path, probabilities: np.ndarray, background: int | None) -> None:
    """A prediction (H, z, y, x) on the whole of its grid, in one piece."""
    z, y, x = probabilities.shape[1:]
    write_pieces(path, [((slice(0, z), slice(0, y), slice(0, x)), probabilities)], (z, y, x), background)


def configuration(name: str, heads: int) -> Configuration:
    dimension = 2 if name == "2d" else 3
    network = NetworkPlan(
        family="plain_unet", dimension=dimension, in_channels=1, heads=heads, features=(4, 8),
        strides=((1,) * dimension, (2,) * dimension), kernels=((3,) * dimension,) * 2,
        convolutions_encoder=(1, 1), convolutions_decoder=(1,),
    )  # fmt: skip
    return Configuration(
        name=name,
        dimension=dimension,
        spacing_mm=(1.0, 1.0, 1.0),
        median_shape_vox=SHAPE,
        normalization=(Normalization(channel="T1", scheme="zscore"),),
        network=network,
        training=TrainingPlan(patch_vox=(8,) * dimension, batch=2, steps=1, augmentation=Augmentation()),
        cost=Cost(memory_bytes=1, step_s=1.0, fold_training_s=1.0, case_inference_s=1.0),
    )


def true_label(rng: np.random.Generator) -> np.ndarray:
    label = np.zeros(SHAPE, dtype=np.uint8)
    z, y, x = rng.integers(2, 4, 3)
    label[z : z + 6, y : y + 8, x : x + 7] = 1
    label[z + 2 : z + 4, y + 2 : y + 5, x + 2 : x + 5] = 2
    return label


def probabilities(label: np.ndarray, labels: LabelSet, certainty: float = 0.9) -> np.ndarray:
    """Heads that decide for ``label`` (class indices) with this certainty."""
    if labels.kind == "regions":
        heads = [np.isin(label, region.members) for region in labels.regions]
        return np.where(np.stack(heads), certainty, 1 - certainty).astype(np.float32)
    heads = np.stack([label == index for index in range(labels.heads)])
    rest = (1 - certainty) / (labels.heads - 1)
    return np.where(heads, certainty, rest).astype(np.float32)


@dataclass
class World:
    """Where everything lies; ``predict`` leaves an out-of-fold prediction."""

    workspace: Workspace
    dataset: Dataset
    plan: Plan
    truth: dict[str, np.ndarray] = field(default_factory=dict)

    def fold_of(self, case: str) -> int:
        return next(k for k, cases in enumerate(self.dataset.split.folds) if case in cases)

    def predict(self, configuration: str, case: str, heads: np.ndarray, *, mirrored: bool = False) -> None:
        background = 0 if self.dataset.labels.kind == "exclusive" else None
        job = self.workspace.job(configuration, self.fold_of(case))
        write_out_of_fold(job.out_of_fold(case, mirrored=mirrored), heads, background)


def predict_timidly(world: World, configuration: str) -> None:
    """Every other slice of the organ is 40 % sure, where background is 55 %: a bias of it mends that."""
    for case, truth in world.truth.items():
        timid = (truth == 1) & (np.indices(SHAPE)[0] % 2 == 0)
        heads = probabilities(truth, EXCLUSIVE)
        heads[:, timid] = np.array([0.55, 0.4, 0.05])[:, None]
        world.predict(configuration, case, heads)


def make(folder: Path, *, cases=10, folds=5, names=("3d_fullres",), labels=EXCLUSIVE, spacing=(1.0, 1.0, 1.0)) -> World:
    """Cases with true labels and scans, and no predictions yet. No folds: too few cases to validate on."""
    listed = [f"case_{index:02d}" for index in range(cases)]
    split = tuple(tuple(listed[k::folds]) for k in range(folds)) if folds else ((),)
    dataset = Dataset(
        layout="msd",
        dimension=3,
        channels=(Channel(name="T1"),),
        labels=labels,
        cases=tuple(Case(case=c, subject=c, images=(f"{c}.nii.gz",), label=f"{c}_label.nii.gz") for c in listed),
        contents=tuple(CaseContent(case=c, content="0") for c in listed),
        split=Split(folds=split, seed=1, because="a test"),
        audit=Audit(entries=()),
    )
    plan = Plan(
        planner="test",
        configurations=tuple(configuration(name, labels.heads) for name in names),
        reasons=(),
        predicted_hours=1.0,
    )
    world = World(Workspace(folder), dataset, plan)
    rng = np.random.default_rng(0)
    for case in listed:
        world.truth[case] = true_label(rng)
        path = world.workspace.dataset.label(case)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, world.truth[case])
        records.write(world.workspace.dataset.scan(case), scan(case, spacing))
    return world


def scan(case: str, spacing=(1.0, 1.0, 1.0)) -> CaseScan:
    return CaseScan(
        case=case,
        content="0",
        shape=SHAPE,
        spacing_mm=spacing,
        spacing_known=True,
        orientation="LPS",
        nonzero_box=tuple((0, size) for size in SHAPE),
        dtype="uint8",
        overall=(),
        foreground=(),
        label_values=(0, 1, 2),
        targets=(),
    )
