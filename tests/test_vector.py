"""MemoryVectorEnv equals SyncVectorEnv of MemoryEnv, with one read a step."""

from __future__ import annotations

import json
import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import memenvs
from memenvs.env import MemoryEnv
from memenvs.errors import EpisodeError, ReaderError, SettingsError
from memenvs.reading import ExtractiveReader
from memenvs.vector import MemoryVectorEnv
from rewards.wrappers import FineMemReward

N = 3
POISON = '[{"op": "INSERT", "content": "poison"}]'
SETTINGS: dict[str, Any] = {"data_settings": {"T": 4}, "max_operations": 2}


class Counting(ExtractiveReader):
    """Counts calls and refuses readings that hold a given word."""

    def __init__(self, refuse: str = "\0") -> None:
        super().__init__()
        self.refuse = refuse
        self.sizes: list[int] = []

    def read(self, readings):
        self.sizes.append(len(readings))
        if any(self.refuse in content for reading in readings for _, content in reading.items):
            raise ReaderError("refused")
        return super().read(readings)


def messages(rng: random.Random, chunks: tuple[str, ...]) -> list[Any]:
    made: list[Any] = []
    for chunk in chunks:
        sentences = chunk.split(". ")
        operations = [{"op": "INSERT", "content": rng.choice(sentences) or "-"} for _ in range(rng.randrange(1, 4))]
        made.append(
            rng.choice(
                [json.dumps(operations), json.dumps(operations), "nonsense", 7, '[{"op": "DELETE", "id": "0.0"}]']
            )
        )
    return made


def equal(a: Any, b: Any) -> bool:
    # NaN equals NaN here: a failed episode pays it in both.
    return repr(a) == repr(b) if isinstance(a, dict) else data_equivalence(a, b, exact=True)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("refuse", ["\0", "a"])
def test_equals_sync_vector_env_step_by_step(mode: AutoresetMode, wrapped: bool, refuse: str):
    wrap = [FineMemReward] if wrapped else []

    def make() -> gym.Env:
        env: gym.Env = MemoryEnv(reader=Counting(refuse), **SETTINGS)
        for wrapper in wrap:
            env = wrapper(env)
        return env

    reference = SyncVectorEnv([make] * N, autoreset_mode=mode)
    tested = MemoryVectorEnv(N, wrappers=wrap, autoreset_mode=mode, reader=Counting(refuse), **SETTINGS)
    assert tested.observation_space == reference.observation_space
    assert tested.metadata["autoreset_mode"] == mode
    rng = random.Random(0)
    left, right = reference.reset(seed=[3, 3, 5]), tested.reset(seed=[3, 3, 5])
    assert equal(left[0], right[0])
    ended = 0
    for step in range(13):
        actions = messages(rng, left[0]["chunk"])
        left, right = reference.step(actions), tested.step(actions)
        for name, a, b in zip(("observations", "rewards", "terminations", "truncations"), left, right, strict=False):
            assert repr(a) == repr(b), (step, name)
        assert repr(left[4]) == repr(right[4]), step
        ended += int(left[2].sum())
    assert ended >= 2 * N


def test_disabled_autoreset_with_a_mask():
    tested = MemoryVectorEnv(N, autoreset_mode="Disabled", **SETTINGS)
    tested.reset(seed=1)
    for _ in range(4):
        _, _, terminated, _, _ = tested.step(["[]"] * N)
    assert terminated.all()
    _, infos = tested.reset(seed=[9] * N, options={"reset_mask": np.array([True, True, True])})
    assert len(set(infos["stream"])) == 1
    assert not tested.step(["[]"] * N)[2].any()


