"""Running-sum streams: what they tell and ask, and who can answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from itertools import accumulate

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.base import make_agent
from memenvs import testing
from memenvs.errors import DataError, SettingsError
from memenvs.reading import ExtractiveReader, Reading
from memenvs.reading.lexicon import FUNCTION_WORDS, concept, stem
from memenvs.scoring.execution import running_sums, true_sums
from memenvs.streams import StreamDataset, load
from memenvs.streams.running_sum import RunningSumSettings, RunningSumStreams, running_sum_stream
from memenvs.streams.sentences import sentences
from memenvs.streams.types import Stream
from trainers.cli import main
from trainers.evaluation import play

ENTRY = re.compile(r"The value of (\w+) is (-?\d+)\.")
TURN = re.compile(r"Turn (\d+): add (.+?) to the running sum")


def solve(stream: Stream) -> tuple[dict[str, int], list[list[str]]]:
    """Dictionary and turns, read from the chunks' text alone."""
    dictionary, turns = {}, []
    for chunk in stream.chunks:
        if turn := TURN.match(chunk.text):
            assert int(turn[1]) == len(turns) + 1
            turns.append(re.split(", | and ", turn[2]))
        else:
            dictionary |= {key: int(value) for key, value in ENTRY.findall(chunk.text)}
    return dictionary, turns


# --- streams -------------------------------------------------------------------------------------------------------


def test_a_small_stream_word_by_word():
    stream = running_sum_stream(
        "s", {"kadvu": 5, "topzi": -7, "rebfo": 2}, [["topzi"], ["kadvu", "topzi", "rebfo"]], ["rebfo"], entries=2
    )
    assert [chunk.text for chunk in stream.chunks] == [
        "The value of kadvu is 5. The value of topzi is -7.",
        "The value of rebfo is 2.",
        "Turn 1: add topzi to the running sum, which starts at 0.",
        "Turn 2: add kadvu, topzi and rebfo to the running sum.",
    ]
    asked = [[(q.text, q.references) for q in chunk.questions] for chunk in stream.chunks]
    assert asked == [
        [("What is the value of kadvu?", ("5",)), ("What is the value of topzi?", ("-7",))],
        [("What is the value of rebfo?", ("2",))],
        [("How much is the running sum now?", ("-7",))],
        [("How much is the running sum now?", ("-7",))],
    ]
    value, total = stream.questions
    assert (value.text, value.references) == ("What is the value of rebfo?", ("2",))
    assert (total.text, total.references) == ("How much is the running sum after the last turn?", ("-7",))
    assert [(e.step, e.text) for e in value.evidence] == [(1, "The value of rebfo is 2.")]
    first = stream.chunks[2].questions[0]
    assert [(e.step, e.text) for e in first.evidence] == [(0, "The value of topzi is -7."), (2, stream.chunks[2].text)]
    assert [e.step for e in total.evidence] == [0, 0, 1, 2, 3]


