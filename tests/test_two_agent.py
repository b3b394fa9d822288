"""The manager and the reader."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("pettingzoo")

from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from memenvs.errors import SettingsError
from memenvs.two_agent import MANAGER, READER, env, parallel_env, raw_env

SHORT: dict[str, Any] = {"data_settings": {"T": 4}}


def play(tested: parallel_env, answer: Any) -> tuple[list[float], list[dict[str, Any]]]:
    """Insert every chunk, then answer with ``answer(question index, observation)``; rewards and the reader's observations."""
    observations, infos = tested.reset(seed=3)
    rewards, seen = [], []
    while tested.agents:
        turn = infos[MANAGER]["turn"]
        asked = len(seen)
        actions = {
            MANAGER: json.dumps([{"op": "INSERT", "content": observations[MANAGER]["chunk"] or "-"}]),
            READER: "",
        }
        if turn == READER:
            seen.append(observations[READER])
            actions[READER] = answer(asked, observations[READER])
        observations, paid, terminations, truncations, infos = tested.step(actions)
        assert paid[MANAGER] == paid[READER]
        assert terminations[MANAGER] == terminations[READER]
        assert truncations == {MANAGER: False, READER: False}
        rewards.append(paid[READER])
        for agent in (MANAGER, READER):
            assert observations[agent] in tested.observation_space(agent)
    return rewards, seen


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pettingzoos_own_tests():
    parallel_api_test(parallel_env(), num_cycles=120)
    parallel_seed_test(parallel_env, num_cycles=60)
    api_test(raw_env(**SHORT), num_cycles=60)
    api_test(env(**SHORT), num_cycles=60)
    seed_test(lambda: env(**SHORT), num_cycles=60)


def test_right_answers_are_paid_one_by_one():
    tested = parallel_env(**SHORT)
    tested.reset(seed=3)
    questions = tested.episode.questions
    rewards, seen = play(tested, lambda i, _: questions[i].references[0] if i % 2 == 0 else "wrong")
    right = sum(1 for i in range(len(questions)) if i % 2 == 0)
    assert rewards[:4] == [0.0] * 4
    assert [reward > 0 for reward in rewards[4:]] == [i % 2 == 0 for i in range(len(questions))]
    assert sum(rewards) == pytest.approx(right / len(questions))
    record = tested.episode.record()
    assert sum(rewards) == pytest.approx(record.r_global)
    assert [reading.question for reading in record.questions] == [each["question"] for each in seen]
    assert [each["step"] for each in seen] == list(range(len(questions)))


def test_the_reader_sees_what_was_retrieved():
    tested = parallel_env(**SHORT)
    _, seen = play(tested, lambda i, observation: "")
    for observation, reading in zip(seen, tested.episode.record().questions, strict=True):
        ids = [line[1 : line.index("]")] for line in observation["items"].split("\n")]
        assert ids == [found.id for found in reading.retrieved]


def test_a_turn_ignores_the_other_agent():
    tested = parallel_env(**SHORT)
    _, infos = tested.reset(seed=3)
    assert infos[READER]["turn"] == MANAGER
    for _ in range(4):
        observations, *_, infos = tested.step({MANAGER: '[{"op": "INSERT", "content": "kept"}]', READER: "Rome"})
    assert infos[READER]["turn"] == READER
    assert observations[MANAGER]["memory"].count("kept") == 4
    assert observations[MANAGER]["chunk"] == ""
    observations, *_ = tested.step({MANAGER: '[{"op": "DELETE", "id": "0.0"}]', READER: "x"})
    assert observations[MANAGER]["memory"].count("kept") == 4


@pytest.mark.parametrize("bad", ["", "\ud800", 7, None, "x" * 100_000])
def test_bad_messages_never_raise(bad: Any):
    tested = parallel_env(**SHORT)
    tested.reset(seed=3)
    steps = 0
    while tested.agents:
        _, rewards, *_ = tested.step({MANAGER: bad, READER: bad})
        assert rewards[READER] == 0.0
        steps += 1
    assert steps == 4 + len(tested.episode.questions)


def test_the_question_share_shortens_the_readers_part():
    tested = parallel_env(question_share=0.2, **SHORT)
    rewards, seen = play(tested, lambda i, _: "")
    assert len(seen) == max(1, round(0.2 * len(tested.episode.stream.questions)))
    assert len(rewards) == 4 + len(seen)


def test_render_and_wrong_arguments():
    tested = parallel_env(render_mode="ansi", **SHORT)
    play(tested, lambda i, _: "Rome")
    assert "said Rome" in tested.render()
    with pytest.raises(SettingsError, match="Did you mean 'lucene'"):
        parallel_env(idf="lucen")
