"""The candidate policy's network: candidate sets in, one logit per candidate out.

Texts are embedded as bags of hashed words and character trigrams. A hidden layer per kind of candidate (STOP, INSERT, UPDATE,
DELETE) adds up what its texts, its features and the context say; one unit on top gives the logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.candidate_features import (
    CONTEXT_FEATURES,
    DELETE_FEATURES,
    INSERT_FEATURES,
    UPDATE_FEATURES,
    CandidateSet,
)
from agents.candidate_sets import NEVER
from agents.candidate_text import TextTable
from memenvs.errors import SettingsError


@dataclass(frozen=True)
class CandidateSettings:
    """Architecture and candidates of the policy."""

    max_operations: int = 3
    """L, at most 6: operations per step. The quota is what makes choosing matter."""
    max_item_tokens: int | None = None
    """The environment's limit on one item; longer sentences are cut into pieces that fit."""
    n_update: int = 2
    """An UPDATE may go to this many items, the most similar ones."""
    min_similarity: float = 0.5
    """And only to items at least this similar to its sentence: cosine of word vectors in which names and numbers weigh most."""
    max_sentences: int = 256
    """Candidates per chunk; the sentences beyond are ignored."""
    max_delete: int = 64
    """In a larger memory only this many items, those written longest ago, can be deleted."""
    buckets: int = 4096
    """Hash buckets of the subword embedding."""
    dim: int = 32
    """Length of a text's embedding."""
    hidden: int = 64
    """Width of the hidden layers."""
    init_scale: float = 0.1
    """Standard deviation of the initial subword embeddings."""
    gain: float = 4.0
    """Factor on a text's embedding. A word is a small part of a text; above 1 it learns faster than the other weights."""
    stop_prior: float = -1.0
    """Initial log-weight of STOP; an INSERT has 0."""
    update_prior: float = -1.0
    """Initial log-weight of an UPDATE of an item with similarity 0.5."""
    update_slope: float = 6.0
    """How steeply that rises with the similarity: overwriting something unlike is rarely right."""
    delete_prior: float = -1.0
    """Initial log-weight of all DELETEs together, so that a large memory does not mean more deleting."""
    seed: int = 0
    """Seed of the initial weights."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_operations <= 6:
            raise SettingsError(f"the exact set probability needs max_operations of 1 to 6, got {self.max_operations}")
        for name in ("n_update", "max_delete"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("max_sentences", "buckets", "dim", "hidden"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(slots=True)
class _Flat:
    """The candidates of a batch of decisions, kind after kind: B STOPs, then the INSERTs, UPDATEs and DELETEs."""

    owners: list[NDArray[np.int64]]
    """Decision of each INSERT, UPDATE and DELETE."""
    texts: NDArray[np.int64]
    """(U,) rows of the distinct texts in the `TextTable`."""
    sentences: NDArray[np.int64]
    """Text of each INSERT, as an index into ``texts``."""
    updates: NDArray[np.int64]
    """(2, n) sentence and item of each UPDATE, likewise."""
    deletes: NDArray[np.int64]
    """Item of each DELETE, likewise."""
    position: NDArray[np.int64]
    """Place of each candidate in the padded (B, C) table, flattened."""
    sentence_of: NDArray[np.int64]
    """(B, C) sentence of each candidate, -1 for none and for padding."""
    item_of: NDArray[np.int64]
    """(B, C) item of each candidate, -1 for none and for padding."""


def _flatten(sets: Sequence[CandidateSet], table: TextTable) -> _Flat:
    B = len(sets)
    sizes = np.array([s.sizes for s in sets])  # (B, 3): S, U, D
    counts = np.array([len(s.items) for s in sets])
    rows = [s.rows_in(table) for s in sets]
    n_sentences = int(sizes[:, 0].sum())
    every = [row for part in (0, 1) for pair in rows for row in pair[part]]
    texts, index = np.unique(np.array(every, np.int64), return_inverse=True)
    sentences, items = index[:n_sentences], index[n_sentences:]

    owners = [np.repeat(np.arange(B), sizes[:, kind]) for kind in range(3)]
    starts = np.cumsum(sizes, 0) - sizes
    item_starts = np.cumsum(counts) - counts
    updates = np.concatenate([s.updates for s in sets])
    deletes = np.concatenate([s.deletes for s in sets])
    # Within a decision: STOP, INSERTs, UPDATEs, DELETEs.
    C = int(1 + sizes.sum(1).max())
    first = (
        np.arange(B)[:, None] * C + 1 + np.cumsum(sizes, 1) - sizes
    )  # (B, 3), minus where the kind's own list starts
    shift = first - starts
    position = [np.arange(B) * C, *(shift[o, kind] + np.arange(len(o)) for kind, o in enumerate(owners))]
    sentence_of, item_of = np.full(B * C, -1), np.full(B * C, -1)
    sentence_of[position[1]] = np.arange(n_sentences) - starts[owners[0], 0]
    sentence_of[position[2]], item_of[position[2]] = updates.T
    item_of[position[3]] = deletes
    return _Flat(
        owners,
        texts,
        sentences,
        np.stack([sentences[starts[owners[1], 0] + updates[:, 0]], items[item_starts[owners[1]] + updates[:, 1]]]),
        items[item_starts[owners[2]] + deletes],
        np.concatenate(position),
        sentence_of.reshape(B, C),
        item_of.reshape(B, C),
    )


class CandidateNetwork(nn.Module):
    """Logits of candidates.

    The last layer starts at zero, so the initial policy depends on the priors alone.

    Args:
        settings: architecture; the same settings give the same initial weights.
    """

    def __init__(self, settings: CandidateSettings) -> None:
        super().__init__()
        self.settings = settings
        dim, hidden = settings.dim, settings.hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.subwords = nn.Parameter(torch.randn(settings.buckets, dim) * settings.init_scale)
            # One layer for the four roles of a text, applied once per distinct text and not once per candidate.
            self.roles = nn.Linear(dim, 4 * hidden, bias=False)
            self.context = nn.Linear(dim + CONTEXT_FEATURES, 4 * hidden)
            self.insert = nn.Linear(INSERT_FEATURES, hidden, bias=False)
            self.update = nn.Linear(UPDATE_FEATURES + dim, hidden, bias=False)
            self.delete = nn.Linear(DELETE_FEATURES, hidden, bias=False)
        self.out = nn.Parameter(torch.zeros(4, hidden))
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, sets: Sequence[CandidateSet], table: TextTable) -> tuple[Tensor, Tensor, Tensor]:
        """Score the candidates of B decisions.

        Args:
            sets: B candidate sets.
            table: of texts; `TextTable.begin` must have been called for this batch.

        Returns:
            Logits (B, C) with STOP first and padding `NEVER`; sentence and item of each candidate (B, C) int64, -1 for none.
        """
        s, B = self.settings, len(sets)
        flat = _flatten(sets, table)
        insert_owner, update_owner, delete_owner = (torch.from_numpy(owner) for owner in flat.owners)
        sentences, deletes = torch.from_numpy(flat.sentences), torch.from_numpy(flat.deletes)
        targets = torch.from_numpy(flat.updates)
        embedded = self._embed(*table.bags(flat.texts))
        # Roles: sentence to insert, sentence of an update, item to update, item to delete.
        role = self.roles(embedded).view(-1, 4, s.hidden).unbind(1)

        n_sentences = np.array([[max(len(c.sentences), 1)] for c in sets], np.float32)
        chunk = embedded.new_zeros(B, s.dim).index_add(0, insert_owner, embedded.index_select(0, sentences))
        scalars = torch.from_numpy(np.stack([c.context for c in sets]))
        context = self.context(torch.cat([chunk / torch.from_numpy(n_sentences), scalars], 1))
        stop, insert, update, delete = context.view(B, 4, s.hidden).unbind(1)

        both = embedded.index_select(0, targets[0]) * embedded.index_select(0, targets[1])
        update_features = torch.cat([_stack([c.update_features for c in sets]), both], 1)
        insert = (
            insert.index_select(0, insert_owner)
            + role[0].index_select(0, sentences)
            + self.insert(_stack([c.insert_features for c in sets]))
        )
        update = (
            update.index_select(0, update_owner)
            + role[1].index_select(0, targets[0])
            + role[2].index_select(0, targets[1])
            + self.update(update_features)
        )
        delete = (
            delete.index_select(0, delete_owner)
            + role[3].index_select(0, deletes)
            + self.delete(_stack([c.delete_features for c in sets]))
        )
        stop, insert, update, delete = (
            torch.relu(hidden) @ self.out[kind] + self.bias[kind]
            for kind, hidden in enumerate((stop, insert, update, delete))
        )
        stop = stop + s.stop_prior
        update = update + s.update_prior + s.update_slope * (update_features[:, 0] - 0.5)
        n_delete = np.array([max(c.sizes[2], 1) for c in sets], np.float32)
        delete = delete + torch.from_numpy(s.delete_prior - np.log(n_delete)[flat.owners[2]])
        logits = torch.cat([stop, insert, update, delete])
        padded = logits.new_full((flat.item_of.size,), NEVER).index_copy(0, torch.from_numpy(flat.position), logits)
        sentence_of, item_of = torch.from_numpy(flat.sentence_of), torch.from_numpy(flat.item_of)
        return padded.view(sentence_of.shape), sentence_of, item_of

    def _embed(self, ids: NDArray[np.int64], weights: NDArray[np.float32], offsets: NDArray[np.int64]) -> Tensor:
        """Embeddings of U texts given as bags of subwords, (U, dim)."""
        bags = torch.from_numpy(ids), self.subwords, torch.from_numpy(offsets)
        weights = weights * np.float32(self.settings.gain)
        return nn.functional.embedding_bag(*bags, mode="sum", per_sample_weights=torch.from_numpy(weights))


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))