@hypothesis_settings(max_examples=60)
@given(st.data())
def test_every_stream_asks_what_its_text_answers(data):
    keys, entries = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 9))
    turns = data.draw(st.integers(1, 12))
    T = turns + -(-keys // entries)
    K, questions = data.draw(st.integers(1, keys)), data.draw(st.integers(1, keys + 1))
    made = RunningSumStreams(T=T, keys=keys, entries=entries, K=K, questions=questions)
    stream = made[data.draw(st.integers(0, 999_999))]
    assert (stream.T, made.max_steps, made.settings.turns) == (T, T, turns)
    dictionary, told = solve(stream)
    assert len(dictionary) == keys
    assert all(len(key) == 5 and -99 <= value <= 99 for key, value in dictionary.items())
    assert [len(set(turn)) for turn in told] == [K] * turns
    sums = list(accumulate(sum(dictionary[key] for key in turn) for turn in told))
    assert [chunk.questions[0].references for chunk in stream.chunks[-turns:]] == [(str(total),) for total in sums]
    assert stream.questions[-1].references == (str(sums[-1]),)
    assert len(stream.questions) == questions == len({q.text for q in stream.questions})
    for question in [*stream.questions, *(q for chunk in stream.chunks for q in chunk.questions)]:
        assert all(e.text in sentences(stream.chunks[e.step].text) for e in question.evidence)
        if question.source == "running-sum-value":
            ((key, value),) = ENTRY.findall(question.evidence[0].text)
            assert question.text == f"What is the value of {key}?"
            assert question.references == (value,)
    added = {key for turn in told for key in turn}
    texts = {e.text for e in stream.questions[-1].evidence}
    assert texts == {f"The value of {key} is {dictionary[key]}." for key in added} | {
        chunk.text for chunk in stream.chunks[-turns:]
    }


def test_keys_mean_nothing_to_the_reader():
    keys = {key for i in range(20) for key in solve(RunningSumStreams(T=102, keys=400)[i])[0]}
    assert len(keys) > 1000
    assert not keys & FUNCTION_WORDS
    assert all(concept(stem(key)) == stem(key) for key in keys)
    assert len({stem(key) for key in keys}) == len(keys)


def test_is_a_stream_dataset_and_a_source_of_its_own():
    data = load("running-sum", split="test", T=9)
    assert isinstance(data, StreamDataset)
    assert (data.source, data.split, data.licence, data.max_steps) == ("running-sum", "test", "MIT (generated)", 9)
    assert data[3] == RunningSumStreams(split="test", T=9)[3]
    assert data[3].source == "running-sum"


def test_seed_split_index_and_every_setting_change_the_stream():
    variants = [{}, {"seed": 1}, {"split": "test"}, {"T": 21}, {"keys": 15}, {"entries": 5}, {"K": 3}, {"questions": 5}]
    made = [RunningSumStreams(**variant) for variant in variants]
    assert len({data.fingerprint for data in made}) == len(variants)
    assert len({data[0].fingerprint for data in made} | {made[0][1].fingerprint}) == len(variants) + 1


def test_hash_seed_does_not_matter():
    code = (
        "from memenvs.streams.running_sum import RunningSumStreams\n"
        "print([RunningSumStreams()[i].fingerprint for i in range(4)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4242")
    }
    assert outputs == {f"{[RunningSumStreams()[i].fingerprint for i in range(4)]}\n"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"T": 4}, "T must be at least 5 for 16 keys, 4 a chunk, and a turn; got 4"),
        ({"T": 1}, "T must be a whole number from 2 to 400"),
        ({"T": 401}, "T must be a whole number from 2 to 400"),
        ({"keys": 0}, "keys must be"),
        ({"keys": 501}, "keys must be"),
        ({"entries": 0}, "entries must be"),
        ({"K": 17}, "K must be a whole number from 1 to 16, got 17"),
        ({"K": 0}, "K must be"),
        ({"questions": 18}, "questions must be a whole number from 1 to 17"),
        ({"questions": 0}, "questions must be"),
        ({"turns": 3}, "unknown setting 'turns'"),
        ({"families": ["accurate-retrieval"]}, "unknown setting 'families'"),
    ],
)
def test_bad_settings_are_refused_with_the_way_out(fields, message):
    with pytest.raises(SettingsError, match=message):
        RunningSumStreams(**fields)


@pytest.mark.parametrize(
    ("turns", "asked", "message"),
    [
        ([], [], "at least one turn"),
        ([["kadvu"], []], [], "one key in each"),
        ([["kadvo"]], [], "does not have: kadvo; it has kadvu"),
        ([["kadvu"]], ["topzi"], "does not have: topzi"),
    ],
)
def test_turns_that_cannot_be_added_up_are_refused(turns, asked, message):
    with pytest.raises(DataError, match=message):
        running_sum_stream("s", {"kadvu": 1}, turns, asked)


# --- the environment -----------------------------------------------------------------------------------------------


