"""The step game against real episodes in which the steps outside the coalition say SKIP."""

from __future__ import annotations

import itertools
import json
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_episodes import KeyReader, play

from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.memory import BM25Retriever, MemoryLimits
from memenvs.reading import CachedReader, ExtractiveReader, Reading
from memenvs.streams import load
from memenvs.streams.sentences import sentences
from rewards.credit import StepGame, exact_shapley, leave_one_out, permutation_shapley, replay

READER = ExtractiveReader()
SKIP = '[{"op": "SKIP"}]'
STREAMS = [load("builtin", T=T, sentences=4, questions=6)[i] for T in (4, 5) for i in range(3)]


def coalitions(T):
    return [steps for size in range(T + 1) for steps in itertools.combinations(range(T), size)]


def run(stream, played, messages, retriever=None, **facts):
    episode = Episode(stream, played, retriever=retriever)
    for message in messages:
        episode.answer(READER.read(episode.act(message)))
    return episode.record(**facts)


@st.composite
def sent(draw, stream):
    """One message per step: any operations, on ids that exist, do not yet exist, no longer exist and never existed."""
    rng = random.Random(draw(st.integers(0, 999)))  # lists drawn one by one would mostly be short
    contents = [piece.text for question in stream.questions for piece in question.evidence]
    contents += sentences(stream.chunks[0].text)

    def entry(t):
        item = rng.choice([f"{rng.randrange(t + 1)}.{rng.randrange(3)}"] * 8 + ["1.refused0", "9.9"])
        return rng.choice(
            [{"op": "INSERT", "content": rng.choice(contents)}] * 4
            + [{"op": "UPDATE", "id": item, "content": rng.choice(contents)}] * 2
            + [{"op": "DELETE", "id": item}] * 2
            + [{"op": "SKIP"}, rng.choice([{"op": "FORGET", "id": item}, {"op": "INSERT"}, {"op": "DELETE"}, 5])]
        )

    def message(t):
        return rng.choice([json.dumps([entry(t) for _ in range(rng.randint(1, 4))])] * 8 + ["[]", "nothing to note"])

    return [message(t) for t in range(stream.T)]


def limit(least, most):
    return st.none() | st.integers(least, most)


limits = st.builds(MemoryLimits, limit(1, 3), limit(10, 25), limit(15, 80))


def retold(stream, played, record, steps):
    """The episode in which the steps outside ``steps`` say SKIP, and the ids there of the items of the recorded one.

    Messages name items by the ids that these have there; so they are sent again and again, each time with one operation more.
    """
    episode, there = Episode(stream, played), {}
    for step in record.steps:
        if step.step not in steps or not step.operations:
            episode.answer(READER.read(episode.act(SKIP if step.step not in steps else step.message)))
            continue
        before, entries = episode.snapshot(), []
        for entry, once in zip(json.loads(step.message), step.operations, strict=True):
            renamed = {"id": there.get(entry["id"], "absent")} if isinstance(entry, dict) and "id" in entry else {}
            entries.append(entry | renamed if renamed else entry)
            episode.restore(before)
            now = episode.answer(READER.read(episode.act(json.dumps(entries)))).operations[-1]
            if once.op == "INSERT" and once.valid and now.valid:
                there[once.id] = now.id
    return episode.record(), there


@settings(max_examples=80)
@given(st.data(), st.sampled_from(STREAMS), limits, st.integers(1, 3))
def test_a_coalition_is_worth_what_an_episode_of_its_steps_alone_scores(data, stream, accepted, k):
    played = EpisodeSettings(k=k, limits=accepted, chunk_questions=0)
    record = run(stream, played, data.draw(sent(stream)))
    game = StepGame(record, READER)
    once = {o.id for step in record.steps for o in step.operations if o.op == "INSERT" and o.valid}
    for steps in coalitions(stream.T):
        other, there = retold(stream, played, record, steps)
        assert game.value(steps) == other.r_global
        items = game.replay.memory(steps)
        assert [(i.content, i.step, i.created, i.tokens) for i in items] == [
            (i.content, i.step, i.created, i.tokens) for i in other.memory
        ]
        for mine, theirs in zip(items, other.memory, strict=True):
            assert there.get(mine.id) == theirs.id if mine.id in once else theirs.id not in there.values()


