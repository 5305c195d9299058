"""A file's bytes, read once, and plain words for what is wrong with files that hold no image.

Downloads that went wrong leave typical things behind: nothing at all, a pointer of a version control system, a web page
that says "not found", half a gzip stream. Saying which of them it is saves the user an hour.

Nothing is unfolded before its size is known to be believable: gzip cannot shrink data more than about 1030 times, so a
small file whose header promises gigabytes is refused unread.
"""

import bz2
import hashlib
import mmap
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from isal import igzip_lib, isal_zlib

from autoseg.errors import RefusedError, UnreadableFile

GZIP_MAGIC = b"\x1f\x8b"
LARGEST_RATIO = 900
"""Data may be this many times larger than their compressed form, once they are larger than the size below."""
RATIO_MATTERS_FROM_BYTES = 2**30
SLACK_BYTES = 2**24
"""Data may be this much longer than the header promises."""

_LEAST_GZIP_BYTES = 18
_NEVER_COMPRESSED = (".nii", ".img", ".hdr", ".bmp")
_USUAL_RATIO = 4  # of files that may be compressed inside
_HASHED_AT_ONCE_BYTES = 2**22
_DEFLATE_LIMIT = 1040  # what one byte of a deflate stream can become, with some room
_MAPPED_FROM_BYTES = 2**28  # larger files are mapped: the system may forget their pages again
_PIECE_BYTES, _PIECE_BYTES_OUT = 2**18, 2**20  # at a time, so that it stays in the processor's cache
_DAMAGED = (cast(type[Exception], igzip_lib.error), OSError, EOFError)  # isal's stub hides what it is


def load(path: Path) -> memoryview:
    """All bytes of a regular file; large files are mapped into memory rather than read.

    Raises:
        UnreadableFile: It is missing, unreadable, no regular file, empty, or a stand-in for an image.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a FIFO would block for ever
            raise UnreadableFile(path, "not a regular file", "replace it by the image itself")
        content = _mapped(path) if status.st_size >= _MAPPED_FROM_BYTES else memoryview(path.read_bytes())
    except FileNotFoundError:
        problem = "the link points nowhere" if path.is_symlink() else "there is no such file"
        raise UnreadableFile(path, problem) from None
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror}", "check permissions and disk") from error
    _refuse_stand_ins(path, content)
    return content


def unfolded_bytes(path: Path) -> int:
    """About how many bytes a file has once it is decompressed; 0 if there is no such file. Reads four bytes at most."""
    if not path.is_file():
        return 0
    size = path.stat().st_size
    if not path.name.lower().endswith(".gz") or size < _LEAST_GZIP_BYTES:
        return size * (1 if path.suffix.lower() in _NEVER_COMPRESSED else _USUAL_RATIO)
    with open(path, "rb") as file:
        file.seek(-4, 2)
        length = int.from_bytes(file.read(4), "little")  # of the data, without what exceeds 32 bits (RFC 1952)
    return length + max(0, size - length + 2**32 - 1) // 2**32 * 2**32


def _mapped(path: Path) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def digest(*contents: memoryview) -> str:
    """SHA-256 of the bytes of one file, or of several one after the other, as hex."""
    made = hashlib.sha256()
    for content in contents:
        made.update(content)
    return made.hexdigest()


def digesting(*contents: memoryview) -> Callable[[], str]:
    """Begin ``digest`` in a thread of its own, as large files are decompressed meanwhile; call the result for it."""
    if sum(map(len, contents)) < _HASHED_AT_ONCE_BYTES:
        found = digest(*contents)
        return lambda: found
    executor = ThreadPoolExecutor(1)
    future = executor.submit(digest, *contents)
    executor.shutdown(wait=False)
    return future.result


def is_gzip(content: memoryview) -> bool:
    """Whether the bytes are compressed, whatever the file's name says."""
    return content[:2] == GZIP_MAGIC


def _refuse_stand_ins(path: Path, content: memoryview) -> None:
    start = bytes(content[:512]).lstrip().lower()
    if not len(content):
        raise UnreadableFile(path, "the file is empty (0 bytes)")
    if start.startswith(b"version https://git-lfs"):
        problem = f"this is a Git LFS pointer ({len(content)} bytes), not the image"
        raise UnreadableFile(path, problem, "run 'git lfs pull' where it came from")
    if b"/annex/objects/" in start:
        raise UnreadableFile(path, "this is a git-annex pointer, not the image", "run 'git annex get' on it")
    if start.startswith((b"<!doctype html", b"<html")):
        raise UnreadableFile(path, "this is a web page, not an image", "download the image again")


