"""A table of names of label values (``value,name``) that lies beside images and masks.

It is a dictionary, not a declaration: it may name values that occur nowhere, and those are no labels then.
"""

import re

from autoseg.errors import DataError
from autoseg.layouts import rows
from autoseg.layouts.tree import Tree

_VALUE = re.compile(r"^(?:label_?|class_?)?(?:value|index|id|number|no|idx|label|class|intensity)$")
_NUMBER = re.compile(r"-?\d{1,6}")
_NAME = re.compile(r"^(?:label_?|class_?|structure_?|organ_?|roi_?)?(?:name|structure|organ|roi|description|title)s?$")


def find(tree: Tree) -> dict[int, str]:
    """Names by value, from the only table of values and names in the folder itself; empty without one."""
    tables = [file for file in tree.files if "/" not in file and rows.is_table(file)]
    found = [names for file in tables if (names := of_table(tree, file))]
    return found[0] if len(found) == 1 else {}


def of_table(tree: Tree, file: str) -> dict[int, str]:
    """Names by value; empty if this is no table of values and names, each standing once."""
    try:
        table = rows.read(tree.root / file)
    except DataError:
        return {}  # whatever it is, nobody said that it matters
    value = next((name for name in table.columns if _VALUE.match(rows.plain(name))), None)
    named = next((name for name in table.columns if _NAME.match(rows.plain(name)) and name != value), None)
    if value is None or named is None:
        return {}
    pairs = [(row[value].strip(), row[named].strip()) for row in table.rows]
    if not all(_NUMBER.fullmatch(number) and name for number, name in pairs):
        return {}
    by_value = {int(number): name for number, name in pairs}
    distinct = len(by_value) == len(pairs) == len(set(by_value.values()))
    return by_value if distinct else {}