@settings(max_examples=40)
@given(st.data(), st.sampled_from(STREAMS))
def test_without_limits_the_messages_are_sent_as_they_are_and_all_ids_agree(data, stream):
    messages, played = data.draw(sent(stream)), EpisodeSettings(k=2, chunk_questions=0)
    record = run(stream, played, messages)
    game = StepGame(record, READER)
    assert game.value(range(stream.T)) == record.r_global
    assert game.value(()) == run(stream, played, [SKIP] * stream.T).r_global
    for steps in coalitions(stream.T):
        other = run(stream, played, [message if t in steps else SKIP for t, message in enumerate(messages)])
        assert game.replay.memory(steps) == other.memory
        assert game.value(steps) == other.r_global


@settings(max_examples=30)
@given(st.data(), st.sampled_from(STREAMS), limits)
def test_the_order_of_asking_and_what_is_kept_never_change_a_value(data, stream, accepted):
    record = run(stream, EpisodeSettings(k=2, limits=accepted), data.draw(sent(stream)))
    table = {steps: StepGame(record, READER).value(steps) for steps in coalitions(stream.T)}
    game, forgetful = StepGame(record, READER), StepGame(EpisodeRecord.from_json(record.to_json()), READER)
    for steps in data.draw(st.permutations([*table, *random.Random(0).sample(list(table), 8)])):
        assert game.value(steps) == table[steps]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(replay, "_KEPT_SCORES", 2)
            assert forgetful.value(reversed(steps)) == table[steps]
            assert len(forgetful.examiner._scores) <= 2
    # Steps that cannot write are null players, so that the others' game is the whole game.
    idle = set(range(game.T)) - set(game.players)
    assert all(table[steps] == table[tuple(t for t in steps if t not in idle)] for steps in table)
    everyone = exact_shapley(lambda steps: table[tuple(sorted(steps))], range(game.T))
    np.testing.assert_allclose(everyone[sorted(idle)], 0, atol=1e-15)
    np.testing.assert_allclose(exact_shapley(game.value, game.players), everyone[list(game.players)], atol=1e-12)


def test_operations_mean_the_items_that_they_meant_in_the_episode():
    # With 4 tokens of tea in a budget of 6 the jazz is refused, and so the note of Ann becomes 1.0.
    messages = [
        [("INSERT", "bob likes green tea")],
        [("INSERT", "cat plays loud jazz"), ("DELETE", "0.0"), ("INSERT", "ann reads")],
        [("DELETE", "1.0")],
    ]
    record = play(messages, {"cat": "plays loud jazz", "ann": "reads"}, limits=MemoryLimits(max_tokens=6))
    assert record.memory == ()
    game = StepGame(record, KeyReader())
    assert game.value([1]) == 1.0  # Without the tea both notes fit,
    kept = {item.content: item.id for item in game.replay.memory([1])}
    assert kept["ann reads"] == "1.0"  # and 1.0 is still that of Ann, which step 2 deletes.
    assert [item.content for item in game.replay.memory([1, 2])] == ["cat plays loud jazz"]
    assert game.value([1, 2]) == 0.5


def test_stale_fact_new_fact_and_the_delete_of_the_stale_one():
    # Credit vector 60, example A: v = 1 exactly for {2}, {2, 3} and {1, 2, 3} (counted from 1), k = 1.
    record = play([[("INSERT", "ann tea")], [("INSERT", "ann coffee")], [("DELETE", "0.0")]], {"ann": "coffee"}, k=1)
    game = StepGame(record, KeyReader())
    assert {steps for steps in coalitions(3) if game.value(steps) == 1} == {(1,), (1, 2), (0, 1, 2)}
    np.testing.assert_allclose(exact_shapley(game.value, game.players), [-1 / 6, 5 / 6, 1 / 3], atol=1e-12)
    np.testing.assert_allclose(leave_one_out(game.value, game.players), [0, 1, 1], atol=1e-12)
    assert game.calls == 3  # nothing, the tea or the coffee is read
    assert game.examiner.reader.requests > game.calls


