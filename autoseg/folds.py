"""Folds and hold-out: who trains and who tests.

*Subjects* are never torn apart. *Hold-out*: subjects in the order of a seeded hash of their names, the first share of
them. It is drawn before any file is opened, so nothing inside the held-out files can influence the choice, or anything
that follows from it. *Folds*: the rarest label first, its subjects are dealt to the fold that has the fewest cases with
that label so far, larger structures and smaller ones in turn (Sechidis et al., On the Stratification of Multi-label
Data, ECML 2011, with groups). Traits that tell cases apart, such as grey and colour pictures, are dealt out like
labels. The result depends neither on the order of the cases nor on the platform.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from autoseg.contracts import Case, Split

MOST_FOLDS = 5
"""Where nobody asks for a number; with more, cross-validation costs more than it tells."""
_SIZE_CLASSES = 4


@dataclass(frozen=True)
class Candidate:
    """A usable labelled case: ``voxels`` per target, 0 where it is absent, and the names of its ``traits``."""

    case: str
    subject: str
    voxels: tuple[int, ...]
    traits: frozenset[str] = frozenset()


@dataclass(frozen=True)
class HoldOut:
    """Names of held-out cases, and why these."""

    cases: frozenset[str]
    because: str


def draw(cases: Sequence[Case], share: float, seed: int) -> HoldOut:
    """Choose the hold-out by names alone.

    Args:
        cases: All cases; those without a label are not considered.
        share: Share of subjects to hold out, in [0, 1). Ignored if the source sets cases apart itself.
        seed: Of the draw.
    """
    labelled = [case for case in cases if case.labelled]
    subjects = {case.subject for case in labelled}
    given = {case.subject for case in labelled if case.given_holdout}
    if given and given < subjects:
        return _given(labelled, given, share)
    count = min(max(1, round(share * len(subjects))), len(subjects) - 1) if share > 0 else 0
    if count < 1:
        return HoldOut(frozenset(), "no hold-out" + (", there is only one subject" if share > 0 else ""))
    ranked = sorted(subjects, key=lambda subject: _hash(seed, "hold-out", subject))
    drawn = set(ranked[:count])
    because = f"hold-out of {count} of {len(subjects)} subjects, drawn by seed {seed}"
    return HoldOut(frozenset(case.case for case in labelled if case.subject in drawn), because)


def split(candidates: Sequence[Candidate], hold_out: HoldOut, *, folds: int, seed: int) -> Split:
    """Divide usable labelled cases into hold-out and folds.

    Args:
        candidates: In any order.
        hold_out: As drawn; whoever turned out to show the same subject as a held-out case is held out too.
        folds: Wished number of folds; fewer where there are fewer subjects.
        seed: Chooses among equally good folds.
    """
    held = {c.subject for c in candidates if c.case in hold_out.cases}
    parts, because = _divided([c for c in candidates if c.subject not in held], folds, seed)
    return Split(
        holdout=tuple(sorted(c.case for c in candidates if c.subject in held)),
        folds=parts,
        seed=seed,
        because=f"{hold_out.because}; {because}",
    )


def divide_again(split: Split, candidates: Sequence[Candidate], folds: int) -> Split:
    """The same hold-out; the other cases in as many folds as the plan found hours for."""
    held_out = set(split.holdout)
    parts, because = _divided([c for c in candidates if c.case not in held_out], folds, split.seed)
    return split.model_copy(update={"folds": parts, "because": f"{split.because}; by the plan {because}"})


def _given(labelled: Sequence[Case], subjects: set[str], share: float) -> HoldOut:
    cases = frozenset(case.case for case in labelled if case.subject in subjects)
    pulled = len(cases) - sum(case.given_holdout for case in labelled)
    because = f"hold-out of {len(cases) - pulled} cases given by the source"
    because += f" and {pulled} more of the same subjects" if pulled else ""
    return HoldOut(cases, because + (f", no further {share:.0%} taken" if share else ""))


def _divided(candidates: Sequence[Candidate], folds: int, seed: int) -> tuple[tuple[tuple[str, ...], ...], str]:
    traits = _telling_traits(candidates)
    return _folds(_by_subject(_with_traits_as_targets(c, traits) for c in candidates), traits, folds, seed)


def _telling_traits(candidates: Sequence[Candidate]) -> list[str]:
    """Traits that some have and others have not."""
    every = [c.traits for c in candidates]
    return sorted(frozenset().union(*every) - frozenset.intersection(*every)) if every else []


def _with_traits_as_targets(candidate: Candidate, traits: Sequence[str]) -> Candidate:
    """A trait counts as a label as large as all labels together, so that sizes are mixed within it, too."""
    size = 1 + sum(candidate.voxels)
    as_targets = (size if trait in candidate.traits else 0 for trait in traits)
    return replace(candidate, voxels=(*candidate.voxels, *as_targets))


def _folds(
    development: dict[str, list[Candidate]], traits: Sequence[str], wished: int, seed: int
) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The cases of each fold, and why so many."""
    subjects, cases = len(development), sum(len(members) for members in development.values())
    count = min(wished, subjects)
    if count < 2:
        why = "one fold was asked for" if subjects > 1 else f"{cases} case(s) of {subjects} subject(s)"
        return ((),), f"no validation: {why}, so every case trains and no fold has validation cases"
    dealt = _deal(development, count, seed)
    parts = tuple(tuple(sorted(c.case for subject in part for c in development[subject])) for part in dealt)
    by = ", ".join(("label", "size", *traits))
    text = f"{count} folds of {cases} cases of {subjects} subjects, balanced by {by}, seed {seed}"
    if count == subjects:
        text += "; each subject is left out once"
    return parts, text + (f" (not {wished}, as there are too few subjects)" if count < wished else "")


