"""Values from snapshots against real episodes that are restored and played on."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from tiny_episodes import KeyReader, play

from memenvs import Episode, EpisodeSettings
from memenvs.errors import ReaderError, SettingsError
from memenvs.memory import MemoryLimits
from memenvs.reading import ExtractiveReader
from memenvs.streams import load
from memenvs.streams.sentences import sentences
from rewards.credit import Continuations, StepGame, continuation_values, monte_carlo_advantages

READER = ExtractiveReader()
SETTINGS = EpisodeSettings(k=2, limits=MemoryLimits(max_operations=3, max_tokens=70), chunk_questions=0)
STREAM = load("builtin", T=6, sentences=4, questions=8)[1]


def skip_all(seen, rngs):
    return ["[]"] * len(seen)


def tidy(seen):
    """Stores the chunk's longest sentence, drops the oldest item while there are more than three and notes the time."""
    operations = [{"op": "INSERT", "content": max(sentences(seen.chunk), key=len)}]
    operations += [{"op": "DELETE", "id": item.id} for item in seen.memory[:-3]]
    if seen.memory and seen.step == seen.T - 1:
        operations.append({"op": "UPDATE", "id": seen.memory[-1].id, "content": f"{seen.timestamp}: {seen.chunk[:40]}"})
    return json.dumps(operations)


def fickle(seen, rng):
    """Stores a random sentence, sometimes drops a random item; how often it draws depends on the memory."""
    operations = [{"op": "INSERT", "content": str(rng.choice(sentences(seen.chunk)))}]
    if seen.memory and rng.random() < 0.5:
        operations.append({"op": "DELETE", "id": seen.memory[int(rng.integers(len(seen.memory)))].id})
    return json.dumps(operations)


def recorded(seed):
    """A record with the snapshot before each of its steps."""
    episode, rng, snapshots = Episode(STREAM, SETTINGS), random.Random(seed), []
    for chunk in STREAM.chunks:
        snapshots.append(episode.snapshot())
        operations = [{"op": "INSERT", "content": rng.choice(sentences(chunk.text))} for _ in range(2)]
        operations.append({"op": "DELETE", "id": f"{rng.randrange(6)}.{rng.randrange(2)}"})
        episode.answer(READER.read(episode.act(json.dumps(operations))))
    return episode.record(), snapshots


def played_on(snapshot, decide):
    """r_global of the episode from a snapshot on, and all that was seen."""
    episode, seen = Episode(STREAM, SETTINGS), []
    episode.restore(snapshot)
    while not episode.done:
        seen.append(episode.observe())
        episode.answer(READER.read(episode.act(decide(seen[-1]))))
    return episode.record().r_global, seen


