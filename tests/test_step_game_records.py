"""What the step game asks of a record, a reader and a coalition, and how it refuses others."""

from __future__ import annotations

import json

import pytest
from tiny_episodes import KeyReader, play

from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.errors import DataError, ReaderError, SettingsError
from memenvs.memory import BM25Retriever, MemoryLimits
from memenvs.reading import ExtractiveReader
from memenvs.streams import Chunk, Question, Stream
from rewards.credit import StepGame

READER = ExtractiveReader()
SKIP = '[{"op": "SKIP"}]'
STREAM = Stream(
    "hand", "builtin", (Chunk("c"),) * 2, (Question("What does Ann like and why?", ("tea",), "builtin-fact"),)
)
LIKES = '[{"op": "INSERT", "content": "What? And why?"}, {"op": "INSERT", "content": "Ann Ann Ann Ann and tea"}]'


def run(played, messages, **arguments):
    episode = Episode(STREAM, played, **arguments)
    for message in messages:
        episode.answer(READER.read(episode.act(message)))
    return episode.record()


def test_a_failed_episode_has_nothing_to_share_out():
    record = play([[("INSERT", "ann tea")]], {"ann": "tea"}, fails=True)
    with pytest.raises(ReaderError, match="failed and earned nothing .*without a message"):
        StepGame(record, KeyReader())


def test_a_failing_reader_leaves_no_value_behind():
    class Moody(KeyReader):
        failing = True

        def read(self, readings):
            if self.failing:
                raise TimeoutError("503")
            return super().read(readings)

    reader = Moody()
    game = StepGame(play([[("INSERT", "ann tea")]], {"ann": "tea"}), reader)
    with pytest.raises(ReaderError, match="TimeoutError: 503"):
        game.value([0])
    assert game.calls == 0
    reader.failing = False
    assert game.value([0]) == 1


@pytest.mark.parametrize("steps", [[3], [-1], [0, 1, 9]])
def test_steps_outside_the_episode_are_refused(steps):
    game = StepGame(play([[("INSERT", "ann tea")]] * 3, {"ann": "tea"}), KeyReader())
    with pytest.raises(SettingsError, match="from 0 to 2, got"):
        game.value(steps)


@pytest.mark.parametrize("missing", ["limits", "k", "profile", "dialect"])
def test_a_record_without_the_episodes_settings_is_refused(missing):
    plain = json.loads(run(EpisodeSettings(), [LIKES, SKIP]).to_json())
    del plain["settings"][missing]
    with pytest.raises(DataError, match="settings must be those of its episode, as Episode.record writes them"):
        StepGame(EpisodeRecord.from_json(json.dumps(plain)), READER)


def test_an_episode_with_its_own_token_counter_needs_it():
    played = EpisodeSettings(limits=MemoryLimits(max_tokens=30))
    record = run(played, [LIKES, '[{"op": "INSERT", "content": "Ann loves jazz"}]'], count=len)
    assert [o.valid for step in record.steps for o in step.operations] == [True, False, True]
    with pytest.raises(DataError, match="do not lead to the memory .* count="):
        StepGame(record, READER)
    game = StepGame(record, READER, count=len)
    assert game.value([0, 1]) == record.r_global
    assert len(game.replay.memory([1])) == 1


def test_an_episode_with_its_own_retriever_needs_it():
    record = run(EpisodeSettings(k=1), [LIKES, SKIP], retriever=BM25Retriever(k1=5.0, b=0.0))
    with pytest.raises(DataError, match=r"finds \['0.0'\], the record \['0.1'\]; give the episode's own retriever"):
        StepGame(record, READER)
    assert StepGame(record, READER, retriever=BM25Retriever(k1=5.0, b=0.0)).value([0]) == record.r_global
