"""The model that training starts from: its configuration, and how its channels and labels map to those of new data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from autoseg.contracts import Dataset, LabelSet, Model
from autoseg.errors import UsageError
from autoseg.learn.inherit import inherited
from autoseg.model import folder as model_folder
from planners.contracts import Configuration


@dataclass(frozen=True)
class Start:
    """A trained model to go on from.

    Attributes:
        path: Its folder.
        record: What ``model.json`` says.
    """

    path: Path
    record: Model

    @property
    def configuration(self) -> Configuration:
        """The configuration that counts most among those that build on no other.

        Raises:
            UsageError: There is none.
        """
        alone = {c.name: c for c in self.record.configurations if c.previous_stage is None}
        best = max(
            (member for member in self.record.members if member.configuration in alone),
            key=lambda member: member.weight,
            default=None,
        )
        if best is None:
            raise UsageError(f"{self.path}: all its members build on others; start from a model without a cascade")
        return alone[best.configuration]

    def weights(self, wanted: Configuration, dataset: Dataset, fold: int, seed: int) -> dict[str, Tensor]:
        """What the network of a fold starts from.

        Args:
            wanted: What is trained, planned after ``configuration``.
            dataset: The data it is trained on.
            fold: Each starts from another of the model's networks, as far as there are as many.
            seed: Of what is new.
        """
        known = model_folder.weights_of(self.path, self.record, self.configuration.name, fold)
        channels = matched([c.name for c in dataset.channels], [c.name for c in self.record.channels])
        heads = _heads(dataset.labels, self.record.labels)
        return inherited(known, wanted.network, channels, heads, seed)

    def told(self, dataset: Dataset) -> str:
        """What is taken over and what is new, in one line."""
        parts = []
        for what, wanted, known in (
            ("channel", [c.name for c in dataset.channels], [c.name for c in self.record.channels]),
            ("label", list(dataset.labels.targets), list(self.record.labels.targets)),
        ):
            new = [name for name, index in zip(wanted, matched(wanted, known), strict=True) if index is None]
            parts.append(f"every {what} is known by name" if not new else f"new {what}s: {', '.join(new)}")
        return (
            f"training starts from {self.path} ({self.configuration.name}); {'; '.join(parts)}; scores are only honest "
            "if that model has never seen these cases"
        )


def read(path: Path) -> Start:
    """The model in a folder.

    Raises:
        UsageError: This is no model folder.
        DataError, RefusedError: See ``model.folder.load``.
    """
    return Start(path, model_folder.record_of(path))


def matched(wanted: Sequence[str], known: Sequence[str]) -> tuple[int | None, ...]:
    """Where each wanted name stands among the known ones, upper and lower case alike; None: nowhere.

    >>> matched(["T2", "flair"], ["FLAIR", "T1"])
    (None, 0)
    """
    places = {name.casefold(): place for place, name in enumerate(known)}
    return tuple(places.get(name.casefold()) for name in wanted)


def _heads(wanted: LabelSet, known: LabelSet) -> tuple[int | None, ...]:
    """Heads compete (exclusive labels, the background first) or stand alone (regions): only like ones are alike."""
    if wanted.kind != known.kind:
        return (None,) * wanted.heads
    targets = matched(wanted.targets, known.targets)
    if wanted.kind == "regions":
        return targets
    return (0, *(None if place is None else place + 1 for place in targets))
