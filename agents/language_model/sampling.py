"""Drawing messages from a language model, many rows at once.

* `SamplingSettings` - temperature, top-p, how long, where to stop.
* `sample` - prompts in, `Sample` out: the tokens drawn and their log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.language_model.decoding import folded_attention, with_room
from agents.language_model.model import CausalLM
from agents.language_model.prefill import prefill, select
from memenvs.errors import SettingsError, whole

_CHUNK = 1 << 23
"""Entries of the table of probabilities that are in memory at a time: rows of a batch times words of the vocabulary."""


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How a message is drawn."""

    temperature: float = 1.0
    """Of the softmax; 0 takes the most probable token."""
    top_p: float = 1.0
    """Draw among the most probable tokens that together have this probability."""
    max_tokens: int = 512
    """Longest message; one that is cut off there is a truncated one."""
    stop: tuple[str, ...] = ()
    """Texts that end a message; they are not part of it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_tokens", whole("max_tokens", self.max_tokens, 1))
        object.__setattr__(self, "stop", tuple(self.stop))
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise SettingsError(f"temperature must be a number of at least 0, got {self.temperature!r}")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p must be a number in (0, 1], got {self.top_p!r}")
        if not all(isinstance(text, str) and text for text in self.stop):
            raise SettingsError(f"stop must be texts that are not empty, got {self.stop!r}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One message as it was drawn."""

    prompt: tuple[int, ...]
    """Token ids that the model read."""
    tokens: tuple[int, ...]
    """Token ids drawn, the one that ended the message among them; never empty."""
    log_probs: tuple[float, ...]
    """log p of each token at the sampling temperature (1 where it is 0), before top-p, from the forward pass that drew it."""
    text: str
    """The message: special tokens, and what follows a stop text, left out."""
    truncated: bool
    """Whether ``max_tokens`` cut it off."""


@torch.inference_mode()
def sample(
    lm: CausalLM,
    prompts: Sequence[tuple[int, ...]],
    settings: SamplingSettings = SamplingSettings(),
    uniforms: NDArray[np.float64] | None = None,
    groups: Sequence[Any] | None = None,
) -> list[Sample]:
    """Draw one message per prompt.

    Args:
        lm: the model.
        prompts: B prompts in token ids.
        settings: see `SamplingSettings`.
        uniforms: (B, max_tokens) numbers in [0, 1), one for each token: all the chance there is, so that a row's message does not
            depend on the rows beside it (but for rounding, where a number falls right between two tokens). Not needed at
            temperature 0.
        groups: B labels, equal ones for prompts with a long common beginning; see `agents.language_model.prefill`.

    Raises:
        SettingsError: ``uniforms`` are missing or of another shape, or prompt and message exceed the model's context.
    """
    if not prompts:
        return []
    if settings.temperature > 0 and (uniforms is None or uniforms.shape != (len(prompts), settings.max_tokens)):
        shape = None if uniforms is None else uniforms.shape
        raise SettingsError(f"drawing needs uniforms of shape {(len(prompts), settings.max_tokens)}, got {shape}")
    longest = max(map(len, prompts)) + settings.max_tokens
    if lm.context is not None and longest > lm.context:
        raise SettingsError(
            f"a prompt of {longest - settings.max_tokens} tokens and a message of {settings.max_tokens} exceed the model's "
            f"context of {lm.context}; set a smaller memory_tokens or max_tokens, or take shorter chunks"
        )
    with _evaluating(lm.model), folded_attention(lm.model):
        rows = _draw_all(lm, prompts, settings, uniforms, groups)
    return [row.sample() for row in rows]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """No dropout within; afterwards each module is in the mode that it was in, for those around adapters may differ from theirs."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class _Row:
    """A message that is being written."""

    def __init__(self, lm: CausalLM, prompt: tuple[int, ...], settings: SamplingSettings) -> None:
        self._lm, self._prompt, self._stop = lm, prompt, settings.stop
        # A token may be a single byte, and a letter has up to four.
        self._tail = 4 * max(map(len, self._stop), default=0) + 4
        self._ended = False
        self.tokens: list[int] = []
        self.log_probs: list[float] = []

    def add(self, token: int, ends: frozenset[int]) -> bool:
        """Take a token; whether the message goes on."""
        self.tokens.append(token)
        self._ended = token in ends or (bool(self._stop) and self._cut(self._lm.decode(self.tokens[-self._tail :]))[1])
        return not self._ended

    def _cut(self, text: str) -> tuple[str, bool]:
        """The text up to the first stop text, and whether there is one."""
        places = [place for place in map(text.find, self._stop) if place >= 0]
        return (text[: min(places)], True) if places else (text, False)

    def sample(self) -> Sample:
        text, _ = self._cut(self._lm.decode(self.tokens))
        return Sample(self._prompt, tuple(self.tokens), tuple(self.log_probs), text, not self._ended)


def _draw_all(
    lm: CausalLM,
    prompts: Sequence[tuple[int, ...]],
    settings: SamplingSettings,
    uniforms: NDArray[np.float64] | None,
    groups: Sequence[Any] | None,
) -> list[_Row]:
    rows = [_Row(lm, tuple(prompt), settings) for prompt in prompts]
    device, ends = lm.device, lm.end_ids
    chances = None if uniforms is None else torch.from_numpy(uniforms).to(_exact(device))
    active = list(range(len(rows)))
    cache, mask, positions, logits = prefill(lm.model, prompts, groups)
    cache, read = with_room(cache, settings.max_tokens), mask.shape[1]
    mask = torch.cat([mask, mask.new_ones(len(rows), settings.max_tokens)], dim=1)
    recorded: list[tuple[list[int], Tensor]] = []  # they stay on the device until the end: fetching makes a GPU wait
    for number in range(settings.max_tokens):
        drawn, log_probs = draw(logits, settings, None if chances is None else chances[:, number])
        recorded.append((active, log_probs))
        going = [
            place
            for place, (row, token) in enumerate(zip(active, drawn.tolist(), strict=True))
            if rows[row].add(token, ends)
        ]
        if not going or number + 1 == settings.max_tokens:
            break
        if len(going) < len(active):  # finished rows leave the batch
            kept = torch.tensor(going, device=device)
            select(cache, kept)
            mask, positions, drawn = mask[kept], positions[kept], drawn[kept]
            chances = None if chances is None else chances[kept.to(chances.device)]
            active = [active[place] for place in going]
        read += 1
        logits = lm.model(
            input_ids=drawn[:, None],
            attention_mask=mask[:, :read],
            position_ids=positions[:, None],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
        positions = positions + 1
    values = torch.cat([log_probs for _, log_probs in recorded]).tolist()
    for row, value in zip((row for rows_then, _ in recorded for row in rows_then), values, strict=True):
        rows[row].log_probs.append(value)
    return rows


def _exact(device: torch.device) -> torch.device:
    """Where sums in double precision are made for this device: Apple's GPUs, and others, have none."""
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")


