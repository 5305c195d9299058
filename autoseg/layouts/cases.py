"""One folder per case: a file per channel, and a label file or a file per structure.

    patient07/  FLAIR.nii.gz  T1.nii.gz  T2.nii.gz  label.nii.gz
    s0001/      ct.nii.gz     segmentations/liver.nii.gz     segmentations/spleen.nii.gz
    HGG/BraTS_001/            BraTS_001_flair.nii.gz         BraTS_001_seg.nii.gz

Folders that group the cases may lie around them. What a file is called inside its case, without the case's own name, is
its *role*. Roles that at least half of the cases have are channels, in the order of the alphabet; a case without one of
them is listed all the same, and fails in the audit. Roles that are called masks are masks; where none is, or an image's
role is in doubt, one file of it is looked into. A case is called after its folder, and after those around it too where
that alone is not unique; the folder around it is its subject where the inner names repeat (``p1/visit1``).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from autoseg.contracts import Case, StructureFile
from autoseg.layouts import channel_files, label_names, masks_apart, names
from autoseg.layouts.appearance import looks_like_mask
from autoseg.layouts.case_folders import CaseFolder, levels
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

_MOST_CHANNELS = 16
_FOREGROUND = "foreground"
_MANY_PEOPLE, _VISITS = 5, 3  # so many folders around so few cases each are people, not groups of them


def recognise(tree: Tree) -> Found | None:
    """Read the folder as case folders; None if it is not."""
    return next((found for folders in levels(tree) if (found := _at_level(tree, folders)) is not None), None)


def _at_level(tree: Tree, folders: Sequence[CaseFolder]) -> Found | None:
    if _several_cases_each(folders):
        return None
    roles = _roles(tree, folders)
    if not roles.channels or not roles.masks or len(roles.channels) > _MOST_CHANNELS:
        return None
    called = _names(folders, tree.root.resolve().name)
    subjects, grouping = _subjects(folders)
    cases = [_case(folder, called[folder.path], subjects[folder.path], roles) for folder in folders]
    return Found(
        layout="cases",
        channels=_channel_names(roles.channels),
        labels=None,
        label_names=label_names.find(tree),
        cases=tuple(case for case in cases if case is not None),
        grouping=grouping,
        notes=(_how(roles), *_incomplete(folders, called, roles)),
        reasons={file: why for folder in folders for file, why in _unused(folder, roles).items()},
    )


@dataclass(frozen=True)
class _Roles:
    """What the files of a case are.

    Attributes:
        channels: Roles of images.
        masks: Roles of the masks that make the label; several: one structure each.
        pieces: The masks are called differently in every case, so all show parts of one structure.
        why: Why other masks are not used; empty: there are none, or each shows a structure.
    """

    channels: tuple[str, ...]
    masks: tuple[str, ...]
    pieces: bool = False
    why: str = ""

    @cached_property
    def used(self) -> frozenset[str]:
        """The masks' roles, which may be very many, for looking up."""
        return frozenset(self.masks)


def _several_cases_each(folders: Sequence[CaseFolder]) -> bool:
    """Whether most folders hold several masks that are each called like an image of their own."""
    return 2 * sum(folder.own_pairs > 1 for folder in folders) > len(folders)


def _roles(tree: Tree, folders: Sequence[CaseFolder]) -> _Roles:
    counts = Counter(role for folder in folders for role in folder.roles)
    drawn = {role for role in counts if names.is_mask_name(role)}
    masks = [role for role in counts if role in drawn]
    images = [{role: file for role, file in folder.roles.items() if role not in drawn} for folder in folders]
    shared = [role for role in channel_files.shared_words(images) if counts[role] > 1 or len(folders) == 1]
    if len(shared) > 1 or not masks:
        looking_so = [role for role in shared if _looks_drawn(tree, folders, role)]
        shared = [role for role in shared if role not in looking_so]
        masks = masks or looking_so
    common = [role for role in masks if counts[role] > 1 or len(folders) == 1]
    if sum(counts[role] for role in common) * 2 < sum(counts[role] for role in masks):
        return _Roles(tuple(shared), tuple(masks), pieces=True)
    used, why = masks_apart.to_use(_in_one_folder(common))
    return _Roles(tuple(shared), used, why=why or ("" if len(used) == len(masks) else "other masks are used"))


