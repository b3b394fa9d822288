"""Fine-Mem's wrappers: each pays exactly what its pure function says, with its arguments."""

from __future__ import annotations

import json
import math

import gymnasium as gym
import pytest

import memenvs  # noqa: F401  (registers the ids)
from memenvs.errors import SettingsError
from rewards import (
    ChunkStepReward,
    CompressionReward,
    EvidenceReward,
    FineMemReward,
    FormatReward,
    OutcomeReward,
    terms,
)


def make(**kwargs):
    return gym.make("FineMem-Memalpha-v0", **{"data_settings": {"T": 4}} | kwargs)


def play(env, seed=3):
    """Half of each chunk kept, the first item rewritten later, one invalid operation, one message without any."""
    observation, _ = env.reset(seed=seed)
    done, info = False, {}
    while not done:
        chunk, step = observation["chunk"], observation["step"]
        operations = [{"op": "INSERT", "content": chunk[: len(chunk) // 2]}]
        if step == 3:
            operations += [{"op": "UPDATE", "id": "0.0", "content": chunk[:60]}, {"op": "DELETE", "id": "9.9"}]
        observation, _, done, _, info = env.step("hm" if step == 1 else json.dumps(operations))
    return env.unwrapped.record, info["step_reward_terms"]


def scaled(weight, values):
    return tuple(weight * value for value in values)


CASES = [
    (OutcomeReward, {}, lambda r: {"outcome": terms.outcome(r, "uniform", "sum")}),
    (OutcomeReward, {"spread": "last"}, lambda r: {"outcome": terms.outcome(r, "last")}),
    (OutcomeReward, {"scale": "mean"}, lambda r: {"outcome": terms.outcome(r, "uniform", "mean")}),
    (ChunkStepReward, {}, lambda r: {"chunk": scaled(0.5, terms.chunk(r))}),
    (ChunkStepReward, {"weight": -2.0}, lambda r: {"chunk": scaled(-2.0, terms.chunk(r))}),
    (EvidenceReward, {}, lambda r: {"evidence": terms.evidence(r, 0.5, "retrieved", "last_write", "lose", "sum")}),
    (EvidenceReward, {"beta": 1.0, "evidence": "cited"}, lambda r: {"evidence": terms.evidence(r, 1.0, "cited")}),
    (EvidenceReward, {"phi": "created", "scale": "mean"}, lambda r: {"evidence": terms.evidence(r, phi="created", scale="mean")}),
    (EvidenceReward, {"empty": "uniform"}, lambda r: {"evidence": terms.evidence(r, empty="uniform")}),
    (FormatReward, {}, lambda r: {"format": terms.fmt(r)}),
    (FormatReward, {"weight": 2.0, "empty_ops": 0.5}, lambda r: {"format": scaled(2.0, terms.fmt(r, 0.5))}),
    (CompressionReward, {}, lambda r: {"compression": scaled(0.05, terms.compression(r))}),
    (CompressionReward, {"weight": 1.0}, lambda r: {"compression": terms.compression(r)}),
]  # fmt: skip


@pytest.mark.parametrize(("wrapper", "arguments", "expected"), CASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_wrapper_pays_its_pure_function(wrapper, arguments, expected):
    record, paid = play(wrapper(make(), **arguments))
    own = expected(record)
    assert {name: paid[name] for name in own} == own
    rest = {} if wrapper.distributes_outcome else {"outcome": terms.outcome(record)}
    assert paid == own | rest
    assert any(value != 0 for values in own.values() for value in values)


def test_the_script_tells_the_choices_apart():
    """Otherwise the cases above could not fail."""
    record, _ = play(FormatReward(make()))
    variants = [terms.evidence(record), terms.evidence(record, phi="created"), terms.evidence(record, evidence="cited"),
                terms.evidence(record, beta=1.0), terms.evidence(record, scale="mean")]  # fmt: skip
    assert len(set(variants)) == len(variants)
    assert terms.fmt(record) == pytest.approx((1, 0, 1, 2 / 3))
    assert len(set(terms.chunk(record))) > 1


def test_finemem_is_the_papers_weighted_sum():
    record, paid = play(FineMemReward(make()))
    assert paid == {
        "evidence": terms.evidence(record),
        "format": terms.fmt(record),
        "chunk": scaled(0.5, terms.chunk(record)),
        "compression": scaled(0.05, terms.compression(record)),
    }


def test_finemems_arguments_reach_their_terms():
    record, paid = play(
        FineMemReward(make(), beta=0.9, evidence="cited", phi="created", empty="uniform", scale="mean", chunk_weight=1.0,
                      format_weight=0.25, compression_weight=3.0, empty_ops=1.0)
    )  # fmt: skip
    assert paid == {
        "evidence": terms.evidence(record, 0.9, "cited", "created", "uniform", "mean"),
        "format": scaled(0.25, terms.fmt(record, 1.0)),
        "chunk": terms.chunk(record),
        "compression": scaled(3.0, terms.compression(record)),
    }


def test_a_term_of_weight_0_is_left_out():
    _, paid = play(FineMemReward(make(), chunk_weight=0.0, format_weight=0.0, compression_weight=0.0))
    assert list(paid) == ["evidence"]


def test_names_are_those_of_the_terms():
    for env in (
        *(wrapper(make(), **arguments) for wrapper, arguments, _ in CASES),
        FineMemReward(make(), chunk_weight=0),
    ):
        record, _ = play(env)
        assert set(env.names()) == set(env.terms(record))


def test_chunk_questions_are_needed_where_they_are_paid():
    bare = make(chunk_questions=0)
    with pytest.raises(SettingsError, match="ChunkStepReward scores chunk questions, .* chunk_questions=0"):
        ChunkStepReward(bare)
    with pytest.raises(SettingsError, match="FineMemReward scores chunk questions, .* chunk_questions=0"):
        FineMemReward(bare)
    record, paid = play(FineMemReward(bare, chunk_weight=0.0))
    assert set(paid) == {"evidence", "format", "compression"}
    assert math.fsum(paid["evidence"]) == pytest.approx(record.r_global)


@pytest.mark.parametrize("wrapper", [EvidenceReward, FineMemReward])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 1.1}, r"beta must be in \[0, 1\]"),
        ({"beta": -0.1}, r"beta must be in \[0, 1\]"),
        ({"beta": math.nan}, r"beta must be in \[0, 1\]"),
        ({"evidence": "cite"}, "Did you mean 'cited'"),
        ({"phi": "lastwrite"}, "Did you mean 'last_write'"),
        ({"empty": "loose"}, "Did you mean 'lose'"),
        ({"scale": "men"}, "Did you mean 'mean'"),
    ],
)
def test_a_bad_choice_is_refused_when_the_wrapper_is_made(wrapper, arguments, message):
    with pytest.raises(SettingsError, match=message):
        wrapper(make(), **arguments)


def test_a_bad_spread_or_scale_of_the_outcome_is_refused_when_the_wrapper_is_made():
    with pytest.raises(SettingsError, match="Did you mean 'uniform'"):
        OutcomeReward(make(), spread="unifrm")
    with pytest.raises(SettingsError, match="Did you mean 'sum'"):
        OutcomeReward(make(), scale="summ")