def test_the_id_keeps_the_contract():
    assert len(testing.check("RunningSum-v0")) == len(testing.CHECKS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(gym.make("RunningSum-v0").unwrapped, skip_render_check=True)


def scores(agent: str, streams: int = 12, limits: dict | None = None, **settings) -> list[float]:
    env = gym.make("RunningSum-v0", split="test", data_settings=settings, **(limits or {}))
    return [play(env, make_agent(agent, **(limits or {})), i).r_global for i in range(streams)]


def test_only_who_adds_up_answers_everything():
    assert scores("adder") == [1.0] * 12
    assert scores("nothing") == [0.0] * 12
    # All values and no sum: 3 of 4 questions.
    assert scores("keep_everything") == [0.75] * 12
    assert scores("hindsight") == [0.75] * 12


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({"T": 60, "keys": 100, "entries": 10, "K": 5, "questions": 40}, {}),
        ({"T": 30, "K": 1}, {"max_operations": 1}),
        ({}, {"max_operations": 3, "max_item_tokens": 20}),
        ({}, {"memory_budget": 140}),
        ({"T": 2, "keys": 1, "K": 1, "questions": 2}, {}),
    ],
)
def test_the_adder_is_exact_at_every_turn_under_limits_that_leave_room(settings, limits):
    env = gym.make("RunningSum-v0", data_settings=settings, **limits)
    for index in range(4):
        record = play(env, make_agent("adder", **limits), index)
        assert record.r_global == 1.0
        assert running_sums(record) == true_sums(record)
        assert all(reading.score == 1.0 for step in record.steps for reading in step.readings)
        assert all(o.valid for step in record.steps for o in step.operations)


def test_a_lost_entry_costs_every_sum_it_went_into():
    limits = {"max_operations": 1, "max_item_tokens": 16}  # two of the four entries of a chunk
    record = play(gym.make("RunningSum-v0", **limits), make_agent("adder", **limits), 0)
    stream = RunningSumStreams()[0]
    dictionary, turns = solve(stream)
    known = {key: value for i, (key, value) in enumerate(dictionary.items()) if i % 4 < 2}
    expected = tuple(accumulate(sum(known.get(key, 0) for key in turn) for turn in turns))
    assert running_sums(record) == expected != true_sums(record)


@pytest.mark.parametrize(
    "note", ["Running sum: {}", "Running sum so far = {}.", "The running sum is now {}.", "the running sum={}"]
)
def test_the_reader_understands_other_notes_too(note):
    for total in ("0", "-7", "412", "-1250"):
        items = (("a", "kadvu=-17, topzi=4"), ("b", note.format(total)))
        now, value = ExtractiveReader().read(
            [
                Reading("How much is the running sum now?", items, "running-sum"),
                Reading("What is the value of topzi?", items, "running-sum-value"),
            ]
        )
        assert (now.text, now.evidence_ids) == (total, ("b",))
        assert (value.text, value.evidence_ids) == ("4", ("a",))


def test_settings_and_fields_are_the_same():
    assert RunningSumStreams(settings=RunningSumSettings(T=7))[2] == RunningSumStreams(T=7)[2]


# --- the command line ----------------------------------------------------------------------------------------------


def test_evaluate_plays_the_ids_own_streams(tmp_path):
    pytest.importorskip("tyro")
    main(
        [
            "evaluate",
            "--env-id",
            "RunningSum-v0",
            "--agents",
            "adder",
            "nothing",
            "--streams",
            "3",
            "--out",
            str(tmp_path),
        ]
    )
    table = json.loads((tmp_path / "table.json").read_text())
    assert (table["data"], table["settings"]["data"]) == ("running-sum", "running-sum")
    assert {row["agent"]: (row["r_global"], row["running-sum"]) for row in table["rows"]} == {
        "adder": (1.0, 1.0),
        "nothing": (0.0, 0.0),
    }


def test_train_runs_on_the_ids_own_streams(tmp_path, capsys):
    pytest.importorskip("torch")
    sizes = ["--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "2"]
    main(["train", "--env-id", "RunningSum-v0", "--T", "6", *sizes, "--out", str(tmp_path / "run")])
    assert "data: running-sum" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit, match="T must be at least 5"):
        main(["train", "--env-id", "RunningSum-v0", "--T", "3", *sizes, "--out", str(tmp_path / "short")])
