"""Credit as a reward: it pays what the estimator says, asks once, and a failure is no credit of 0."""

from __future__ import annotations

import json
import math

import gymnasium as gym
import pytest
from builtin_episodes import WordReader, half_policy, make, play
from gymnasium.envs.registration import EnvSpec

from memenvs.errors import DataError, ReaderError, SettingsError
from memenvs.reading import CachedReader, ExtractiveReader
from rewards import CreditReward, EvidenceReward, FormatReward, stack_terms, terms
from rewards.credit import ESTIMATORS, estimate
from rewards.credit.redistribution import ReturnPredictor
from rewards.presets import wrap_reward
from trainers.settings import EnvSettings, TrainSettings

T = 5


def scaled(factor, values):
    return tuple(factor * value for value in values)


@pytest.fixture
def predictor(tmp_path):
    records = []
    for seed in range(10, 14):
        env = make(T)
        play(env, seed)
        records.append(env.unwrapped.record)
    ReturnPredictor.fit(records).save(tmp_path / "predictor.json")
    return str(tmp_path / "predictor.json")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_wrapper_pays_its_estimator(name, predictor):
    if name == "lasso":
        pytest.importorskip("sklearn")
    given = {"predictor": predictor} if name == "redistribution" else {}
    env = CreditReward(make(T), name, **given)
    env.follow(half_policy)
    paid, info = play(env)
    own = estimate(
        name,
        env.unwrapped.record,
        reader=WordReader(),
        policy=half_policy,
        predictor=ReturnPredictor.load(predictor),
    )
    assert info["step_reward_terms"] == {"credit": own}, "in the place of the outcome"
    assert info["step_rewards"] == own
    assert paid[:-1] == [0.0] * (T - 1)
    assert paid[-1] == pytest.approx(math.fsum(own), abs=1e-12)
    assert any(own)


def test_weight_scale_and_settings():
    env = CreditReward(make(T), "permutation-shapley", weight=0.5, scale="mean", permutations=2, seed=4)
    _, info = play(env)
    own = estimate("permutation-shapley", env.unwrapped.record, reader=WordReader(), permutations=2, seed=4)
    assert info["step_rewards"] == pytest.approx(scaled(0.5 * T, own), abs=1e-12)
    assert env.weights_of_terms() == {"credit": 0.5}
    assert set(env.names()) == set(info["step_reward_terms"])


@pytest.mark.parametrize("name", ["trajectory", "chunk", "operation-tags"])
def test_a_score_at_every_step_has_its_size_already(name):
    plain, mean = (play(CreditReward(make(T), name, scale=scale))[1]["step_rewards"] for scale in ("sum", "mean"))
    assert plain == mean
    assert max(plain) > 1 / T


def test_mean_scale_makes_uniform_and_trajectory_the_same():
    uniform, trajectory = (
        play(CreditReward(make(T), name, scale="mean"))[1]["step_rewards"] for name in ("uniform", "trajectory")
    )
    assert uniform == pytest.approx(trajectory, abs=1e-12)


def test_a_saved_record_scores_the_same_offline():
    env = FormatReward(CreditReward(make(T), "prefix"))
    _, info = play(env)
    again = stack_terms([CreditReward(make(T), "prefix"), FormatReward(make(T))], env.unwrapped.record)
    assert again == info["step_reward_terms"]


def test_a_wrapped_environment_survives_its_specs_json(predictor):
    for name, given in (
        ("permutation-shapley", {"permutations": 2, "seed": 1}),
        ("evidence", {"beta": 1.0, "phi": "created"}),
        ("redistribution", {"predictor": predictor}),
    ):
        env = CreditReward(make(T, reader="extractive"), name, 2.0, "mean", **given)
        copy = gym.make(EnvSpec.from_json(env.spec.to_json()))
        assert isinstance(copy, CreditReward)
        assert play(copy)[1]["step_rewards"] == play(env)[1]["step_rewards"]
    plain = CreditReward(make(T, reader="extractive"), "evidence", 2.0, "mean")
    given = CreditReward(make(T, reader="extractive"), "evidence", 2.0, "mean", beta=1.0, phi="created")
    assert play(plain)[1]["step_rewards"] != play(given)[1]["step_rewards"], "the settings must matter to be tested"


