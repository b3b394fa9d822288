r"""Reward terms: `EpisodeRecord` in, one float per step out. Pure functions; T is the record's number of steps.

Symbols (Fine-Mem, arXiv 2601.08435): s_j score of global question j of n, r_global = (1/n) sum_j s_j, M_j items retrieved for
question j from the final memory, phi(m) the step that item m is credited to, L token count, c_t chunk t.

A term is NaN where it needs a question whose reading failed, and finite everywhere else.

* `outcome` - r_global, at the last step or spread evenly.
* `chunk` - chunk-level step reward.
* `evidence` - evidence-anchored attribution.
* `uncited` - no term: how many questions attribution by citation finds no items for.
* `fmt` - share of valid operations.
* `compression` - 1 - L(M_T) / sum_t L(c_t).
"""

from __future__ import annotations

import math

from memenvs.errors import SettingsError, did_you_mean
from memenvs.record import EpisodeRecord, StepRecord

Terms = tuple[float, ...]
"""T floats, one per step."""

NAN = float("nan")


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value outside ``known`` with SettingsError."""
    if value not in known:
        raise SettingsError(
            f"{name} must be one of {', '.join(known)}, got {value!r}.{did_you_mean(str(value), known)}"
        )


SPREADS = ("last", "uniform")
SCALES = ("sum", "mean")
EVIDENCE = ("retrieved", "cited")
PHI = ("last_write", "created")
EMPTY = ("lose", "uniform")


def outcome(record: EpisodeRecord, spread: str = "last", scale: str = "sum") -> Terms:
    """The outcome reward r_global.

    Args:
        record: a finished episode.
        spread: ``"last"``: all of it at the last step; ``"uniform"``: r_global / T at every step.
        scale: ``"sum"``: the steps sum to r_global; ``"mean"``: times T.

    Raises:
        SettingsError: unknown ``spread`` or ``scale``.
    """
    check_choice("spread", spread, SPREADS)
    check_choice("scale", scale, SCALES)
    factor = record.T if scale == "mean" else 1
    if spread == "uniform":
        return (factor * record.r_global / record.T,) * record.T
    return (0.0,) * (record.T - 1) + (factor * record.r_global,)


def chunk(record: EpisodeRecord) -> Terms:
    """Chunk-level step reward r_chunk(t): mean score of step t's chunk questions, answered from M_t.

    A chunk without questions earns 0. Source: arXiv 2601.08435, section on the chunk-level step reward (K = 5).
    """
    return tuple(chunk_step(step) for step in record.steps)


def chunk_step(step: StepRecord) -> float:
    """r_chunk of one step, known as soon as the step ends."""
    if not step.readings:
        return 0.0
    return sum(NAN if r.score is None else r.score for r in step.readings) / len(step.readings)


def attribution(
    record: EpisodeRecord, evidence: str = "retrieved", phi: str = "last_write", empty: str = "lose"
) -> Terms:
    """N_t = sum_j sum_{m in M_j, phi(m) = t} s_j / (|M_j| n): the score that step t's items carried as evidence.

    Args:
        record: a finished episode.
        evidence: M_j is what was ``"retrieved"`` (the paper's formula) or what the reader ``"cited"`` (its abstract's words). A
            reader that cites nothing valid leaves M_j empty; `uncited` counts that.
        phi: items are credited to their ``"last_write"`` or to the step that ``"created"`` them.
        empty: a question with s_j > 0 and empty M_j gives its s_j / n to nobody (``"lose"``, the paper's formula) or to all
            steps evenly (``"uniform"``, which conserves r_global).

    Returns:
        T floats; they sum to r_global exactly when no share is lost.

    Raises:
        SettingsError: an unknown choice.
    """
    check_choice("evidence", evidence, EVIDENCE)
    check_choice("phi", phi, PHI)
    check_choice("empty", empty, EMPTY)
    shares = [0.0] * record.T
    n = len(record.questions)
    for question in record.questions:
        if question.score is None:
            return (NAN,) * record.T
        used = question.retrieved
        if evidence == "cited":
            used = tuple(item for item in used if item.id in question.evidence_ids)
        for item in used:
            shares[item.step if phi == "last_write" else item.created] += question.score / (len(used) * n)
        if not used and empty == "uniform":
            shares = [share + question.score / (n * record.T) for share in shares]
    return tuple(shares)


def evidence(
    record: EpisodeRecord,
    beta: float = 0.5,
    evidence: str = "retrieved",
    phi: str = "last_write",
    empty: str = "lose",
    scale: str = "sum",
) -> Terms:
    """Evidence-anchored attribution r_EARA(t) = (1 - beta) r_global / T + beta N_t.

    Args:
        record: a finished episode.
        beta: weight of the attribution; 0 spreads r_global evenly.
        evidence, phi, empty: see `attribution`.
        scale: ``"sum"``: the paper's, the steps sum to r_global; ``"mean"``: times T, so that the other terms, which are of
            size 1 per step, do not swamp it in long streams.

    Returns:
        T floats. With ``empty="lose"`` the sum falls short of r_global by beta s_j / n for each question without evidence.

    Raises:
        SettingsError: an unknown choice, or beta outside [0, 1].
    """
    check_choice("scale", scale, SCALES)
    if not 0 <= beta <= 1:
        raise SettingsError(f"beta must be in [0, 1], got {beta}")
    factor = record.T if scale == "mean" else 1
    even = (1 - beta) * record.r_global / record.T
    return tuple(factor * (even + beta * share) for share in attribution(record, evidence, phi, empty))


def uncited(record: EpisodeRecord) -> int:
    """Global questions that were answered from at least one item without citing any: with ``evidence="cited"`` M_j is empty."""
    return sum(
        question.prediction is not None and bool(question.retrieved) and not question.evidence_ids
        for question in record.questions
    )


def fmt(record: EpisodeRecord, empty_ops: float = 0.0) -> Terms:
    """Format reward r_fmt(t): share of step t's operations that were valid; an explicit SKIP is valid.

    Args:
        record: a finished episode.
        empty_ops: what a message without any operation (empty, unparsable) earns; Mem-alpha's code gives it 0, set 1 to
            treat silence as SKIP.
    """
    return tuple(fmt_step(step, empty_ops) for step in record.steps)


def fmt_step(step: StepRecord, empty_ops: float = 0.0) -> float:
    """r_fmt of one step, known as soon as the step ends."""
    if not step.operations:
        return float(empty_ops)
    return sum(outcome.valid for outcome in step.operations) / len(step.operations)


def compression(record: EpisodeRecord) -> Terms:
    """Compression r_comp = 1 - L(M_T) / sum_t L(c_t), the same at every step; negative if the memory outgrows the stream."""
    # A stream without a single token would divide by zero; whatever is stored then outgrows it.
    return (1 - record.memory_tokens / max(1, record.stream_tokens),) * record.T


def total(terms: dict[str, Terms]) -> Terms:
    """Per-step sum of named terms, the same to the last bit whatever their order."""
    return tuple(math.fsum(values) for values in zip(*terms.values(), strict=True))
