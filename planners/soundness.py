"""What every planner takes for granted of its input, checked once for all of them before any arithmetic.

The records refuse NaN and infinity where they are made or read, but copies with other values are not validated, and no
record knows what is too small or too large. Every complaint names what is wrong, what was found, what was expected and
what to do.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from planners.contracts import Budget, CaseFingerprint, ChannelFingerprint, Fingerprint, LabelFingerprint, Wishes
from planners.errors import ImpossibleWish, InvalidBudget, InvalidFingerprint, PlanningError

MM = (1e-9, 1e9)  # of a voxel or a label along an axis: from far below an atom to far above a landscape
EDGE = (1, 1_000_000)  # voxels of an image along an axis; three such edges multiply without overflow
HUGE = 1e30  # beyond anything that can be measured, and still safe to multiply
AT_LEAST_ZERO = (0.0, HUGE)
MOST_LISTED = 5  # complaints that a message spells out

CASE_NUMBERS = {
    "spacing_mm": (*MM, "correct the spacing in the image's header, or leave the case out"),
    "shape": (*EDGE, "the image is empty or damaged: replace it, or leave the case out"),
    "cropped_shape": (*EDGE, "nothing of the image is left after cropping: replace it, or leave the case out"),
}
"""Fields of a case along (z, y, x), in voxels or mm: smallest, largest, what to do."""
LABEL_NUMBERS = {
    "voxel_fraction": (0.0, 1.0),
    "volume_mm3": AT_LEAST_ZERO,
    "components": AT_LEAST_ZERO,
    "component_volume_mm3": AT_LEAST_ZERO,
    "extent_mm": MM,
}
STATISTICS = ("count", "mean", "std", "minimum", "percentile_00_5", "median", "percentile_99_5", "maximum")
MEASURE_AGAIN = "measure the machine again"
BUDGET_NUMBERS = {
    "cores": (1, HUGE, MEASURE_AGAIN),
    "memory_bytes": (1, HUGE, "free memory, or choose another device"),
    "ram_bytes": (*AT_LEAST_ZERO, MEASURE_AGAIN),
    "disk_bytes": (*AT_LEAST_ZERO, MEASURE_AGAIN),
    "step_overhead_s": (*AT_LEAST_ZERO, MEASURE_AGAIN),
    "step_time_correction": (1e-9, 1e9, MEASURE_AGAIN),
    "folds": (1, HUGE, "ask for more folds"),
    "hours": (-HUGE, HUGE, "give hours, or leave them out"),  # of too few the planners say how many would do
    "device_gb": (1e-9, HUGE, "give the memory in GB, or leave it out"),
}
"""Fields of a budget: smallest, largest, what to do. Null is allowed where the record allows it."""
NULLABLE = ("hours", "device_gb")


def check(fingerprint: Fingerprint, budget: Budget, wishes: Wishes) -> None:
    """Refuse input that no planner can make sense of.

    Raises:
        InvalidFingerprint: Something is missing, empty, negative or not a number.
        InvalidBudget: The same, of the machine.
        ImpossibleWish: The spacing asked for is none.
    """
    about_data = (
        *_counts(fingerprint),
        *_cases(fingerprint.cases),
        *_channels(fingerprint.channels),
        *_labels(fingerprint.labels),
    )
    _refuse(InvalidFingerprint, "the data cannot be planned for", about_data)
    _refuse(InvalidBudget, "the machine cannot be planned for", (*_budget(budget), *_throughputs(budget)))
    if wishes.spacing_mm is not None and not _within(wishes.spacing_mm, *MM):
        raise ImpossibleWish(f"a spacing of {_found(wishes.spacing_mm)} mm was asked for; expected {_range(*MM)}")


def _refuse(error: type[PlanningError], what: str, complaints: Sequence[str]) -> None:
    if not complaints:
        return
    listed = complaints[:MOST_LISTED]
    more = len(complaints) - len(listed)
    raise error("\n  ".join((f"{what}:", *listed, *([f"and {more} more"] if more else ()))))


def _counts(fingerprint: Fingerprint) -> Iterator[str]:
    again = "add what is missing and make the fingerprint anew"
    if not fingerprint.cases:
        yield f"no cases; expected at least one labelled case; {again}"
    if not fingerprint.channels:
        yield f"no channels; expected at least one; {again}"
    if not fingerprint.labels:
        yield f"no labels; expected at least one label or region, or there is nothing to learn; {again}"
    if not fingerprint.heads >= 1:
        yield f"heads: {fingerprint.heads}; expected 1 or more, one per label or region; make the fingerprint anew"


def _cases(cases: Sequence[CaseFingerprint]) -> Iterator[str]:
    if not cases:
        return
    for field, (least, most, todo) in CASE_NUMBERS.items():
        values = np.array([getattr(case, field) for case in cases], dtype=float)
        sound = ((values >= least) & (values <= most)).all(axis=1)  # NaN compares as false
        for index in np.flatnonzero(~sound).tolist():
            found = _found(getattr(cases[index], field))
            yield f"case {cases[index].case!r}: {field} {found}; expected {_range(least, most)} along each axis; {todo}"


def _channels(channels: Sequence[ChannelFingerprint]) -> Iterator[str]:
    for channel in channels:
        for voxels in ("overall", "foreground"):
            statistics = getattr(channel, voxels)
            for field in STATISTICS if statistics is not None else ():
                value = getattr(statistics, field)
                if not math.isfinite(value):
                    yield (
                        f"channel {channel.name!r}: {voxels}.{field} {value:g}; expected a finite number; look for NaN "
                        "and infinite values in its images"
                    )


def _labels(labels: Sequence[LabelFingerprint]) -> Iterator[str]:
    for label in labels:
        for field, (least, most) in LABEL_NUMBERS.items():
            value = getattr(label, field)
            if value is not None and not _within(value, least, most):
                yield (
                    f"label {label.name!r}: {field} {_found(value)}; expected {_range(least, most)}; correct its masks "
                    "and make the fingerprint anew"
                )


def _budget(budget: Budget) -> Iterator[str]:
    for field, (least, most, todo) in BUDGET_NUMBERS.items():
        value = getattr(budget, field)
        if not (value is None and field in NULLABLE) and not _within(value, least, most):
            yield f"{field}: {_found(value)}; expected {_range(least, most)}; {todo}"


def _throughputs(budget: Budget) -> Iterator[str]:
    if not budget.throughputs:
        yield f"no measured throughput of {budget.device}; expected one or more; {MEASURE_AGAIN}"
    for index, speed in enumerate(budget.throughputs):
        for field in ("flops_per_s", "bytes_per_s"):
            value = getattr(speed, field)
            if not _within(value, 1.0, HUGE):
                yield f"throughputs[{index}].{field}: {value:g}; expected {_range(1.0, HUGE)}; {MEASURE_AGAIN}"


def _within(value: float | tuple[float, ...], least: float, most: float) -> bool:
    """Whether all numbers lie in the range; NaN lies in none."""
    return all(least <= number <= most for number in (value if isinstance(value, tuple) else (value,)))


def _found(value: float | tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))


def _range(least: float, most: float) -> str:
    if least == -HUGE:
        return "a finite number"
    return f"{least:g} or more" if most == HUGE else f"{least:g} to {most:g}"
