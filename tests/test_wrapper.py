"""The base of reward wrappers: stacking, returns, specs, snapshots, vector environments, one's own terms."""

from __future__ import annotations

import itertools
import json
import math

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import memenvs  # noqa: F401  (registers the ids)
from memenvs import EpisodeRecord
from memenvs.errors import ReaderError, SettingsError
from memenvs.reading import ExtractiveReader
from rewards import (
    ChunkStepReward,
    CompressionReward,
    EvidenceReward,
    FineMemReward,
    FormatReward,
    OutcomeReward,
    RewardWrapper,
    stack_terms,
    terms,
)

T = 4
STACK = (EvidenceReward, FormatReward, ChunkStepReward, CompressionReward)


def make(**kwargs):
    return gym.make("FineMem-Memalpha-v0", **{"data_settings": {"T": T}} | kwargs)


def message(step, chunk):
    """Deterministic and never perfect: keeps each chunk in two items, with an update, a bad id and one unreadable message."""
    if step == 2:
        return "nothing worth keeping [1]"
    half = len(chunk) // 2
    operations = [{"op": "INSERT", "content": chunk[:half]}, {"op": "INSERT", "content": chunk[half:]}]
    if step:
        operations += [{"op": "UPDATE", "id": "0.0", "content": chunk[:40]}, {"op": "DELETE", "id": "9.9"}]
    return json.dumps(operations)


def play(env, observation=None, seed=5):
    """Rewards paid per step, and the last info."""
    if observation is None:
        observation, _ = env.reset(seed=seed)
    paid, done, info = [], False, {}
    while not done:
        observation, reward, done, _, info = env.step(message(observation["step"], observation["chunk"]))
        paid.append(reward)
    return paid, info


def stacked(wrappers, **kwargs):
    env = make(**kwargs)
    for wrapper in wrappers:
        env = wrapper(env)
    return env


def same(a, b):
    """Equal to the last bit; NaN equals NaN."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


class Brevity(RewardWrapper):
    """A user's term: known at each step."""

    def __init__(self, env, price=0.25):
        super().__init__(env, price=price)
        self.price = price

    def terms(self, record):
        return {"brevity": tuple(map(self.known, record.steps))}

    def known(self, step):
        return -self.price * len(step.operations)


class FailsAt:
    """A reader that cannot answer in the given calls."""

    name = "fails"

    def __init__(self, *calls):
        self.calls, self.count, self.inner = calls, 0, ExtractiveReader()

    def read(self, readings):
        self.count += 1
        if self.count - 1 in self.calls:
            raise ReaderError("503")
        return self.inner.read(readings)


@pytest.mark.parametrize(
    "wrappers",
    [(OutcomeReward,), (FormatReward,), (ChunkStepReward,), (EvidenceReward,), (CompressionReward,), (FineMemReward,), STACK,
     (Brevity,), (FormatReward, Brevity, OutcomeReward)],
    ids=lambda wrappers: "+".join(wrapper.__name__ for wrapper in wrappers),
)  # fmt: skip
def test_the_return_is_the_sum_of_the_steps_rewards_and_they_are_the_sum_of_the_terms(wrappers):
    paid, info = play(stacked(wrappers))
    rewards, named = info["step_rewards"], info["step_reward_terms"]
    assert len(paid) == len(rewards) == T
    assert math.fsum(paid) == pytest.approx(math.fsum(rewards), abs=1e-12)
    assert rewards == tuple(math.fsum(values) for values in zip(*named.values(), strict=True))
    assert len(set(rewards)) > 1 or wrappers == (OutcomeReward,), "the script must tell the steps apart"


def test_at_each_step_is_paid_what_is_known_then():
    paid, info = play(stacked((FormatReward, ChunkStepReward, OutcomeReward)))
    named = info["step_reward_terms"]
    for t in range(T - 1):
        assert paid[t] == pytest.approx(named["format"][t] + named["chunk"][t], abs=1e-12)
    paid, info = play(stacked((EvidenceReward, CompressionReward)))
    assert paid[:-1] == [0.0] * (T - 1)
    assert paid[-1] == pytest.approx(math.fsum(info["step_rewards"]), abs=1e-12)


def test_the_raw_environment_pays_the_outcome_last_and_so_do_wrappers_that_do_not_distribute_it():
    paid, info = play(make())
    assert paid[:-1] == [0.0] * (T - 1)
    assert paid[-1] == info["r_global"]
    assert 0 < info["r_global"] < 1
    assert "step_rewards" not in info
    _, wrapped = play(stacked((FormatReward,)))
    assert wrapped["step_reward_terms"]["outcome"] == (0.0,) * (T - 1) + (info["r_global"],)


