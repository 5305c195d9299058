"""A reading of a folder of images and masks: which are which, and how that was told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoseg.contracts import Case, StructureFile
from autoseg.layouts import declaration, label_names
from autoseg.layouts.found import Found
from autoseg.layouts.matching import Matched
from autoseg.layouts.tree import Tree


@dataclass(frozen=True)
class Reading:
    """Images and masks brought together.

    Attributes:
        matched: The cases.
        how: How images and masks were told apart, for the report.
        name: What to ask for to get this reading.
        reasons: Why files or folders are left over, by path.
    """

    matched: Matched
    how: str
    name: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)

    def inside(self, folder: str) -> "Reading":
        """The same, seen from the parent of the folder that it is about."""
        matched = self.matched
        images = {case: tuple(f"{folder}/{file}" for file in files) for case, files in matched.images.items()}
        structures = {
            case: tuple(StructureFile(name=each.name, file=f"{folder}/{each.file}") for each in files)
            for case, files in matched.structures.items()
        }
        masks = {case: f"{folder}/{file}" for case, file in matched.masks.items()}
        return replace(
            self,
            matched=replace(matched, images=images, masks=masks, structures=structures),
            how=f"in {folder}/: {self.how}",
            reasons={f"{folder}/{path}": why for path, why in self.reasons.items()},
        )


def united(parts: Mapping[str, Reading]) -> Reading:
    """Readings of several folders as one; cases are called after their folder too where their names collide."""
    readings = list(parts.values())
    if len(readings) == 1:
        return readings[0]
    counts = Counter(case.casefold() for reading in readings for case in reading.matched.images)
    collide = max(counts.values(), default=1) > 1
    images: dict[str, tuple[str, ...]] = {}
    masks: dict[str, str] = {}
    structures: dict[str, tuple[StructureFile, ...]] = {}
    for part, reading in parts.items():
        new = {case: f"{part.replace('/', '_')}_{case}" if collide else case for case in reading.matched.images}
        images |= {new[case]: files for case, files in reading.matched.images.items()}
        masks |= {new[case]: file for case, file in reading.matched.masks.items()}
        structures |= {new[case]: files for case, files in reading.matched.structures.items()}
    called = list(dict.fromkeys(reading.name for reading in readings if reading.name))
    channels = next((reading.matched.channels for reading in readings if reading.matched.channels), None)
    return Reading(
        Matched(images, masks, structures, channels),
        how="; ".join(dict.fromkeys(reading.how for reading in readings)),
        name="/".join([*called[:1], *(name.removeprefix("pairs:") for name in called[1:])]),
        reasons={path: why for reading in readings for path, why in reading.reasons.items()},
    )


def described(layout: str, readings: Sequence[Reading], tree: Tree) -> Found | None:
    """The first of some readings as what was found, the others as its rivals; None without any."""
    if not readings:
        return None
    first, *rivals = (_found(layout, reading, tree) for reading in readings)
    return replace(first, rivals=tuple(rivals))


def _found(layout: str, reading: Reading, tree: Tree) -> Found:
    matched = reading.matched
    cases = tuple(
        Case(
            case=name,
            subject=name,
            images=files,
            label=matched.masks.get(name),
            structures=matched.structures.get(name, ()),
        )
        for name, files in matched.images.items()
    )
    path = tree.root / "dataset.json"
    content = declaration.read(path)
    return Found(
        layout=layout,
        channels=matched.channels,
        labels=declaration.label_set(content or {}, path),
        label_names=label_names.find(tree),
        cases=cases,
        notes=(reading.how, *declaration.remarks(content or {}, path)),
        reasons=reading.reasons,
        reading=reading.name,
    )
