"""Reading what is drawn in a case, however it is stored, onto the image's canonical grid.

One file of values, of colours, with one channel per class, or with named structures; or one file per structure. Values
and colours come back as whole numbers, everything that may overlap as numbers of combinations (``structures``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autoseg import formats
from autoseg.contracts import Case, Coding
from autoseg.errors import LabelError
from autoseg.formats import Structures, Volume, label_names
from autoseg.formats.volume import channel_names
from autoseg.intake import frames
from autoseg.intake.findings import Finding
from autoseg.intake.opening import tell
from autoseg.intake.placing import Frame, Report, place_label
from autoseg.intake.structures import Combined, combine
from autoseg.intake.values import NEAR_LEVELS, STRAY_SHARE
from autoseg.labelling import as_whole_numbers, colours_as_values, count_values
from autoseg.volumes.labels import Mask

RGB = ("R", "G", "B")
_TOLD = 3  # of many structure files with one and the same trouble, so many are listed


class LooksLikeImage(LabelError):
    """What should be a label holds values as images do."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """What is drawn in a case.

    Attributes:
        values: (z, y, x) whole numbers on the canonical grid: of the file, colours as 0xRRGGBB, or combinations.
        coding: How files hold them.
        combined: Says what the numbers mean where masks may overlap; None: they are the file's own values.
        names: What the file itself calls its values.
    """

    values: np.ndarray
    coding: Coding = "values"
    combined: Combined | None = None
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Reads the label of one case.

    Attributes:
        root: Folder that the case's paths are relative to.
        case: The case, with a label.
        frame: Where to bring it.
        snap: Stray values become the nearest label, however many there are.
        like: The image, which tells the readers of some formats where masks lie.
        as_values: Channels that exclude each other are values and no structures, since values are declared.
        report: Told of every repair and remark.
    """

    root: Path
    case: Case
    frame: Frame
    like: Volume
    snap: bool
    as_values: bool
    report: Report

    def read(self, first: Volume | Structures) -> tuple[Annotation, tuple[str, ...]]:
        """Read it; also the SHA-256 of each file.

        Args:
            first: As ``open_first`` returned it.

        Raises:
            LabelError: The values make no sense as labels.
            GeometryError: A file does not lie where the image lies.
            UnreadableFile, RefusedError: See ``formats.read``.
        """
        if isinstance(first, Structures) or self.case.structures:
            return self._structures(first)
        file = self.case.label_files[0]
        tell(self.root, file, first, self.report)
        return self._single(file, first), (first.sha256,)

    # -------------------------------------------------------------------------------------------- structures

    def _structures(self, first: Volume | Structures) -> tuple[Annotation, tuple[str, ...]]:
        """One file after another, so that only one of them is held."""
        digests: list[str] = []
        told = _Sparing(self.report)

        def masks() -> Iterator[tuple[str, Mask]]:
            for number, file in enumerate(dict.fromkeys(self.case.label_files)):
                found = first if number == 0 else _open(self.root / file, self.like, self.case.frame)
                digests.append(found.sha256)
                tell(self.root, file, found, told)
                yield from self._of_file(file, found, told)

        combined = combine(self.frame.canonical.shape, masks())
        told.end()
        return Annotation(combined.numbers, combined=combined), tuple(digests)

    def _of_file(self, file: str, found: Volume | Structures, report: Report) -> Iterator[tuple[str, Mask]]:
        """The masks of a file on the canonical grid: one of its own, or those of the names that are wanted."""
        names = {structure.name for structure in self.case.structures if structure.file == file}
        if isinstance(found, Volume):
            mask = self._binary(file, _one_channel(file, found))
            placed = place_label(file, mask, found, self.frame, report)[0] > 0
            yield from ((name, placed) for name in sorted(names))
            return
        for name, drawn in zip(found.names, found.masks, strict=True):
            if not names or name in names:
                array = drawn.view(np.uint8)[None]
                volume = Volume(array, found.grid, True, found.sha256, channel_names(1))
                yield name, place_label(f"{file}: {name}", array, volume, self.frame, report)[0].view(np.bool_)

    def _channels(self, array: np.ndarray, volume: Volume, file: str, wanted: Sequence[int]) -> Annotation:
        told = _Sparing(self.report)

        def masks() -> Iterator[tuple[str, Mask]]:
            for number in wanted:
                mask = (array[number : number + 1] != 0).astype(np.uint8)
                yield f"channel_{number}", place_label(f"{file}: {number}", mask, volume, self.frame, told)[0] > 0

        combined = combine(self.frame.canonical.shape, masks())
        told.end()
        return Annotation(combined.numbers, combined=combined)

    def _binary(self, file: str, array: np.ndarray) -> np.ndarray:
        """A structure's mask (1, z, y, x) uint8: 1 where the file is not zero.

        Raises:
            LabelError: Its values are more than two, beyond strays.
        """
        drawn = array[array != 0]
        if drawn.size == 0 or drawn.min() == drawn.max():
            return (array != 0).astype(np.uint8)
        whole = _whole(file, array, snap=self.snap)
        counts = count_values(whole)
        inside = max((value for value in counts if value), key=lambda value: counts[value])
        others = {value: n for value, n in counts.items() if value not in (0, inside)}
        share = sum(others.values()) / array.size
        near = abs(inside) > 2 * NEAR_LEVELS and all(min(abs(v), abs(v - inside)) <= NEAR_LEVELS for v in others)
        if others and not self.snap and not (near and share < STRAY_SHARE):
            listed = ", ".join(f"{value} ({n} voxels)" for value, n in sorted(counts.items())[:6])
            raise LabelError(
                f"{file}: expected the mask of one structure, 0 outside and one other value inside; found {listed}; "
                "write one file per structure, or one file for all of them with a value for each"
            )
        if others:
            said = f"{file}: {share:.2g} of the voxels is neither 0 nor {inside}"
            self.report(Finding(said, f"what is closer to {inside} is inside"))
        return (whole > inside / 2 if inside > 0 else whole < inside / 2).astype(np.uint8)

    # --------------------------------------------------------------------------------------------- one label file

    def _single(self, file: str, volume: Volume) -> Annotation:
        array = volume.array
        if len(array) > 1 and all(np.array_equal(array[0], channel) for channel in array[1:]):
            self.report(Finding(f"the label has {len(array)} equal channels", "the first one is used"))
            array = array[:1]
        if len(array) > 1 and volume.channels != RGB:
            return self._per_channel(file, array, volume)
        coding: Coding = "rgb" if len(array) > 1 else "values"
        whole, rounded = _rounded(file, array, snap=self.snap)
        if rounded:
            self.report(Finding("label values deviate from whole numbers by less than 0.001", "rounded"))
        numbers = colours_as_values(whole) if coding == "rgb" else whole
        label = place_label(file, numbers, volume, self.frame, self.report)[0]
        return Annotation(label, coding, names=label_names.read(self.root / file))

    def _per_channel(self, file: str, array: np.ndarray, volume: Volume) -> Annotation:
        """One channel per class ("one-hot"); a channel that is exactly where no other is, is the background."""
        for number, channel in enumerate(array):
            values = np.unique(channel)
            if len(values) > 2 or (len(values) == 2 and 0 not in values):
                raise LabelError(
                    f"{file}: the label has {len(array)} different channels, and channel {number} has the values "
                    f"{', '.join(f'{value:g}' for value in values[:4])}, ...; expected colours, or one mask of 0 and 1 "
                    "per class; convert it to one value per class"
                )
        drawn = (array != 0).sum(axis=0, dtype=np.uint8 if len(array) < 256 else np.uint16)
        ground = _ground(array, drawn)
        foreground = [number for number in range(len(array)) if number != ground]
        if self.as_values:
            return self._exclusive(file, array, volume, foreground, drawn)
        return self._channels(array, volume, file, foreground)

    def _exclusive(
        self, file: str, array: np.ndarray, volume: Volume, foreground: Sequence[int], drawn: np.ndarray
    ) -> Annotation:
        """Values instead of channels, as the declared labels want them."""
        if drawn.max() > 1:
            raise LabelError(
                f"{file}: its channels overlap in {int((drawn > 1).sum())} voxels, yet single values are declared; "
                "declare regions, or remove the declaration of labels"
            )
        values = np.zeros((1, *array.shape[1:]), np.uint16)
        for value, number in enumerate(foreground, start=1):
            values[0][array[number] != 0] = value
        said = f"the label has {len(array)} channels that exclude each other"
        self.report(Finding(said, "each is taken for one value, in order"))
        return Annotation(np.ascontiguousarray(place_label(file, values, volume, self.frame, self.report)[0]))