def test_every_order_of_wrappers_gives_the_same_terms_and_rewards():
    results = [play(stacked(order))[1] for order in itertools.permutations(STACK)]
    assert len(results) == 24
    for info in results[1:]:
        assert info["step_rewards"] == results[0]["step_rewards"]
        assert info["step_reward_terms"] == results[0]["step_reward_terms"]
        assert list(info["step_reward_terms"]) == list(results[0]["step_reward_terms"])


def test_finemem_equals_its_parts_stacked():
    whole, parts = play(FineMemReward(make())), play(stacked(STACK))
    assert whole[1]["step_reward_terms"] == parts[1]["step_reward_terms"]
    assert whole[1]["step_rewards"] == parts[1]["step_rewards"]
    assert whole[0] == pytest.approx(parts[0], abs=1e-12)


def test_a_saved_record_scores_the_same_offline():
    env = stacked((*STACK, Brevity))
    _, info = play(env)
    record = EpisodeRecord.from_json(env.unwrapped.record.to_json())
    again = stack_terms([EvidenceReward(make()), FormatReward(make()), ChunkStepReward(make()), CompressionReward(make()),
                         Brevity(make())], record)  # fmt: skip
    assert again == info["step_reward_terms"]
    assert terms.total(again) == info["step_rewards"]


def test_a_wrapped_environment_survives_its_specs_json():
    env = CompressionReward(Brevity(EvidenceReward(make(k=3), beta=0.8, phi="created"), price=0.5), weight=0.1)
    copy = gym.make(EnvSpec.from_json(env.spec.to_json()))
    layers, inner = [], copy
    while isinstance(inner, gym.Wrapper):
        layers.append(type(inner).__name__)
        inner = inner.env
    assert layers[:3] == ["CompressionReward", "Brevity", "EvidenceReward"]
    paid, info = play(env)
    paid_again, info_again = play(copy)
    assert paid == paid_again
    assert info["step_reward_terms"] == info_again["step_reward_terms"]
    default = CompressionReward(Brevity(EvidenceReward(make(k=3))))
    assert play(default)[1]["step_rewards"] != info["step_rewards"], "the arguments must matter to be tested"


@pytest.mark.parametrize(
    ("wrappers", "message"),
    [
        ((FormatReward, FormatReward), "FormatReward is on this environment already"),
        ((FormatReward, ChunkStepReward, FormatReward), "FormatReward is on this environment already"),
        ((FineMemReward, FineMemReward), "FineMemReward is on this environment already"),
        ((OutcomeReward, EvidenceReward), "OutcomeReward inside EvidenceReward: both distribute the outcome"),
        ((FineMemReward, OutcomeReward), "FineMemReward inside OutcomeReward: both distribute the outcome"),
        ((FineMemReward, FormatReward), "FineMemReward inside FormatReward: both pay format"),
        ((ChunkStepReward, FineMemReward), "ChunkStepReward inside FineMemReward: both pay chunk"),
    ],
    ids=lambda value: "+".join(w.__name__ for w in value) if isinstance(value, tuple) else "",
)
def test_what_would_be_paid_twice_is_refused_when_it_is_stacked(wrappers, message):
    with pytest.raises(SettingsError, match=message):
        stacked(wrappers)


def test_terms_of_weight_0_leave_their_place_to_a_wrapper():
    env = FormatReward(FineMemReward(make(), format_weight=0.0), weight=2.0)
    _, info = play(env)
    assert info["step_reward_terms"]["format"] == tuple(2 * value for value in terms.fmt(env.unwrapped.record))


def test_another_environment_is_refused():
    with pytest.raises(SettingsError, match="FormatReward needs a memenvs environment inside"):
        FormatReward(gym.make("CartPole-v1"))


def test_between_reward_wrappers_there_may_be_others():
    env = FormatReward(gym.wrappers.RecordEpisodeStatistics(ChunkStepReward(gym.wrappers.OrderEnforcing(make()))))
    _, info = play(env)
    assert set(info["step_reward_terms"]) == {"chunk", "format", "outcome"}


@pytest.mark.parametrize("cut", range(T))
def test_after_a_restore_the_rest_is_paid(cut):
    env = stacked(STACK)
    observation, _ = env.reset(seed=5)
    paid = []
    for _ in range(cut):
        observation, reward, *_ = env.step(message(observation["step"], observation["chunk"]))
        paid.append(reward)
    snapshot = env.unwrapped.snapshot()
    first, info = play(env, observation)
    observation, _ = env.unwrapped.restore(snapshot)
    second, again = play(env, observation)
    assert second == first
    assert again["step_rewards"] == info["step_rewards"]
    assert math.fsum(paid + second) == pytest.approx(math.fsum(info["step_rewards"]), abs=1e-12)
    other = stacked(STACK)
    other.reset(seed=5)
    observation, _ = other.unwrapped.restore(snapshot)
    assert play(other, observation)[0] == first


