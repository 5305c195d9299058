"""What became of images to predict, in lines for the end of the output, where they are not overlooked."""

from collections.abc import Iterator

from autoseg.contracts import Prediction

_LISTED = 20


def unused(made: Prediction) -> Iterator[str]:
    """Images of the input folder that were not predicted, with the reasons."""
    pairs = list(zip(made.left_over, made.left_over_because, strict=True))
    yield from (f"left over: {file}: {why}" for file, why in pairs[:_LISTED])
    if len(pairs) > _LISTED:
        yield f"and {len(pairs) - _LISTED} more left over, see predict.json"


def failures(made: Prediction) -> list[str]:
    """Cases that could not be predicted, under a headline; empty where there are none."""
    failed = [case for case in made.cases if case.status == "failed"]
    if not failed:
        return []
    more = [f"  and {len(failed) - _LISTED} more, see predict.json"] if len(failed) > _LISTED else []
    listed = [f"  {case.case}: {case.error}" for case in failed[:_LISTED]]
    return [f"{len(failed)} of {len(made.cases)} cases failed:", *listed, *more]
