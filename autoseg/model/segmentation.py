"""The deployable model in memory: arrays in, masks out, by the same steps that were validated.

    canonical image ─▶ for each member: prepare ─▶ networks of its folds ─▶ back to the source grid ─┐
    class map       ◀─ post-processing ◀─ decision ◀─ blend of probabilities or logits, by weights ◀─┘

No subprocess, no temporary file, no global state: it works in a notebook, a thread or a daemon. Calls from several
threads wait for each other while networks run. One member's probabilities are held at a time, beside their blend.
"""

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autoseg.contracts import ExpectedDice, LabelSet, Model
from autoseg.errors import UsageError
from autoseg.learn.infer import predict_volume
from autoseg.learn.precision import computes_right
from autoseg.model.arrays import CanonicalArray, has_sides, to_canonical
from autoseg.postprocessing import file_values, segment
from autoseg.quality import Segmented, expect, features
from autoseg.volumes import temperature
from autoseg.volumes.blending import mean, on_scale
from autoseg.volumes.labels import Classes, one_hot
from autoseg.volumes.preparation import prepare, prepare_labels, restore_probabilities
from planners.contracts import Configuration, Precision, Spacing

Tta = Literal["auto", "none", "full"]
"""Mirrored copies at inference: as the selection found worthwhile, never, or always."""

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Blended:
    """What the networks say of an image.

    Attributes:
        probabilities: (H, z, y, x), the members' blend, as it is decided upon.
        opinions: (z, y, x) class maps of each member alone; empty where nobody compares them.
    """

    probabilities: Probabilities
    opinions: tuple[Classes, ...]


