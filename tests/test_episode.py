"""The state machine over hand-made streams, with answers given by the test."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.errors import EpisodeError, ScorerError, SettingsError
from memenvs.memory import BM25Retriever, MemoryLimits
from memenvs.reading import Answer
from memenvs.streams import Chunk, Question, Stream

STREAM = Stream(
    id="hand/0",
    source="builtin",
    chunks=(
        Chunk("Ann likes tea.", "Monday", (Question("What does Ann like?", ("tea",), "builtin-fact"),)),
        Chunk("Bob likes jazz!", None, tuple(Question(f"Bob {n}?", ("jazz",), "builtin-fact") for n in range(3))),
        Chunk("Ann now likes coffee.", "Friday"),
    ),
    questions=(
        Question("What does Ann like?", ("coffee",), "builtin-fact"),
        Question("What does Bob like?", ("jazz", "music"), "builtin-fact"),
        Question("Name the drinks.", ("coffee, tea",), "builtin-summary"),
    ),
)
INSERT_ANN = '[{"op": "INSERT", "content": "Ann likes tea"}]'
INSERT_BOB = '[{"op": "INSERT", "content": "Bob likes jazz"}, {"op": "DELETE", "id": "9.9"}]'
UPDATE_ANN = 'She changed her mind: [{"op": "UPDATE", "id": "0.0", "content": "Ann likes coffee"}]'
MESSAGES = (INSERT_ANN, INSERT_BOB, UPDATE_ANN)


def last_word(readings):
    """The last word of the best item, citing it."""
    return [
        Answer(reading.items[0][1].split()[-1], (reading.items[0][0],)) if reading.items else Answer("")
        for reading in readings
    ]


def play(episode, messages, reader=last_word):
    for message in messages:
        episode.answer(reader(episode.act(message)))
    return episode


def test_an_episode_step_by_step():
    episode = Episode(STREAM, EpisodeSettings(k=2))
    seen = episode.observe()
    assert (seen.step, seen.chunk, seen.timestamp, seen.memory) == (0, "Ann likes tea.", "Monday", ())

    (reading,) = episode.act(INSERT_ANN)
    assert (reading.question, reading.items) == ("What does Ann like?", (("0.0", "Ann likes tea"),))
    step = episode.answer([Answer("Tea!", ("0.0",))])
    assert (step.step, step.chunk, step.message, step.error) == (0, "Ann likes tea.", INSERT_ANN, None)
    assert (step.chunk_tokens, step.memory_tokens, step.memory_items) == (4, 3, 1)
    assert [(o.op, o.id, o.valid) for o in step.operations] == [("INSERT", "0.0", True)]
    assert [(r.prediction, r.score, r.evidence_ids) for r in step.readings] == [("Tea!", 1.0, ("0.0",))]
    assert [(r.id, r.step, r.created) for r in step.readings[0].retrieved] == [("0.0", 0, 0)]

    assert len(episode.act(INSERT_BOB)) == 3
    step = episode.answer([Answer("jazz"), Answer("rock"), Answer("jazz")])
    assert [r.score for r in step.readings] == [1.0, 0.0, 1.0]
    assert [o.valid for o in step.operations] == [True, False]
    assert not episode.done

    readings = episode.act(UPDATE_ANN)  # the last chunk has no questions, so these are the global ones
    assert [r.question for r in readings] == [q.text for q in STREAM.questions]
    assert readings[0].items[0] == ("0.0", "Ann likes coffee")
    episode.answer([Answer("coffee", ("0.0",)), Answer("Music"), Answer("only coffee")])
    assert episode.done
    seen = episode.observe()
    assert (seen.step, seen.chunk, seen.timestamp, len(seen.memory)) == (3, "", None, 2)

    record = episode.record(seed=7)
    assert [q.score for q in record.questions] == [1.0, 1.0, 0.5]
    assert record.r_global == pytest.approx(2.5 / 3)
    assert (record.T, record.stream_tokens, record.memory_tokens) == (3, 13, 6)
    assert record.settings["seed"] == 7
    assert record.settings["k"] == 2
    assert record.memory == episode.bank.items
    assert record.questions[0].retrieved[0].step == 2
    assert record.questions[0].retrieved[0].created == 0


def test_k_items_are_retrieved_at_most():
    many = json.dumps([{"op": "INSERT", "content": f"Ann {n}"} for n in range(4)])
    for k, count in ((1, 1), (3, 3), (9, 4)):
        (reading,) = Episode(STREAM, EpisodeSettings(k=k)).act(many)
        assert [item_id for item_id, _ in reading.items] == ["0.0", "0.1", "0.2", "0.3"][:count]


def test_chunk_questions_are_the_first_ones_of_the_chunk():
    for count, expected in ((0, [0, 0, 0]), (2, [1, 2, 0]), (5, [1, 3, 0])):
        episode = play(Episode(STREAM, EpisodeSettings(chunk_questions=count)), MESSAGES)
        assert [len(step.readings) for step in episode.steps] == expected
        assert len(episode.record().questions) == 3


def test_only_the_asked_questions_are_read():
    episode = play(Episode(STREAM, questions=[2, 0]), MESSAGES)
    assert [q.question for q in episode.record().questions] == ["Name the drinks.", "What does Ann like?"]


@pytest.mark.parametrize(
    "questions",
    [[], [3], [-1], [0, 9], [1, 1], 0, "01", [0.0], [True], [None], np.array([0.5]), np.array([]), np.array(1)],
)
def test_questions_must_be_indices_of_the_stream(questions):
    with pytest.raises(SettingsError, match="different indices below 3, at least one; got"):
        Episode(STREAM, questions=questions)


@pytest.mark.parametrize("change", [{"chunks": ()}, {"questions": ()}])
def test_a_stream_without_chunks_or_questions_is_refused(change):
    with pytest.raises(SettingsError, match="at least one chunk and one global question"):
        Episode(replace(STREAM, **change))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"k": "5"}, "k must be a whole number, got '5'"),
        ({"k": 2.5}, "k must be a whole number"),
        ({"k": True}, "k must be a whole number"),
        ({"chunk_questions": None}, "chunk_questions must be a whole number"),
        ({"chunk_questions": -1}, "chunk_questions must be at least 0"),
        ({"dialect": "jsn"}, "Did you mean 'json'"),
        ({"profile": "correct"}, "Did you mean 'corrected'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        EpisodeSettings(**settings)


def test_a_source_without_a_metric_is_found_before_the_first_step():
    odd = Question("?", ("a",), "builtin-fcat")
    with pytest.raises(ScorerError, match="builtin-fcat"):
        Episode(replace(STREAM, questions=(*STREAM.questions, odd)))
    in_chunk = replace(STREAM, chunks=(replace(STREAM.chunks[0], questions=(odd,)), *STREAM.chunks[1:]))
    with pytest.raises(ScorerError, match="builtin-fcat"):
        Episode(in_chunk)
    Episode(in_chunk, EpisodeSettings(chunk_questions=0))
    Episode(replace(STREAM, questions=(*STREAM.questions, odd)), questions=[0])


def test_steps_out_of_order_are_refused():
    episode = Episode(STREAM)
    with pytest.raises(EpisodeError, match=r"call act\(\) first"):
        episode.answer([])
    with pytest.raises(EpisodeError, match="step 0 of 3; a record exists at the end"):
        episode.record()
    episode.act(INSERT_ANN)
    digest = episode.digest()
    with pytest.raises(EpisodeError, match=r"still waits for its answers; call answer\(\) first"):
        episode.act(INSERT_BOB)
    with pytest.raises(EpisodeError, match="snapshot is taken between two steps"):
        episode.snapshot()
    assert episode.digest() == digest
    episode.answer([Answer("tea")])
    play(episode, MESSAGES[1:])
    with pytest.raises(EpisodeError, match="over after 3 steps"):
        episode.act(INSERT_ANN)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "expected 1 answers, one per reading, got 0"),
        ([Answer("tea"), Answer("tea")], "expected 1 answers, one per reading, got 2"),
        ([Answer("tea", ("0.0", "0.1"))], r"cited \['0.1'\], which it was not given"),
        ([Answer("tea", (["0.0"],))], "which it was not given"),
        ([Answer("tea", "0.0")], "must be a tuple of ids, got str"),
        ([Answer(None)], "must be a string, got NoneType"),
        ([Answer(7)], "must be a string, got int"),
        (["tea"], "expected an Answer, got str"),
    ],
)
def test_answers_that_do_not_fit_are_refused_and_may_be_given_again(answers, message):
    episode = Episode(STREAM)
    episode.act(INSERT_ANN)
    with pytest.raises(EpisodeError, match=message):
        episode.answer(answers)
    assert episode.step == 0
    assert episode.answer([Answer("tea")]).readings[0].score == 1.0


def test_a_failed_reading_is_no_score():
    episode = Episode(STREAM)
    episode.act(INSERT_ANN)
    step = episode.answer(None, "the endpoint said 503")
    assert [(r.prediction, r.score) for r in step.readings] == [(None, None)]
    assert [r.id for r in step.readings[0].retrieved] == ["0.0"]
    episode.act(INSERT_BOB)
    episode.answer(None, "and again 503")
    play(episode, MESSAGES[2:])
    assert episode.failure == "the endpoint said 503"
    record = episode.record()
    assert record.failure == "the endpoint said 503"
    assert record.r_global == pytest.approx(2.5 / 3), "the global questions were read"

    episode = play(Episode(STREAM), MESSAGES[:2])
    episode.act(UPDATE_ANN)
    episode.answer(None)
    assert math.isnan(episode.record().r_global)
    assert [q.score for q in episode.record().questions] == [None] * 3
    assert episode.failure


@pytest.mark.parametrize(
    "message", [None, 5, b"x", "", "prose", "[" * 100_000, '[{"op": "END"}]', "\ud800", {"op": "INSERT"}]
)
def test_the_number_of_steps_is_fixed_whatever_the_messages(message):
    episode = play(Episode(STREAM), [message] * 3)
    assert (episode.T, episode.step, episode.done) == (3, 3, True)
    assert episode.bank.items == ()
    for step in episode.steps:
        assert step.error or not step.operations[0].valid
        assert len(step.message) <= 65_536
    assert EpisodeRecord.from_json(episode.record().to_json()) == episode.record()


def test_readings_do_not_change_the_memory():
    with_questions = Episode(STREAM, EpisodeSettings(chunk_questions=5))
    without = Episode(STREAM, EpisodeSettings(chunk_questions=0))
    for message in MESSAGES:
        needs = with_questions.act(message)
        waiting = with_questions.digest().split(":")[-1]
        with_questions.answer(last_word(needs))
        without.answer(last_word(without.act(message)))
        assert with_questions.digest().split(":")[1:] == without.digest().split(":")[1:]
        assert with_questions.digest().split(":")[-1] == waiting
    assert with_questions.record().questions == without.record().questions


def test_the_timing_of_the_agents_view():
    episode = play(Episode(STREAM), MESSAGES[:1])
    seen = episode.observe()
    assert (seen.step, seen.chunk) == (1, "Bob likes jazz!")
    assert [item.content for item in seen.memory] == ["Ann likes tea"]


def test_limits_reach_the_memory():
    limits = EpisodeSettings(limits=MemoryLimits(max_operations=1))
    step = play(
        Episode(STREAM, limits), ['[{"op": "INSERT", "content": "a"}, {"op": "INSERT", "content": "b"}]']
    ).steps[0]
    assert [o.valid for o in step.operations] == [True, False]


def test_a_token_counter_of_ones_own_counts_chunks_and_memory():
    step = play(Episode(STREAM, count=len), MESSAGES[:1]).steps[0]
    assert (step.chunk_tokens, step.memory_tokens) == (len("Ann likes tea."), len("Ann likes tea"))


def test_a_retriever_that_served_another_episode_starts_empty():
    retriever = BM25Retriever()
    first = play(Episode(STREAM, retriever=retriever), MESSAGES).record()
    assert play(Episode(STREAM, retriever=retriever), MESSAGES).record() == first


def test_a_record_keeps_its_settings_as_json_has_them():
    record = play(Episode(STREAM), MESSAGES).record(x=(1, 2), names={1: "a"})
    assert record.settings["x"] == [1, 2]
    assert EpisodeRecord.from_json(record.to_json()) == record
    with pytest.raises(SettingsError, match="must be JSON-able"):
        play(Episode(STREAM), MESSAGES).record(x=object())


def test_evidence_as_a_list_is_recorded_as_ever():
    needs = lambda evidence: lambda readings: [Answer("tea", evidence) for _ in readings]  # noqa: E731
    assert (
        play(Episode(STREAM), MESSAGES[:1], needs(["0.0"])).steps
        == play(Episode(STREAM), MESSAGES[:1], needs(("0.0",))).steps
    )
