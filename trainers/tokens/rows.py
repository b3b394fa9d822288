"""Rows: what one generation of a language model leaves behind for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memenvs.errors import SettingsError


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One generation: a step of one rollout."""

    prompt: tuple[int, ...]
    """Token ids that the model read; never empty."""
    completion: tuple[int, ...]
    """Token ids that it wrote, the one that ended it among them; never empty."""
    old: tuple[float, ...] = ()
    """Log-probability of each token of ``completion`` when it was drawn; empty where nobody drew it (warm start)."""
    advantage: float = 0.0
    """Of the step, the same for all its tokens."""
    stream: int = 0
    """Number of the stream within the update."""
    step: int = 0
    """Of the rollout, 0-based; rows of one stream and step share most of their prompt."""
    replayed: bool = False
    """Whether an earlier update's policy drew it: the ratio then divides by ``old``, see `trainers.tokens.update.denominators`."""

    def __post_init__(self) -> None:
        if not self.prompt or not self.completion:
            raise SettingsError(
                f"a row needs a prompt and a completion, got {len(self.prompt)} and {len(self.completion)} tokens"
            )
        if self.old and len(self.old) != len(self.completion):
            raise SettingsError(
                f"expected one log-probability per token of the completion, {len(self.completion)}, got {len(self.old)}"
            )


def micro_batches(rows: Sequence[TokenRow], most: int) -> list[list[int]]:
    """Rows that go through the model together: those of one step of one stream, which share the longest prefix, by length.

    Args:
        rows: of one update.
        most: rows in one micro-batch, at least 1.

    Returns:
        Indices of ``rows``, each once.
    """
    steps: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows):
        steps.setdefault((row.stream, row.step), []).append(i)
    batches = []
    for _, own in sorted(steps.items()):
        own.sort(key=lambda i: (len(rows[i].prompt) + len(rows[i].completion), i))
        batches += [own[start : start + most] for start in range(0, len(own), most)]
    return batches
