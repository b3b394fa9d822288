"""UnicodeText in every place where Gymnasium takes a space."""

from __future__ import annotations

import copy
import json
import pickle
import random
import subprocess
import sys
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Dict, Discrete, Text, flatdim, flatten, flatten_space, unflatten
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from gymnasium.wrappers import DelayObservation, FlattenObservation, FrameStackObservation
from hypothesis import given
from hypothesis import strategies as st

from memenvs.spaces import SAMPLE_CHARS, TextView, UnicodeText

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
TEXTS = [
    "plain",
    "",
    "Žluťoučký kůň",
    "😀👩‍👩‍👧‍👦",
    "記憶を書く",
    "\ud800 lone \udfff",
    "nul\0inside\0",
    "\U0010ffff",
    "z" * 40,
]


class Teller(gym.Env[dict[str, Any], str]):
    """Says TEXTS in an order that depends on the seed and echoes the action."""

    def __init__(self) -> None:
        self.observation_space = Dict(
            {"inner": Dict({"text": UnicodeText(40), "n": Discrete(100)}), "echo": UnicodeText(40)}
        )
        self.action_space = UnicodeText(40)

    def _said(self, echo: str) -> dict[str, Any]:
        return {"inner": {"text": self.order[self.n % len(TEXTS)], "n": self.n}, "echo": echo}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.order = [TEXTS[i] for i in self.np_random.permutation(len(TEXTS))]
        self.n = 0
        return self._said(""), {}

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.n += 1
        return self._said(action), 1.0, self.n == 12, False, {}


def test_contains_looks_at_the_length_alone():
    space = UnicodeText(40)
    assert all(text in space for text in TEXTS)
    assert "z" * 41 not in space
    assert 7 not in space
    assert ["a"] not in space
    assert b"bytes" not in space


def test_samples_are_short_printable_and_reproducible():
    space = UnicodeText(1 << 20, seed=3)
    samples = [space.sample() for _ in range(300)]
    twin = UnicodeText(1 << 20, seed=3)
    assert samples == [twin.sample() for _ in samples]
    assert max(map(len, samples)) <= SAMPLE_CHARS
    assert {" ", "a", "[", '"'} <= set("".join(samples))
    assert "".join(samples).isascii()
    assert all(sample in space for sample in samples)
    assert {len(UnicodeText(2, seed=i).sample()) for i in range(50)} == {0, 1, 2}


def test_sample_takes_a_mask_as_text_does():
    assert len(UnicodeText(10).sample(mask=(4, None))) == 4


def test_repr_and_equality():
    assert repr(UnicodeText(7)) == "UnicodeText(7)"
    assert UnicodeText(7) == UnicodeText(7, seed=1)
    assert UnicodeText(7) != UnicodeText(8)
    assert UnicodeText(7) != Text(7, min_length=0)


def test_copies_and_pickles_are_small_and_equal():
    space = UnicodeText(65_536, seed=5)
    data = pickle.dumps(space)
    assert len(data) < 10_000
    twin, clone = pickle.loads(data), copy.deepcopy(space)
    assert twin == clone == space
    assert twin.sample() == clone.sample() == space.sample()


@given(ANY_TEXT)
def test_flatten_round_trip(text: str):
    space = UnicodeText(40)
    flat = flatten(space, text)
    assert flat.shape == (flatdim(space),) == (40,)
    assert flat.dtype == np.int32
    assert flat in flatten_space(space)
    assert unflatten(space, flat) == text


def test_flatten_gives_code_points_padded_with_zeros():
    assert flatten(UnicodeText(4), "a😀").tolist() == [97, 0x1F600, 0, 0]


def test_flatten_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="broadcast"):
        flatten(UnicodeText(3), "four")


@given(ANY_TEXT)
def test_nested_flatten_round_trip(text: str):
    space = Dict({"a": UnicodeText(40), "b": Discrete(3)})
    flat = flatten(space, {"a": text, "b": 2})
    assert flat in flatten_space(space)
    assert unflatten(space, flat) == {"a": text, "b": 2}


