"""What names of files and folders say about images and masks, and how two names for one thing are brought together."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache

_MASK = re.compile(
    r"mask|msk|label|(?<!un)seg(?!ment(?:ed)?[_-]?im)|anno(?:t|[^a-z]|$)|ground[_-]?truth|truth|contour|manual|delineat|lesion_?map"
    r"|(?:^|[^a-z])(?:gt|roi|target|y)s?(?:[^a-z]|$)",
    re.IGNORECASE,
)
_AROUND = re.compile(r"(?:^|[^a-z])(?:brain|skull|head|body|fov|roi)(?:[^a-z]|mask|$)", re.IGNORECASE)
_FAINT = re.compile(r"mask|roi|brain|fov|body|bet(?:[^a-z]|$)", re.IGNORECASE)
_ROLE_WORD = (
    r"images?|img|im|scan|vol(?:ume)?|orig(?:inal)?|raw|data"
    r"|masks?|msk|labels?|lbl|seg(?:s|mentations?|mented)?|anno(?:tation)?s?|ground[_-]?truth|gt|truth|manual|contours?|target|roi"
)
_ROLE = re.compile(rf"(?:^|(?<=[_\-. ]))(?:{_ROLE_WORD})(?=[_\-. ]|\d|$)", re.IGNORECASE)
_ROLE_GLUED = re.compile(r"(?<=[a-z])(?:Mask|Seg|Segmentation|Label)s?(?=[_\-. ]|$)")  # leftMask
_IMAGE = re.compile(
    r"^(?:images?|imgs?|imaging|im|scans?|vol(?:ume)?s?|orig(?:inal)?s?|raw|data|inputs?|x|pictures?|photos?)$",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"^(?:t1\w*|t2\w*|flair|pd\w?|dwi|adc|dti|swi|asl|cbv|cbf|tmax|mtt|ttp|mt\d|ct\w?|cbct|cta|ctp|pet|suv|fdg|mri?|mra|us"
    r"|pre|post|native|contrast|ce|dce|art(?:erial)?|pv|portal|venous|delayed|inphase|outphase|water|fat|dixon\w*"
    r"|red|green|blue|nir|dapi|fitc|cy\d|(?:channel|ch|c|modality|mod)[_-]?\d+)$",
    re.IGNORECASE,
)
_RATER = re.compile(
    r"rater|reader|expert|annotator|observer|doctor|radiologist|consensus|staple|majority|intersection|union"
    r"|(?:^|[^a-z])(?:maj|(?-i:AND|OR)|r\d)(?:[^a-z]|$)|manual\d"
    r"|(?:^|[^a-z])\d{1,3}(?:st|nd|rd|th)(?:[^a-z]|(?-i:[A-Z])|$)",
    re.IGNORECASE,
)
_AGREED = re.compile(r"consensus|staple|maj|gold|final", re.IGNORECASE)
NUMBER = re.compile(r"\d+")
_PARTS = {
    "train": re.compile(r"(?:^|[^a-z])(?:tr(?:ain(?:ing)?)?|development)(?:[^a-z]|$)|[a-z](?-i:Tr)$", re.IGNORECASE),
    "val": re.compile(r"(?:^|[^a-z])va(?:l(?:id(?:ation)?)?)?(?:[^a-z]|$)|[a-z](?-i:Va)$", re.IGNORECASE),
    "test": re.compile(r"(?:^|[^a-z])(?:ts|test(?:ing)?|hold[_-]?out)(?:[^a-z]|$)|[a-z](?-i:Ts)$", re.IGNORECASE),
}


def part_of(folder: str) -> str | None:
    """Which part of a split a folder's name speaks of: train, val, test, or none.

    >>> [part_of(name) for name in ("training", "imagesTs", "val_images", "Test_Input", "contrast", "patients")]
    ['train', 'test', 'val', 'test', None, None]
    """
    return next((part for part, words in _PARTS.items() if words.search(folder)), None)


def is_image_name(name: str) -> bool:
    """Whether a folder or role says no more than "image", apart from a part of a split.

    >>> [is_image_name(name) for name in ("images", "train_images", "imagesTr", "T1", "images_left")]
    [True, True, True, False, False]
    """
    words = [word for word in re.split(r"[_\-. ]+", re.sub(r"(?<=[a-z])(?:Tr|Va|Ts)$", "", name)) if not part_of(word)]
    return bool(words) and all(_IMAGE.match(word) for word in words)


def is_channel_name(name: str) -> bool:
    """Whether a name is a usual word for a contrast, modality or stain.

    >>> [is_channel_name(name) for name in ("T1", "FLAIR", "pet", "enhanced")]
    [True, True, True, False]
    """
    return _CHANNEL.match(name) is not None


def is_faint_mask_name(name: str) -> bool:
    """Whether a mask's name may as well mean a field of view: beside a ``manual`` or ``label`` it counts less."""
    return _FAINT.search(name) is not None


