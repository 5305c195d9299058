"""A table of cases: CSV or TSV with a header, in the data set's folder. Paths are relative to the table.

    image,label,subject                       one row per case
    case,t1,t2,mask                           one column per channel
    case,channel,image,label                  or one row per channel
    image,liver_mask,spleen_mask              one column per structure;  image,label,structure: one row

Columns are told by their names in any usual spelling; columns for channels and structures by their cells being image
files. ``subject`` groups cases. ``split`` sets ``test`` rows apart; whole numbers are folds. Several tables are parts
of one data set if they are called train, val and test; otherwise each is a reading, and the table itself can be named
instead of the folder.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from autoseg.contracts import Case, StructureFile
from autoseg.errors import DataError, LayoutError
from autoseg.layouts import channel_files, columns, label_names, masks_apart, names, rows
from autoseg.layouts.columns import Columns, Files
from autoseg.layouts.declaration import case_name
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree


def recognise(tree: Tree) -> Found | None:
    """Find tables that list cases; None if there are none.

    Raises:
        DataError: A table lists cases, but contradicts itself.
        RefusedError: It names files outside the folder.
    """
    found = [made for file in _tables(tree) if (made := _of(tree, file)) is not None]
    if not found:
        return None
    parts = {made.reading: names.part_of(made.reading.removeprefix("table:")) for made in found}
    if len(found) > 1 and None not in parts.values() and len(set(parts.values())) == len(found):
        return _united(found, parts)
    ranked = sorted(found, key=lambda made: -sum(case.labelled for case in made.cases))
    told = [_telling_others(made, found) for made in ranked]
    return replace(told[0], rivals=tuple(made for made in told[1:] if not _pairs(made) <= _pairs(told[0])))


def of_file(tree: Tree, file: str) -> Found:
    """Read the table that the user named.

    Raises:
        LayoutError: It does not list cases.
        DataError: It is no table, or contradicts itself.
        RefusedError: It names files outside the folder.
    """
    table = rows.read(tree.root / file)
    found = _of(tree, file)
    if found is None:
        raise LayoutError(
            f"{tree.root / file}: no column of images; its columns are {', '.join(table.columns)[:200]}; expected e.g. "
            "image, label and subject, where image and label are files relative to the table"
        )
    others = [other for name in _tables(tree) if name != file and (other := _of(tree, name)) is not None]
    return replace(_telling_others(found, others), reading="")


def _tables(tree: Tree) -> list[str]:
    return [file for file in tree.files if "/" not in file and rows.is_table(file)]


def _pairs(found: Found) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    return {(case.images, case.label_files) for case in found.cases}


def _telling_others(found: Found, every: Sequence[Found]) -> Found:
    """The same, with files that another table names said to be its."""
    reasons = {
        file: f"named in {other.reading.removeprefix('table:')}, which is another data set"
        for other in every
        if other.reading != found.reading
        for case in other.cases
        for file in (*case.images, *case.label_files)
    }
    return replace(found, reasons=reasons)


@dataclass(frozen=True)
class _Row:
    """A row as it will be used; ``line`` is where it stands."""

    line: int
    case: str
    cells: Mapping[str, str]
    images: tuple[tuple[str, str], ...]  # column, file
    labels: tuple[tuple[str, str], ...]


def _of(tree: Tree, file: str) -> Found | None:
    try:
        table = rows.read(tree.root / file)
    except DataError:
        return None
    files = Files(tree)
    told = columns.of(table, files)
    if not told.images or not told.labels:
        return None
    read = [
        _row(line, cells, told, files, tree.root / file) for line, cells in zip(table.lines, table.rows, strict=True)
    ]
    read = _named([row for row in read if row.images], told)
    channels, cases = _cases(read, told, f"{tree.root / file}")
    return Found(
        layout="table",
        channels=channels,
        labels=None,
        label_names=label_names.find(tree),
        cases=tuple(cases),
        grouping=_grouping(cases, told),
        notes=(f"{file}: {_meaning(told)}", *_dropped(told)),
        reading=f"table:{file}",
    )


def _row(line: int, cells: Mapping[str, str], told: Columns, files: Files, path: object) -> _Row:
    def named(column: str, *, mask: bool) -> str:
        return files.resolve(cells[column], f"{path}: line {line}, column {column}", mask=mask)

    case = cells[told.case].strip() if told.case else ""
    return _Row(
        line=line,
        case=case_name(case, f"{path}: line {line}, column {told.case}") if case else "",
        cells=cells,
        images=tuple((column, named(column, mask=False)) for column in told.images if columns.filled(cells[column])),
        labels=tuple(
            (column, named(column, mask=True)) for column in _used_labels(told) if columns.filled(cells[column])
        ),
    )


def _used_labels(told: Columns) -> tuple[str, ...]:
    """Of several columns with masks, those that count."""
    by_word = {rows.plain(column): column for column in told.labels}
    return tuple(by_word[word] for word in masks_apart.to_use(list(by_word))[0])


def _named(read: Sequence[_Row], told: Columns) -> list[_Row]:
    """Rows without a case's name are called after their label where they are channels of it, else after their image."""
    labels = {row.labels[0][1] for row in read if row.labels}
    shared = told.channel is not None and all(row.labels for row in read) and len(labels) < len(read)
    keys = [(row.labels[0] if shared else row.images[0])[1] for row in read]
    stems = {key: channel_files.stem(key) for key in keys}
    if len(set(stems.values())) < len(stems):
        stems = {key: "_".join((*PurePosixPath(key).parts[:-1], stem)) for key, stem in stems.items()}
    return [row if row.case else replace(row, case=stems[key]) for row, key in zip(read, keys, strict=True)]


