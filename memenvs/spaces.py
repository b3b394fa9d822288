"""UnicodeText: a text space that holds any string up to a length, in every place where Gymnasium takes a space.

`gymnasium.spaces.Text` looks characters up in a character set: with the whole of Unicode it takes seconds and tens of
megabytes, and in `AsyncVectorEnv` with shared memory it returns stale text. This subclass checks the length alone and
brings its own registrations:

* ``flatten``, ``unflatten``, ``flatten_space`` - code points, padded with zeros.
* ``create_``, ``write_to_``, ``read_from_shared_memory`` - a length and code points per environment, read through `TextView`.
"""

from __future__ import annotations

import multiprocessing as mp
import string
from collections.abc import Sequence
from ctypes import c_int32
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Text, flatdim, flatten, flatten_space, unflatten
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

SAMPLE_CHARS = 256
"""Longest sample; longer ones cost time and test nothing more."""
_SAMPLED = string.ascii_letters + string.digits + string.punctuation + " "
_NUL = 0x110000
"""Stands for the character U+0000 where 0 is padding: the first integer that is no code point."""


class UnicodeText(Text):
    """Any ``str`` of at most ``max_length`` characters: accents, emoji, lone surrogates, the empty string.

    Args:
        max_length: most characters (code points) of an element.
        seed: seed of `sample`.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=_SAMPLED, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Printable ASCII of at most `SAMPLE_CHARS` characters; ``mask`` and ``probability`` as in `Text.sample`."""
        if mask is not None or probability is not None:
            return super().sample(mask, probability)
        length = int(self.np_random.integers(min(self.max_length, SAMPLE_CHARS) + 1))
        return self.np_random.integers(ord(" "), ord("~") + 1, length, dtype=np.uint8).tobytes().decode("ascii")

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a str that fits."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"UnicodeText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeText) and self.max_length == other.max_length


def encode(text: str) -> np.ndarray:
    """Code points of ``text``, int32 ``(len(text),)``; lone surrogates stay themselves."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<i4")


def decode(codes: np.ndarray) -> str:
    """The text of an integer array of code points."""
    return codes.astype("<i4").tobytes().decode("utf-32-le", "surrogatepass")


@flatdim.register(UnicodeText)
def _flatdim(space: UnicodeText) -> int:
    return space.max_length


@flatten_space.register(UnicodeText)
def _flatten_space(space: UnicodeText) -> Box:
    return Box(0, _NUL, (space.max_length,), np.int32)


@flatten.register(UnicodeText)
def _flatten(space: UnicodeText, x: str) -> np.ndarray:  # type: ignore[misc]
    codes = encode(x)
    flat = np.zeros(space.max_length, np.int32)
    flat[: len(codes)] = np.where(codes == 0, _NUL, codes)
    return flat


@unflatten.register(UnicodeText)
def _unflatten(space: UnicodeText, x: np.ndarray) -> str:  # type: ignore[misc]
    codes = x[x != 0]
    return decode(np.where(codes == _NUL, 0, codes))


class TextView(Sequence[str]):
    """The texts in a shared-memory buffer, decoded when they are looked at.

    `AsyncVectorEnv` reads its buffer once, when it is built, and gives out deep copies of the result at each step. Arrays
    follow the buffer; strings could not. So the result is this view, and its deep copy is the tuple of texts at that moment.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self)[index]
        row = self._rows[index]
        return decode(row[1 : 1 + row[0]])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, list, TextView)) and tuple(self) == tuple(other)

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


def _rows(space: UnicodeText, shared_memory: Any) -> np.ndarray:
    """The buffer as int32 ``(n, 1 + max_length)``: the length, then the code points."""
    return np.frombuffer(shared_memory.get_obj(), np.int32).reshape(-1, 1 + space.max_length)


@create_shared_memory.register(UnicodeText)
def _create_shared_memory(space: UnicodeText, n: int = 1, ctx: Any = mp) -> Any:
    return ctx.Array(c_int32, n * (1 + space.max_length))


@read_from_shared_memory.register(UnicodeText)
def _read_from_shared_memory(space: UnicodeText, shared_memory: Any, n: int = 1) -> TextView:
    return TextView(_rows(space, shared_memory))


@write_to_shared_memory.register(UnicodeText)
def _write_to_shared_memory(space: UnicodeText, index: int, value: str, shared_memory: Any) -> None:
    codes = encode(value)
    row = _rows(space, shared_memory)[index]
    row[1 : 1 + len(codes)] = codes
    row[0] = len(codes)
