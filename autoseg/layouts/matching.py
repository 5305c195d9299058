"""Which mask belongs to which image, by names alone.

The names are compared as they are; then, in whatever case, without words such as ``img`` and ``mask``; then without the
beginning and end that all share; then without both; then without leading zeros of numbers. An image may be several
files, one per channel (``X_0000``, ``X_0001``, or ``X_T1``, ``X_FLAIR``), and a label several masks, one per structure
(``X_liver``, ``X_spleen``). The way that joins the most wins, the simplest among equals.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from autoseg.contracts import StructureFile
from autoseg.layouts import channel_files, names

_MOST_CHANNELS = 12
_WAYS = (
    names.as_they_are,
    names.without_roles,
    names.without_common,
    names.without_roles_and_common,
    names.by_number,
)


@dataclass(frozen=True)
class Matched:
    """The channel files of each case, and the label found for some of the cases.

    Attributes:
        images: By case, one file per channel.
        masks: By case, the file of a label that is one file.
        structures: By case, the files of a label that is one file per structure.
        channels: What the channels are called; None: they are only numbered, or there is but one.
    """

    images: dict[str, tuple[str, ...]]
    masks: dict[str, str] = field(default_factory=dict)
    structures: dict[str, tuple[StructureFile, ...]] = field(default_factory=dict)
    channels: tuple[str, ...] | None = None

    @property
    def labelled(self) -> frozenset[str]:
        """Cases that have a label."""
        return frozenset((*self.masks, *self.structures))


def match(images: Mapping[str, str], masks: Mapping[str, str]) -> Matched:
    """Join images and masks, both by name.

    >>> match({"img_1": "i/img_1.png", "img_2": "i/img_2.png"}, {"mask_1": "m/mask_1.png"}).masks
    {'img_1': 'm/mask_1.png'}
    """
    best = Matched(channel_files.single(images))
    for matched in _candidates(images, masks):
        if len(matched.labelled) > len(best.labelled):
            best = matched
        if len(best.labelled) == len(masks):
            break
    return best


def _candidates(images: Mapping[str, str], masks: Mapping[str, str]) -> Iterator[Matched]:
    """All ways of joining, the simplest first."""
    for way in range(len(_WAYS)):
        for group in _groupings(images):
            yield Matched(group, {name: masks[mask] for name, mask in _pairs(group, masks, way)})
    yield from _by_last_word_of(images, masks)
    yield from _structures(images, masks)


def _groupings(images: Mapping[str, str]) -> list[dict[str, tuple[str, ...]]]:
    """The files of each case: one, or where all are numbered so one per channel."""
    groupings = [channel_files.single(images)]
    if channel_files.numbered(images):
        groupings.append(channel_files.group(images))
    return groupings


def _by_last_word_of(images: Mapping[str, str], masks: Mapping[str, str]) -> list[Matched]:
    """``X_T1``, ``X_FLAIR`` for a mask that is called X but for words that say mask."""
    mask_of = _called(masks)
    words = channel_files.by_last_word(images, mask_of)
    channels = channel_files.shared_words(words.values())
    if not 1 < len(channels) <= _MOST_CHANNELS:
        return []
    files = {case: tuple(members[word] for word in channels if word in members) for case, members in words.items()}
    files = {case: members for case, members in files.items() if members}
    return [Matched(files, {case: masks[mask_of[case]] for case in files}, {}, channels)]


def _structures(images: Mapping[str, str], masks: Mapping[str, str]) -> list[Matched]:
    """``X_liver_mask``, ``X_spleen_mask`` for an image that is called X but for words that say image."""
    image_of = _called(images)
    words = channel_files.by_last_word({names.structure(mask): file for mask, file in masks.items()}, image_of)
    if len(channel_files.shared_words(words.values())) < 2:
        return []
    found = {
        image_of[case]: tuple(StructureFile(name=word, file=file) for word, file in sorted(members.items()))
        for case, members in words.items()
    }
    return [Matched(channel_files.single(images), {}, found)]


def _pairs(images: Iterable[str], masks: Iterable[str], way: int) -> list[tuple[str, str]]:
    """Names of images and masks that become equal. Names that become equal among themselves decide nothing."""
    mask_of = _unique(_WAYS[way](masks), exactly=way == 0)
    image_of = _unique(_WAYS[way](images), exactly=way == 0)
    return [(image_of[key], mask_of[key]) for key in sorted(image_of.keys() & mask_of.keys())]


def _called(files: Iterable[str]) -> dict[str, str]:
    """Names by themselves, by what they say beside "image" and "mask", and without words at the end that all have."""
    own = {name: name for name in files}
    return _unique(names.without_common_end(own)) | _unique({name: names.structure(name) for name in own}) | own


def _unique(renamed: Mapping[str, str], *, exactly: bool = True) -> dict[str, str]:
    by_key: dict[str, list[str]] = {}
    for name, key in renamed.items():
        by_key.setdefault(key if exactly else key.casefold(), []).append(name)
    return {key: members[0] for key, members in by_key.items() if key and len(members) == 1}
