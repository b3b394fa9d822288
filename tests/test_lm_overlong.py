"""DAPO's soft overlong penalty: what lengths cost, and what a language model's messages pay in training."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401 - a fixture
from test_lm_dashboard import messages

from memenvs.errors import SettingsError
from trainers.rollout import Group
from trainers.runlog import read_metrics
from trainers.slots.choices import Slots
from trainers.tokens.grpo import train
from trainers.tokens.overlong import charged, overlong_penalty
from trainers.tokens.parts import TokenParts
from trainers.tokens.settings import LanguageModelSettings
from trainers.update import advantages

NAN = float("nan")
#: Of 16 tokens the last 4 cost a quarter each.
COSTS = {13: -0.25, 14: -0.5, 15: -0.75, 16: -1.0}


def test_the_penalty_is_floored_as_published():
    assert overlong_penalty([16384, 17408, 20480, 25000], 20480, 4096).tolist() == [0.0, -0.25, -1.0, -1.0]


def test_the_penalty_keeps_failures_and_refuses_an_impossible_line():
    np.testing.assert_array_equal(overlong_penalty([[NAN, 8.0]], 8, 4), [[NAN, -1.0]])
    for buffer in (0, 9):
        with pytest.raises(SettingsError, match=f"at most max_length, got {buffer} and 8"):
            overlong_penalty([1.0], 8, buffer)


def group(terms):
    """Two rollouts of two messages, the second rollout failed; 1, 13, 16 and 16 tokens."""
    decisions = [[SimpleNamespace(sample=SimpleNamespace(tokens=(0,) * n)) for n in row] for row in ((1, 13), (16, 16))]
    rewards = np.array([[0.5, 1.0], [NAN, NAN]])
    return Group(0, decisions, rewards, terms, {}, np.array([0.7, NAN]), (), None, [], np.array([False, True]))


def test_each_message_pays_at_its_step_and_failed_rollouts_stay_failed():
    told = {"format": np.array([[0.5, 0.75], [NAN, NAN]]), "chunk": np.array([[0.0, 0.25], [NAN, NAN]])}
    paid = charged(group(told), 16, 4)
    np.testing.assert_array_equal(paid.rewards, [[0.5, 0.75], [NAN, NAN]])  # 13 tokens: one of four beyond 12
    np.testing.assert_array_equal(paid.terms["overlong"], [[0.0, -0.25], [NAN, NAN]])
    assert {name: paid.terms[name] is table for name, table in told.items()} == {"format": True, "chunk": True}
    np.testing.assert_array_equal(paid.r_global, [0.7, NAN])  # what the memory is worth does not hang on it


def test_a_reward_without_terms_stays_a_term_beside_the_penalty():
    # A mix of terms would otherwise see the penalty alone.
    paid = charged(group({}), 16, 4)
    np.testing.assert_array_equal(paid.terms["reward"], [[0.5, 1.0], [NAN, NAN]])
    np.testing.assert_array_equal(sum(paid.terms.values()), paid.rewards)


def lengths(groups):
    return [np.array([[len(one.sample.tokens) for one in row] for row in group.decisions]) for group in groups]


@pytest.mark.parametrize("preset", ["dapo", "memory-r2"])
def test_messages_of_a_run_pay_for_their_length(taught, preset):  # noqa: F811
    settings = replace(taught, slots=Slots(preset=preset, sampler="uniform"))
    free = TokenParts(settings).draw(0).groups
    parts = TokenParts(replace(settings, lm=replace(settings.lm, overlong_buffer=4)))
    paid = parts.draw(0).groups
    assert len(paid) == len(free) == (4 if preset == "memory-r2" else 2)  # local re-rollouts pay, too
    counted = lengths(free)
    assert {12, 13, 16} <= {n for table in counted for n in table.ravel().tolist()}
    for before, after, tokens in zip(free, paid, counted, strict=True):
        assert [[one.message for one in row] for row in after.decisions] == [
            [one.message for one in row] for row in before.decisions
        ]
        costs = np.array([[COSTS.get(n, 0.0) for n in row] for row in tokens.tolist()])
        np.testing.assert_array_equal(after.terms["overlong"], costs)
        np.testing.assert_array_equal(after.rewards, before.rewards + costs)
        np.testing.assert_array_equal(after.r_global, before.r_global)
    if preset == "dapo":  # one return per rollout: r_global and what its four messages paid
        returns = [group.r_global + group.terms["overlong"].sum(axis=1) for group in paid]
        expected = [(r - r.mean()) / (r.std(ddof=1) + 1e-6) for r in returns]
        for table, own in zip(advantages(paid, parts.slots), expected, strict=True):
            np.testing.assert_allclose(table, np.repeat(own[:, None], 4, axis=1))


def test_a_run_counts_what_its_messages_paid(taught, tmp_path):  # noqa: F811
    own = replace(taught.lm, overlong_buffer=4)
    drawn = lengths(TokenParts(taught).draw(0).groups)
    costs = [np.array([[COSTS.get(n, 0.0) for n in row] for row in tokens.tolist()]) for tokens in drawn]
    for name, lm in (("free", taught.lm), ("paid", own)):
        train(replace(taught, lm=lm), tmp_path / name, tensorboard=False)
    free, paid = (read_metrics(tmp_path / name / "metrics.csv")[-1] for name in ("free", "paid"))
    assert "terms/overlong" not in free
    assert paid["terms/overlong"] == pytest.approx(np.mean(costs)) != 0
    assert paid["train/step_reward"] == pytest.approx(free["train/step_reward"] + np.mean(costs))
    assert (paid["train/r_global"], paid["terms/format"]) == (free["train/r_global"], free["terms/format"])
    assert paid["train/loss"] != free["train/loss"]
    lines = [messages(tmp_path / name) for name in ("free", "paid")]
    for before, after in zip(*lines, strict=True):
        cost = costs[0][after["rollout"], after["step"]]
        assert (after["message"], after["reward"]) == (before["message"], before["reward"] + cost)
    assert any(after["advantage"] != before["advantage"] for before, after in zip(*lines, strict=True))


def test_a_buffer_that_cannot_be_is_refused():
    with pytest.raises(SettingsError, match="overlong_buffer is the last part of max_tokens, at most 512, got 513"):
        LanguageModelSettings(overlong_buffer=513)
    with pytest.raises(SettingsError, match="overlong_buffer"):
        LanguageModelSettings(overlong_buffer=0)
    with pytest.raises(SettingsError, match="the messages that pay most would teach nothing"):
        LanguageModelSettings(overlong_buffer=8, cut_off="leave_out")
