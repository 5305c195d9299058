"""Broken input by the thousand: valid bytes and JSON are damaged at random, and whoever reads them is watched.

Hypothesis draws seeds, and a hundred inputs come from each: an example for every input would take longer than reading
it, and a failure still says which generator makes its input again. The profile decides how many inputs there are of
each kind: 800 every day, 80 000 at night, more than a million in all.
"""

import copy
import json
import signal
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

INPUTS = settings.default.max_examples**2 // 50
PER_EXAMPLE = 100
LARGEST_BYTES = 2**28
SLOWEST_S = 5.0
COUNTED = 3  # inputs of an example whose memory is counted: that takes several times as long as reading them

EXTREMES = [
    *(struct.pack(order + "h", v) for order in "<>" for v in (0, -1, 32767, -32768, 1)),
    *(struct.pack(order + "i", v) for order in "<>" for v in (0, -1, 2**31 - 1, -(2**31), 65536)),
    *(struct.pack(order + "q", v) for order in "<>" for v in (-1, 2**63 - 1, 2**40)),
    *(struct.pack("<f", v) for v in (float("nan"), float("inf"), 0.0, -1.0, 1e30, 1e-30)),
    *(b"-1", b"0", b"99999999999", b"nan", b"inf", b"1e400", b"none", b"..", b"/"),
    *(b"\n", b"\n\n", b"\0", b"%", b"(", b":="),
]  # fmt: skip
TEXT_EXTREMES = [
    *(b'"', b"'", b",", b";", b"\t", b"\r", b"|", b"\\", b"{", b"}", b"]", b":", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9"),
    *(b"NaN", b"-Infinity", b"1" * 5000, b"[" * 3000, b'{"a":' * 200, b"\\ud800", b"\\u0000", b"../", b"C:\\", b"null"),
]  # fmt: skip
ODD_VALUES = [
    *(None, True, False, 0, -1, 1, 2, 3, 7, 2**31, -(2**63), 2**64, 10**4299, 0.5, -0.0, 1e-300, 1e308, float("nan")),
    *(float("-inf"), "", " ", ".", "..", "../x", "/etc/passwd", "C:\\x", "\\\\host\\x", "a\0b", "\ud800", "e\u0301"),
    *("a\nb", "x" * 300, "0", "1", "-1", "1.0", "nan", "1e400", "1" * 5000, "background", "ignore", "\u0661"),
    *([], [0], [1, 2], [[]], [None], {}, {"": 0}, {"image": "a"}, {"0": "CT"}),
]  # fmt: skip


def fuzz(look: Callable[[np.random.Generator], object], share: float = 1.0) -> None:
    """Call ``look`` for many inputs, each of which it makes from its generator; what it raises is a crash.

    Args:
        look: Makes an input and reads it.
        share: Of the usual number of inputs, for what takes long.
    """

    @settings(max_examples=round(share * INPUTS / PER_EXAMPLE), phases=[Phase.reuse, Phase.generate])  # none is simpler
    @given(st.integers(0, 2**64 - 1))
    def run(seed: int) -> None:
        for number in range(PER_EXAMPLE):
            with _watched([seed, number]):
                look(np.random.default_rng([seed, number]))

    run()


@contextmanager
def _watched(source: list[int]) -> Iterator[None]:
    """Fail where reading takes long, or much memory; a failure says how to make its input again."""
    counted = source[1] < COUNTED
    signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, SLOWEST_S)
    if counted:
        tracemalloc.start()
    try:
        yield
        assert not counted or tracemalloc.get_traced_memory()[1] < LARGEST_BYTES
    except BaseException as error:
        error.add_note(f"this input is made from np.random.default_rng({source})")
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        tracemalloc.stop()


class TooSlow(BaseException):
    """Reading one input took more processor time than any may. No reader catches it."""


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"reading one input takes more than {SLOWEST_S:g} s")


def one_of(choices, generator: np.random.Generator):
    """Any of a sequence."""
    return choices[int(generator.integers(0, len(choices)))]


def broken_bytes(content: bytes, generator: np.random.Generator, extremes: list[bytes] = EXTREMES) -> bytes:
    """The bytes with one to four things done to them."""
    data = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        reach = len(data) if generator.random() < 0.3 else min(len(data), 600)  # headers stand in front
        at = int(generator.integers(0, max(1, reach)))
        match generator.integers(0, 6):
            case 0:
                data[at : at + 1] = bytes([int(generator.integers(0, 256))])
            case 1:
                piece = one_of(extremes, generator)
                data[at : at + len(piece)] = piece
            case 2:
                data[at:at] = one_of(extremes, generator)
            case 3:
                del data[at : at + int(generator.integers(1, 40))]
            case 4:
                data[at:at] = data[at : at + int(generator.integers(1, 40))]
            case 5:
                del data[int(generator.integers(0, len(data) + 1)) :]
    return bytes(data)


def broken_text(content: bytes, generator: np.random.Generator) -> bytes:
    """As ``broken_bytes``, with what is awkward in text."""
    return broken_bytes(content, generator, EXTREMES + TEXT_EXTREMES)


def broken_json(content: bytes, generator: np.random.Generator) -> bytes:
    """JSON of which a few values were exchanged, removed or added, so that it is still JSON; of some also the text."""
    whole = [json.loads(content)]
    for _ in range(generator.integers(1, 4)):
        _disturb(whole, generator)
    text = json.dumps(whole[0] if whole else None).encode()
    return broken_text(text, generator) if generator.random() < 0.2 else text


def _disturb(whole: list, generator: np.random.Generator) -> None:
    """Do one thing to one value inside."""
    places = list(_places(whole))
    if not places:
        return
    holder, key = one_of(places, generator)
    other_holder, other_key = one_of(places, generator)
    match generator.integers(0, 5):
        case 0 | 1:
            holder[key] = copy.deepcopy(one_of(ODD_VALUES, generator))
        case 2:
            holder[key] = copy.deepcopy(other_holder[other_key])  # lest it come to hold itself
        case 3:
            del holder[key]
        case 4:
            value = copy.deepcopy(holder[key])
            if isinstance(holder, list):
                holder.insert(key, value)
            else:
                holder[str(one_of(ODD_VALUES, generator))] = value


def _places(value) -> Iterator[tuple]:
    """Container and key of every value inside a value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
