"""MemoryEnv: spaces, seeding, bad input, failures, the spec's round trip."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import memenvs
from memenvs.env import MemoryEnv
from memenvs.errors import DataError, EpisodeError
from memenvs.reading import Answer
from memenvs.streams import Chunk, Question, Stream
from memenvs.streams.stream_list import StreamList
from memenvs.testing import NONSENSE, FailingReader

IDS = [info.id for info in memenvs.envs() if info.embedded]
TEXT_IDS = [info.id for info in memenvs.envs() if info.embedded and info.observation == "text"]
SKIP = '[{"op": "SKIP"}]'
TOLD = ["Zoë habite à Málaga.", "😀 means joy. 👩‍👩‍👧‍👦", "山田さんは京都に住んでいます。", "half a pair: \ud800!"]


def insert(*contents: str) -> str:
    return json.dumps([{"op": "INSERT", "content": content} for content in contents])


def unicode_streams() -> StreamList:
    """Three streams of the texts above in three orders."""
    streams = []
    for turn in range(3):
        texts = TOLD[turn:] + TOLD[:turn]
        chunks = tuple(
            Chunk(text, f"day {i}", (Question("?", (text,), "builtin-fact"),)) for i, text in enumerate(texts)
        )
        streams.append(Stream(f"turn-{turn}", "builtin", chunks, (Question("Zoë", ("x",), "builtin-fact"),)))
    return StreamList(streams)


def same(a: Any, b: Any) -> bool:
    return json.dumps(a, default=str) == json.dumps(b, default=str)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("env_id", IDS)
def test_check_env_passes_on_every_id(env_id: str):
    with gym.make(env_id, render_mode="ansi", disable_env_checker=True) as env:
        check_env(env.unwrapped)


def test_episode_from_start_to_end():
    env = MemoryEnv()
    observation, info = env.reset(seed=3)
    assert set(observation) == {"chunk", "memory", "step"}
    assert observation["memory"] == ""
    assert info["memory"] == ()
    assert info["failure"] is None
    for step in range(info["T"]):
        assert observation["step"] == step
        chunk = observation["chunk"]
        observation, reward, terminated, truncated, info = env.step(insert(chunk))
        assert observation in env.observation_space
        assert f"[{step}.0] {chunk}" in observation["memory"].split("\n")
        assert info["memory"][-1].content == chunk
        assert info["operations"][0].valid
        assert truncated is False
        assert terminated is (step == info["T"] - 1)
        if not terminated:
            assert reward == 0.0
            assert "r_global" not in info
    assert observation["chunk"] == ""
    assert observation["step"] == info["T"]
    scores = [question.score for question in info["questions"]]
    assert reward == info["r_global"] == pytest.approx(sum(scores) / len(scores))
    assert 0 < reward < 1
    assert env.record.r_global == reward
    assert env.dataset[env.record.settings["stream_index"]].id == info["stream"]
    assert memenvs.EpisodeRecord.from_json(env.record.to_json()).to_json() == env.record.to_json()


def test_timestamps_are_in_info():
    env = MemoryEnv(unicode_streams())
    assert env.reset(options={"stream": 0})[1]["timestamp"] == "day 0"
    assert env.step(SKIP)[4]["timestamp"] == "day 1"


def test_same_seed_same_stream_in_a_process_with_another_hash_seed():
    code = (
        "import gymnasium, memenvs, sys, hashlib\n"
        "env = gymnasium.make('FineMem-Memalpha-v0', question_share=0.5)\n"
        "text, info = env.reset(seed=11)\n"
        "print(env.unwrapped.digest(), hashlib.sha256(text['chunk'].encode()).hexdigest(), info['stream'])\n"
        "env.reset()\n"
        "print(env.unwrapped.digest(), [q.text for q in env.unwrapped.episode.questions])\n"
    )
    found = set()
    for hash_seed in ("0", "123"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
        found.add(child.stdout)
    here = gym.make("FineMem-Memalpha-v0", question_share=0.5)
    _, info = here.reset(seed=11)
    assert len(found) == 1
    assert found.pop().splitlines()[0].endswith(info["stream"])


def test_streams_that_follow_a_seed_do_not_depend_on_options():
    plain, chosen = MemoryEnv(), MemoryEnv()
    plain.reset(seed=4)
    _, info = chosen.reset(seed=4, options={"stream": 17, "questions": [0, 2]})
    assert chosen.episode.questions == (chosen.episode.stream.questions[0], chosen.episode.stream.questions[2])
    assert info["stream"] != plain.episode.stream.id
    assert plain.reset()[1]["stream"] == chosen.reset()[1]["stream"]


def test_a_sample_of_the_questions_belongs_to_the_seed():
    env = MemoryEnv(question_share=0.2)
    env.reset(seed=8)
    asked, everything = env.episode.questions, env.episode.stream.questions
    assert len(asked) == max(1, round(0.2 * len(everything)))
    assert set(asked) < set(everything)
    env.reset(seed=9)
    env.reset(seed=8)
    assert env.episode.questions == asked


@pytest.mark.parametrize("action", NONSENSE, ids=lambda action: repr(action)[:20])
def test_nonsense_is_reported_and_changes_nothing(action: Any):
    env = gym.make("FineMem-Memalpha-v0")
    env.reset(seed=1)
    env.step(insert("kept"))
    observation, reward, terminated, _, info = env.step(action)
    assert reward == 0.0
    assert not terminated
    contents = [item.content for item in info["memory"]]
    assert contents[0] == "kept"
    if len(contents) == 1:
        assert info["parse_error"] or all(not outcome.valid and outcome.reason for outcome in info["operations"])
    assert observation in env.observation_space


def test_unknown_id_says_what_is_known():
    env = MemoryEnv()
    env.reset(seed=1)
    env.step(insert("a", "b"))
    info = env.step('[{"op": "DELETE", "id": "7.7"}]')[4]
    assert "'7.7'" in info["operations"][0].reason
    assert "0.1" in info["operations"][0].reason


def test_a_failing_reader_is_a_failure_and_not_a_score():
    env = MemoryEnv(reader=FailingReader(), chunk_questions=0)
    _, info = env.reset(seed=1)
    for _ in range(info["T"] - 1):
        _, reward, _, _, info = env.step(SKIP)
        assert (reward, info["failure"]) == (0.0, None), "nothing is read before the end"
    _, reward, terminated, _, info = env.step(SKIP)
    assert terminated
    assert math.isnan(reward)
    assert "ReaderError" in info["failure"]
    assert all(question.score is None and question.prediction is None for question in info["questions"])


def test_a_reader_that_fails_once_leaves_the_other_steps_intact():
    class Hiccup:
        name = "hiccup"
        calls = 0

        def read(self, readings):
            self.calls += 1
            return FailingReader().read(readings) if self.calls == 2 else [Answer("x") for _ in readings]

    env = MemoryEnv(unicode_streams(), reader=Hiccup())
    env.reset(options={"stream": 0})
    infos = [env.step(SKIP)[4] for _ in range(4)]
    assert [info["failure"] is None for info in infos] == [True, False, False, False]
    assert [info["chunk_questions"][0].score for info in infos] == [0.0, None, 0.0, 0.0]
    assert infos[-1]["r_global"] == 1.0


def test_a_chunk_that_does_not_fit_says_what_to_do():
    env = MemoryEnv(max_chars=10)
    with pytest.raises(DataError, match=r"make the environment with max_chars=\d+"):
        env.reset(seed=1)


def test_a_memory_that_does_not_fit_is_shortened():
    env = MemoryEnv(unicode_streams(), max_chars=100)
    env.reset(seed=1)
    observation = env.step(insert("a" * 30, "b" * 30, "c" * 30))[0]
    assert observation["memory"] == f"(2 older items are not shown)\n[0.2] {'c' * 30}"
    assert observation in env.observation_space


def test_the_record_holds_the_seed_given_to_reset():
    env = MemoryEnv(unicode_streams())
    seeds = []
    for seed in (7, None):
        _, info = env.reset(seed=seed)
        for _ in range(info["T"]):
            env.step(SKIP)
        seeds.append(env.record.settings["seed"])
    assert seeds == [7, None]


def test_a_snapshot_of_other_questions_or_settings_is_refused():
    env, other, wider = MemoryEnv(), MemoryEnv(), MemoryEnv(k=6)
    env.reset(seed=1)
    for twin, options in ((other, {"questions": [0, 1]}), (wider, {})):
        twin.reset(seed=1, options=options)
        assert twin.digest() != env.digest()
        with pytest.raises(EpisodeError, match="another episode: (questions|k) .* there"):
            env.restore(twin.snapshot())


def test_order_of_calls():
    env = MemoryEnv()
    with pytest.raises(EpisodeError, match="reset"):
        env.step(SKIP)
    _, info = env.reset(seed=1)
    with pytest.raises(EpisodeError, match="step 0 of"):
        _ = env.record
    for _ in range(info["T"]):
        env.step(SKIP)
    with pytest.raises(EpisodeError, match="over"):
        env.step(SKIP)


def test_prepare_and_step_must_get_the_same_message():
    env = MemoryEnv()
    env.reset(seed=1)
    readings = env.prepare(insert("a"))
    assert readings[0].items[0][1] == "a"
    message = insert("a")
    env.supply(message, [Answer("")] * len(readings))
    with pytest.raises(EpisodeError, match="another message"):
        env.step(insert("b"))
    assert env.step(message)[4]["memory"][0].content == "a"


def test_snapshot_restore_digest():
    env = MemoryEnv()
    env.reset(seed=1)
    env.step(insert("a", "b"))
    snapshot, digest, seen = env.snapshot(), env.digest(), env.episode.observe()
    left = env.step('[{"op": "DELETE", "id": "0.0"}]')
    assert env.digest() != digest
    observation, info = env.restore(snapshot)
    assert env.digest() == digest
    assert observation["chunk"] == seen.chunk
    assert [item.content for item in info["memory"]] == ["a", "b"]
    assert same(env.step('[{"op": "DELETE", "id": "0.0"}]'), left)
    other = MemoryEnv()
    other.reset(seed=1)
    assert other.restore(snapshot)[0]["memory"] == observation["memory"]


@pytest.mark.parametrize("env_id", IDS)
def test_spec_survives_json(env_id: str):
    env = gym.make(env_id, split="validation", max_operations=2, data_settings={"T": 7})
    assert env.reset(seed=5)[1]["T"] == 7
    text = env.spec.to_json()
    assert EnvSpec.from_json(gym.spec(env_id).to_json()) == gym.spec(env_id)
    twin = gym.make(EnvSpec.from_json(text))
    assert type(twin.unwrapped) is type(env.unwrapped)
    assert same(env.reset(seed=5), twin.reset(seed=5))
    assert twin.unwrapped.settings == env.unwrapped.settings
    assert twin.unwrapped.dataset.fingerprint == env.unwrapped.dataset.fingerprint
    assert twin.unwrapped.dataset.split == "validation"
    assert twin.spec.to_json() == text


@pytest.mark.parametrize("kind", ["sync", "shared", "pipes"])
def test_vector_environments_carry_any_text(kind: str):
    single = [MemoryEnv(unicode_streams(), chunk_questions=1) for _ in range(2)]
    fns = [lambda: MemoryEnv(unicode_streams(), chunk_questions=1)] * 2
    tested = SyncVectorEnv(fns) if kind == "sync" else AsyncVectorEnv(fns, shared_memory=kind == "shared")
    try:
        expected = [env.reset(seed=6 + i)[0] for i, env in enumerate(single)]
        got = tested.reset(seed=6)[0]
        for step in range(6):
            for key in ("chunk", "memory"):
                assert got[key] == tuple(seen[key] for seen in expected), (step, key)
            assert got["step"].tolist() == [seen["step"] for seen in expected]
            actions = [insert(seen["chunk"] or "-", TOLD[3]) for seen in expected]
            done = [env.episode.done for env in single]
            got, rewards, terminated, _, infos = tested.step(actions)
            results = [env.reset() if over else env.step(a) for env, a, over in zip(single, actions, done, strict=True)]
            expected = [result[0] for result in results]
            assert terminated.tolist() == [env.episode.done for env in single]
            assert rewards.tolist() == [0.0 if over else r[1] for r, over in zip(results, done, strict=True)]
            assert [infos["memory"][i] for i in range(2)] == [result[-1]["memory"] for result in results]
    finally:
        tested.close()


def test_ids_run_in_gymnasiums_vector_environments():
    envs = gym.make_vec(TEXT_IDS[1], num_envs=2, vectorization_mode="sync")
    observations, infos = envs.reset(seed=1)
    assert len(observations["chunk"]) == 2
    assert infos["T"].tolist() == [20, 20]
    assert envs.step([SKIP, SKIP])[1].dtype == np.float64


def test_render_without_a_mode_warns():
    env = MemoryEnv()
    env.reset(seed=1)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