@pytest.mark.parametrize("seed", range(4))
def test_a_deterministic_policy_gives_the_value_of_its_one_continuation(seed):
    record, snapshots = recorded(seed)
    watched = []

    def policy(seen, rngs):
        watched.append(list(seen))
        return [tidy(each) for each in seen]

    found = continuation_values(StepGame(record, READER), policy, 1)
    for t, snapshot in enumerate(snapshots):
        value, seen = played_on(snapshot, tidy)
        assert found.means[t] == value
        assert [batch[t] for batch in watched[t:]] == seen
    assert found.means[-1] == record.r_global
    assert np.isnan(found.errors[:-1]).all()
    assert found.errors[-1] == 0
    several = continuation_values(StepGame(record, READER), lambda seen, _: [tidy(each) for each in seen], 3)
    np.testing.assert_allclose(several.means, found.means, atol=1e-15)
    np.testing.assert_allclose(several.errors, 0, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_each_continuation_is_that_of_an_episode_played_alone_with_its_own_generator(seed):
    record, snapshots = recorded(seed)

    def policy(seen, rngs):
        return [fickle(each, rng) for each, rng in zip(seen, rngs, strict=True)]

    K = 5
    alone = np.empty((STREAM.T, K))
    for t, k in np.ndindex(alone.shape):
        rng = np.random.default_rng([seed, t, k])
        alone[t, k], _ = played_on(snapshots[t], lambda seen, rng=rng: fickle(seen, rng))
    assert alone.std() > 0
    for count in (2, K):  # more continuations leave the first ones as they are
        found = continuation_values(StepGame(record, READER), policy, count, seed)
        first = alone[:, :count]
        np.testing.assert_allclose(found.means[:-1], first.mean(axis=1), atol=1e-15)
        np.testing.assert_allclose(found.errors[:-1], first.std(axis=1, ddof=1) / np.sqrt(count), atol=1e-15)


def test_values_and_advantages_of_the_published_example():
    # Credit vector 48: returns of 4 continuations from each of 4 memories; the last one is the final memory.
    returns, seed = [[1, 0, 0, 1], [1, 1, 0, 1], [0, 1, 0, 0]], 7
    first = {np.random.default_rng([seed, t, k]).random(): returns[t][k] for t in range(3) for k in range(4)}

    def policy(seen, rngs):
        """Decides at its first step how the continuation ends, and says SKIP from then on."""
        messages = []
        for each, rng in zip(seen, rngs, strict=True):
            right = first.get(rng.random())
            operations = [{"op": "DELETE", "id": item.id} for item in each.memory]
            operations.append({"op": "INSERT", "content": "ann tea" if right else "ann jazz"})
            messages.append('[{"op": "SKIP"}]' if right is None else json.dumps(operations))
        return messages

    record = play([[("INSERT", "ann jazz")], [("DELETE", "0.0")], [("INSERT", "ann tea")]], {"ann": "tea"})
    found = continuation_values(StepGame(record, KeyReader()), policy, 4, seed)
    assert found.means.tolist() == [0.5, 0.75, 0.25, 1.0]
    # Standard deviations (ddof = 1) of two, three and one of four: sqrt(1/3), 1/2, 1/2; halved for the mean of four.
    np.testing.assert_allclose(found.errors, [np.sqrt(1 / 3) / 2, 0.25, 0.25, 0], atol=1e-12)
    assert monte_carlo_advantages(found).tolist() == [0.25, -0.5, 0.75]


def test_advantages_sum_to_what_the_episode_is_worth_beyond_its_policy():
    means = np.random.default_rng(0).random(9)
    advantages = monte_carlo_advantages(Continuations(means, np.zeros(9)))
    assert advantages.shape == (8,)
    assert advantages.sum() == pytest.approx(means[-1] - means[0])


def test_a_policy_that_adds_nothing_leaves_the_worth_of_each_prefix():
    record, _ = recorded(0)
    game = StepGame(record, READER)
    found = continuation_values(game, skip_all, 2)
    assert found.means.tolist() == [game.value(range(t)) for t in range(STREAM.T + 1)]


def test_messages_are_read_in_the_dialect_of_the_episode():
    call = json.dumps([{"name": "insert", "arguments": {"content": "ann tea"}}])
    record = play([[("SKIP",)]], {"ann": "tea"})
    for dialect, value in (("json", 0.0), ("function_calls", 1.0)):
        record.settings["dialect"] = dialect
        game = StepGame(record, KeyReader())
        assert continuation_values(game, lambda seen, _: [call] * len(seen), 1).means[0] == value


def test_messages_that_are_none_change_nothing():
    record = play([[("INSERT", "ann tea")], [("SKIP",)]], {"ann": "tea"})
    found = continuation_values(StepGame(record, KeyReader()), lambda seen, _: [None] * len(seen), 2)
    assert found.means.tolist() == [0, 1, 1]


@pytest.mark.parametrize("surplus", [-1, 1])
def test_another_number_of_messages_is_refused(surplus):
    record = play([[("INSERT", "ann tea")], [("SKIP",)]], {"ann": "tea"})
    game = StepGame(record, KeyReader())
    with pytest.raises(SettingsError, match=f"gave {3 + surplus} messages for 3 observations"):
        continuation_values(game, lambda seen, _: ["[]"] * (len(seen) + surplus), 3)


@pytest.mark.parametrize("continuations", [0, -1, 2.5, True, None])
def test_continuations_must_be_a_count(continuations):
    record = play([[("SKIP",)]], {"ann": "tea"})
    with pytest.raises(SettingsError, match="continuations must be"):
        continuation_values(StepGame(record, KeyReader()), skip_all, continuations)


def test_a_failing_reader_gives_no_values():
    class Failing(KeyReader):
        def read(self, readings):
            raise ReaderError("503")

    record = play([[("INSERT", "ann tea")]], {"ann": "tea"})
    with pytest.raises(ReaderError, match="503"):
        continuation_values(StepGame(record, Failing()), skip_all)