def draw(logits: Tensor, settings: SamplingSettings, chance: Tensor | None) -> tuple[Tensor, Tensor]:
    """One token per row.

    Args:
        logits: (B, V).
        settings: temperature and top-p are used.
        chance: (B,) float64 numbers in [0, 1), on the logits' device or on the CPU; not looked at where the temperature is 0.

    Returns:
        (B,) token ids and (B,) their float32 log-probabilities at the temperature, before top-p.
    """
    most = max(1, _CHUNK // logits.shape[-1])
    chances = [None] * -(-len(logits) // most) if chance is None else chance.split(most)
    parts = [_draw(part, settings, own) for part, own in zip(logits.split(most), chances, strict=True)]
    chosen, log_probs = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return chosen, log_probs


def _draw(logits: Tensor, settings: SamplingSettings, chance: Tensor | None) -> tuple[Tensor, Tensor]:
    greedy = settings.temperature == 0
    log_probs = (logits.float() / (1.0 if greedy else settings.temperature)).log_softmax(-1)
    if greedy or chance is None:
        chosen = log_probs.argmax(-1)
    else:
        # Sums over a vocabulary in single precision would be off by more than many tokens' probability.
        probabilities = log_probs.to(chance.device).double().exp()
        if settings.top_p < 1:
            ordered, places = probabilities.sort(dim=-1, descending=True, stable=True)
            ordered[ordered.cumsum(-1) - ordered >= settings.top_p] = 0.0
            probabilities = torch.zeros_like(probabilities).scatter_(-1, places, ordered)
        sums = probabilities.cumsum(-1)
        chosen = torch.searchsorted(sums, chance[:, None] * sums[:, -1:], right=True)[:, 0]
        chosen = chosen.clamp(max=logits.shape[-1] - 1).to(logits.device)
    return chosen, log_probs.gather(-1, chosen[:, None])[:, 0]
