"""The deployable model in memory: arrays in, masks out, by the same steps that were validated.

    canonical image ─▶ for each member: prepare ─▶ networks of its folds ─▶ back to the source grid ─┐
    class map       ◀─ post-processing ◀─ decision ◀─ blend of probabilities or logits, by weights ◀─┘

No subprocess, no temporary file, no global state: it works in a notebook, a thread or a daemon. Calls from several
threads wait for each other while networks run. All of it is done piece by piece along an axis of the image, and of the
probabilities only what is asked for is kept: of many heads on a large scan they are larger than most memories.
"""

import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autoseg import machine, postprocessing
from autoseg.contracts import ExpectedDice, LabelSet, Model
from autoseg.errors import DoesNotFit, UsageError
from autoseg.learn.infer import Tell
from autoseg.model.arrays import CanonicalArray, has_sides, to_canonical
from autoseg.model.member import MemberPrediction, precision_on
from autoseg.model.shares import Shares
from autoseg.postprocessing import Votes, file_values, segment
from autoseg.quality import Segmented, expect, features
from autoseg.volumes import temperature
from autoseg.volumes.blending import mean, on_scale
from autoseg.volumes.labels import Classes
from autoseg.volumes.pieces import Canvas, Heads, Track, aligned
from autoseg.volumes.rounding import as_probabilities, quantized
from autoseg.volumes.spikes import clipped
from planners.contracts import Precision, Shape, Spacing

Tta = Literal["auto", "none", "full"]
"""Mirrored copies at inference: as the selection found worthwhile, never, or always."""

Keep = Literal["exact", "rounded", "nothing"]
"""Of the probabilities: as they are, in whole numbers of 1/255 (a quarter of the memory), or none."""

