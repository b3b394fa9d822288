"""Several streams in lock-step: who is asked how often, and that a rollout does not notice its company."""

import json
from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from agents.candidate import CandidatePolicy, CandidateSettings
from memenvs.errors import EpisodeError, ReaderError, SettingsError
from memenvs.reading import ExtractiveReader
from trainers.parts import Parts
from trainers.ray_rollouts import rollouts_by
from trainers.rollout import rollout, rollouts
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import Slots
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.workers import Workers, bundles

G, STREAMS = 3, [7, 8, 9, 10]
SHORT = TrainSettings(env=EnvSettings(T=4, chunk_questions=2), group_size=G)


class Reader(ExtractiveReader):
    """Counts what each call asks, and fails where an item says poison."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def read(self, readings):
        self.calls.append(len(readings))
        if any("poison" in text for reading in readings for _, text in reading.items):
            raise ReaderError("refused")
        return super().read(readings)


class Counting:
    """A policy that counts the views of each call."""

    def __init__(self, policy):
        self.policy, self.calls = policy, []

    def act(self, views, rngs=None, greedy=False):
        self.calls.append(len(views))
        return self.policy.act(views, rngs, greedy)


class Writing:
    """Each rollout writes what it is told, by its place among the views."""

    def __init__(self, said):
        self.said = said

    def act(self, views, rngs=None, greedy=False):
        return [
            SimpleNamespace(message=json.dumps([{"op": "INSERT", "content": self.said.get(place, "nothing")}]))
            for place, _ in enumerate(views)
        ]


def candidate():
    return CandidatePolicy(CandidateSettings(seed=0))


def groups_of(settings, count, reader=None):
    envs = settings.make_envs(count)
    for env in envs if reader is not None else []:
        env.unwrapped.reader = reader
    return [envs[place * G : (place + 1) * G] for place in range(count)]


def rngs(stream):
    return [np.random.default_rng([0, stream, g]) for g in range(G)]


def all_rngs():
    return [rngs(stream) for stream in STREAMS]


def same(found, alone, log_probs):
    assert found.stream == alone.stream
    assert found.records == alone.records
    assert found.states == alone.states
    assert np.array_equal(found.rewards, alone.rewards)
    for left, right in zip(found.decisions, alone.decisions, strict=True):
        assert [d.message for d in left] == [d.message for d in right]
        assert [d.log_prob for d in left] == log_probs([d.log_prob for d in right])


def nearly(values):
    return pytest.approx(values, abs=1e-5)


def test_a_step_of_all_streams_is_one_call_of_policy_and_reader():
    policy, reader = Counting(candidate()), Reader()
    rollouts(groups_of(SHORT, 4, reader), policy, STREAMS, all_rngs())
    assert policy.calls == [4 * G] * 4
    assert len(reader.calls) == 4
    assert reader.calls[:3] == [4 * G * 2] * 3
    assert reader.calls[3] > 4 * G * 2  # and the global questions


def test_streams_in_lock_step_are_played_as_alone():
    found = rollouts(groups_of(SHORT, 4), candidate(), STREAMS, all_rngs())
    for stream, group in zip(STREAMS, found, strict=True):
        same(group, rollout(SHORT.make_envs(), candidate(), stream, rngs(stream)), nearly)


def test_a_language_model_plays_them_as_alone():
    pytest.importorskip("transformers")
    from small_models import small_lm

    from agents.language_model.policy import LanguageModelPolicy
    from agents.language_model.sampling import SamplingSettings

    policy = LanguageModelPolicy(small_lm(), sampling=SamplingSettings(max_tokens=8), batch=5)
    counted = Counting(policy)
    found = rollouts(groups_of(SHORT, 2), counted, STREAMS[:2], all_rngs()[:2])
    assert counted.calls == [2 * G] * 4
    for stream, group in zip(STREAMS[:2], found, strict=True):
        same(group, rollout(SHORT.make_envs(), policy, stream, rngs(stream)), nearly)


def test_a_shorter_stream_leaves_earlier():
    longer = replace(SHORT, env=replace(SHORT.env, T=6))
    envs = [*groups_of(SHORT, 1), *groups_of(longer, 1), *groups_of(SHORT, 1)]
    policy = Counting(candidate())
    found = rollouts(envs, policy, STREAMS[:3], all_rngs()[:3])
    assert policy.calls == [3 * G] * 4 + [G] * 2
    assert [group.rewards.shape for group in found] == [(G, 4), (G, 6), (G, 4)]
    same(found[1], rollout(longer.make_envs(), candidate(), STREAMS[1], rngs(STREAMS[1])), nearly)


def test_leaves_of_trees_follow_their_sibling_in_every_stream():
    policy = Counting(candidate())
    found = rollouts(groups_of(SHORT, 2), policy, STREAMS[:2], all_rngs()[:2], tree=True)
    assert policy.calls == [2 * 2] * 2 + [2 * 3] * 2  # rollouts 0 and 2 decide for three; then each for itself
    for stream, group in zip(STREAMS, found, strict=False):
        assert group.decisions[0][:2] == group.decisions[1][:2]
        same(group, rollout(SHORT.make_envs(), candidate(), stream, rngs(stream), tree=True), nearly)


def test_a_reader_that_fails_on_one_rollout_fails_that_one():
    reader = Reader()
    said = {place: f"note {place}" for place in range(2 * G)} | {1: "poison"}
    first, second = rollouts(groups_of(SHORT, 2, reader), Writing(said), STREAMS[:2], all_rngs()[:2])
    assert first.failed.tolist() == [False, True, False]
    assert not second.failed.any()
    assert [record.failure for record in first.records] == [None, "ReaderError: refused", None]
    assert np.isfinite(first.rewards[[0, 2]]).all()
    assert np.isfinite(second.rewards).all()


class Louder(gymnasium.ActionWrapper):
    """Sends another message than it was given."""

    def action(self, action):
        return action + " "


def test_a_wrapper_that_changes_messages_is_refused():
    """What was trained would not be what was done."""
    envs = [[Louder(env) for env in SHORT.make_envs()]]
    with pytest.raises(EpisodeError, match="a wrapper that changes messages"):
        rollouts(envs, candidate(), STREAMS[:1], all_rngs()[:1])


def test_a_candidate_policy_rounds_as_if_every_stream_were_alone():
    """It plays one after the other, so that any number of workers gives the same bits."""
    parts = Parts(replace(SHORT, streams=4))
    found = parts.play_all(2, STREAMS, 3)
    for place, group in enumerate(found):
        same(group, parts.play(2, STREAMS[place], 3 + place), list)


def test_the_environments_of_a_run_ask_one_reader(monkeypatch):
    read, calls = ExtractiveReader.read, []
    monkeypatch.setattr(ExtractiveReader, "read", lambda self, asked: calls.append(len(asked)) or read(self, asked))
    Parts(SHORT).play(0, STREAMS[0], 0)
    assert calls[:3] == [G * 2] * 3
    assert len(calls) == 4


def test_a_sampler_that_wants_more_streams_gets_them_at_once():
    """Dynamic sampling: both streams of the update, then what is missing, numbered on."""
    asked = []

    def play(parts, update, streams, first):
        asked.append((len(streams), first))
        return parts.play_all(update, streams, first)

    nothing = replace(SHORT.env, memory_budget=1)  # no sentence fits, so that no group tells its rollouts apart
    drawn = Parts(replace(SHORT, env=nothing, streams=2, slots=Slots(sampler="dynamic"))).draw(0, play)
    assert asked == [(2, 0), (2, 2), (2, 4)]
    assert drawn.fresh == 6


@pytest.mark.parametrize(
    ("streams", "batch", "together"), [(4, 64, 4), (32, 64, 8), (32, 63, 7), (4, 8, 1), (4, 2, 1), (1, 64, 1)]
)
def test_as_many_streams_as_fit_into_a_batch_of_a_language_model(streams, batch, together):
    settings = TokenTrainSettings(streams=streams, group_size=8, lm=LanguageModelSettings(batch=batch))
    assert settings.together == together


@pytest.mark.parametrize(
    ("streams", "workers", "told"), [(4, 2, {"batch": 16}), (4, 6, {"streams": 6, "batch": 8}), (32, 8, {"batch": 32})]
)
def test_workers_without_a_job_are_told_how_to_have_one(streams, workers, told):
    settings = TokenTrainSettings(streams=streams, group_size=8)
    options = " ".join(f"--{name} {value}" for name, value in told.items())
    with pytest.raises(SettingsError, match=f"Take {options}, or fewer"), rollouts_by(Workers(workers), settings):
        pass
    taken = replace(settings, streams=told.get("streams", streams), lm=LanguageModelSettings(batch=told["batch"]))
    assert len(bundles(range(taken.streams), 0, taken.together)) == workers