def test_one_read_a_step():
    reader = Counting()
    tested = MemoryVectorEnv(N, reader=reader, **SETTINGS)
    tested.reset(seed=1)
    for _ in range(4):
        tested.step(["[]"] * N)
    streams = [env.unwrapped.episode.stream for env in tested.envs]
    sizes = [sum(len(stream.chunks[step].questions) for stream in streams) for step in range(4)]
    sizes[-1] += sum(len(stream.questions) for stream in streams)
    assert reader.sizes == sizes
    tested.step(["[]"] * N)
    assert len(reader.sizes) == 4, "the step that resets reads nothing"


def test_a_refused_reading_fails_its_own_episode_only():
    tested = MemoryVectorEnv(2, reader=Counting("poison"), **SETTINGS)
    tested.reset(seed=1)
    for _ in range(4):
        _, rewards, _, _, infos = tested.step(
            ['[{"op": "INSERT", "content": "poison"}]', '[{"op": "INSERT", "content": "cake"}]']
        )
    assert np.isnan(rewards[0])
    assert rewards[1] >= 0
    assert [failure is None for failure in infos["failure"]] == [False, True]


def test_a_reader_with_too_few_answers_is_a_failure_of_its_episodes():
    class Lazy(ExtractiveReader):
        def read(self, readings):
            answers = super().read(readings)
            return answers[:-1] if any("poison" in c for r in readings for _, c in r.items) else answers

    tested = MemoryVectorEnv(2, reader=Lazy(), **SETTINGS)
    tested.reset(seed=1)
    for _ in range(4):
        _, rewards, terminated, _, infos = tested.step([POISON, "[]"])
    assert terminated.all()
    assert infos["failure"][0].startswith("ReaderError: expected ")
    assert infos["failure"][1] is None
    assert np.isnan(rewards).tolist() == [True, False]


def test_any_exception_of_the_reader_is_a_failure_of_its_episode():
    class Slow(ExtractiveReader):
        def read(self, readings):
            if any("poison" in content for reading in readings for _, content in reading.items):
                raise TimeoutError("after 30 s")
            return super().read(readings)

    tested = MemoryVectorEnv(2, reader=Slow(), **SETTINGS)
    tested.reset(seed=1)
    infos = tested.step([POISON, "[]"])[4]
    assert "TimeoutError: after 30 s" in infos["failure"][0]
    assert infos["failure"][1] is None


@pytest.mark.parametrize("kind", [np.array, tuple, iter])
def test_messages_may_come_as_an_array_or_an_iterator(kind: Any):
    sent = ['[{"op": "INSERT", "content": "tea"}]', '[{"op": "SKIP"}]']
    plain, tested = MemoryVectorEnv(2, **SETTINGS), MemoryVectorEnv(2, **SETTINGS)
    plain.reset(seed=1)
    tested.reset(seed=1)
    for _ in range(4):
        expected, got = plain.step(sent), tested.step(kind(sent))
        assert repr(got) == repr(expected)
    records = [env.unwrapped.record for env in tested.envs]
    assert [memenvs.EpisodeRecord.from_json(record.to_json()) for record in records] == records


def test_a_wrapper_that_changes_messages_is_refused():
    class Shout(gym.ActionWrapper):
        def action(self, action):
            return action + " "

    tested = MemoryVectorEnv(2, wrappers=[Shout], **SETTINGS)
    tested.reset(seed=1)
    with pytest.raises(EpisodeError, match="another message"):
        tested.step(["[]", "[]"])


def test_data_and_reader_are_shared():
    tested = MemoryVectorEnv(N, **SETTINGS)
    assert len({id(env.unwrapped.dataset) for env in tested.envs}) == 1
    assert len({id(env.unwrapped.reader) for env in tested.envs}) == 1


def test_wrong_calls():
    with pytest.raises(SettingsError, match="num_envs"):
        MemoryVectorEnv(0)
    tested = MemoryVectorEnv(2, **SETTINGS)
    with pytest.raises(EpisodeError, match="reset"):
        tested.step(["[]", "[]"])
    tested.reset(seed=1)
    with pytest.raises(ValueError, match="zip"):
        tested.step(["[]"])
