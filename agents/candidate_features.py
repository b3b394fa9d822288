"""What the candidate policy may do at a step, and the fixed (not learned) features of each possibility.

Everything is computed for a whole batch of views at once on padded arrays: B views, S sentences, I items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.base import View
from agents.candidate_text import SHAPES, TextTable
from agents.units import units
from memenvs.memory.bank import MemoryItem

CONTEXT_FEATURES = 5
INSERT_FEATURES = 5 + SHAPES
UPDATE_FEATURES = 5 + SHAPES
DELETE_FEATURES = 4 + SHAPES

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class CandidateSet:
    """The candidates of one decision, in this order: STOP, one INSERT per sentence, the UPDATEs, the DELETEs."""

    sentences: tuple[str, ...]
    """The S texts of the chunk that may be written."""
    items: tuple[MemoryItem, ...]
    """The memory at that moment."""
    updates: Ints
    """(U, 2) int64: sentence and item of each UPDATE."""
    deletes: Ints
    """(D,) int64: item of each DELETE."""
    context: Floats
    """(CONTEXT_FEATURES,) float32."""
    insert_features: Floats
    """(S, INSERT_FEATURES) float32."""
    update_features: Floats
    """(U, UPDATE_FEATURES) float32."""
    delete_features: Floats
    """(D, DELETE_FEATURES) float32."""
    epoch: object
    """`TextTable.epoch` of the table that ``rows`` belongs to."""
    rows: tuple[list[int], list[int]]
    """Rows of the sentences and of the items in that table."""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """S, U and D."""
        return len(self.sentences), len(self.updates), len(self.deletes)

    def rows_in(self, table: TextTable) -> tuple[list[int], list[int]]:
        """Rows of the sentences and of the items in ``table``, looked up again only if it is not the one they came from."""
        if self.epoch is table.epoch:
            return self.rows
        return table.rows(self.sentences), table.rows([item.content for item in self.items])


def candidate_sets(
    views: Sequence[View],
    table: TextTable,
    n_update: int,
    min_similarity: float,
    max_sentences: int,
    max_delete: int,
    max_item_tokens: int | None,
) -> list[CandidateSet]:
    """List the candidates of each view.

    Args:
        views: B views.
        table: gives rows of numbers for texts; `TextTable.begin` must have been called for this batch.
        n_update: an UPDATE may go to this many items, those most similar to the sentence (ties: the older one).
        min_similarity: and only to items at least this similar to it.
        max_sentences: only the first ones of a longer chunk are candidates.
        max_delete: in a larger memory only this many items, those written longest ago, can be deleted.
        max_item_tokens: see `agents.units.units`.
    """
    B = len(views)
    sentences = [units(view.chunk, max_item_tokens)[:max_sentences] for view in views]
    S = max(1, *map(len, sentences)) if B > 1 else max(1, len(sentences[0]))
    I = max(1, max(len(view.memory) for view in views))  # noqa: E741
    sentence_rows, item_rows = np.zeros((B, S), np.int64), np.zeros((B, I), np.int64)
    written, created = np.zeros((B, I), np.float32), np.zeros((B, I), np.float32)
    tokens = np.zeros(B, np.float32)
    rows = [
        (table.rows(s), table.rows([item.content for item in view.memory]))
        for s, view in zip(sentences, views, strict=True)
    ]
    for b, view in enumerate(views):
        sentence_rows[b, : len(sentences[b])] = rows[b][0]
        if view.memory:
            n = len(view.memory)
            item_rows[b, :n] = rows[b][1]
            written[b, :n] = [item.step for item in view.memory]
            created[b, :n] = [item.created for item in view.memory]
            tokens[b] = sum(item.tokens for item in view.memory)
    n_sentences = np.array([len(s) for s in sentences])
    n_items = np.array([len(view.memory) for view in views])
    step = np.array([view.step for view in views], np.float32)
    T = np.array([max(view.T, 1) for view in views], np.float32)

    has_item = np.arange(I) < n_items[:, None]
    has_sentence = np.arange(S) < n_sentences[:, None]
    texts, items = table.lexical[sentence_rows], table.lexical[item_rows]
    similarity = texts @ items.transpose(0, 2, 1)  # (B, S, I)
    own = texts @ texts.transpose(0, 2, 1)  # (B, S, S)
    shapes = table.shapes[sentence_rows]
    item_shapes = table.shapes[item_rows]
    age = ((step[:, None] - written) / T[:, None]) * has_item
    created_age = ((step[:, None] - created) / T[:, None]) * has_item

    # The most similar items of each sentence, best first; argmax takes the first of equals, the older item.
    left = np.where(has_item[:, None, :], similarity, -2.0)
    n_update = min(n_update, I)
    targets = np.zeros((B, S, n_update), np.int64)
    scores = np.zeros((B, S, n_update), np.float32)
    b_index, s_index = np.arange(B)[:, None], np.arange(S)[None, :]
    for rank in range(n_update):
        best = left.argmax(-1)
        targets[:, :, rank] = best
        scores[:, :, rank] = left[b_index, s_index, best]
        left[b_index, s_index, best] = -2.0
    best_score = np.maximum(scores[:, :, 0], 0.0) if n_update else np.maximum(left.max(-1), 0.0)

    insert = np.empty((B, S, INSERT_FEATURES), np.float32)
    insert[..., 0] = best_score
    insert[..., 1] = best_score > 0.999
    insert[..., 2] = similarity.sum(-1) / np.maximum(n_items, 1)[:, None]
    insert[..., 3] = np.where(np.tri(S, k=-1, dtype=bool), own, 0.0).max(-1)
    insert[..., 4] = np.arange(S) / np.maximum(n_sentences, 1)[:, None]
    insert[..., 5:] = shapes

    update = np.empty((B, S, n_update, UPDATE_FEATURES), np.float32)
    target_index = (np.arange(B)[:, None, None], targets)
    update[..., 0] = scores
    update[..., 1] = scores > 0.999
    update[..., 2] = np.arange(n_update) > 0
    update[..., 3] = age[target_index]
    update[..., 4] = item_shapes[(*target_index, 0)] - shapes[:, :, None, 0]
    update[..., 5:] = shapes[:, :, None, :]

    delete = np.empty((B, I, DELETE_FEATURES), np.float32)
    delete[..., 0] = age
    delete[..., 1] = created_age
    delete[..., 2] = np.where(has_sentence[:, :, None], similarity, 0.0).max(1)
    delete[..., 3] = written > created
    delete[..., 4:] = item_shapes

    context = np.empty((B, CONTEXT_FEATURES), np.float32)
    context[:, 0] = step / T
    context[:, 1] = np.log1p(n_items) / 4
    context[:, 2] = np.log1p(tokens) / 6
    context[:, 3] = np.log1p(n_sentences) / 3
    context[:, 4] = (best_score * has_sentence).sum(-1) / np.maximum(n_sentences, 1)

    found = []
    for b, view in enumerate(views):
        n_s, n_i = len(sentences[b]), len(view.memory)
        n_u = min(n_update, n_i)
        of, nth = np.nonzero(scores[b, :n_s, :n_u] >= min_similarity)
        updates = np.stack([of, targets[b, of, nth]], 1)
        deletes = np.arange(n_i)
        if n_i > max_delete:
            deletes = np.sort(np.argsort(written[b, :n_i], kind="stable")[:max_delete])
        found.append(
            CandidateSet(
                sentences[b],
                view.memory,
                updates,
                deletes,
                context[b],
                insert[b, :n_s].copy(),
                update[b, of, nth],
                delete[b, deletes],
                table.epoch,
                rows[b],
            )
        )
    return found