def _looks_drawn(tree: Tree, folders: Sequence[CaseFolder], role: str) -> bool:
    return looks_like_mask(tree.root / next(folder.roles[role] for folder in folders if role in folder.roles))


def _in_one_folder(masks: Sequence[str]) -> list[str]:
    """Masks beside the images if there are any, else those of the inner folder that holds the most."""
    by_folder: dict[str, list[str]] = {}
    for mask in masks:
        by_folder.setdefault(mask.rpartition("/")[0], []).append(mask)
    return by_folder.get("") or max(by_folder.values(), key=len, default=[])


# ----------------------------------------------------------------------------------------------------------- cases


def _case(folder: CaseFolder, name: str, subject: str, roles: _Roles) -> Case | None:
    images = tuple(folder.roles[role] for role in roles.channels if role in folder.roles)
    masks = {role: file for role, file in sorted(folder.roles.items()) if role in roles.used}
    if not images:
        return None
    whole = len(roles.masks) == 1 and not roles.pieces
    return Case(
        case=name,
        subject=subject or name,
        images=images,
        label=next(iter(masks.values()), None) if whole else None,
        structures=()
        if whole
        else tuple(
            StructureFile(name=_FOREGROUND if roles.pieces else structure_name(role), file=file)
            for role, file in masks.items()
        ),
    )


def structure_name(role: str) -> str:
    """What a mask shows: its name without its folder and the words that say "mask".

    >>> structure_name("segmentations/liver"), structure_name("tumour_mask")
    ('liver', 'tumour')
    """
    last = role.rpartition("/")[2]
    return names.structure(last) or last


def _names(folders: Sequence[CaseFolder], root: str) -> dict[str, str]:
    inner = Counter(folder.name.casefold() for folder in folders)
    unique = len(inner) == len(folders)
    return {folder.path: (folder.name if unique else folder.path.replace("/", "_")) or root for folder in folders}


def _subjects(folders: Sequence[CaseFolder]) -> tuple[dict[str, str], str]:
    """The folders around the cases where names repeat from one to the next, or many hold few each; else nothing."""
    outer = {folder.path: folder.path.rpartition("/")[0] for folder in folders}
    around = set(outer.values())
    inner = {folder.name for folder in folders}
    repeated = len(around) > 1 and 2 * len(inner) <= len(folders)
    few_each = _MANY_PEOPLE <= len(around) < len(folders) <= _VISITS * len(around)
    if not repeated and not few_each:
        return dict.fromkeys(outer, ""), ""
    subject = {path: folder.replace("/", "_") for path, folder in outer.items()}
    return subject, f"{len(around)} subjects from the folders around the {len(folders)} cases"


def _channel_names(channels: Sequence[str]) -> tuple[str, ...] | None:
    """None for a single one: it may hold all channels, and the files tell."""
    if len(channels) == 1:
        return None
    last = tuple(channel.rpartition("/")[2] or "image" for channel in channels)
    return last if len(set(last)) == len(last) else tuple(channel.replace("/", "_") for channel in channels)


# ----------------------------------------------------------------------------------------------------------- words


def _how(roles: _Roles) -> str:
    images = ", ".join(role or "the file called like its folder" for role in roles.channels)
    if roles.pieces:
        return f"one folder per case: image {images}; all its masks together are the label"
    more = f" and {len(roles.masks) - 4} more" if len(roles.masks) > 4 else ""
    kind = "label" if len(roles.masks) == 1 else "one structure per file"
    return f"one folder per case: images {images}; {kind}: {', '.join(roles.masks[:4])}{more}"


def _incomplete(folders: Sequence[CaseFolder], called: Mapping[str, str], roles: _Roles) -> list[str]:
    lacking = {called[folder.path]: [role for role in roles.channels if role not in folder.roles] for folder in folders}
    none = len(roles.channels)  # no case at all
    return [f"{case} lacks {', '.join(missing)}" for case, missing in lacking.items() if 0 < len(missing) < none]


def _unused(folder: CaseFolder, roles: _Roles) -> dict[str, str]:
    rest = {role: file for role, file in folder.roles.items() if role not in roles.used and role not in roles.channels}
    rare = "too few cases have such a file for it to be a channel or a structure"
    return {file: roles.why if roles.why and names.is_mask_name(role) else rare for role, file in rest.items()}
