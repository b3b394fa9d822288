"""The step game over Mem-alpha's memory, and over retrieval that does not rank."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_episodes import KeyReader

from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.errors import DataError, SettingsError
from memenvs.memory import MemoryLimits
from memenvs.reading import ExtractiveReader
from memenvs.streams import Chunk, Question, Stream, load
from rewards.credit import StepGame, continuation_values, estimate, exact_shapley

READER = ExtractiveReader()
STREAM = load("builtin", T=4, sentences=4, questions=6)[0]
NOTHING = '[{"op": "SKIP"}]'


def insert(part, content):
    return {"name": "new_memory_insert", "arguments": {"memory_type": f"{part}_memory", "content": content}}


def update(part, content, item=None):
    arguments = {"memory_type": f"{part}_memory", "new_content": content}
    return {"name": "memory_update", "arguments": arguments | ({"memory_id": item} if item else {})}


def delete(part, item=None):
    arguments = {"memory_type": f"{part}_memory"}
    return {"name": "memory_delete", "arguments": arguments | ({"memory_id": item} if item else {})}


def run(stream, messages, reader=READER, **changed):
    played = EpisodeSettings(**{"memory": "memalpha", "dialect": "memalpha", "k": 2, "chunk_questions": 0} | changed)
    episode = Episode(stream, played)
    for message in messages:
        text = message if isinstance(message, str) else json.dumps(message)
        episode.answer(reader.read(episode.act(text)))
    return episode.record()


def tiny(messages, questions, **changed):
    asked = tuple(Question(key, (answer,), "builtin-fact") for key, answer in questions.items())
    stream = Stream("tiny", "builtin", tuple(Chunk(f"chunk {t}") for t in range(len(messages))), asked)
    return run(stream, messages, KeyReader(), **changed)


def coalitions(T):
    return [steps for size in range(T + 1) for steps in itertools.combinations(range(T), size)]


@st.composite
def sent(draw):
    """Calls on every part, on ids that exist, do not yet exist and no longer exist; all contents differ."""
    rng = random.Random(draw(st.integers(0, 9999)))
    texts = [piece.text for question in STREAM.questions for piece in question.evidence]

    def message(t):
        part = rng.choice(["semantic", "episodic"])
        item = f"{part[0]}{rng.randrange(t + 1)}.0"
        calls = [insert(part, f"{rng.choice(texts)} ({t})")] if rng.random() < 0.8 else []
        calls += rng.choice(
            [[], [update(part, f"{rng.choice(texts)} (now {t})", item)], [delete(part, item)], [delete("core")]]
            + [[update("core", f"{rng.choice(texts)} (core {t})")]] * 2
        )
        rng.shuffle(calls)
        return rng.choice([calls] * 6 + ["done", [{"op": "INSERT", "content": f"{rng.choice(texts)} (plain {t})"}]])

    return [message(t) for t in range(STREAM.T)]


@settings(max_examples=60)
@given(sent(), st.sampled_from(["memalpha", "memalpha-strict"]), st.sampled_from(["default", "everything"]))
def test_a_coalition_is_an_episode_in_which_the_others_write_nothing(messages, memory, retrieval):
    record = run(STREAM, messages, memory=memory, retrieval=retrieval)
    game = StepGame(EpisodeRecord.from_json(record.to_json()), READER)
    for steps in random.Random(0).sample(coalitions(STREAM.T), 16):
        alone = [message if t in steps else NOTHING for t, message in enumerate(messages)]
        other = run(STREAM, alone, memory=memory, retrieval=retrieval)
        assert game.replay.memory(steps) == other.memory
        assert game.value(steps) == other.r_global


def test_each_part_plays_by_its_own_rules():
    # Steps: a fact, the same fact again (refused as a duplicate), the deletion of the first.
    messages = [[insert("semantic", "ann tea")], [insert("semantic", "ann tea")], [delete("semantic", "s0.0")]]
    record = tiny(messages, {"ann": "tea"})
    game = StepGame(record, KeyReader())
    assert game.players == (0, 1, 2)
    assert game.value([0, 1, 2]) == record.r_global == 0
    # Without the first, the second is stored, and the deletion does not mean it.
    assert [game.value(s) for s in ([0], [1], [0, 2], [1, 2])] == [1, 1, 0, 1]
    # v is 1 for {1} {2} {1,2} {2,3}: by hand over the six orders.
    np.testing.assert_allclose(exact_shapley(game.value, game.players), [0, 1 / 2, -1 / 2], atol=1e-12)


def test_the_same_content_in_the_other_part_is_another_item():
    messages = [[insert("semantic", "ann tea")], [insert("episodic", "ann tea")]]
    game = StepGame(tiny(messages, {"ann": "tea"}), KeyReader())
    assert [item.id for item in game.replay.memory([0, 1])] == ["s0.0", "e1.0"]
    np.testing.assert_allclose(exact_shapley(game.value, game.players), [0.5, 0.5])


def test_the_core_can_be_written_whatever_was_left_out():
    messages = [
        [update("core", "ann coffee")],
        [update("core", "ann tea")],
        [delete("core")],
        [update("core", "bob jazz")],
    ]
    record = tiny(messages, {"ann": "tea", "bob": "jazz"}, memory="memalpha-strict")
    game = StepGame(record, KeyReader())
    assert game.players == (0, 1, 2, 3)
    values = [game.value(steps) for steps in ([0], [0, 1], [1, 2], [1, 3], [3], [0, 1, 2, 3])]
    assert values == [0, 0.5, 0, 0.5, 0.5, record.r_global]


def test_what_the_published_rule_calls_invalid_but_carries_out_is_replayed():
    content = "ann 'status': 'skipped'"
    record = tiny([[insert("semantic", content)], [delete("semantic", "s0.0")]], {"ann": "'status': 'skipped'"})
    (outcome,) = record.steps[0].operations
    assert (outcome.valid, outcome.id) == (False, "s0.0")
    game = StepGame(record, KeyReader())
    assert (game.value([0]), game.value([0, 1])) == (1, 0)


def test_a_refused_insert_fits_its_own_part_once_there_is_room():
    messages = [[insert("semantic", "bob likes green tea")], [insert("episodic", "ann jazz")]]
    record = tiny(messages, {"ann": "jazz"}, limits=MemoryLimits(max_tokens=5))
    assert [o.id for step in record.steps for o in step.operations] == ["s0.0", None]
    game = StepGame(record, KeyReader())
    (item,) = game.replay.memory([1])
    assert (item.content, item.id.startswith("e1.")) == ("ann jazz", True)
    assert (game.value([1]), game.value([0, 1])) == (1, 0)


def test_policies_play_on_in_three_parts():
    messages = [[insert("semantic", "ann tea")], [insert("episodic", "bob jazz")]]
    game = StepGame(tiny(messages, {"ann": "tea", "bob": "jazz"}), KeyReader())

    def forgetful(seen, rngs):
        return [json.dumps([delete("semantic", item.id) for item in now.memory]) for now in seen]

    # From the empty memory nothing comes; after step 0 the policy deletes Ann's fact; both steps together know all.
    assert continuation_values(game, forgetful, 2).means.tolist() == [0, 0, 1]


def test_credit_of_single_items_needs_one_ranked_list():
    record = run(STREAM, [[insert("semantic", "ann tea")]] + [NOTHING] * 3)
    with pytest.raises(DataError, match="memory='memalpha'.*such as loo-step"):
        estimate("loo-item", record, reader=READER)
    flat = run(STREAM, [NOTHING] * 4, memory="flat", dialect="json", retrieval="everything")
    with pytest.raises(DataError, match="retrieval='everything'"):
        estimate("item-shapley", flat, reader=READER)
    assert len(estimate("loo-step", record, reader=READER)) == 4


def test_a_message_that_is_not_the_records_own_is_refused():
    plain = json.loads(run(STREAM, [[insert("semantic", "ann tea")]] + [NOTHING] * 3).to_json())
    plain["steps"][0]["message"] = "done"
    with pytest.raises(DataError, match="step 0 has 0 operations, the record says 1"):
        StepGame(EpisodeRecord.from_json(json.dumps(plain)), READER)


def test_evidence_retrieval_needs_the_episodes_own_retriever():
    plain = json.loads(run(STREAM, [NOTHING] * 4, memory="flat", dialect="json").to_json())
    plain["settings"]["retrieval"] = "evidence"
    with pytest.raises(SettingsError, match="needs the evidence"):
        StepGame(EpisodeRecord.from_json(json.dumps(plain)), READER)
