"""The same image under several names: found by its voxels, and kept on one side of every split.

Files that differ in container, compression, number type or orientation hold the same image if their voxels agree.
"""

from collections.abc import Sequence
from dataclasses import replace

from autoseg.intake.auditing import Finding
from autoseg.intake.examination import Examined


def sharing_subjects(items: Sequence[Examined]) -> list[Examined]:
    """Give cases with the same voxels one subject, so that no split tears them apart."""
    first: dict[str, Examined] = {}
    joined: dict[str, str] = {}
    twins: dict[str, Examined] = {}
    for item in items:
        if item.scan is None:
            continue
        earlier = first.setdefault(item.image_content, item)
        if earlier is not item:
            twins[item.case.case] = earlier
            joined[_end(joined, item.case.subject)] = _end(joined, earlier.case.subject)
    joined = {subject: other for subject, other in joined.items() if subject != other}
    return [_with_subject(item, _end(joined, item.case.subject), twins.get(item.case.case)) for item in items]


def _end(joined: dict[str, str], subject: str) -> str:
    while joined.get(subject, subject) != subject:
        subject = joined[subject]
    return subject


def _with_subject(item: Examined, subject: str, twin: Examined | None) -> Examined:
    case = item.case.model_copy(update={"subject": subject})
    if twin is None:
        return replace(item, case=case)
    reason = f"the image is identical to that of case {twin.case.case}"
    if item.case.labelled and twin.case.labelled and item.counts != twin.counts:
        reason += ", but its label is another one; keep the right one"
    finding = Finding(reason, f"both count as subject {subject}", "duplicate")
    return replace(item, case=case, findings=(*item.findings, finding))