def test_a_reader_that_fails_at_the_end_gives_no_outcome_and_never_a_zero():
    env = FineMemReward(make(reader=FailsAt(T - 1)))
    paid, info = play(env)
    assert info["failure"] == "ReaderError: 503"
    assert all(math.isfinite(reward) for reward in paid[:-1])
    assert math.isnan(paid[-1])
    assert all(map(math.isnan, info["step_rewards"]))
    assert all(map(math.isnan, info["step_reward_terms"]["evidence"]))
    assert all(map(math.isfinite, info["step_reward_terms"]["format"]))
    again = EpisodeRecord.from_json(env.unwrapped.record.to_json())
    assert same(stack_terms([FineMemReward(make())], again), info["step_reward_terms"])


def test_a_reader_that_fails_at_one_step_takes_that_step_alone():
    paid, info = play(stacked(STACK, reader=FailsAt(1)))
    assert info["failure"] == "ReaderError: 503"
    assert [math.isnan(value) for value in info["step_rewards"]] == [False, True, False, False]
    assert [math.isnan(reward) for reward in paid] == [False, True, False, True], "the return is not a number either"
    paid, info = play(stacked((FormatReward, EvidenceReward), reader=FailsAt(1)))
    assert all(map(math.isfinite, paid)), "no term of this stack needs chunk questions"
    assert info["failure"], "the failure is reported all the same"


def test_a_users_term_with_the_wrong_number_of_steps_or_a_name_that_is_taken_is_refused():
    class Short(RewardWrapper):
        def terms(self, record):
            return {"short": (1.0,)}

    class Format(RewardWrapper):
        def terms(self, record):
            return {"format": (0.0,) * record.T}

    with pytest.raises(SettingsError, match=r"'short' has 1 values; expected one per step, 4"):
        play(Short(make()))
    with pytest.raises(SettingsError, match="two reward wrappers pay a term named 'format'"):
        play(Format(FormatReward(make())))
    with pytest.raises(NotImplementedError, match="RewardWrapper must define terms"):
        play(RewardWrapper(make()))


def test_a_users_wrapper_may_distribute_the_outcome():
    class Halves(RewardWrapper):
        distributes_outcome = True

        def terms(self, record):
            return {"halves": (record.r_global / 2,) + (0.0,) * (record.T - 2) + (record.r_global / 2,)}

    paid, info = play(Halves(make()))
    assert set(info["step_reward_terms"]) == {"halves"}
    assert math.fsum(paid) == pytest.approx(info["r_global"])
    with pytest.raises(SettingsError, match="both distribute the outcome"):
        OutcomeReward(Halves(make()))


def wrapped():
    return FormatReward(ChunkStepReward(EvidenceReward(make())))


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_vector_environments_give_the_same_numbers(kind):
    seeds = [5, 6]
    alone = [play(wrapped(), seed=seed) for seed in seeds]
    assert alone[0][0] != alone[1][0]
    envs = kind([wrapped, wrapped], autoreset_mode=AutoresetMode.DISABLED)
    try:
        observations, _ = envs.reset(seed=seeds)
        paid, infos = [], {}
        for _ in range(T):
            # The columns of a text observation may be an array or a tuple; both index by environment.
            actions = [message(int(observations["step"][i]), str(observations["chunk"][i])) for i in range(2)]
            observations, rewards, terminations, _, infos = envs.step(tuple(actions))
            paid.append([float(reward) for reward in rewards])
        assert list(terminations) == [True, True]
        for i, (rewards_alone, info) in enumerate(alone):
            assert [step[i] for step in paid] == rewards_alone
            assert tuple(infos["step_rewards"][i]) == info["step_rewards"]
            assert {
                name: tuple(values[i]) for name, values in infos["step_reward_terms"].items() if name[0] != "_"
            } == info["step_reward_terms"]
    finally:
        envs.close()


@pytest.mark.parametrize(
    "foreign",
    [
        lambda env: gym.wrappers.TransformReward(env, lambda r: 2 * r),
        lambda env: gym.wrappers.ClipReward(env, 0, 1),
        gym.wrappers.NormalizeReward,
    ],
)
@pytest.mark.parametrize("inside", [[], [FormatReward]])
def test_a_foreign_reward_wrapper_inside_is_refused(foreign, inside):
    env = foreign(stacked(inside))
    with pytest.raises(SettingsError, match=r"Reward inside FineMemReward|Reward inside OutcomeReward.*put it outside"):
        (OutcomeReward if inside else FineMemReward)(gym.wrappers.RecordEpisodeStatistics(env))


def test_a_foreign_reward_wrapper_outside_changes_what_is_paid():
    plain, _ = play(stacked([FormatReward]))
    doubled, _ = play(gym.wrappers.TransformReward(stacked([FormatReward]), lambda r: 2 * r))
    assert doubled == [2 * r for r in plain]
