"""Snapshots and digests of episodes: what they belong to, and that restoring equals a replay."""

from __future__ import annotations

import json
import pickle
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_episode import INSERT_ANN, INSERT_BOB, MESSAGES, STREAM, play

from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.errors import EpisodeError
from memenvs.memory import BM25Retriever, MemoryLimits
from memenvs.reading import Answer
from memenvs.streams import Chunk, Stream


def test_digests_are_equal_for_equal_states_only():
    first, second = Episode(STREAM), Episode(replace(STREAM, id="other name"))
    assert first.digest() == second.digest()
    play(first, [INSERT_ANN])
    assert first.digest() != second.digest()
    play(second, ['so: [{"op": "insert", "content": "Ann likes tea"}]'], lambda readings: [Answer("?")] * len(readings))
    assert first.digest() == second.digest()
    play(first, ["skip"])
    assert first.digest() != second.digest()
    changed = Episode(replace(STREAM, chunks=(Chunk("x"), *STREAM.chunks[1:])))
    assert changed.digest() != Episode(STREAM).digest()


def test_a_snapshot_belongs_to_its_stream():
    other = Episode(replace(STREAM, questions=STREAM.questions[:1]))
    with pytest.raises(EpisodeError, match=r"snapshot is of another episode: stream \w+ there, \w+ here"):
        other.restore(Episode(STREAM).snapshot())


@pytest.mark.parametrize(
    ("settings", "questions", "retriever", "message"),
    [
        (EpisodeSettings(), [0], BM25Retriever(), r"questions \[0\] there, \[0, 1, 2\] here$"),
        (EpisodeSettings(), [2, 1, 0], BM25Retriever(), r"questions \[2, 1, 0\] there"),
        (EpisodeSettings(k=3), None, BM25Retriever(), "another episode: k 3 there, 5 here$"),
        (EpisodeSettings(chunk_questions=1), None, BM25Retriever(), "chunk_questions 1 there, 5 here"),
        (EpisodeSettings(limits=MemoryLimits(max_tokens=9)), None, BM25Retriever(), "limits .*9.* there"),
        (EpisodeSettings(dialect="function_calls"), None, BM25Retriever(), "dialect function_calls there, json here"),
        (EpisodeSettings(), None, BM25Retriever(idf="okapi"), "retriever .*okapi.* there"),
    ],
)
def test_a_snapshot_belongs_to_its_questions_and_settings(settings, questions, retriever, message):
    other, episode = Episode(STREAM, settings, questions, retriever=retriever), play(Episode(STREAM), MESSAGES[:1])
    assert other.digest() != Episode(STREAM).digest()
    before = episode.digest()
    with pytest.raises(EpisodeError, match=message):
        episode.restore(other.snapshot())
    assert episode.digest() == before


def test_the_same_questions_and_settings_written_in_another_way_are_the_same():
    first = play(Episode(STREAM, questions=[0, 1, 2]), MESSAGES[:1])
    second = Episode(STREAM, EpisodeSettings(k=np.int64(5)), questions=np.arange(3))
    second.restore(pickle.loads(pickle.dumps(first.snapshot())))
    assert second.digest() == first.digest()
    assert play(second, MESSAGES[1:]).record() == play(first, MESSAGES[1:]).record()
    assert EpisodeRecord.from_json(second.record().to_json()) == second.record()


def test_restoring_after_the_end_and_with_a_step_waiting():
    episode = play(Episode(STREAM), MESSAGES[:1])
    snapshot = episode.snapshot()
    play(episode, MESSAGES[1:])
    finished, record = episode.snapshot(), episode.record()
    episode.restore(snapshot)
    assert (episode.step, episode.done) == (1, False)
    episode.act("lost")
    episode.restore(snapshot)
    play(episode, MESSAGES[1:])
    assert episode.record() == record
    other = Episode(STREAM)
    other.restore(finished)
    assert other.done
    assert other.record() == record
    assert other.digest() == episode.digest()


def test_a_snapshot_remembers_a_failure():
    episode = Episode(STREAM)
    clean = episode.snapshot()
    episode.act(INSERT_ANN)
    episode.answer(None, "503")
    failed = episode.snapshot()
    episode.restore(clean)
    assert episode.failure is None
    episode.restore(failed)
    assert episode.failure == "503"


LONG = Stream(
    "long",
    "builtin",
    tuple(Chunk(f"chunk {n}", None, STREAM.chunks[n % 2].questions) for n in range(8)),
    STREAM.questions,
)
words = st.sampled_from(["Ann", "Bob", "likes", "tea", "jazz", "coffee"])
entry = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["INSERT", "INSERT", "UPDATE", "DELETE", "SKIP", "END"]),
        "id": st.builds("{}.{}".format, st.integers(0, 7), st.integers(0, 1)),
        "content": st.lists(words, min_size=1, max_size=4).map(" ".join),
    }
)
messages = st.lists(st.lists(entry, max_size=3).map(json.dumps), min_size=8, max_size=8)


@settings(max_examples=60)
@given(messages, messages, st.integers(0, 8), st.integers(0, 8))
def test_restoring_equals_a_replay(sent, abandoned, cut, wandered):
    plain = play(Episode(LONG), sent)
    episode = play(Episode(LONG), sent[:cut])
    snapshot, digest = episode.snapshot(), episode.digest()
    play(episode, abandoned[cut : max(cut, wandered)])
    episode.restore(snapshot)
    assert episode.digest() == digest
    play(episode, sent[cut:])
    assert episode.record() == plain.record()  # to the last bit of every score, although the index was rebuilt
    assert episode.digest() == plain.digest()


def test_one_snapshot_serves_a_group():
    rng = random.Random(3)
    base = play(Episode(LONG), [INSERT_ANN, INSERT_BOB])
    snapshot = base.snapshot()
    digests = []
    for _ in range(4):
        member = Episode(LONG)
        member.restore(snapshot)
        digests.append(member.digest())
        play(member, [json.dumps([{"op": "INSERT", "content": f"note {rng.random()}"}]) for _ in range(6)])
    assert set(digests) == {base.digest()}
    assert [item.id for item in base.bank.items] == ["0.0", "1.0"]