Probabilities = npt.NDArray[np.float32]
_ALWAYS_FITS_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Blended:
    """What the networks say of an image.

    Attributes:
        probabilities: (H, z, y, x), the members' blend, as it is decided upon; whole numbers of 1/255 where that was
            asked for, empty where nothing was.
        votes: What voxels decide for, see ``postprocessing.votes``.
        opinions: (z, y, x) class maps of each member alone; empty where nobody compares them.
    """

    probabilities: Probabilities | npt.NDArray[np.uint8]
    votes: Votes
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
        return tuple(precision_on(self.device, c.training.precision) for c in self.record.configurations)

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
            spacing_mm: Voxel size along (z, y, x), or (y, x) for a plane image. Of no account to a model that was made
                from images without one.
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
        blended = self.blended(given.image, given.spacing_mm, tta=tta, keep="nothing")
        return given.restore(file_values(self.finish(blended.votes, given.spacing_mm), self.labels))

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
        return as_probabilities(self.blended(image, spacing_mm, tta=tta).probabilities)

    def blended(
        self,
        image: npt.NDArray[Any],
        spacing_mm: Spacing,
        *,
        tta: Tta = "auto",
        keep: Keep = "exact",
        tell: Tell | None = None,
    ) -> Blended:
        """The same with what voxels decide for, and the members' own class maps where the model compares them.

        ``tell`` hears what share of the networks' work is done; what it raises ends the work.

        Raises:
            DoesNotFit: What is kept is more than the memory that is free.
        """
        z, y, x = image.shape[1:]
        self._require_room((z, y, x), keep)
        labels, spacing_mm = self.labels, self._as_trained(spacing_mm)
        probabilities, votes = Canvas((z, y, x)), Canvas((z, y, x))
        opinions = [Canvas((z, y, x)) for _ in self.record.members if self._compares_members]
        with self._lock:
            mirror = self.record.mirror if tta == "auto" else tta == "full"
            tracks, weights = self._tracks(image, spacing_mm, mirror, tell)
            for place, parts in aligned(tracks, (z, y, x)):
                for index, opinion in enumerate(opinions):
                    opinion.put(place, segment(_average(parts[index :: len(weights)]), labels, spacing_mm))
                blend = self._blend(parts, weights)
                votes.put(place, postprocessing.votes(blend, labels, self.record.decision))
                if keep != "nothing":
                    exact = keep == "exact"
                    probabilities.put(place, blend if exact else quantized(blend, exclusive=labels.kind == "exclusive"))
        return Blended(probabilities.array, votes.array, tuple(each.array for each in opinions))

    def calibrated(self, probabilities: Probabilities) -> Probabilities:
        """Probabilities (H, ...) that are as sure as they were right out of fold."""
        return temperature.calibrated(probabilities, self.labels.kind, self.record.temperature)

    def expected(self, blended: Blended, classes: Classes, spacing_mm: Spacing) -> tuple[ExpectedDice, ...]:
        """What Dice to expect of each target in a canonical class map (z, y, x); empty: the model cannot tell."""
        known = self.record.expectations
        if not known:
            return ()
        z, y, x = classes.shape
        whole, spacing_mm = ((0, z), (0, y), (0, x)), self._as_trained(spacing_mm)
        seen = Segmented(blended.probabilities, classes, blended.opinions, spacing_mm, whole, (z, y, x))
        found = dict(zip(self.labels.targets, features(seen, self.labels, self.record.temperature), strict=True))
        return tuple(expect(one, found[one.target]) for one in known)

    def decide(self, probabilities: Probabilities, spacing_mm: Spacing) -> Classes:
        """The class map (z, y, x) of canonical probabilities, as selected: decision, then post-processing."""
        spacing_mm = self._as_trained(spacing_mm)
        return segment(probabilities, self.labels, spacing_mm, self.record.postprocessing, self.record.decision)

    def finish(self, votes: Votes, spacing_mm: Spacing) -> Classes:
        """The class map (z, y, x) of ``Blended.votes``, which are changed: the second half of ``decide``."""
        steps, spacing_mm = self.record.postprocessing, self._as_trained(spacing_mm)
        return postprocessing.finished(votes, self.labels, spacing_mm, steps, self.record.decision)

    def with_record(self, record: Model) -> "SegmentationModel":
        """The same networks under another record."""
        return SegmentationModel(record, self._networks, self.device)

    @property
    def _compares_members(self) -> bool:
        """Whether how far members agree tells anything of a mask."""
        predictors = [one.predictor for one in self.record.expectations if one.predictor is not None]
        return any(term.feature == "agreement" for predictor in predictors for term in predictor.terms)

    def _as_trained(self, spacing_mm: Spacing) -> Spacing:
        """Without sizes in the training files a voxel was a voxel, whatever this image says of its own."""
        return spacing_mm if self.record.card.spacing_known else (1.0, 1.0, 1.0)

    def _canonical(
        self, array: npt.NDArray[Any], spacing_mm: Sequence[float], orientation: str | None
    ) -> CanonicalArray:
        if orientation is None and (self.record.card.sided or has_sides(self.labels)):
            sided = self.record.card.sided or self.labels.targets
            raise UsageError(
                f"the labels {', '.join(sided)} have left and right: say where the array's x, y and z axes "
                "grow to, e.g. orientation='LPS' or 'RAS'"
            )
        given = to_canonical(
            np.asarray(array),
            tuple(spacing_mm),
            orientation or "LPS",
            channels=len(self.record.channels),
            planar_model=self.record.dimension == 2,
        )
        return replace(given, image=_repaired(given.image))

    def _tracks(
        self, image: npt.NDArray[Any], spacing_mm: Spacing, mirror: bool, tell: Tell | None
    ) -> tuple[list[Track], list[float]]:
        """What each member says, after what it builds on, and the members' weights.

        Out of fold each blend was of one network of each member. Where the order matters, with logits or sharpened
        probabilities, there is therefore a track of every member for each fold, fold after fold, so that the blends
        can be averaged: on means over folds, which are flatter, another would come out than was chosen.

        A cascade sees the masks that it was trained and judged with: those of its first stage without mirrored copies.
        """
        weight_of = {member.configuration: member.weight for member in self.record.members}
        first_stages = {configuration.previous_stage for configuration in self.record.configurations}
        folds = self._folds_apart
        own_rows = {name for name in weight_of if mirror or name not in first_stages or len(folds) > 1}
        shares = Shares(len(first_stages - {None}) + len(own_rows) * len(folds), tell)
        predicted: dict[str, Classes] = {}
        tracks: list[list[Track]] = []
        for configuration in self.record.configurations:
            name = configuration.name
            before = None if configuration.previous_stage is None else predicted[configuration.previous_stage]
            networks = self._networks[name]
            one = MemberPrediction(configuration, networks, self.labels, self.device, image, spacing_mm, before)
            if name in first_stages:
                rows = list(one.rows(mirror=False, tell=shares.part()))  # few voxels, or there would be no second stage
                predicted[name] = self._masks(one.track(rows), image)
            if name in weight_of:
                if name in own_rows:
                    tracks.append([one.track(one.rows(mirror=mirror, fold=k, tell=shares.part())) for k in folds])
                else:
                    tracks.append([one.track(rows)])
        weights = [weight_of[c.name] for c in self.record.configurations if c.name in weight_of]
        return [track for of_fold in zip(*tracks, strict=True) for track in of_fold], weights

    def _blend(self, parts: Sequence[Heads], weights: Sequence[float]) -> Heads:
        """Members blended by weight, fold by fold where parts are of single folds, and the blends averaged."""
        how, kind, size = self.record.blend, self.labels.kind, len(weights)
        blends = []
        for first in range(0, len(parts), size):
            scaled = (on_scale(part, kind, how.scale, how.temperature) for part in parts[first : first + size])
            blends.append(mean(scaled, weights, kind, how.scale))
        return _average(blends)

    @property
    def _folds_apart(self) -> Sequence[int | None]:
        """Folds whose networks are blended before their mean is taken; ``[None]``: means are blended."""
        how, several = self.record.blend, len(self.record.members) > 1
        counts = {len(self._networks[member.configuration]) for member in self.record.members}
        linear = how.scale == "probabilities" and how.temperature == 1.0
        return [None] if linear or not several or len(counts) > 1 else range(counts.pop())

    def _masks(self, track: Track, image: npt.NDArray[Any]) -> Classes:
        """The class map (z, y, x) of one member alone."""
        z, y, x = image.shape[1:]
        classes = Canvas((z, y, x))
        for place, [heads] in aligned([track], (z, y, x)):
            classes.put(place, segment(heads, self.labels, (1.0, 1.0, 1.0)))
        return classes.array

    def _require_room(self, shape: Shape, keep: Keep) -> None:
        heads, voxels = self.labels.heads, math.prod(shape)
        masks = heads if self.labels.kind == "regions" else 1
        needed = voxels * ({"exact": 4, "rounded": 1, "nothing": 0}[keep] * heads + masks)
        if needed > _ALWAYS_FITS_BYTES and needed > (free := machine.ram_bytes()):
            raise DoesNotFit(
                f"what {heads} heads say of {voxels:,} voxels takes {machine.gib(needed)}, and {machine.gib(free)} are "
                "free; leave out --probabilities, crop the image, or use a machine with more memory"
            )


def _repaired(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An image (C, z, y, x) as a file of it would be taken: without single absurd values, of which a warning tells."""
    if not np.isfinite(image).all():
        return image  # refused where it is prepared
    repaired, told = clipped(image)
    for reason, repair in told:
        warnings.warn(f"{reason}; {repair}", stacklevel=4)
    return repaired


def _average(parts: Sequence[Heads]) -> Heads:
    """The mean of equals, (H, ...); of one alone, itself."""
    return parts[0] if len(parts) == 1 else np.mean(parts, axis=0)
