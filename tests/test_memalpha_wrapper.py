"""Mem-alpha's reward on an environment, and its content term."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import pytest

import memenvs  # noqa: F401
from memenvs.errors import ScorerError, SettingsError
from rewards import FineMemReward, MemAlphaReward, memalpha
from rewards.memalpha_content import call_content, content, verdict
from rewards.presets import wrap_reward
from trainers.slots.choices import Slots


def good(asked):
    """Valid is what says so."""
    return ["GOOD" in text for _, text in asked]


def call(name: str, **arguments: object) -> dict:
    return {"name": name, "arguments": arguments}


def insert(text: str, part: str = "semantic_memory") -> dict:
    return call("new_memory_insert", memory_type=part, content=text)


MESSAGES = [
    json.dumps([insert("GOOD a"), insert("GOOD a"), insert("bad"), call("memory_delete", memory_type="core_memory")]),
    "Done",
    json.dumps([call("memory_update", memory_type="core_memory", new_content="GOOD c")]),
    "Done",
]


def make(**arguments):
    return gym.make("MemAlpha-Memalpha-v0", data_settings={"T": 4}, **arguments)


def play(env, messages=MESSAGES):
    env.reset(seed=1)
    paid = 0.0
    for message in messages:
        *_, info = outcome = env.step(message)
        paid += outcome[1]
    return env.unwrapped.record, info, paid


def test_the_wrapper_pays_the_formula():
    record, info, paid = play(MemAlphaReward(make(), gamma=0.1, judge=good))
    terms = info["step_reward_terms"]
    assert terms["format"] == (0.75, 0, 1, 0)  # the duplicate fails
    assert terms["content"] == pytest.approx((0.05, 0, 0.1, 0))  # refused calls are judged, a DELETE earns nothing
    assert terms["outcome"] == (record.r_global,) * 4
    assert info["step_rewards"] == pytest.approx(memalpha.steps(record, [0.5, 0, 1, 0]), abs=1e-12)
    assert paid == pytest.approx(math.fsum(info["step_rewards"]))


def test_terms_of_weight_0_are_left_out():
    record, info, _ = play(MemAlphaReward(make(), beta=0))
    assert set(info["step_reward_terms"]) == {"outcome", "format"}
    assert info["step_rewards"] == pytest.approx(memalpha.steps(record, beta=0), abs=1e-12)
    weights = MemAlphaReward(make(), gamma=0.1, judge=good).weights_of_terms()
    assert weights == {"outcome": 1, "compression": 0.05, "format": 1, "content": 0.1}


def test_a_threshold_makes_the_outcome_0_or_1_and_a_failure_neither():
    env = make()
    record, _, _ = play(env)
    half = replace(record, questions=(replace(record.questions[0], score=0.5),))
    failed = replace(record, questions=(replace(record.questions[0], prediction=None, score=None),))
    for threshold, wanted in ((0.5, 1.0), (0.6, 0.0)):
        wrapper = MemAlphaReward(make(), threshold=threshold)
        assert wrapper.terms(half)["outcome"] == (wanted,) * 4
        assert all(math.isnan(value) for value in wrapper.terms(failed)["outcome"])


def test_a_content_weight_needs_a_judge():
    with pytest.raises(SettingsError, match="gamma=0.1 weighs the content, which needs a judge"):
        MemAlphaReward(make(), gamma=0.1)
    with pytest.raises(SettingsError, match="with gamma=0 would be asked for nothing"):
        MemAlphaReward(make(), judge=good)
    with pytest.raises(SettingsError, match="cannot be imported.*expected module:name, a function"):
        MemAlphaReward(make(), gamma=0.1, judge="no_such_module:judge")
    with pytest.raises(SettingsError, match="both distribute the outcome"):
        MemAlphaReward(FineMemReward(make()))


def test_a_judge_by_name_survives_the_spec(tmp_path, monkeypatch):
    (tmp_path / "judge_of_contents.py").write_text("def always(asked):\n    return [True] * len(asked)\n")
    monkeypatch.syspath_prepend(tmp_path)
    env = MemAlphaReward(make(), gamma=0.5, judge="judge_of_contents:always")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert play(again)[1]["step_reward_terms"]["content"] == pytest.approx((0.375, 0, 0.5, 0))


def test_a_judge_must_give_one_verdict_per_content():
    record, _, _ = play(make())
    with pytest.raises(ScorerError, match="expected one verdict per content, 4, got 0"):
        content(record, lambda asked: [])
    assert content(record, lambda asked: [part == "core" for part, _ in asked]) == (0, 0, 1, 0)


def test_operations_of_other_dialects_are_judged_as_semantic():
    flat = gym.make("FineMem-Memalpha-v0", data_settings={"T": 4})
    sent = '[{"op": "INSERT", "content": "GOOD"}, {"op": "INSERT"}, {"op": "SKIP"}]'
    record, _, _ = play(flat, [sent, "", "", ""])
    assert content(record, lambda asked: [pair == ("semantic", "GOOD") for pair in asked]) == (0.5, 0, 0, 0)


def test_what_is_judged_of_a_call():
    assert call_content("new_memory_insert", {"memory_type": "semantic", "content": "x"}) == ("semantic", "x")
    assert call_content("memory_update", {"memory_type": "core", "new_content": "x"}) == ("core", "x")
    for tool, arguments in (
        ("memory_delete", {"memory_type": "semantic", "memory_id": "1"}),
        ("new_memory_insert", {"memory_type": "semantic_memory", "content": "x"}),
        ("new_memory_insert", {"memory_type": "semantic", "content": " "}),
        ("new_memory_insert", {"memory_type": "semantic", "content": 42}),
        ("new_memory_insert", {}),
    ):
        assert call_content(tool, arguments) is None


def test_contents_score_as_on_the_published_server(shared: Path):
    rows = (shared / "oracles/peers/memalpha_content_reward.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, rows):
        asked = [call_content(sent["name"], sent["arguments"]) for sent in row["inputs"]["calls"]]
        scores = [0.0 if pair is None else float(good([pair])[0]) for pair in asked]
        assert scores == row["output"]["per_call"]
        assert sum(scores) / len(scores) == row["output"]["score"]
    assert len(rows) >= 8


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ('```json\n{"VALID": true, "ISSUES": [], "EXPLANATION": "has } brace"}\n```', True),
        ('pre ```json\n{"VALID": false, "ISSUES": ["a"], "EXPLANATION": "no"}\n``` post', False),
        ('```json\n{"VALID": "true", "ISSUES": [], "EXPLANATION": "ok"}\n```', None),
        ('```json\n{"VALID": true, "ISSUES": [], "EXPLANATION": null}\n```', None),
        ('text "VALID": true text', None),
        ("```json\n{bad}\n```", None),
    ],
)
def test_a_reply_of_the_published_form_is_a_verdict(reply: str, said: bool | None):
    assert verdict(reply) is said


def test_replies_are_read_as_on_the_published_server(shared: Path):
    rows = (shared / "oracles/peers/memalpha_server_misc.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, rows) if row["function"] == "_validate_json_format"]
    assert [verdict(row["inputs"]["analysis_text"]) is not None for row in rows] == [row["output"] for row in rows]
    assert rows


def test_the_preset_is_the_reward_without_content():
    assert Slots(preset="memalpha").reward == "memalpha"
    wrapped = wrap_reward(make(), "memalpha")
    assert isinstance(wrapped, MemAlphaReward)
    assert wrapped.gamma == 0
    assert wrap_reward(make(), "memalpha", gamma=0.1, judge=good).judge is good