def test_duplicates_share_and_the_distractor_gets_nothing():
    # Credit vector 60, example B.
    record = play([[("INSERT", "ann tea")], [("INSERT", "ann tea")], [("INSERT", "bob jazz")]], {"ann": "tea"}, k=3)
    game = StepGame(record, KeyReader())
    np.testing.assert_allclose(exact_shapley(game.value, game.players), [0.5, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(leave_one_out(game.value, game.players), 0, atol=1e-12)


def test_the_same_notes_in_another_order_are_another_memory():
    record = play([[("INSERT", "ann tea")], [("INSERT", "ann jazz")], [("INSERT", "ann tea")]], {"ann": "tea"}, k=1)
    game = StepGame(record, KeyReader())
    assert [game.value(steps) for steps in ([0, 1], [1, 2], [0, 1])] == [1, 0, 1]


def test_players_are_the_steps_that_can_write():
    messages = [
        [("SKIP",)],
        [("INSERT", "ann tea"), ("SKIP",)],
        "no operations at all",
        [("DELETE", "7.7"), ("UPDATE", "3.0", "x")],  # no item ever had these ids
        [("INSERT", "far too long for this memory")],  # refused, and yet a write that others may make room for
        [("DELETE", "1.0")],
        [("DELETE", "1.0")],  # too late in the episode, but not where step 5 is left out
    ]
    record = play(messages, {"ann": "tea"}, limits=MemoryLimits(max_tokens=4))
    game = StepGame(record, KeyReader())
    assert game.players == (1, 4, 5, 6)
    assert game.value([1]) == 1
    assert game.value([1, 6]) == 0


@settings(max_examples=40)
@given(st.data(), st.sampled_from(STREAMS), st.sampled_from(["okapi", "lucene"]))
def test_the_kind_of_bm25_is_that_of_the_record(data, stream, idf):
    messages = data.draw(sent(stream))
    record = run(stream, EpisodeSettings(k=2), messages, BM25Retriever(idf=idf), idf=idf)
    game, other = StepGame(record, READER), StepGame(record, READER, BM25Retriever(idf=idf))
    for steps in coalitions(stream.T):
        items = game.replay.memory(steps)
        assert game.examiner.readings(items) == other.examiner.readings(items)
        assert game.value(steps) == other.value(steps)


def test_readings_name_the_items_of_the_memory_that_was_given():
    record = play([[("INSERT", "ann tea")], [("INSERT", "ann tea")]], {"ann": "tea"})
    examiner = StepGame(record, KeyReader()).examiner
    later = record.memory[1:]
    assert examiner.readings(later) == [Reading("ann", (("1.0", "ann tea"),), "builtin-fact")]
    assert examiner.readings(()) == [Reading("ann", (), "builtin-fact")]
    assert examiner.scores(later) == examiner.marks(examiner.readings(later)) == (1.0,)


def test_games_may_share_one_cached_reader():
    record, reader = play([[("INSERT", "ann tea")]], {"ann": "tea"}), CachedReader(KeyReader())
    for calls in (2, 2):
        game = StepGame(record, reader)
        assert game.value([0]) - game.value([]) == 1
        assert game.calls == calls


def test_long_streams_take_flat_memory():
    T = 300
    messages = [[("INSERT", f"key{t % 50} value{t}"), ("DELETE", f"{t - 50}.0")] for t in range(T)]
    record = play(messages, {"key7": "value257", "key9": "value259", "key30": "value30"}, k=1)
    game = StepGame(record, KeyReader())
    rng = random.Random(0)
    tracemalloc.start()
    try:
        for _ in range(60):
            game.value(rng.sample(range(T), 150))
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(60):
            game.value(rng.sample(range(T), 150))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000  # 3 kB a memory: its scores and what the reader was asked, but no items
    found = permutation_shapley(game.value, game.players, permutations=2)
    assert found.values.sum() == pytest.approx(game.value(range(T)) - game.value(()), abs=1e-9)