# ----------------------------------------------------------------------------------------------------- unfolding


class _Stream(Protocol):
    """What decompressors of isal and bz2 share."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes: ...


_STREAMS: dict[str, Callable[[], _Stream]] = {
    "gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "zlib": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB),
    "bzip2": bz2.BZ2Decompressor,  # type: ignore[dict-item]  # a stub with positional names
}


def beginning(path: Path, content: memoryview, size: int) -> bytes:
    """The first bytes of gzip data, at most ``size``.

    Raises:
        UnreadableFile: The stream is damaged.
    """
    try:
        return _STREAMS["gzip"]().decompress(content[:_PIECE_BYTES], size)
    except _DAMAGED as error:
        raise UnreadableFile(path, f"its gzip stream is damaged ({error})") from error


def believable(path: Path, content: memoryview, promised_bytes: int, compression: str) -> None:
    """Refuse a promise that the file cannot keep, or keeps only as a bomb would.

    Raises:
        UnreadableFile: The file is too small for what its header promises: it was cut short.
        RefusedError: It promises more than ``RATIO_MATTERS_FROM_BYTES`` and 900 times its own size.
    """
    ratio = promised_bytes / max(1, len(content))
    if promised_bytes > RATIO_MATTERS_FROM_BYTES and ratio > LARGEST_RATIO:
        raise RefusedError(
            f"{path}: its {len(content):,} bytes would unfold to {promised_bytes:,}, {ratio:,.0f} times as many; "
            "this may be a decompression bomb, or a header that lies; restore the file from its source"
        )
    if compression != "bzip2" and promised_bytes > _DEFLATE_LIMIT * len(content):
        raise UnreadableFile(
            path,
            f"its {compression} stream ends early: it has {len(content):,} bytes, which cannot hold the "
            f"{promised_bytes:,} that the header promises",
        )


def unfold(path: Path, content: memoryview, promised_bytes: int, compression: str = "gzip") -> tuple[np.ndarray, bool]:
    """Decompress to the end, with checksums verified, what should give ``promised_bytes``.

    Args:
        path: For messages.
        content: The compressed bytes; several gzip members may follow each other.
        promised_bytes: What the header promises; just this much is allocated.
        compression: ``gzip``, ``zlib`` or ``bzip2``.

    Returns:
        (N,) uint8 of the promised length, and whether the stream held more than that.

    Raises:
        UnreadableFile: Cut short or damaged.
        RefusedError: It goes on far beyond the promise: a decompression bomb, or a header that lies.
    """
    believable(path, content, promised_bytes, compression)
    out = np.empty(promised_bytes, np.uint8)
    filled = 0
    for piece in _pieces(path, content, compression, promised_bytes):
        kept = max(0, min(len(piece), promised_bytes - filled))
        out[filled : filled + kept] = np.frombuffer(piece, np.uint8, kept)
        filled += len(piece)
        if filled > promised_bytes + SLACK_BYTES:
            raise RefusedError(
                f"{path}: decompresses to more than {filled:,} bytes where its header promises {promised_bytes:,}; "
                "this may be a decompression bomb; restore the file from its source"
            )
    if filled < promised_bytes:
        raise UnreadableFile(path, f"the data end after {filled:,} bytes; the header promises {promised_bytes:,}")
    return out, filled > promised_bytes


def _pieces(path: Path, content: memoryview, compression: str, promised_bytes: int) -> Iterator[bytes]:
    """What comes out, a mebibyte at a time, of all members of a stream."""
    position, produced = 0, 0
    while position == 0 or is_gzip(content[position:]):
        stream = _STREAMS[compression]()
        while not stream.eof:
            fresh = content[position : position + _PIECE_BYTES] if stream.needs_input else b""
            if stream.needs_input and not len(fresh):
                raise UnreadableFile(
                    path,
                    f"its {compression} stream ends early, at byte {len(content):,} of the file, after {produced:,} "
                    f"decompressed bytes; the header promises {promised_bytes:,}",
                )
            try:
                piece = stream.decompress(fresh, _PIECE_BYTES_OUT)
            except _DAMAGED as error:
                raise UnreadableFile(path, f"its {compression} stream is damaged ({error})") from error
            position += len(fresh)
            produced += len(piece)
            yield piece
        position -= len(stream.unused_data)


def gzip(data: bytes | np.ndarray) -> bytes:
    """Compress fast, and the same bytes to the same result (no time stamp)."""
    stream = isal_zlib.compressobj(level=2, wbits=31)
    return stream.compress(data) + stream.flush()