def _deal(development: dict[str, list[Candidate]], count: int, seed: int) -> list[list[str]]:
    """Deal subjects to ``count`` folds, target by target, the rarest first and the subjects without any last."""
    cases_with = [defaultdict[int, int](int) for _ in range(count)]  # per fold: target -> cases
    total = [0] * count
    parts: list[list[str]] = [[] for _ in range(count)]
    for target, subjects in _in_turn(development, seed):
        for subject in subjects:
            ranks = [
                (cases_with[f][target], total[f], _hash(seed, "fold", subject, str(f)))  # fewest, and then by lot
                for f in range(count)
            ]
            fold = ranks.index(min(ranks))
            parts[fold].append(subject)
            total[fold] += len(development[subject])
            for present in (t for c in development[subject] for t, voxels in enumerate(c.voxels) if voxels):
                cases_with[fold][present] += 1
            cases_with[fold][-1] += len(development[subject])
    return parts


def _in_turn(development: dict[str, list[Candidate]], seed: int) -> Iterable[tuple[int, list[str]]]:
    """Each subject once, under its rarest target; -1 stands for subjects without any target."""
    size = {
        subject: [sum(sizes) for sizes in zip(*(c.voxels for c in members), strict=True)]
        for subject, members in development.items()
    }
    targets = range(max(len(sizes) for sizes in size.values()))
    having = {target: [subject for subject in size if size[subject][target]] for target in targets}
    left = set(development)
    for target in sorted(targets, key=lambda t: (len(having[t]), t)):
        subjects = [subject for subject in having[target] if subject in left]
        left -= set(subjects)
        yield target, _mixed(subjects, {s: size[s][target] for s in subjects}, development, seed)
    yield -1, _mixed(list(left), dict.fromkeys(left, 0), development, seed)


def _mixed(subjects: list[str], size: dict[str, int], cases: dict[str, list[Candidate]], seed: int) -> list[str]:
    """Subjects with many cases first (they are hard to place), then by class of size, then by lot."""
    ranked = sorted(subjects, key=lambda subject: (size[subject], subject))
    size_class = {subject: rank * _SIZE_CLASSES // len(ranked) for rank, subject in enumerate(ranked)}
    return sorted(subjects, key=lambda s: (-len(cases[s]), size_class[s], _hash(seed, "order", s)))


def _by_subject(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    members: dict[str, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: (c.subject, c.case)):
        members.setdefault(candidate.subject, []).append(candidate)
    return members


def _hash(seed: int, *words: str) -> str:
    return hashlib.sha256("\0".join((str(seed), *words)).encode()).hexdigest()
