"""The candidate policy: a small torch policy that reads any text and learns from scratch.

Its candidates are the sentences of the chunk and the items of the memory: INSERT(sentence), UPDATE(item, with a similar
sentence), DELETE(item), STOP. Texts are embedded as bags of hashed words and character trigrams; a small head per kind of
operation gives a logit per candidate; a set of operations is drawn from the logits (`agents.candidate_sets`).

* `CandidateSettings`, `CandidatePolicy` - `act` draws decisions, `evaluate` gives their log-probabilities for training.
* `CandidateAgent` - the policy as an `agents.base.Agent`.
* `save_policy`, `load_policy` - a checkpoint file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.base import View, message
from agents.candidate_features import (
    CONTEXT_FEATURES,
    DELETE_FEATURES,
    INSERT_FEATURES,
    UPDATE_FEATURES,
    CandidateSet,
    candidate_sets,
)
from agents.candidate_sets import NEVER, draw, set_log_prob
from agents.candidate_text import TextTable
from memenvs.errors import DataError, SettingsError
from memenvs.memory.operations import Operation
from memenvs.streams.types import Stream


@dataclass(frozen=True)
class CandidateSettings:
    """Architecture and candidates of the policy."""

    max_operations: int = 3
    """L, at most 6: operations per step. The quota is what makes choosing matter."""
    max_item_tokens: int | None = None
    """The environment's limit on one item; longer sentences are cut into pieces that fit."""
    n_update: int = 2
    """An UPDATE may go to this many items, the most similar ones."""
    max_sentences: int = 256
    """Candidates per chunk; the sentences beyond are ignored."""
    max_delete: int = 64
    """In a larger memory only this many items, those written longest ago, can be deleted."""
    buckets: int = 4096
    """Hash buckets of the subword embedding."""
    dim: int = 32
    """Length of a text's embedding."""
    hidden: int = 64
    """Width of the heads."""
    init_scale: float = 0.3
    """Standard deviation of the initial subword embeddings."""
    update_prior: float = -1.0
    """Initial log-weight of all UPDATEs of one sentence together; an INSERT and STOP have 0."""
    delete_prior: float = -1.0
    """Initial log-weight of all DELETEs together, so that a large memory does not mean more deleting."""
    seed: int = 0
    """Seed of the initial weights."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_operations <= 6:
            raise SettingsError(
                f"max_operations must be 1 to 6 for the exact set probability, got {self.max_operations}"
            )
        for name in ("n_update", "max_delete"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("max_sentences", "buckets", "dim", "hidden"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(slots=True)
class Decision:
    """One drawn set of operations with what is needed to compute its probability again."""

    message: str
    """Native message in canonical order."""
    log_prob: float
    """Log-probability of the set when it was drawn; at temperature 1 also for a greedy decision."""
    entropy: float
    """Estimate of the policy's entropy at this decision; see `agents.candidate_sets.set_log_prob`."""
    chosen: NDArray[np.int64]
    """(L,) int64: candidates in the order drawn, -1 for none."""
    candidates: CandidateSet
    """What there was to choose from."""


class _Head(nn.Module):
    """Logits of one kind of candidate: a layer over texts, features and context, then one unit.

    The text part is computed once per distinct text, not once per candidate. The last layer starts at zero, so that
    the initial policy depends on the priors alone.
    """

    def __init__(self, n_texts: int, features: int, settings: CandidateSettings) -> None:
        super().__init__()
        self.texts = nn.ModuleList(nn.Linear(settings.dim, settings.hidden, bias=False) for _ in range(n_texts))
        self.features = nn.Linear(features, settings.hidden)
        self.context = nn.Linear(settings.dim + CONTEXT_FEATURES, settings.hidden, bias=False)
        self.out = nn.Linear(settings.hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, embedded: Tensor, rows: Sequence[Tensor], features: Tensor, context: Tensor, owner: Tensor
    ) -> Tensor:
        """Score N candidates.

        Args:
            embedded: (U, dim), distinct texts.
            rows: one (N,) int64 per text of a candidate, into ``embedded``.
            features: (N, F).
            context: (B, dim + CONTEXT_FEATURES).
            owner: (N,) int64, decision of each candidate.

        Returns:
            (N,) logits.
        """
        hidden = self.features(features) + self.context(context).index_select(0, owner)
        for layer, row in zip(self.texts, rows, strict=True):
            hidden = hidden + layer(embedded).index_select(0, row)
        return self.out(torch.relu(hidden))[:, 0]