# ---- readings


def test_readings_are_made_once_whatever_is_stacked_on_top_and_are_counted():
    env = wrap_reward(make(T), "credit:loo-step")
    play(env)
    reader = CachedReader(WordReader())
    estimate("loo-step", env.unwrapped.record, reader=reader)
    assert env.get_wrapper_attr("reader_calls") == reader.calls > 0
    play(env)
    assert env.get_wrapper_attr("reader_calls") == 2 * reader.calls, "each episode asks for itself"
    free = CreditReward(make(T), "evidence")
    play(free)
    assert free.reader_calls == 0


class FailsAfter(ExtractiveReader):
    """Serves the episode, and then a number of further calls."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def read(self, readings):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("503")
        return super().read(readings)


@pytest.mark.parametrize("served", [0, 1, 3])
def test_a_reader_that_fails_on_the_counterfactual_gives_no_credit_and_never_0(served):
    # Without chunk questions the episode itself reads once, at its end.
    env = wrap_reward(make(T, reader=FailsAfter(1 + served), chunk_questions=0), "credit:loo-step")
    with pytest.warns(UserWarning, match="no credit for the steps of stream .*503"):
        paid, info = play(env)
    assert info["failure"] is None
    assert info["r_global"] > 0
    assert all(map(math.isnan, info["step_reward_terms"]["credit"]))
    assert all(map(math.isnan, info["step_rewards"]))
    assert all(map(math.isfinite, info["step_reward_terms"]["format"]))
    assert math.isnan(paid[-1])


def test_an_episode_that_failed_has_no_credit():
    for name in ("loo-step", "uniform", "operation-tags"):
        _, info = play(CreditReward(make(T, reader=FailsAfter(1)), name))
        assert "503" in info["failure"]
        assert all(map(math.isnan, info["step_rewards"]))


def test_a_mistake_in_the_settings_is_no_failure_of_the_reader():
    with pytest.raises(SettingsError, match="permutations come in pairs"):
        play(CreditReward(make(T), "permutation-shapley", permutations=3))
    with pytest.raises(SettingsError, match="gives no probabilities"):
        play(CreditReward(make(T, reader="extractive"), "prefix-probability"))


# ---- what it needs


def test_a_policy_is_asked_for_before_the_episode_and_reaches_through_other_wrappers():
    env = wrap_reward(make(T), "credit:monte-carlo", continuations=2)
    with pytest.raises(SettingsError, match=r"'monte-carlo' needs a policy: call follow\(policy\) before reset"):
        env.reset(seed=0)
    env.get_wrapper_attr("follow")(half_policy)
    _, info = play(env)
    env.get_wrapper_attr("follow")(lambda seen, rngs: ["[]"] * len(seen))
    _, other = play(env)
    assert info["step_reward_terms"]["credit"] != other["step_reward_terms"]["credit"]


def test_another_policy_gives_the_same_record_another_credit():
    env = CreditReward(make(T), "monte-carlo")
    env.follow(half_policy)
    play(env)
    record = env.unwrapped.record
    before = env.terms(record)
    env.follow(lambda seen, rngs: ["[]"] * len(seen))
    assert env.terms(record) != before


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("loo", {}, "unknown credit estimator 'loo'; known: uniform.*Did you mean 'loo-"),
        ("loo-step", {"permutations": 4}, "'loo-step' has no setting 'permutations'; it has none"),
        ("loo-step", {"scale": "men"}, "Did you mean 'mean'"),
        ("loo-step", {"predictor": "x.json"}, "'loo-step' takes no predictor, got 'x.json'"),
        ("redistribution", {}, "'redistribution' needs a predictor: give predictor=PATH"),
    ],
)
def test_what_cannot_work_is_refused_when_the_wrapper_is_made(name, given, message):
    with pytest.raises(SettingsError, match=message):
        CreditReward(make(T), name, **given)


def test_a_predictor_that_cannot_be_read_is_refused_when_the_wrapper_is_made(tmp_path):
    with pytest.raises(DataError, match="cannot read a predictor"):
        CreditReward(make(T), "redistribution", predictor=str(tmp_path / "none.json"))


def test_chunk_questions_are_needed_where_they_are_credit():
    bare = make(T, chunk_questions=0)
    with pytest.raises(SettingsError, match="estimator 'chunk' scores chunk questions, .* chunk_questions=0"):
        CreditReward(bare, "chunk")
    CreditReward(bare, "evidence")


def test_the_outcome_is_distributed_once():
    with pytest.raises(SettingsError, match="EvidenceReward inside CreditReward: both distribute the outcome"):
        CreditReward(EvidenceReward(make(T)))


# ---- by name


def test_an_arm_by_name_differs_from_the_others_in_the_credit_alone():
    env, usual = (
        wrap_reward(make(T), "credit:prefix", scale="mean", compression=0.05),
        wrap_reward(make(T), "evidence", scale="mean"),
    )
    _, info = play(env)
    _, other = play(usual)
    found, known = info["step_reward_terms"], other["step_reward_terms"]
    assert set(found) == {"credit", "format", "compression"}
    assert {n: found[n] for n in ("format", "compression")} == {n: known[n] for n in ("format", "compression")}
    own = estimate("prefix", env.unwrapped.record, reader=WordReader())
    assert found["credit"] == pytest.approx(scaled(T, own), abs=1e-12)


def test_an_arm_by_name_pays_no_compression_unless_asked():
    """Where credit ties over a group, a term of any weight becomes the whole advantage."""
    _, info = play(wrap_reward(make(T), "credit:prefix", scale="mean"))
    assert set(info["step_reward_terms"]) == {"credit", "format"}


def test_the_evidence_arm_is_the_evidence_estimator():
    _, one = play(wrap_reward(make(T), "evidence-cited", scale="mean"))
    _, other = play(wrap_reward(make(T), "credit:evidence-cited", scale="mean", compression=0.05))
    assert one["step_rewards"] == pytest.approx(other["step_rewards"], abs=1e-12)


@pytest.mark.parametrize(
    ("reward", "given", "message"),
    [
        ("credit:lo-step", {}, "Did you mean 'loo-step'"),
        ("credit:", {}, "unknown credit estimator ''"),
        ("credit-loo-step", {}, r"known: raw, .*credit:loo-step, .*Did you mean 'credit:loo-step'"),
        ("credit:prefix", {"permutations": 4}, "'prefix' has no setting 'permutations'"),
    ],
)
def test_a_name_that_is_none_is_refused(reward, given, message):
    with pytest.raises(SettingsError, match=message):
        wrap_reward(make(T), reward, **given)


@pytest.mark.parametrize(("name", "read"), [("loo-step", 0), ("evidence", 0), ("chunk", 5)])
def test_training_reads_chunk_questions_where_they_are_credit_and_passes_the_scale(name, read):
    for scale in ("sum", "mean"):
        settings = TrainSettings(env=EnvSettings(T=T), reward=f"credit:{name}", scale=scale, group_size=2)
        env = settings.make_envs()[0]
        assert env.unwrapped.settings.chunk_questions == read
        assert env.get_wrapper_attr("scale") == scale


def test_a_failure_that_is_a_reader_error_is_treated_alike():
    class Down(FailsAfter):
        def read(self, readings):
            try:
                return super().read(readings)
            except RuntimeError as error:
                raise ReaderError(str(error)) from error

    env = CreditReward(make(T, reader=Down(1), chunk_questions=0), "prefix")
    with pytest.warns(UserWarning, match="no credit"):
        _, info = play(env)
    assert json.dumps(info["step_rewards"]) == json.dumps([math.nan] * T)
    assert terms.fmt(env.unwrapped.record)[0] == 1.0
