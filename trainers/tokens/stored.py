"""A language model's decisions as plain data, for `trainers.stored`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.base import View
from agents.language_model.policy import Decision, LanguageModelPolicy
from agents.language_model.sampling import Sample


class TokenDecisions:
    """How a message that was drawn becomes plain data and a decision again.

    Prompts are not kept: they are made again from the views, byte by byte the same. Token ids (int32) and log-probabilities
    (float32) are kept as base64 of their little-endian bytes, a fifth of what JSON's numbers would take.

    Args:
        policy: makes the prompts; its weights do not matter.
    """

    def __init__(self, policy: LanguageModelPolicy) -> None:
        self._policy = policy

    def to_plain(self, decision: Decision) -> Any:
        """Message, text, tokens, log-probabilities, and whether it was cut off."""
        sample = decision.sample
        tokens, log_probs = _packed(sample.tokens, "<i4"), _packed(sample.log_probs, "<f4")
        return [decision.message, sample.text, tokens, log_probs, sample.truncated]

    def from_plain(self, kept: Sequence[Any], views: Sequence[View]) -> list[Decision]:
        """The decisions, with their prompts."""
        return [self._again(view, *fields) for fields, view in zip(kept, views, strict=True)]

    def _again(self, view: View, message: str, text: str, tokens: str, log_probs: str, truncated: bool) -> Decision:
        prompt = self._policy.fit(view)
        drawn, probabilities = _unpacked(tokens, "<i4"), _unpacked(log_probs, "<f4")
        return Decision(message, Sample(prompt.tokens, drawn, probabilities, text, truncated), prompt.shortened)


def _packed(numbers: Sequence[float], dtype: str) -> str:
    return base64.b64encode(np.array(numbers, dtype).tobytes()).decode()


def _unpacked(text: str, dtype: str) -> tuple[Any, ...]:
    return tuple(np.frombuffer(base64.b64decode(text), dtype).tolist())