def is_surrounding_name(name: str) -> bool:
    """Whether a mask's name says that it only shows where the thing of interest can lie.

    >>> [is_surrounding_name(name) for name in ("brain_mask", "BrainMask", "brainstem_seg", "tumour")]
    [True, True, False, False]
    """
    return _AROUND.search(name) is not None


def is_rater_name(name: str) -> bool:
    """Whether a mask's name speaks of who drew it, so that it stands beside others of the same thing.

    >>> [is_rater_name(name) for name in ("rater1", "2nd_manual", "aggregated_MAJ_seg", "liver", "left_and_right")]
    [True, True, True, False, False]
    """
    return _RATER.search(name) is not None


def preferred_rater(names: Iterable[str]) -> str:
    """Whose mask to take: one that several agreed on, else the first.

    >>> preferred_rater(["rater2", "rater1"]), preferred_rater(["expert1", "consensus"])
    ('rater1', 'consensus')
    """
    return min(names, key=lambda name: (_AGREED.search(name) is None, name))


@lru_cache(maxsize=2**16)
def structure(name: str) -> str:
    """What a mask's name says beside being a mask; empty: nothing.

    >>> [structure(name) for name in ("liver_mask", "seg", "Segmentation_left_lung", "leftMask")]
    ['liver', '', 'left_lung', 'left']
    """
    return without_roles([_ROLE_GLUED.sub("", name)])[_ROLE_GLUED.sub("", name)]


@lru_cache(maxsize=2**16)
def is_mask_name(name: str) -> bool:
    """Whether a file or folder name says "mask".

    >>> [is_mask_name(name) for name in ("labelsTr", "masks", "case_seg", "gt", "images", "target_01", "night")]
    [True, True, True, True, False, True, False]
    """
    return _MASK.search(name) is not None


def as_they_are(names: Iterable[str]) -> dict[str, str]:
    """Each name stands for itself."""
    return {name: name for name in names}


def without_roles(names: Iterable[str]) -> dict[str, str]:
    """Names without the words that tell images from masks.

    >>> without_roles(["img_001", "case7_seg"])
    {'img_001': '001', 'case7_seg': 'case7'}
    """
    return {name: re.sub(r"[_\-. ]+", "_", _ROLE.sub("", name)).strip("_-. ") for name in names}


def without_roles_and_common(names: Iterable[str]) -> dict[str, str]:
    """Names without words for roles, then without what all share: ``7_T1`` and ``7_Seg`` are both 7.

    >>> without_roles_and_common(["7_T1", "x_T1"]), without_roles_and_common(["7_Seg", "x_seg"])
    ({'7_T1': '7', 'x_T1': 'x'}, {'7_Seg': '7', 'x_seg': 'x'})
    """
    short = without_roles(names)
    core = without_common(set(short.values()))
    return {name: core[said].strip("_-. ") for name, said in short.items()}


def by_number(names: Iterable[str]) -> dict[str, str]:
    """Names without words for roles and without leading zeros.

    >>> by_number(["img_1", "mask_001"])
    {'img_1': '1', 'mask_001': '1'}
    """
    return {name: NUMBER.sub(lambda n: str(int(n[0])), short) for name, short in without_roles(names).items()}


def without_common_end(names: Iterable[str]) -> dict[str, str]:
    """Names without the last words that all share.

    >>> without_common_end(["P1_lesion", "P2_lesion"])
    {'P1_lesion': 'P1', 'P2_lesion': 'P2'}
    """
    listed = list(names)
    end = os.path.commonprefix([name[::-1] for name in listed])[::-1]
    starts = [position for position, character in enumerate(end) if character in "_-. "]
    cut = len(end) - starts[0] if starts and len(listed) > 1 else 0
    return {name: name[: len(name) - cut] for name in listed}


def without_common(names: Iterable[str]) -> dict[str, str]:
    """Names without the beginning and the end that all share; a number is never cut in two.

    >>> without_common(["T2_010", "T2_011"])
    {'T2_010': '010', 'T2_011': '011'}
    """
    listed = list(names)
    start = os.path.commonprefix(listed).rstrip("0123456789")
    rest = [name[len(start) :] for name in listed]
    end = os.path.commonprefix([name[::-1] for name in rest])[::-1].lstrip("0123456789")
    return {name: core[: len(core) - len(end)] for name, core in zip(listed, rest, strict=True)}