class SegmentationModel:
    """A loaded model; ``autoseg.load`` makes one.

    Attributes:
        record: What stands in ``model.json``: channels, labels, configurations, the model card.
        device: Where the networks run.
    """

    def __init__(self, record: Model, networks: Mapping[str, Sequence[nn.Module]], device: torch.device) -> None:
        """Take a record and, for each of its configurations, the networks of its folds on the device."""
        self.record = record
        self.device = device
        self._networks = networks
        self._lock = threading.Lock()

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What each configuration computes with here: as it was trained, where this device gets that right."""
        return tuple(_precision(c.training.precision, self.device) for c in self.record.configurations)

    @property
    def labels(self) -> LabelSet:
        """Names and file values of what is predicted."""
        return self.record.labels

    def predict(
        self, array: npt.NDArray[Any], spacing_mm: Sequence[float], orientation: str | None = None, *, tta: Tta = "auto"
    ) -> npt.NDArray[np.integer]:
        """Segment an image.

        Args:
            array: (C, z, y, x) or, for one channel, (z, y, x); models of plane images take (C, y, x) and (y, x).
                Any numeric type, in the units of the training files (e.g. Hounsfield units).
            spacing_mm: Voxel size along (z, y, x), or (y, x) for a plane image.
            orientation: Where the array's x, y and z axes (last axis first) grow to: L or R, P or A, S or I. ``"LPS"``
                is DICOM's order; a NIfTI array transposed to (z, y, x) has ``"".join(nibabel.aff2axcodes(affine))``.
                None means ``"LPS"``, and is refused where labels have left and right partners, by name or by symmetry.
            tta: Average over mirrored copies.

        Returns:
            The mask on the array's own spatial grid, in the label values of the training files.

        Raises:
            UsageError: Array, spacing or orientation do not fit the model.
        """
        given = self._canonical(array, spacing_mm, orientation)
        probabilities = self.canonical_probabilities(given.image, given.spacing_mm, tta=tta)
        return given.restore(file_values(self.decide(probabilities, given.spacing_mm), self.labels))

    def predict_probabilities(
        self, array: npt.NDArray[Any], spacing_mm: Sequence[float], orientation: str | None = None, *, tta: Tta = "auto"
    ) -> Probabilities:
        """Calibrated probabilities (H, z, y, x), or (H, y, x); arguments as for ``predict``.

        Exclusive labels: head 0 is background, head k the k-th label, and heads sum to 1. Regions: one head each. Masks
        are decided on the probabilities before calibration, with thresholds that were fitted on those.
        """
        given = self._canonical(array, spacing_mm, orientation)
        return given.restore(self.calibrated(self.canonical_probabilities(given.image, given.spacing_mm, tta=tta)))

    def canonical_probabilities(
        self, image: npt.NDArray[Any], spacing_mm: Spacing, *, tta: Tta = "auto"
    ) -> Probabilities:
        """Probabilities (H, z, y, x) of a canonical image (C, z, y, x): the members' blend, not yet calibrated."""
        return self.blended(image, spacing_mm, tta=tta).probabilities

    def blended(self, image: npt.NDArray[Any], spacing_mm: Spacing, *, tta: Tta = "auto") -> Blended:
        """The same, with the members' own class maps where the model compares them."""
        how, kind = self.record.blend, self.labels.kind
        weight_of = {member.configuration: member.weight for member in self.record.members}
        weights = [weight_of[c.name] for c in self.record.configurations if c.name in weight_of]
        mirror = self.record.mirror if tta == "auto" else tta == "full"
        found = self._members(image, spacing_mm, mirror)
        opinions: list[Classes] = []

        def parts() -> Iterator[Probabilities]:
            for name, one in found:
                if name in weight_of:
                    if self._compares_members:
                        opinions.append(segment(one, self.labels, spacing_mm))
                    yield on_scale(one, kind, how.scale, how.temperature)

        return Blended(mean(parts(), weights, kind, how.scale), tuple(opinions))

    def calibrated(self, probabilities: Probabilities) -> Probabilities:
        """Probabilities (H, ...) that are as sure as they were right out of fold."""
        return temperature.calibrated(probabilities, self.labels.kind, self.record.temperature)

    def expected(self, blended: Blended, classes: Classes, spacing_mm: Spacing) -> tuple[ExpectedDice, ...]:
        """What Dice to expect of each target in a canonical class map (z, y, x); empty: the model cannot tell."""
        known = self.record.expectations
        if not known:
            return ()
        z, y, x = classes.shape
        whole = (0, z), (0, y), (0, x)
        seen = Segmented(blended.probabilities, classes, blended.opinions, spacing_mm, whole, (z, y, x))
        found = dict(zip(self.labels.targets, features(seen, self.labels, self.record.temperature), strict=True))
        return tuple(expect(one, found[one.target]) for one in known)

    def decide(self, probabilities: Probabilities, spacing_mm: Spacing) -> Classes:
        """The class map (z, y, x) of canonical probabilities, as selected: decision, then post-processing."""
        return segment(probabilities, self.labels, spacing_mm, self.record.postprocessing, self.record.decision)

    def with_record(self, record: Model) -> "SegmentationModel":
        """The same networks under another record."""
        return SegmentationModel(record, self._networks, self.device)

    @property
    def _compares_members(self) -> bool:
        """Whether how far members agree tells anything of a mask."""
        predictors = [one.predictor for one in self.record.expectations if one.predictor is not None]
        return any(term.feature == "agreement" for predictor in predictors for term in predictor.terms)

    def _canonical(
        self, array: npt.NDArray[Any], spacing_mm: Sequence[float], orientation: str | None
    ) -> CanonicalArray:
        if orientation is None and (self.record.card.sided or has_sides(self.labels)):
            sided = self.record.card.sided or self.labels.targets
            raise UsageError(
                f"the labels {', '.join(sided)} have left and right: say where the array's x, y and z axes "
                "grow to, e.g. orientation='LPS' or 'RAS'"
            )
        return to_canonical(
            np.asarray(array),
            tuple(spacing_mm),
            orientation or "LPS",
            channels=len(self.record.channels),
            planar_model=self.record.dimension == 2,
        )

    def _members(
        self, image: npt.NDArray[Any], spacing_mm: Spacing, mirror: bool
    ) -> Iterator[tuple[str, Probabilities]]:
        """Each configuration's name and probabilities, after those of what it builds on."""
        first_stages = {configuration.previous_stage for configuration in self.record.configurations}
        predicted: dict[str, Classes] = {}
        for configuration in self.record.configurations:
            before = None if configuration.previous_stage is None else predicted[configuration.previous_stage]
            found = self._member(configuration, image, spacing_mm, mirror, before)
            if configuration.name in first_stages:
                predicted[configuration.name] = segment(found, self.labels, spacing_mm)
            yield configuration.name, found

    def _member(
        self,
        configuration: Configuration,
        image: npt.NDArray[Any],
        spacing_mm: Spacing,
        mirror: bool,
        before: Classes | None,
    ) -> Probabilities:
        """One configuration's probabilities on the image's grid, averaged over its folds.

        ``before`` is what the previous stage predicts, (z, y, x); None where the configuration builds on none.
        """
        prepared, geometry = prepare(
            image, spacing_mm, configuration.spacing_mm, configuration.normalization, configuration.axes
        )
        if before is not None:
            masks = one_hot(prepare_labels(before, geometry), self.labels.members)
            prepared = np.concatenate((prepared, masks))
        exclusive = self.labels.kind == "exclusive"
        with self._lock:
            probabilities = predict_volume(
                self._networks[configuration.name],
                prepared,
                configuration.training.patch_vox,
                "softmax" if exclusive else "sigmoid",
                configuration.training.augmentation.mirror_axes if mirror else (),
                self.device,
                _precision(configuration.training.precision, self.device),
            )
        return restore_probabilities(probabilities, geometry, 0 if exclusive else None)


@functools.cache
def _precision(trained: Precision, device: torch.device) -> Precision:
    """Depends on device and library alone, never on a timing, so that equal inputs give equal masks.

    The smaller range of float16 can overflow in networks that were trained with another precision, and processors
    other than GPUs are slow with it; so it is kept where it was trained with, and on GPUs only.
    """
    if trained == "fp32" or (trained == "fp16" and device.type != "cuda"):
        return "fp32"
    return trained if computes_right(device, trained) else "fp32"
