"""MemQ: a question's score goes to the steps behind its items, less the further back they stand.

* `eligibility` - decay^depth over any provenance graph.
* `Provenance`, `provenance` - the graph of an episode's memory.
* `memq` - the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memenvs.errors import DataError, SettingsError
from memenvs.record import EpisodeRecord
from rewards.credit.history import history
from rewards.terms import EVIDENCE, NAN, Terms, check_choice


def eligibility(parents: Mapping[str, Sequence[str]], root: str, decay: float) -> dict[str, float]:
    """decay^depth of the root (depth 0, so 1) and of everything that it came from.

    Args:
        parents: node -> what it was made from; a node that is not listed came from nothing.
        root: where to start.
        decay: gamma lambda.

    Returns:
        Node -> decay to the power of its shortest distance from the root. Other nodes are absent.

    Source: MemQ, arXiv 2605.08374, abstract: credit decays as (gamma lambda)^d with the depth d in the provenance graph. The
    shortest depth where several paths lead to a node is our reading.
    """
    depths, level, depth = {root: 0}, [root], 0
    while level:
        depth += 1
        found = dict.fromkeys(parent for node in level for parent in parents.get(node, ()) if parent not in depths)
        depths |= dict.fromkeys(found, depth)
        level = list(found)
    return {node: decay**depth for node, depth in depths.items()}


class Provenance(NamedTuple):
    """The graph behind a memory. Its nodes are versions of items, one per write."""

    parents: dict[str, tuple[str, ...]]
    """Version -> the versions that it was made from."""
    steps: dict[str, int]
    """Version -> the step that wrote it."""
    latest: dict[str, str]
    """Item of the final memory -> its last version."""


def provenance(record: EpisodeRecord) -> Provenance:
    """The provenance graph of an episode.

    An UPDATE's parent is the version before it. A flat memory has no operation that merges, so the items that a message DELETEs are
    taken as parents of every item that the same message INSERTs, in whatever order it says so: this mapping is ours. Items that the
    message itself inserted are no such parents.

    Raises:
        DataError: the record contradicts itself, see `history`.
    """
    parents: dict[str, tuple[str, ...]] = {}
    steps: dict[str, int] = {}
    latest: dict[str, str] = {}
    for t, step in enumerate(history(record)):
        inserted, deleted = [], []
        for n, write in enumerate(step.writes):
            old = latest.pop(write.id, None)
            if write.op == "DELETE":
                if old is not None and write.id in step.before:
                    deleted.append(old)
                continue
            version = f"{write.id}@{t}.{n}"
            parents[version] = () if old is None else (old,)
            steps[version] = t
            latest[write.id] = version
            if write.op == "INSERT":
                inserted.append(version)
        parents |= dict.fromkeys(inserted, tuple(deleted))
    return Provenance(parents, steps, latest)


def memq(record: EpisodeRecord, gamma: float = 0.8, lam: float = 0.5, evidence: str = "retrieved") -> Terms:
    """Credit over provenance: c_t = sum_j sum_{m in M_j} s_j / (|M_j| n) sum_v (gamma lambda)^depth(v).

    M_j are the items of question j, and v runs over the versions behind item m that step t wrote; see `provenance`.

    Args:
        record: a finished episode.
        gamma, lam: discount and trace decay, each in [0, 1]. Their product 0 leaves `rewards.terms.attribution`.
        evidence: M_j is what was ``"retrieved"`` or what the reader ``"cited"``.

    Returns:
        T floats, at least those of `rewards.terms.attribution`: what stands behind an item earns on top of the item, as every
        ancestor's Q moves in MemQ, so they may sum to more than r_global. All NaN where a question failed.

    Raises:
        SettingsError: a decay outside [0, 1] or an unknown ``evidence``.
        DataError: the record contradicts itself.

    Source: MemQ, arXiv 2605.08374 (abstract): Q(m) += eta (gamma lambda)^d delta. Here delta is the item's share of the score, as
    in `rewards.terms.attribution`, and there is no Q to keep, so no eta.
    """
    for name, value in (("gamma", gamma), ("lam", lam)):
        if not 0 <= value <= 1:
            raise SettingsError(f"{name} must be in [0, 1], got {value}")
    check_choice("evidence", evidence, EVIDENCE)
    graph = provenance(record)
    credit = [0.0] * record.T
    for question in record.questions:
        if question.score is None:
            return (NAN,) * record.T
        used = [r.id for r in question.retrieved if evidence == "retrieved" or r.id in question.evidence_ids]
        for item_id in used:
            if item_id not in graph.latest:
                raise DataError(f"question {question.question!r} used item {item_id!r}, which no operation left behind")
            share = question.score / (len(used) * len(record.questions))
            for version, weight in eligibility(graph.parents, graph.latest[item_id], gamma * lam).items():
                credit[graph.steps[version]] += share * weight
    return tuple(credit)