@given(st.lists(ANY_TEXT, min_size=3, max_size=3), ANY_TEXT)
def test_shared_memory_view_follows_the_buffer(texts: list[str], later: str):
    space = UnicodeText(40)
    memory = create_shared_memory(space, n=3)
    view = read_from_shared_memory(space, memory, n=3)
    for index, text in enumerate(texts):
        write_to_shared_memory(space, index, text, memory)
    assert isinstance(view, TextView)
    assert list(view) == texts
    taken = copy.deepcopy(view)
    assert pickle.loads(pickle.dumps(view)) == tuple(texts)
    write_to_shared_memory(space, 1, later, memory)
    assert taken == tuple(texts), "a copy must not change with the buffer"
    assert view[1] == later
    assert view[-1:] == (texts[2],)
    assert view == (texts[0], later, texts[2])


def test_shared_memory_refuses_what_does_not_fit():
    space = UnicodeText(3)
    with pytest.raises(ValueError, match="broadcast"):
        write_to_shared_memory(space, 0, "four", create_shared_memory(space, n=1))


def test_check_env():
    check_env(Teller())


@pytest.mark.parametrize("shared_memory", [True, False])
@pytest.mark.parametrize("copy_observations", [True, False])
def test_async_equals_sync_value_by_value(shared_memory: bool, copy_observations: bool):
    reference = SyncVectorEnv([Teller] * 3)
    tested = AsyncVectorEnv([Teller] * 3, shared_memory=shared_memory, copy=copy_observations)
    rng = random.Random(1)
    try:
        kept = []
        expected, got = reference.reset(seed=5)[0], tested.reset(seed=5)[0]
        for _ in range(16):
            assert tuple(got["inner"]["text"]) == expected["inner"]["text"]
            assert tuple(got["echo"]) == expected["echo"]
            assert got["inner"]["n"].tolist() == expected["inner"]["n"].tolist()
            kept.append((expected, got))
            actions = tuple(rng.choice(TEXTS) for _ in range(3))
            expected, got = reference.step(actions)[0], tested.step(actions)[0]
        assert len({expected["inner"]["text"] for expected, _ in kept}) > 5
        if copy_observations:
            assert all(old["echo"] == was["echo"] for was, old in kept), "an earlier observation has changed"
            assert got in tested.observation_space
    finally:
        tested.close()


def test_async_with_spawned_workers():
    tested = AsyncVectorEnv([Teller] * 2, context="spawn")
    try:
        reference = SyncVectorEnv([Teller] * 2)
        assert tested.reset(seed=1)[0]["inner"]["text"] == reference.reset(seed=1)[0]["inner"]["text"]
    finally:
        tested.close()


def test_flatten_observation_wrapper():
    plain, flat = Teller(), FlattenObservation(Teller())
    said, numbers = plain.reset(seed=2)[0], flat.reset(seed=2)[0]
    for text in TEXTS:
        assert numbers in flat.observation_space
        assert unflatten(plain.observation_space, numbers) == said
        said, numbers = plain.step(text)[0], flat.step(text)[0]


def test_delay_observation_wrapper():
    plain, late = Teller(), DelayObservation(Teller(), delay=2)
    said = [plain.reset(seed=2)[0]]
    heard = [late.reset(seed=2)[0]]
    for text in TEXTS:
        said.append(plain.step(text)[0])
        heard.append(late.step(text)[0])
    assert heard[2:] == said[:-2]
    assert heard[0]["echo"] == heard[1]["inner"]["text"] == ""


def test_frame_stack_wrapper():
    plain, stacked = Teller(), FrameStackObservation(Teller(), 2)
    before = plain.reset(seed=2)[0]
    stacked.reset(seed=2)
    for text in TEXTS:
        now, frames = plain.step(text)[0], stacked.step(text)[0]
        assert frames["inner"]["text"] == (before["inner"]["text"], now["inner"]["text"])
        before = now


def test_sampling_does_not_depend_on_the_hash_seed():
    code = "from memenvs.spaces import UnicodeText; print(ascii([UnicodeText(30, seed=i).sample() for i in range(5)]))"
    run = partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outputs = {run(env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}).stdout for seed in ("1", "77")}
    assert len(outputs) == 1
    assert json.dumps(outputs.pop())
