"""A file's bytes, read once, and plain words for what is wrong with files that hold no image.

Downloads that went wrong leave typical things behind: nothing at all, a pointer of a version control system, a web page
that says "not found", half a gzip stream. Saying which of them it is saves the user an hour.
"""

import stat
from pathlib import Path
from typing import cast

from isal import isal_zlib

from autoseg.errors import RefusedError, UnreadableFile

GZIP_MAGIC = b"\x1f\x8b"

_DAMAGED = cast(type[Exception], isal_zlib.error)  # its stub does not say that it is an exception


def load(path: Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        UnreadableFile: It is missing, unreadable, no regular file, empty, or a stand-in for an image.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would block for ever
            raise UnreadableFile(path, "not a regular file", "replace it by the image itself")
        content = path.read_bytes()
    except FileNotFoundError:
        problem = "the link points nowhere" if path.is_symlink() else "there is no such file"
        raise UnreadableFile(path, problem) from None
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror}", "check permissions and disk") from error
    _refuse_stand_ins(path, content)
    return content


def _refuse_stand_ins(path: Path, content: bytes) -> None:
    start = content[:512].lstrip().lower()
    if not content:
        raise UnreadableFile(path, "the file is empty (0 bytes)")
    if start.startswith(b"version https://git-lfs"):
        problem = f"this is a Git LFS pointer ({len(content)} bytes), not the image"
        raise UnreadableFile(path, problem, "run 'git lfs pull' where it came from")
    if b"/annex/objects/" in start:
        raise UnreadableFile(path, "this is a git-annex pointer, not the image", "run 'git annex get' on it")
    if start.startswith((b"<!doctype html", b"<html")):
        raise UnreadableFile(path, "this is a web page, not an image", "download the image again")


def gunzip(path: Path, content: bytes, limit_bytes: int) -> tuple[bytes, bool]:
    """Decompress gzip data, all members, with its checksums verified.

    Args:
        path: For messages.
        content: The compressed bytes.
        limit_bytes: Stop when this many bytes have come out.

    Returns:
        The bytes, at most ``limit_bytes``, and whether the stream ended within the limit.

    Raises:
        UnreadableFile: The stream is cut short or damaged.
    """
    pieces: list[bytes] = []
    produced = 0
    while content.startswith(GZIP_MAGIC) or not pieces:
        stream = isal_zlib.decompressobj(wbits=31)
        try:
            piece = stream.decompress(content, limit_bytes - produced)
        except _DAMAGED as error:
            raise UnreadableFile(path, f"its gzip stream is damaged ({error})") from error
        pieces.append(piece)
        produced += len(piece)
        if not stream.eof:
            if produced >= limit_bytes:
                return _joined(pieces), False
            raise UnreadableFile(path, f"its gzip stream ends early, after {produced:,} decompressed bytes")
        content = stream.unused_data
        if produced >= limit_bytes and content.startswith(GZIP_MAGIC):
            return _joined(pieces), False
    return _joined(pieces), True


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def gunzip_exactly(path: Path, content: bytes, expected_bytes: int, slack_bytes: int = 1 << 24) -> bytes:
    """Decompress to the end what should give ``expected_bytes``, and refuse a stream that goes on and on.

    Raises:
        UnreadableFile: Cut short or damaged.
        RefusedError: More than ``slack_bytes`` too long: a decompression bomb, or a header that lies.
    """
    data, ended = gunzip(path, content, expected_bytes + slack_bytes)
    if not ended:
        raise RefusedError(
            f"{path}: decompresses to more than {expected_bytes + slack_bytes:,} bytes where its header promises "
            f"{expected_bytes:,}; this may be a decompression bomb; restore the file from its source"
        )
    return data


def gzip(data: bytes) -> bytes:
    """Compress fast, and the same bytes to the same result (no time stamp)."""
    stream = isal_zlib.compressobj(level=2, wbits=31)
    return stream.compress(data) + stream.flush()