# ----------------------------------------------------------------------------------------------------------- cases


def _cases(read: Sequence[_Row], told: Columns, path: str) -> tuple[tuple[str, ...] | None, list[Case]]:
    by_case: dict[str, list[_Row]] = {}
    for row in read:
        by_case.setdefault(row.case, []).append(row)
    images = {case: _images(members, told, path) for case, members in by_case.items()}
    channels = channel_files.shared_words(images.values())
    if len(channels) < 2:
        files = {case: tuple(dict.fromkeys(members.values())) for case, members in images.items()}
        names_of_channels = None
    else:
        files = {case: tuple(mine[each] for each in channels if each in mine) for case, mine in images.items()}
        names_of_channels = channels
    return names_of_channels, [
        _case(case, files[case], members, told, path) for case, members in by_case.items() if files[case]
    ]


def _images(members: Sequence[_Row], told: Columns, path: str) -> dict[str, str]:
    """The image files of one case by channel."""
    found: dict[str, str] = {}
    for row in members:
        for column, file in row.images:
            alone = len(members) == 1 or told.channel is None
            channel = column if len(told.images) > 1 else "" if alone else row.cells[told.channel or ""].strip()
            if found.setdefault(channel, file) != file:
                what = f"another image for channel {channel!r}" if channel else "another image"
                raise DataError(
                    f"{path}: line {row.line}: case {row.case!r} stands in line {members[0].line} too, with {what}; "
                    "name each case once, or say in a column 'channel' what each of its images is"
                )
    return {_channel_name(channel): file for channel, file in found.items()}


def _channel_name(column: str) -> str:
    return names.without_roles([column])[column].removesuffix("_path").removesuffix("_file") or column


def _case(case: str, images: tuple[str, ...], members: Sequence[_Row], told: Columns, path: str) -> Case:
    first = members[0]
    masks = _masks(members, told)
    single = next(iter(masks.values())) if len(set(masks.values())) == 1 else None
    part = first.cells[told.part].strip().lower() if told.part else ""
    subject = first.cells[told.subject].strip() if told.subject else ""
    if len(masks) > 1 and single is None and told.structure is None and len(_used_labels(told)) == 1:
        raise DataError(
            f"{path}: line {first.line}: case {case!r} has several labels: {', '.join(sorted(set(masks.values())))}; "
            "give it one, or say in a column 'structure' what each shows"
        )
    return Case(
        case=case,
        subject=subject or case,
        images=images,
        label=single,
        structures=()
        if single or not masks
        else tuple(StructureFile(name=name, file=file) for name, file in sorted(masks.items())),
        given_holdout=bool(masks) and names.part_of(part) == "test",
        given_fold=int(part) if part.isdecimal() and len(part) < 4 else None,
    )


def _masks(members: Sequence[_Row], told: Columns) -> dict[str, str]:
    """The label files of one case by structure."""
    found: dict[str, str] = {}
    for row in members:
        for column, file in row.labels:
            word = row.cells[told.structure].strip() if told.structure else names.structure(rows.plain(column))
            found[word or file] = file
    return found


# ----------------------------------------------------------------------------------------------------------- words


def _meaning(told: Columns) -> str:
    said = [f"images from {', '.join(told.images)}", f"labels from {', '.join(_used_labels(told))}"]
    facts = (("case", told.case), ("subject", told.subject), ("channel", told.channel), ("part of a split", told.part))
    return "; ".join([*said, *(f"{what} from {column}" for what, column in facts if column)])


def _dropped(told: Columns) -> tuple[str, ...]:
    why = masks_apart.to_use([rows.plain(column) for column in told.labels])[1]
    return (f"not all columns of masks are used: {why}",) if why else ()


def _grouping(cases: Sequence[Case], told: Columns) -> str:
    if told.subject is None:
        return ""
    return f"{len({case.subject for case in cases})} subjects of {len(cases)} cases from the column {told.subject}"


def _united(found: Sequence[Found], parts: Mapping[str, str | None]) -> Found:
    """Tables for parts of a split, as one."""
    counts = Counter(case.case for made in found for case in made.cases)
    cases = [
        case.model_copy(
            update={
                "given_holdout": case.labelled and parts[made.reading] == "test",
                "case": f"{parts[made.reading]}_{case.case}" if counts[case.case] > 1 else case.case,
            }
        )
        for made in found
        for case in made.cases
    ]
    notes = tuple(note for made in found for note in made.notes)
    return replace(found[0], cases=tuple(cases), notes=notes, reading="table")
