"""Deployable models with small random networks: what tests of model and prediction work on."""

from pathlib import Path

import safetensors.torch

from autoseg import model
from autoseg.contracts import (
    Channel,
    Interval,
    Label,
    LabelSet,
    Member,
    Model,
    ModelCard,
    Postprocessing,
    Region,
    WeightsFile,
)
from autoseg.learn import networks
from autoseg.workspace import ModelFolder
from planners.contracts import Augmentation, Configuration, Cost, NetworkPlan, Normalization, TrainingPlan

EXCLUSIVE = LabelSet(labels=(Label(name="organ", value=3), Label(name="lesion", value=7)))
REGIONS = LabelSet(
    kind="regions",
    labels=(Label(name="edema", value=1), Label(name="core", value=300)),
    regions=(Region(name="whole", members=(1, 2), writes=1), Region(name="core", members=(2,), writes=300)),
)
NUCLEI = LabelSet(labels=(Label(name="nucleus", value=255),))
SIDES = LabelSet(labels=(Label(name="Left Kidney", value=1), Label(name="right kidney", value=2)))


def configuration(name: str, dimension: int, channels: int, heads: int, spacing_mm=(1.0, 1.0, 1.0)) -> Configuration:
    size = 2 if name == "2d" else 3
    network = NetworkPlan(
        family="plain_unet",
        dimension=size,
        in_channels=channels,
        heads=heads,
        features=(4, 8),
        strides=((1,) * size, (2,) * size),
        kernels=((3,) * size,) * 2,
        convolutions_encoder=(1, 1),
        convolutions_decoder=(1,),
    )
    training = TrainingPlan(
        patch_vox=(16,) * size, batch=2, steps=1, augmentation=Augmentation(mirror_axes=tuple(range(size)))
    )
    return Configuration(
        name=name,
        dimension=size,
        spacing_mm=(None, *spacing_mm[1:]) if size == 2 else spacing_mm,
        median_shape_vox=(1, 32, 32) if dimension == 2 else (16, 16, 16),
        normalization=tuple(Normalization(channel=str(c), scheme="zscore") for c in range(channels)),
        network=network,
        training=training,
        cost=Cost(memory_bytes=1, step_s=1.0, fold_training_s=1.0, case_inference_s=1.0),
    )


def draft(
    dimension: int = 3,
    channels: tuple[str, ...] = ("CT",),
    labels: LabelSet = EXCLUSIVE,
    members: tuple[tuple[str, float], ...] | None = None,
    *,
    folds: int = 1,
    postprocessing: tuple[Postprocessing, ...] = (),
    mirror: bool = False,
) -> Model:
    members = members or ((("3d_fullres" if dimension == 3 else "2d"), 1.0),)
    return Model(
        autoseg_version="0",
        dimension=dimension,
        channels=tuple(Channel(name=name) for name in channels),
        labels=labels,
        configurations=tuple(configuration(name, dimension, len(channels), labels.heads) for name, _ in members),
        members=tuple(Member(configuration=name, weight=weight) for name, weight in members),
        postprocessing=postprocessing,
        mirror=mirror,
        weights=tuple(
            WeightsFile(configuration=name, fold=fold, file="", sha256="")
            for name, _ in members
            for fold in range(folds)
        ),
        golden="",
        card=ModelCard(
            intended_use="tests",
            cases=2,
            subjects=2,
            modalities=("CT",) * len(channels),
            shape_min=(1, 16, 16) if dimension == 2 else (12, 12, 12),
            shape_max=(1, 64, 64) if dimension == 2 else (32, 32, 32),
            spacing_min_mm=(1.0, 1.0, 1.0),
            spacing_max_mm=(2.0, 2.0, 2.0),
            spacing_known=dimension == 3,
            mean_dice=Interval(),
            mean_dice_kind="none",
            weakest=(),
        ),
    )


def weights_of(record: Model, folder: Path, seed: int = 0):
    """Write random weights for every network of a draft; returns what ``model.write`` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    plans = {c.name: c.network for c in record.configurations}
    for number, file in enumerate(record.weights):
        network = networks.build(plans[file.configuration], seed + 10 * number)
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        safetensors.torch.save_file(state, folder / f"{file.configuration}_{file.fold}.safetensors")
    return lambda name, fold: folder / f"{name}_{fold}.safetensors"


def make(folder: Path, record: Model | None = None, seed: int = 0) -> Model:
    """Write a deployable model with random weights into ``folder``."""
    record = record or draft()
    return model.write(ModelFolder(folder), record, weights_of(record, folder.with_name(folder.name + "_jobs"), seed))
