"""Every formula of Fine-Mem against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from memenvs.memory import MemoryItem, OperationOutcome, Retrieved
from memenvs.record import EpisodeRecord, ReadingRecord, StepRecord
from rewards import terms


def reading(score, items=(), cited=None):
    """A reading with ``items`` as (id, last write, created)."""
    found = tuple(Retrieved(i, 1.0, step, created) for i, step, created in items)
    cited = tuple(i for i, _, _ in items) if cited is None else cited
    return ReadingRecord("q", ("a",), "builtin-fact", found, cited, None if score is None else "p", score)


def step(t, valid=(), readings=(), chunk_tokens=10, memory_tokens=0):
    outcomes = tuple(OperationOutcome("INSERT", None, "x", v, None if v else "bad") for v in valid)
    return StepRecord(t, "c", None, chunk_tokens, "m", None, outcomes, 0, memory_tokens, tuple(readings))


def episode(steps, questions):
    return EpisodeRecord("s", "builtin", "f", tuple(steps), tuple(questions), (MemoryItem("0.0", "x", 0, 0, 1),))


# Two questions, three steps. Question 1 (s = 1) retrieved two items written at step 0 and one at step 2; question 2 (s = 1/2)
# one of step 0 and one of step 1. The third item was created at step 1 and updated at step 2.
A, B, C, D = ("a", 0, 0), ("b", 0, 0), ("c", 2, 1), ("d", 1, 1)
EXAMPLE = episode(
    [
        step(0, [True, True], [reading(1.0), reading(0.0)], 10, 4),
        step(1, [True, False, False], [reading(0.5)], 20, 9),
        step(2, [], [], 10, 8),
    ],
    [reading(1.0, [A, B, C], cited=("c",)), reading(0.5, [A, D], cited=("a",))],
)


def test_outcome_last_and_uniform():
    assert EXAMPLE.r_global == 0.75
    assert terms.outcome(EXAMPLE) == (0.0, 0.0, 0.75)
    assert terms.outcome(EXAMPLE, spread="uniform") == pytest.approx((0.25, 0.25, 0.25))
    assert terms.outcome(EXAMPLE, spread="uniform", scale="mean") == pytest.approx((0.75, 0.75, 0.75))


def test_chunk_is_the_mean_of_the_steps_own_questions():
    assert terms.chunk(EXAMPLE) == (0.5, 0.5, 0.0)


def test_attribution_by_retrieval_equals_the_published_example():
    # Credit vector 60, example E: N = (11/24, 1/8, 1/6), r_EARA = (17/48, 3/16, 5/24).
    assert terms.attribution(EXAMPLE) == pytest.approx((11 / 24, 1 / 8, 1 / 6), abs=1e-12)
    assert terms.evidence(EXAMPLE) == pytest.approx((17 / 48, 3 / 16, 5 / 24), abs=1e-12)
    assert math.fsum(terms.evidence(EXAMPLE)) == pytest.approx(EXAMPLE.r_global, abs=1e-12)


def test_attribution_by_citation_pays_only_what_was_used():
    # Question 1 cites c alone (step 2): 1/2. Question 2 cites a alone (step 0): 1/4.
    assert terms.attribution(EXAMPLE, evidence="cited") == pytest.approx((0.25, 0.0, 0.5), abs=1e-12)


def test_attribution_to_the_creating_step():
    # c moves from its last write (step 2) to its INSERT (step 1).
    assert terms.attribution(EXAMPLE, phi="created") == pytest.approx((11 / 24, 1 / 8 + 1 / 6, 0.0), abs=1e-12)


def test_beta_and_scale():
    assert terms.evidence(EXAMPLE, beta=1.0) == pytest.approx(terms.attribution(EXAMPLE), abs=1e-12)
    assert terms.evidence(EXAMPLE, beta=0.0) == pytest.approx((0.25,) * 3, abs=1e-12)
    assert terms.evidence(EXAMPLE, scale="mean") == pytest.approx((17 / 16, 9 / 16, 5 / 8), abs=1e-12)


def test_a_question_without_evidence_loses_exactly_its_share():
    record = episode([step(0), step(1)], [reading(1.0, [A]), reading(0.6, [])])
    assert math.fsum(terms.evidence(record, beta=0.5)) == pytest.approx(0.8 - 0.5 * 0.6 / 2, abs=1e-12)
    assert terms.attribution(record, empty="uniform") == pytest.approx((0.5 + 0.15, 0.15), abs=1e-12)
    assert math.fsum(terms.evidence(record, empty="uniform")) == pytest.approx(0.8, abs=1e-12)


def test_a_scored_question_whose_citation_is_empty_is_lost_under_cited():
    record = episode([step(0)], [reading(1.0, [A], cited=())])
    assert terms.attribution(record, evidence="cited") == (0.0,)
    assert terms.attribution(record, evidence="cited", empty="uniform") == (1.0,)
    assert terms.attribution(record, evidence="retrieved") == (1.0,)


def test_questions_answered_from_items_without_a_citation_are_counted():
    questions = [reading(1.0, [A], cited=()), reading(0.0, [A, B], cited=()), reading(1.0, [A, B], cited=("b",))]
    questions += [reading(0.5), reading(None, [A], cited=())]  # nothing to cite; no answer
    assert terms.uncited(episode([step(0)], questions)) == 2


def test_format_counts_valid_operations_and_empty_messages():
    assert terms.fmt(EXAMPLE) == pytest.approx((1.0, 1 / 3, 0.0))
    assert terms.fmt(EXAMPLE, empty_ops=1.0) == pytest.approx((1.0, 1 / 3, 1.0))


def test_compression_is_one_minus_memory_over_stream_and_may_be_negative():
    assert terms.compression(EXAMPLE) == pytest.approx((1 - 8 / 40,) * 3)
    grown = replace(EXAMPLE, steps=(*EXAMPLE.steps[:2], replace(EXAMPLE.steps[2], memory_tokens=60)))
    assert terms.compression(grown) == pytest.approx((-0.5,) * 3)


def test_a_failed_reading_is_not_a_number_and_never_a_zero():
    record = episode([step(0, [True], [reading(None)])], [reading(None, [A]), reading(1.0, [A])])
    assert math.isnan(record.r_global)
    for values in (terms.outcome(record), terms.chunk(record), terms.evidence(record), terms.attribution(record)):
        assert math.isnan(values[-1])
    assert terms.fmt(record) == (1.0,)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: terms.evidence(EXAMPLE, evidence="cite"), "cited"),
        (lambda: terms.evidence(EXAMPLE, phi="last"), "last_write"),
        (lambda: terms.outcome(EXAMPLE, scale="men"), "mean"),
        (lambda: terms.evidence(EXAMPLE, beta=1.5), r"\[0, 1\]"),
    ],
)
def test_unknown_choices_are_refused_with_the_way_out(call, hint):
    with pytest.raises(SettingsError, match=hint):
        call()


@st.composite
def records(draw):
    length = draw(st.integers(1, 6))
    ids = [(f"{t}.0", draw(st.integers(t, length - 1)), t) for t in range(length)]
    questions = [
        reading(draw(st.floats(0, 1)), draw(st.lists(st.sampled_from(ids), unique=True, max_size=4)))
        for _ in range(draw(st.integers(1, 5)))
    ]
    return episode([step(t, [True]) for t in range(length)], questions)


@given(records(), st.floats(0, 1), st.sampled_from(terms.PHI), st.sampled_from(terms.EVIDENCE))
def test_eara_conserves_the_outcome_up_to_its_exact_shortfall(record, beta, phi, evidence):
    n = len(record.questions)
    lost = sum(q.score for q in record.questions if not q.retrieved) / n
    literal = terms.evidence(record, beta=beta, phi=phi, evidence=evidence)
    conserving = terms.evidence(record, beta=beta, phi=phi, evidence=evidence, empty="uniform")
    assert math.fsum(literal) == pytest.approx(record.r_global - beta * lost, abs=1e-9)
    assert math.fsum(conserving) == pytest.approx(record.r_global, abs=1e-9)
    assert all(value >= 0 for value in terms.attribution(record, evidence, phi))


@given(st.permutations(["a", "b", "c"]))
def test_total_does_not_depend_on_the_order_of_terms(order):
    values = {"a": (0.1, 1e16), "b": (0.2, 1.0), "c": (0.3, -1e16)}
    assert terms.total({name: values[name] for name in order}) == (0.6, 1.0)