class CandidatePolicy(nn.Module):
    """The policy.

    Args:
        settings: architecture and candidates; the same settings give the same initial weights.
    """

    def __init__(self, settings: CandidateSettings = CandidateSettings()) -> None:
        super().__init__()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.subwords = nn.Parameter(torch.randn(settings.buckets, settings.dim) * settings.init_scale)
            self.insert = _Head(1, INSERT_FEATURES, settings)
            self.update = _Head(2, UPDATE_FEATURES + settings.dim, settings)
            self.delete = _Head(1, DELETE_FEATURES, settings)
            self.stop = _Head(0, CONTEXT_FEATURES, settings)
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
        s = self.settings
        self._table.begin()
        sets = candidate_sets(views, self._table, s.n_update, s.max_sentences, s.max_delete, s.max_item_tokens)
        with torch.no_grad():
            logits, sentence_of, item_of = self._logits(sets)
            chosen = draw(
                logits.numpy(), sentence_of.numpy(), item_of.numpy(), s.max_operations, None if greedy else rngs
            )
            log_probs, entropies = set_log_prob(logits, sentence_of, item_of, torch.from_numpy(chosen))
        return [
            Decision(_message(candidates, choice), log_prob, entropy, choice, candidates)
            for candidates, choice, log_prob, entropy in zip(
                sets, chosen, log_probs.tolist(), entropies.tolist(), strict=True
            )
        ]

    def evaluate(self, decisions: Sequence[Decision]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of decisions under the present weights.

        Args:
            decisions: B decisions of a policy with the same settings.

        Returns:
            Log-probabilities (B,) and entropies (B,), float32, differentiable.
        """
        self._table.begin()
        logits, sentence_of, item_of = self._logits([decision.candidates for decision in decisions])
        chosen = torch.from_numpy(np.stack([decision.chosen for decision in decisions]))
        return set_log_prob(logits, sentence_of, item_of, chosen)

    def _logits(self, sets: Sequence[CandidateSet]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, C) with STOP first and padding `NEVER`; sentence and item of each candidate (B, C), -1 for none."""
        B = len(sets)
        sizes = np.array([candidates.sizes for candidates in sets])  # (B, 3): S, U, D
        sentence_rows = np.array(self._table.rows(t for c in sets for t in c.sentences), np.int64)
        items = [self._table.rows([item.content for item in c.items]) for c in sets]
        item_rows = np.array([row for rows in items for row in rows], np.int64)
        distinct, places = np.unique(np.concatenate([sentence_rows, item_rows]), return_inverse=True)
        sentence_rows, item_rows = places[: len(sentence_rows)], places[len(sentence_rows) :]
        embedded = self._embed(distinct)

        # Flat candidates of a kind: the decision they belong to, their place within the kind, their rows in `embedded`.
        owners = [np.repeat(np.arange(B), sizes[:, kind]) for kind in range(3)]
        starts = np.cumsum(sizes, 0) - sizes
        item_counts = np.array([len(rows) for rows in items])
        item_starts = np.cumsum(item_counts) - item_counts
        updates = np.concatenate([c.updates for c in sets])
        deletes = np.concatenate([c.deletes for c in sets])
        places_in = [np.arange(len(owner)) - starts[owner, kind] for kind, owner in enumerate(owners)]
        update_rows = (
            torch.from_numpy(sentence_rows[starts[owners[1], 0] + updates[:, 0]]),
            torch.from_numpy(item_rows[item_starts[owners[1]] + updates[:, 1]]),
        )
        delete_rows = torch.from_numpy(item_rows[item_starts[owners[2]] + deletes])
        insert_rows = torch.from_numpy(sentence_rows)
        owner = [torch.from_numpy(o) for o in owners]

        scalars = torch.from_numpy(np.stack([c.context for c in sets]))
        chunk = embedded.new_zeros(B, self.settings.dim).index_add(0, owner[0], embedded.index_select(0, insert_rows))
        chunk = chunk / torch.from_numpy(np.maximum(sizes[:, :1], 1)).to(chunk)
        context = torch.cat([chunk, scalars], 1)

        def stack(arrays: list[NDArray[np.float32]]) -> Tensor:
            return torch.from_numpy(np.concatenate(arrays))

        product = embedded.index_select(0, update_rows[0]) * embedded.index_select(0, update_rows[1])
        update_features = torch.cat([stack([c.update_features for c in sets]), product], 1)
        per_sentence = np.minimum(self.settings.n_update, np.maximum(item_counts, 1))
        priors = (
            self.settings.update_prior - np.log(np.maximum(per_sentence, 1)),
            self.settings.delete_prior - np.log(np.maximum(sizes[:, 2], 1)),
        )
        flat = torch.cat(
            [
                self.stop(embedded, (), scalars, context, torch.arange(B)),
                self.insert(embedded, (insert_rows,), stack([c.insert_features for c in sets]), context, owner[0]),
                self.update(embedded, update_rows, update_features, context, owner[1])
                + torch.from_numpy(priors[0].astype(np.float32)[owners[1]]),
                self.delete(embedded, (delete_rows,), stack([c.delete_features for c in sets]), context, owner[2])
                + torch.from_numpy(priors[1].astype(np.float32)[owners[2]]),
            ]
        )
        C = int(1 + sizes.sum(1).max())
        offset = np.arange(B) * C
        position = np.concatenate(
            [
                offset,
                offset[owners[0]] + 1 + places_in[0],
                offset[owners[1]] + (1 + sizes[:, 0])[owners[1]] + places_in[1],
                offset[owners[2]] + (1 + sizes[:, 0] + sizes[:, 1])[owners[2]] + places_in[2],
            ]
        )
        logits = flat.new_full((B * C,), NEVER).index_copy(0, torch.from_numpy(position), flat).view(B, C)
        sentence_of, item_of = np.full(B * C, -1, np.int64), np.full(B * C, -1, np.int64)
        n_insert, n_update = len(owners[0]), len(owners[1])
        sentence_of[position[B : B + n_insert]] = places_in[0]
        sentence_of[position[B + n_insert : B + n_insert + n_update]] = updates[:, 0]
        item_of[position[B + n_insert : B + n_insert + n_update]] = updates[:, 1]
        item_of[position[B + n_insert + n_update :]] = deletes
        return logits, torch.from_numpy(sentence_of.reshape(B, C)), torch.from_numpy(item_of.reshape(B, C))

    def _embed(self, rows: NDArray[np.int64]) -> Tensor:
        """Embeddings of table rows, (U,) -> (U, dim)."""
        ids, weights, offsets = self._table.bags(rows)
        return nn.functional.embedding_bag(
            torch.from_numpy(ids),
            self.subwords,
            torch.from_numpy(offsets),
            mode="sum",
            per_sample_weights=torch.from_numpy(weights),
        )


def _message(candidates: CandidateSet, chosen: NDArray[np.int64]) -> str:
    """The chosen candidates as a message, each kind in the order of the chunk or the memory."""
    S, U, _ = candidates.sizes
    operations = []
    for index in sorted(int(c) for c in chosen if c > 0):
        if index <= S:
            operations.append(Operation("INSERT", candidates.sentences[index - 1]))
        elif index <= S + U:
            sentence, item = candidates.updates[index - 1 - S]
            operations.append(Operation("UPDATE", candidates.sentences[sentence], candidates.items[item].id))
        else:
            operations.append(Operation("DELETE", None, candidates.items[candidates.deletes[index - 1 - S - U]].id))
    return message(operations)


class CandidateAgent:
    """The policy as an agent.

    Args:
        policy: a `CandidatePolicy`, or the path of a file written by `save_policy`; None takes an untrained one.
        greedy: take the most probable operations instead of drawing.
        settings: settings of the untrained policy.
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


def save_policy(policy: CandidatePolicy, path: str | Path) -> None:
    """Write settings and weights."""
    torch.save({"settings": asdict(policy.settings), "weights": policy.state_dict()}, path)


def load_policy(path: str | Path) -> CandidatePolicy:
    """Read what `save_policy` wrote; only plain data and tensors are unpickled.

    Raises:
        DataError: the file does not exist or holds something else.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        policy = CandidatePolicy(CandidateSettings(**saved["settings"]))
        policy.load_state_dict(saved["weights"])
    except (OSError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} holds no candidate policy of this version: {error}") from error
    return policy
