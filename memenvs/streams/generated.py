"""What the data sets that are made from a seed have in common.

* `GeneratedStreams` - arguments, fingerprint and indexing; a subclass says how one stream is made.
* `rng_for`, `check_range` - draws and settings of such streams.
"""

from __future__ import annotations

import hashlib
import json
import operator
import random
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from memenvs.errors import SettingsError, did_you_mean
from memenvs.streams.types import Stream

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class StreamSettings(DataclassInstance, Protocol):
        """A dataclass with, among others, the number of steps."""

        @property
        def T(self) -> int:
            """Chunks per stream."""
            ...


SPLITS = ("train", "validation", "test")

SettingsT = TypeVar("SettingsT", bound="StreamSettings")


class GeneratedStreams(Generic[SettingsT]):
    """Endless made-up streams; a `StreamDataset`.

    Args:
        seed: of the whole dataset.
        split: "train", "validation" or "test"; they share no stream.
        length: number of streams, which are made when asked for.
        settings: the dataset's settings, or give their fields as keyword arguments.

    Raises:
        SettingsError: an argument or a setting is out of range or unknown.

    ``dataset[i]`` depends on (version, seed, split, i, settings) alone. A subclass defines ``source``, ``version`` (raised whenever
    equal settings would give other streams), ``settings_type`` and `_make`.
    """

    source: str
    licence: str = "MIT (generated)"
    version: int
    settings_type: type[SettingsT]

    def __init__(
        self,
        seed: int = 0,
        split: str = "train",
        length: int = 1_000_000,
        settings: SettingsT | None = None,
        **given: Any,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise SettingsError(f"seed must be a whole number, got {seed!r}")
        if split not in SPLITS:
            raise SettingsError(
                f"unknown split {split!r}; known: {', '.join(SPLITS)}.{did_you_mean(str(split), SPLITS)}"
            )
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise SettingsError(f"length must be a whole number from 1, got {length!r}")
        if settings is not None and not isinstance(settings, self.settings_type):
            raise SettingsError(f"settings must be {self.settings_type.__name__}, got {settings!r}")
        if settings is not None and given:
            raise SettingsError(f"give settings or its fields, not both; got both settings and {', '.join(given)}")
        known = [field.name for field in fields(self.settings_type)]
        for name in given:
            if name not in known:
                raise SettingsError(f"unknown setting {name!r}; known: {', '.join(known)}.{did_you_mean(name, known)}")
        self.seed = seed
        self.split = split
        self.settings = settings if settings is not None else self.settings_type(**given)
        self.max_steps = self.settings.T
        self._length = length
        self._last: tuple[int, Stream] | None = None
        self._key = json.dumps([self.version, seed, split, asdict(self.settings)], sort_keys=True)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the generator's version and all arguments."""
        return hashlib.sha256(f"{self._key}/{self._length}".encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.seed}, {self.split!r}, {self._length}, {self.settings})"

    def __getitem__(self, index: int) -> Stream:
        """Make stream ``index``; a negative index counts from the end.

        Raises:
            IndexError: there is no such stream.
        """
        number = operator.index(index)
        if not -self._length <= number < self._length:
            raise IndexError(f"stream {number} of {self._length}")
        number %= self._length
        # The rollouts of a group ask for one stream after the other's reset: the last one is kept.
        if self._last is None or self._last[0] != number:
            self._last = number, self._make(number)
        return self._last[1]

    def _make(self, number: int) -> Stream:
        raise NotImplementedError  # abstract


def rng_for(key: str) -> random.Random:
    """Draws that depend on the text ``key`` alone, whatever the process or hash seed."""
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))


def check_range(name: str, value: Any, low: float, high: float) -> None:
    """Accept a number from ``low`` to ``high``, a whole one where ``low`` is an int.

    Raises:
        SettingsError: it is not such a number; the message names the range.
    """
    kinds = int if isinstance(low, int) else (int, float)
    # `not low <= value` rather than `value < low`, so that NaN is refused.
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a whole number" if isinstance(low, int) else "a number"
        raise SettingsError(f"{name} must be {what} from {low} to {high}, got {value!r}")
