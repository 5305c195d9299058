"""One member of a model and one image: prepare, networks of its folds, back to the image's grid, all piece by piece."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autoseg.contracts import LabelSet
from autoseg.learn.infer import Ensemble, Tell
from autoseg.learn.precision import computes_right
from autoseg.volumes.labels import Classes, one_hot
from autoseg.volumes.pieces import Heads, Track
from autoseg.volumes.preparation import Geometry, prepare, prepare_labels
from autoseg.volumes.restoring import restored_pieces
from planners.contracts import Configuration, Precision, Spacing


@dataclass(frozen=True, eq=False)
class MemberPrediction:
    """A configuration, averaged over its folds, at work on an image.

    Attributes:
        configuration: How the image is prepared and looked at.
        networks: Of its folds, on the device.
        labels: What the heads mean.
        device: Where the networks are.
        image: (C, z, y, x), canonical.
        spacing_mm: Size of a voxel.
        before: (z, y, x), what the previous stage predicts; None where the configuration builds on none.
    """

    configuration: Configuration
    networks: Sequence[nn.Module]
    labels: LabelSet
    device: torch.device
    image: npt.NDArray[Any]
    spacing_mm: Spacing
    before: Classes | None

    def rows(self, *, mirror: bool, fold: int | None = None, tell: Tell | None = None) -> Iterator[Heads]:
        """Probabilities on the prepared grid, in pieces along its first axis.

        Args:
            mirror: Average over mirrored copies.
            fold: Of which network; None: the mean of all.
            tell: Hears how far it is.
        """
        prepared, geometry = self._prepared
        if self.before is not None:
            masks = one_hot(prepare_labels(self.before, geometry), self.labels.members)
            prepared = np.concatenate((prepared, masks))
        training = self.configuration.training
        ensemble = Ensemble(
            self.networks if fold is None else self.networks[fold : fold + 1],
            training.patch_vox,
            "softmax" if self.labels.kind == "exclusive" else "sigmoid",
            self.device,
            precision_on(self.device, training.precision),
        )
        return ensemble.rows(prepared, training.augmentation.mirror_axes if mirror else (), tell)

    def track(self, rows: Iterable[Heads]) -> Track:
        """Rows of the prepared grid on the image's grid."""
        _, geometry = self._prepared
        return Track(geometry.axes[0], restored_pieces(rows, geometry, 0 if self.labels.kind == "exclusive" else None))

    @functools.cached_property
    def _prepared(self) -> tuple[npt.NDArray[np.float32], Geometry]:
        rules, axes = self.configuration.normalization, self.configuration.axes
        return prepare(self.image, self.spacing_mm, self.configuration.spacing_mm, rules, axes)


@functools.cache
def precision_on(device: torch.device, trained: Precision) -> Precision:
    """What a network computes with: as it was trained, where the device gets that right.

    Depends on device and library alone, never on a timing, so that equal inputs give equal masks. The smaller range of
    float16 can overflow in networks that were trained with another precision, and processors other than GPUs are slow
    with it; so it is kept where it was trained with, and on GPUs only.
    """
    if trained == "fp32" or (trained == "fp16" and device.type != "cuda"):
        return "fp32"
    return trained if computes_right(device, trained) else "fp32"