def open_first(root: Path, case: Case, like: Volume) -> Volume | Structures | None:
    """The label's (first) file; None without a label. It tells on which grid the label lies.

    Raises:
        UnreadableFile, GeometryError, RefusedError: See ``formats.read``.
    """
    if not case.labelled:
        return None
    return _open(root / case.label_files[0], like, case.frame)


def _open(path: Path, like: Volume, frame: int | None) -> Volume | Structures:
    if formats.holds_structures(path):
        return formats.read_structures(path, like)
    return formats.read(path, mask=True) if frame is None else frames.at(path, frame, mask=True)


class _Sparing:
    """Passes on the first few findings and says how many more there were."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._held: list[Finding] = []

    def __call__(self, finding: Finding) -> None:
        self._held.append(finding)
        if len(self._held) <= _TOLD:
            self._report(finding)

    def end(self) -> None:
        """Nothing more will come."""
        more = len(self._held) - _TOLD
        if more > 0:
            self._report(Finding(f"{more} more structures likewise", self._held[-1].repair))


def _one_channel(file: str, volume: Volume) -> np.ndarray:
    if len(volume.array) > 1 and any(not np.array_equal(volume.array[0], other) for other in volume.array[1:]):
        raise LabelError(f"{file}: the mask of a structure has {len(volume.array)} different channels; expected one")
    return volume.array[:1]


def _ground(array: np.ndarray, drawn: np.ndarray) -> int | None:
    """The channel that is the complement of all others, if there is one; of two, the one along the border."""
    if (drawn == 0).any():
        return None
    alone = [n for n, channel in enumerate(array) if not ((channel != 0) & (drawn > 1)).any()]
    edges = [np.count_nonzero(array[n][:, [0, -1]]) + np.count_nonzero(array[n][:, :, [0, -1]]) for n in alone]
    return alone[int(np.argmax(edges))] if alone else None


def _whole(file: str, array: np.ndarray, *, snap: bool) -> np.ndarray:
    return _rounded(file, array, snap=snap)[0]


def _rounded(file: str, array: np.ndarray, *, snap: bool) -> tuple[np.ndarray, bool]:
    """Whole numbers, and whether rounding was needed.

    Raises:
        LooksLikeImage: The values are no whole numbers.
    """
    try:
        return as_whole_numbers(np.rint(array) if snap and array.dtype.kind == "f" else array)
    except LabelError as error:
        raise LooksLikeImage(f"{file}: {error}; or add --snap-labels to take each for the nearest label") from error
