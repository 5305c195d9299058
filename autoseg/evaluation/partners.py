"""Which predicted structure belongs to which of the references: by name, or by value where masks have no names."""

from collections.abc import Mapping

from autoseg.errors import LabelError
from autoseg.events import Event, Notify

_LISTED = 8


def partners(expected: Mapping[str, str], predicted: Mapping[str, str], notify: Notify) -> dict[str, str]:
    """For each structure of the references what the predictions call it.

    A single one on either side is compared whatever it is called. What only one side knows is said: the references'
    count as missed, the predictions' are left out.

    Args:
        expected: All structures of the references: what identifies each, and how to speak of it.
        predicted: Those of the predictions.
        notify: Warned.

    Raises:
        LabelError: No structure is on both sides.

    >>> partners({"1": "value 1", "2": "value 2"}, {"2": "value 2"}, lambda event: print(event.detail))
    no prediction knows value 1; scored as missed
    {'1': '1', '2': '2'}
    """
    if not expected:
        raise LabelError("the references hold no structure, so there is nothing to compare; check the folder")
    if len(expected) == len(predicted) == 1 and expected.keys() != predicted.keys():
        [name], [other] = expected, predicted
        notify(_warning(f"{predicted[other]} is compared with {expected[name]}, as there is but one on either side"))
        return {name: other}
    if predicted and expected.keys().isdisjoint(predicted):
        raise LabelError(
            f"the predictions show {_listed(predicted)}, the references {_listed(expected)}, and none is the same; "
            "give values their names in a dataset.json on both sides, or rename the structures"
        )
    if lacking := {name: expected[name] for name in expected.keys() - predicted.keys()}:
        notify(_warning(f"no prediction knows {_listed(lacking)}; scored as missed"))
    if surplus := {name: predicted[name] for name in predicted.keys() - expected.keys()}:
        notify(_warning(f"no reference knows {_listed(surplus)}; left out"))
    return {name: name for name in expected}


def _warning(detail: str) -> Event:
    return Event(stage="evaluate", what="warning", detail=detail)


def _listed(names: Mapping[str, str]) -> str:
    shown = sorted(names.values())
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    return ", ".join(shown[:_LISTED]) + more
