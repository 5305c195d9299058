"""A given split (``layouts.splits``) checked, and reconciled with the hold-out and with what turned out to be usable.

What a split leaves open is treated by a stated rule: a case that only ever trains does so in every fold and is never
validated; a case that the file names nowhere, or under ``test``, is held out. Held-out cases leave their folds, and a
fold that loses all its validation cases is dropped. A split that contradicts itself is an error that names the cases.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoseg.contracts import Case, Split
from autoseg.errors import DataError
from autoseg.folds import Candidate, HoldOut
from autoseg.layouts import splits
from autoseg.layouts.splits import GivenSplit, listed

_MOST_PROBLEMS = 20


def asked(cases: Sequence[Case], source: Path, file: str | None) -> GivenSplit | None:
    """The split that was given, checked against the names of the cases; None: nobody gave one.

    Args:
        cases: All cases of the data set.
        source: Its folder.
        file: What ``--splits`` says.

    Raises:
        UsageError: ``--splits`` names no file.
        DataError: The split contradicts itself or the data set.
    """
    given = splits.find(cases, source, file)
    if given is not None:
        _require_sound(given, cases)
    return given


def divide(given: GivenSplit, candidates: Sequence[Candidate], hold_out: HoldOut, *, seed: int) -> Split:
    """Reconcile a given split with the hold-out and with the cases that turned out to be usable.

    Args:
        given: As asked for; its names are known to be right.
        candidates: Usable labelled cases; their subjects also tell which images are the same.
        hold_out: As drawn or given.
        seed: Kept in the record; nothing is drawn here.

    Raises:
        DataError: Equal images stand on both sides of a fold, or a fold has nothing left to train on.
    """
    free = {c.case: c.subject for c in candidates if c.case not in hold_out.cases}
    _raise_if_any(given.origin, list(_torn_subjects(given, free)))
    unnamed = {c.case for c in candidates} - given.named
    held_subjects = {c.subject for c in candidates if c.case in hold_out.cases | unnamed}
    usable = {c.case for c in candidates if c.subject not in held_subjects}
    parts = [tuple(sorted(usable & set(fold.val))) for fold in given.folds]
    starved = [str(number) for number, part in enumerate(parts) if part and set(part) == usable]
    if starved:
        raise DataError(f"{given.origin}: nothing is left to train on in fold {', '.join(starved)}; check the split")
    kept = tuple(part for part in parts if part)
    return Split(
        holdout=tuple(sorted(c.case for c in candidates if c.subject in held_subjects)),
        folds=kept or ((),),
        seed=seed,
        given=True,
        because="; ".join([hold_out.because, *_treatment(given, parts, usable, unnamed)]),
    )


def _treatment(
    given: GivenSplit, parts: Sequence[tuple[str, ...]], usable: set[str], unnamed: set[str]
) -> Iterator[str]:
    """What became of the given split, in sentences."""
    kept = [part for part in parts if part]
    if not kept:
        yield f"no validation: no fold of {given.origin} has a validation case left, so every case trains"
        return
    yield f"{len(kept)} folds given by {given.origin}"
    only_train = usable - {case for part in kept for case in part}
    if only_train:
        yield f"in no validation part, so trained on in every fold and never validated: {listed(only_train)}"
    if unnamed:
        yield f"not named as train or val, so held out: {listed(unnamed)}"
    dropped = [str(number) for number, part in enumerate(parts) if not part]
    if dropped:
        yield f"dropped, as all their validation cases are held out or unusable: fold {', '.join(dropped)}"


def _require_sound(given: GivenSplit, cases: Sequence[Case]) -> None:
    labelled = {case.case for case in cases if case.labelled}
    problems = list(_problems(given, {case.case for case in cases}, labelled))
    free = {case.case: case.subject for case in cases if case.labelled and not case.given_holdout}
    _raise_if_any(given.origin, problems or list(_torn_subjects(given, free)))


def _raise_if_any(origin: str, problems: Sequence[str]) -> None:
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems[:_MOST_PROBLEMS])
        more = f"\n  and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise DataError(f"{origin}: the split contradicts itself or the data; correct it:{lines}{more}")


def _problems(given: GivenSplit, known: set[str], labelled: set[str]) -> Iterator[str]:
    """What is wrong with the names alone."""
    named = given.named
    for number, fold in enumerate(given.folds):
        where, train, val = f"fold {number}:", set(fold.train), set(fold.val)
        every = train | val | set(fold.test)
        findings = {
            "both in train and val": train & val,
            "under test and in another part": set(fold.test) & (train | val),
            "named twice": {case for part in (fold.train, fold.val) for case, n in Counter(part).items() if n > 1},
            "no such case": every - known,
            "without a label": (train | val) & known - labelled,
            "named elsewhere but in no part here": named & known - every,
        }
        yield from (f"{where} {what}: {listed(found)}" for what, found in findings.items() if found)
        yield from (f"{where} the {name} part is empty" for name, part in (("train", train), ("val", val)) if not part)
    validated = Counter(case for fold in given.folds for case in set(fold.val))
    again = {case for case, count in validated.items() if count > 1}
    if again:
        yield f"in the val part of more than one fold: {listed(again)}"


def _torn_subjects(given: GivenSplit, subject_of: dict[str, str]) -> Iterator[str]:
    """Subjects on both sides of a fold, or partly named."""
    members = defaultdict[str, set[str]](set)
    for case, subject in subject_of.items():
        members[subject].add(case)
    for subject, cases in members.items():
        for number, fold in enumerate(given.folds):
            trains, validates = cases & set(fold.train), cases & set(fold.val)
            if trains and validates:
                both = f"{listed(trains)} in train and {listed(validates)} in val"
                yield f"fold {number}: subject {subject} in two parts: {both}"
        unnamed = cases - given.named
        if unnamed and unnamed != cases:
            yield f"subject {subject} is named in part: {listed(cases - unnamed)}, but not {listed(unnamed)}"
