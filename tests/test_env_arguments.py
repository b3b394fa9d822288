"""What `MemoryEnv` and its `reset` refuse, and how they say so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from memenvs import testing
from memenvs.env import MemoryEnv
from memenvs.errors import SettingsError
from memenvs.streams import Chunk, Question, Stream, StreamList


def test_wrong_options_are_refused_with_a_hint():
    env = MemoryEnv()
    with pytest.raises(SettingsError, match="Did you mean 'stream'"):
        env.reset(options={"steam": 1})
    for index in (-1, len(env.dataset), "3", None, 1.0, True):
        with pytest.raises(SettingsError, match="index below"):
            env.reset(options={"stream": index})
    for questions in ([999], [], [-1], [0, 0], 3, "0", ["0"], [0.0], [True], np.array([0.5])):
        with pytest.raises(SettingsError, match="questions must be different indices below"):
            env.reset(options={"questions": questions})
    env.reset(options={"stream": np.int64(3), "questions": np.array([2, 0])})
    assert env.episode.questions == (env.episode.stream.questions[2], env.episode.stream.questions[0])


def test_data_may_be_a_path_and_only_a_str_makes_a_spec_that_is_json(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {"instance_id": [0], "chunks": ['["a"]'], "data_source": ["squad"],
             "questions_and_answers": ['[{"question": "q", "answer": "a"}]']}  # fmt: skip
    parquet.write_table(pytest.importorskip("pyarrow").table(table), tmp_path / "train.parquet")
    for data in (tmp_path, str(tmp_path)):
        assert gym.make("FineMem-Memalpha-v0", data=data).reset(seed=1)[1]["T"] == 1
    spec = gym.make("FineMem-Memalpha-v0", data=str(tmp_path)).spec
    assert gym.make(EnvSpec.from_json(spec.to_json())).reset(seed=1)[1]["T"] == 1
    with pytest.warns(
        UserWarning, match="check_other_process was skipped: its spec cannot be written as JSON .data must be a str"
    ):
        assert "check_other_process" not in testing.check("FineMem-Memalpha-v0", data=tmp_path)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"question_share": 0}, "question_share"),
        ({"reader": "extractiv"}, "Did you mean 'extractive'"),
        ({"idf": "lucen"}, "Did you mean 'lucene'"),
        ({"dialect": "jsn"}, "Did you mean 'json'"),
        ({"profile": "corect"}, "Did you mean 'corrected'"),
        ({"k": 0}, "k must be at least 1"),
        ({"k": "5"}, "k must be a whole number, got '5'"),
        ({"chunk_questions": 1.5}, "chunk_questions must be a whole number"),
        ({"memory_budget": "9"}, "max_tokens must be a whole number or None"),
        ({"max_chars": 0}, "max_chars must be at least 1"),
        ({"max_chars": "9"}, "max_chars must be a whole number"),
        ({"question_share": "0.5"}, "question_share must be a number"),
        ({"question_share": math.nan}, "question_share must be a number"),
        ({"render_mode": "human"}, "render_mode must be \"ansi\" or None, got 'human'"),
        ({"max_operations": 0}, "max_operations"),
        ({"data_settings": {"sentnces": 3}}, "Did you mean 'sentences'"),
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"reader": 7}, "reader needs a name"),
        ({"families": ["conflict"]}, "conflict"),
        (
            {
                "data": StreamList([Stream("s", "builtin", (Chunk("a"),), (Question("?", ("a",), "builtin-fact"),))]),
                "data_settings": {"T": 4},
            },
            "takes no settings, got T",
        ),
    ],
)
def test_wrong_arguments_are_refused_when_the_environment_is_made(kwargs: dict[str, Any], message: str):
    with pytest.raises(SettingsError, match=message):
        gym.make("FineMem-Memalpha-v0", **kwargs)
