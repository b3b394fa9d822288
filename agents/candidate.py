"""The candidate policy: a small torch policy that reads any text and learns from scratch.

Its candidates are the sentences of the chunk and the items of the memory: INSERT(sentence), UPDATE(item, by a similar
sentence), DELETE(item) and STOP. `agents.candidate_network` gives a logit per candidate, and `agents.candidate_sets` draws a
set of operations and knows its exact probability.

* `CandidatePolicy` - `act` draws decisions, `evaluate` gives their log-probabilities for training.
* `CandidateAgent` - the policy as an `agents.base.Agent`.
* `load_policy` - the policy of a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.base import View, message
from agents.candidate_features import CandidateSet, candidate_sets
from agents.candidate_network import CandidateNetwork, CandidateSettings
from agents.candidate_sets import draw, set_log_prob
from agents.candidate_text import TextTable
from memenvs.errors import DataError, SettingsError
from memenvs.memory.operations import Operation
from memenvs.streams.types import Stream

__all__ = ["CandidateAgent", "CandidatePolicy", "CandidateSettings", "Decision", "load_policy"]


@dataclass(slots=True)
class Decision:
    """One drawn set of operations with what is needed to compute its probability again."""

    message: str
    """Native message in canonical order."""
    log_prob: float
    """Log-probability of the set when it was drawn; of a greedy decision too it is that of drawing it."""
    entropy: float
    """Estimate of the policy's entropy at this decision; see `agents.candidate_sets.set_log_prob`."""
    chosen: NDArray[np.int64]
    """(L,) int64: candidates in the order drawn, -1 for none."""
    candidates: CandidateSet
    """What there was to choose from."""


class CandidatePolicy(CandidateNetwork):
    """The policy.

    Args:
        settings: architecture and candidates; the same settings give the same initial weights.
    """

    def __init__(self, settings: CandidateSettings = CandidateSettings()) -> None:
        super().__init__(settings)
        self._table = TextTable(settings.buckets)

    def act(
        self, views: Sequence[View], rngs: Sequence[np.random.Generator] | None = None, greedy: bool = False
    ) -> list[Decision]:
        """Decide for several episodes at once.

        Args:
            views: what each episode's agent sees.
            rngs: one generator per episode, so that an episode does not depend on its batch; unused if greedy.
            greedy: take the most probable candidate at each draw.

        Returns:
            One `Decision` per view.

        Raises:
            SettingsError: not greedy and no generator per view.
        """
        if not greedy and (rngs is None or len(rngs) != len(views)):
            raise SettingsError(f"sampling needs one generator per view: {len(views)} views, rngs={rngs!r:.80}")
        if not views:
            return []
        s, sets = self.settings, self.candidates(views)
        with torch.inference_mode():
            logits, sentence_of, item_of = self(sets, self._table)
            choices = draw(
                logits.numpy(), sentence_of.numpy(), item_of.numpy(), s.max_operations, None if greedy else rngs
            )
            log_probs, entropies = set_log_prob(logits, sentence_of, item_of, torch.from_numpy(choices))
        return [
            Decision(_message(candidates, chosen), log_prob, entropy, chosen, candidates)
            for candidates, chosen, log_prob, entropy in zip(
                sets, choices, log_probs.tolist(), entropies.tolist(), strict=True
            )
        ]

    def forget_texts(self) -> None:
        """Number texts afresh.

        Sums over texts go by these numbers, so a run that mixes old decisions with new ones calls this at every update: then its
        rounding does not depend on which texts it happened to see before.
        """
        self._table = TextTable(self.settings.buckets)

    def candidates(self, views: Sequence[View]) -> list[CandidateSet]:
        """What there is to choose from at each view."""
        s = self.settings
        self._table.begin()
        return candidate_sets(
            views, self._table, s.n_update, s.min_similarity, s.max_sentences, s.max_delete, s.max_item_tokens
        )

    def evaluate(self, decisions: Sequence[Decision]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of decisions under the present weights.

        Args:
            decisions: B >= 1 decisions of a policy with the same settings.

        Returns:
            Log-probabilities (B,) and entropies (B,), float32, differentiable.
        """
        self._table.begin()
        logits, sentence_of, item_of = self([decision.candidates for decision in decisions], self._table)
        chosen = torch.from_numpy(np.stack([decision.chosen for decision in decisions]))
        return set_log_prob(logits, sentence_of, item_of, chosen)


def _message(candidates: CandidateSet, chosen: NDArray[np.int64]) -> str:
    """The chosen candidates as a message, each kind in the order of the chunk or the memory."""
    S, U, _ = candidates.sizes
    operations = []
    for index in sorted(c for c in chosen.tolist() if c > 0):
        if index <= S:
            operations.append(Operation("INSERT", candidates.sentences[index - 1]))
        elif index <= S + U:
            sentence, item = candidates.updates[index - 1 - S].tolist()
            operations.append(Operation("UPDATE", candidates.sentences[sentence], candidates.items[item].id))
        else:
            operations.append(Operation("DELETE", None, candidates.items[candidates.deletes[index - 1 - S - U]].id))
    return message(operations)


class CandidateAgent:
    """The policy as an agent.

    Args:
        policy: a `CandidatePolicy`, or the folder of a checkpoint; None takes an untrained one.
        greedy: take the most probable operations instead of drawing.
        settings: settings of the untrained policy.

    Raises:
        SettingsError: settings beside a policy, which has its own.
    """

    name = "candidate"

    def __init__(
        self, policy: CandidatePolicy | str | Path | None = None, greedy: bool = True, **settings: Any
    ) -> None:
        if policy is None:
            policy = CandidatePolicy(CandidateSettings(**settings))
        elif settings:
            raise SettingsError(f"a given policy has its own settings; not taken: {', '.join(settings)}")
        self.policy = policy if isinstance(policy, CandidatePolicy) else load_policy(policy)
        self.greedy = greedy
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Seed the draws; the stream is not looked at."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`."""
        return self.policy.act([View.of(observation, info)], [self._rng], self.greedy)[0].message


def load_policy(checkpoint: str | Path) -> CandidatePolicy:
    """The policy of a checkpoint.

    Args:
        checkpoint: a folder with ``state.json``, whose ``policy`` holds the settings, and ``policy.safetensors``.

    Raises:
        DataError: a file is missing or does not fit this version.
    """
    from safetensors.torch import load_file  # not needed to make or train a policy

    folder = Path(checkpoint)
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        policy = CandidatePolicy(CandidateSettings(**state["policy"]))
        policy.load_state_dict(load_file(folder / "policy.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{folder} is no checkpoint of a candidate policy (state.json and policy.safetensors): {error}"
        ) from error
    return policy
