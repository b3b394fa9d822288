"""What a run's reader was asked and what that cost: columns of metrics.csv, and ``cost`` of result.json.

* `ReadingCosts` - kept over processes and resumptions.
* `counts_of` - what one reader counted.
* `line` - for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainers.suites.costs import added

PREFIX = "reader/"
COLUMNS = (f"{PREFIX}requests", f"{PREFIX}cached", f"{PREFIX}failed")
"""Of metrics.csv; the others go to TensorBoard."""
_RATE = f"{PREFIX}hit_rate"


class ReadingCosts:
    """What a run asked so far.

    Args:
        reader: of this process.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._elsewhere: dict[str, float] = {}

    def add(self, counts: Mapping[str, float]) -> None:
        """Add what the reader of another process counted, see `counts_of`."""
        self._elsewhere = added((self._elsewhere, counts))

    def told(self) -> dict[str, float]:
        """``reader/NAME`` for every count, and ``reader/hit_rate``, the share of the requests that a cache answered.

        {} for a reader that counts nothing.
        """
        counts = added((self._elsewhere, counts_of(self._reader)))
        named = {f"{PREFIX}{name}": value for name, value in counts.items()}
        return named | ({_RATE: counts["cached"] / counts["requests"]} if counts.get("requests") else {})

    def restore(self, told: Mapping[str, float]) -> None:
        """Go on from what `told` gave, among other things."""
        self._elsewhere = _counts_in(told)


def counts_of(reader: Any) -> dict[str, float]:
    """What a reader with a ``usage`` (`memenvs.endpoint.Usage`) counted so far; {} of one without.

    Returns:
        The counts of ``usage``, ``failed`` over all kinds, ``cost`` where prices are known, and the reader's ``uncited`` and
        ``unstructured`` answers. All may be added up.
    """
    usage = getattr(reader, "usage", None)
    if usage is None:
        return {}
    counts = dict(usage.to_json())
    counts |= {"failed": sum(counts["failed"].values()), "uncited": reader.uncited, "unstructured": reader.unstructured}
    return {name: float(value) for name, value in counts.items() if value is not None}


def line(told: Mapping[str, float]) -> str:
    """One line about what `ReadingCosts.told` gave; "" where there is nothing to tell."""
    counts = _counts_in(told)
    if not counts:
        return ""
    price = f", cost {counts['cost']:.4g}" if "cost" in counts else ""
    return (
        f"reader: {counts['requests']:.0f} requests, {told.get(_RATE, 0.0):.0%} from the cache, {counts['failed']:.0f} failed, "
        f"{counts['prompt_tokens']:.0f} tokens read, {counts['completion_tokens']:.0f} written{price}; "
        f"{counts['uncited']:.0f} answers cite nothing, {counts['unstructured']:.0f} are plain text"
    )


def _counts_in(told: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix(PREFIX): v for name, v in told.items() if name.startswith(PREFIX) and name != _RATE}
