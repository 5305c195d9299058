"""Which cases show the same person: read off the case names, by one stated rule.

*Rule.* If every name begins with ``sub-<id>`` (BIDS), that is the subject. Otherwise a last token, split off by ``_``
or ``-``, is dropped when it is a word for a phase, session, contrast, side or slice (``ED``, ``frame12``, ``visit2``,
``T1``, ``left``, ``slice07``) **and** every case of the data set ends on such a word **and** dropping it brings several
cases together **and** at least two subjects remain (in ``brain_scan_1``, ``brain_scan_2`` the number is the person).
The rule is applied again to what remains. In all other data sets each case is its own subject.

Where names tell nothing, folders may: if the cases lie in three or more folders, several in some, and each folder's own
name holds a number and no word for a group (``site2``, ``train1``), the folder is the subject.

The rule errs towards grouping: two people taken for one cost a little freedom in making folds; one person taken for two
puts the same anatomy on both sides of a split, and the score is too good.

>>> subject_of, how = subjects(["P1_ED", "P1_ES", "P2_ED"])
>>> subject_of["P1_ES"], how
('P1', '2 subjects from the names of 3 cases, by dropping _ED, _ES')
>>> subjects(["hippocampus_004", "hippocampus_006"])[1]
''
"""

import re
from collections.abc import Iterable, Mapping

_LAST_WORD = re.compile(
    r"^(?P<subject>.+?)[_-](?P<word>"
    r"ed|es|systole|diastole|(?:frame|phase|slice|sl|z)[_-]?\d+"
    r"|(?:ses|session|visit|tp|timepoint|scan|day|week|month|study|v)[_-]?\d+|baseline|follow[_-]?up\d*|pre|post"
    r"|t1(?:w|c|ce|gd|post)?|t2(?:w|s|star)?|flair|pd|dwi|adc|mt[01]"
    r"|left|right|l|r"
    r")$",
    re.IGNORECASE,
)
_GROUP = re.compile(
    r"site|cent(?:er|re)|hospital|batch|fold|set|part|class|grade|group|vendor|scanner|train|test|val"
    r"|image|img|mask|label|seg",
    re.IGNORECASE,
)
_FEWEST_FOLDERS = 3
_BIDS = re.compile(r"^(?P<subject>sub-[A-Za-z0-9]+)(?:_|$)")


def subjects(cases: Iterable[str]) -> tuple[dict[str, str], str]:
    """Map each case to its subject.

    Returns:
        The map, and a sentence for the report; empty if every case is its own subject.
    """
    names = sorted(cases)
    current = {name: name for name in names}
    dropped: set[str] = set()
    bids = [_BIDS.match(name) for name in names]
    if names and all(bids):
        current = {name: match["subject"] for name, match in zip(names, bids, strict=True) if match}
        return current, _sentence(current, "by the prefix sub-<id>")
    while step := _drop_last_word(current):
        current, words = step
        dropped |= words
    return current, _sentence(current, "by dropping " + ", ".join(f"_{word}" for word in sorted(dropped)[:6]))


def by_folder(folder_of: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Map each case to the folder it lies in, if those are people.

    Args:
        folder_of: The folder of each case.

    Returns:
        As ``subjects``.

    >>> by_folder({"a": "p1", "b": "p1", "c": "p2", "d": "p3"})[1]
    '3 subjects from the folders of 4 cases'
    >>> by_folder({"a": "site1", "b": "site1", "c": "site2", "d": "site3"})[1]
    ''
    """
    folders = set(folder_of.values())
    own = {folder.rpartition("/")[2] for folder in folders}
    short = len(own) == len(folders)
    people = all(any(c.isdigit() for c in name) and not _GROUP.search(name) for name in own)
    if not people or not _FEWEST_FOLDERS <= len(folders) < len(folder_of):
        return {case: case for case in folder_of}, ""
    called = {case: folder.rpartition("/")[2] if short else folder for case, folder in folder_of.items()}
    return called, f"{len(folders)} subjects from the folders of {len(folder_of)} cases"


def _drop_last_word(current: dict[str, str]) -> tuple[dict[str, str], set[str]] | None:
    matches = {name: _LAST_WORD.match(subject) for name, subject in current.items()}
    shorter = {name: match["subject"] for name, match in matches.items() if match}
    remaining = len(set(shorter.values()))
    if len(shorter) < len(current) or remaining < 2 or remaining == len(set(current.values())):
        return None
    return shorter, {match["word"] for match in matches.values() if match}


def _sentence(subject_of: dict[str, str], how: str) -> str:
    count = len(set(subject_of.values()))
    if count == len(subject_of):
        return ""
    return f"{count} subjects from the names of {len(subject_of)} cases, {how}"
