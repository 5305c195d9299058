"""What a fourth axis of an image counts: channels of one image, or points in time, each of which is an image.

Files seldom say, and headers that do are often wrong: converters write "time" for whatever they stack. Time taken for
channels gives a model that needs just so many points in time; channels taken for time give one that sees a fraction of
what it should, and neither would be noticed. So the axis is taken for channels only where somebody said so: the file
(values of one voxel, colours), a declaration of just as many channels, or ``--axis4 channel``. Else the answer is asked
for, since guessing it from lengths or from what other cases have would be right often, and wrong unseen.

With ``--axis4 time`` each point in time is a case of its own (``intake.frames``).
"""

from collections.abc import Sequence

from autoseg.contracts import Axis4, Case
from autoseg.errors import DataError
from autoseg.formats import Volume

CHOICE = (
    "--axis4 channel if it counts channels of one image (all cases need as many), --axis4 time if it counts points in "
    "time (each is then a case of the same subject)"
)
"""What may be answered, in words."""


class OpenAxis4(DataError):
    """An image has a fourth axis, and nothing says what it counts. ``extent`` is its length."""

    def __init__(self, message: str, extent: int) -> None:
        super().__init__(message)
        self.extent = extent


def require_told(case: Case, volumes: Sequence[Volume], channels: int | None, said: Axis4 | None) -> None:
    """Raise unless it is known what a fourth axis of a case's images counts.

    Args:
        case: The case.
        volumes: Its images.
        channels: How many are declared, or needed by a model; None: nobody declared any.
        said: What ``--axis4`` says.

    Raises:
        OpenAxis4: Nothing says it.
        DataError: It counts time, but the points in time are not cases of their own, as no label goes with each.
    """
    found = [(file, v) for file, v in zip(case.images, volumes, strict=True) if v.open_axis4]
    count = sum(len(volume.array) for volume in volumes)
    if not found or said == "channel" or (said is None and count == channels):
        return
    file, volume = found[0]
    extent = len(volume.array)
    if said == "time":
        raise DataError(
            f"{file} holds {extent} points in time, but not so each of the case's files, so nobody knows to which of "
            f"them the label belongs; expected {extent} in every image and label; or save the one that was labelled"
        )
    remark = next((f" ({note})" for note in volume.notes if "in time" in note), "")
    raise OpenAxis4(
        f"{file} has a fourth axis of {extent}{remark}, and nothing says what it counts; add {CHOICE}", extent
    )
