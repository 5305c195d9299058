"""Names of labels that a NIfTI file carries itself: a label table in XML, in a header extension.

Connectome Workbench defined the table; other tools that write many labels at once use it too. Only the head of the file
is looked at, and only text is searched: nothing is parsed that could refer to other files.
"""

import html
import re
import zlib
from pathlib import Path

_HEAD_BYTES = 2**20  # a table of a thousand labels takes a tenth
_GZIP_MAGIC = b"\x1f\x8b"
_EXTENSIONS_FROM = 348  # of NIfTI-1, the only one that such tables were seen in
_LABEL = re.compile(
    rb'<Label\s[^>]*?Key="(-?\d{1,9})"[^>]*>\s*(?:<!\[CDATA\[(.{1,200}?)\]\]>|([^<]{1,200}))\s*</Label>'
)


def read(path: Path) -> dict[int, str]:
    """Name of each value, as far as the file says; empty where it says nothing, or cannot be read.

    Two values of one name, or a name of blanks, make the table worthless: then it is empty too.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")) or not path.is_file():
        return {}
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_GZIP_MAGIC):
        head = _unpacked(head)
    if head[_EXTENSIONS_FROM : _EXTENSIONS_FROM + 1] in (b"", b"\0"):
        return {}
    found = {int(key): _text(quoted or plain) for key, quoted, plain in _LABEL.findall(head)}
    names = list(found.values())
    return found if all(names) and len(set(names)) == len(names) else {}


def _unpacked(head: bytes) -> bytes:
    """The beginning of what is compressed, cut short where the head is."""
    try:
        return zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return b""


def _text(raw: bytes) -> str:
    return " ".join(html.unescape(raw.decode("utf-8", "replace")).split())
