import math

import pytest

from agents.base import make_agent
from agents.candidate import CandidateAgent, CandidatePolicy, CandidateSettings
from memenvs.errors import ReaderError
from trainers.evaluation import EpisodeScore, evaluate, evaluate_policy, mean_r_global, memory_share, play
from trainers.settings import EnvSettings, TrainSettings

ENV = EnvSettings(T=4)


class Failing:
    name = "failing"

    def read(self, readings):
        raise ReaderError("down")


def test_scores_are_those_of_the_records():
    env = ENV.make("test", evaluation=True)
    agent = make_agent("keep_everything", max_operations=3)
    records = []
    scores = evaluate(env, agent, range(3), keep=records.append)
    assert [s.r_global for s in scores] == [r.r_global for r in records]
    assert [s.stream for s in scores] == [env.unwrapped.dataset[i].id for i in range(3)]
    assert mean_r_global(scores) == pytest.approx(sum(s.r_global for s in scores) / 3)
    assert memory_share(scores) == pytest.approx(sum(r.memory_tokens / r.stream_tokens for r in records) / 3)
    by_hand = {}
    for question in records[0].questions:
        by_hand.setdefault(question.source, []).append(question.score)
    assert scores[0].by_source == {k: pytest.approx(sum(v) / len(v)) for k, v in by_hand.items()}


def test_a_seed_repeats_a_random_agent():
    env = ENV.make("test", evaluation=True)
    agent = make_agent("random", max_operations=3)
    first, again, other = (play(env, agent, 0, seed) for seed in (1, 1, 2))
    assert first == again
    assert [s.message for s in first.steps] != [s.message for s in other.steps]


def test_a_failed_episode_has_no_score_and_is_left_out_of_the_mean():
    env = ENV.make("test", evaluation=True)
    env.unwrapped.reader = Failing()
    (failed,) = evaluate(env, make_agent("nothing"), [0])
    assert math.isnan(failed.r_global)
    assert "down" in failed.failure
    good = EpisodeScore("s", "builtin", 0.5, 10, 100, 0, {})
    assert mean_r_global([failed, good]) == 0.5
    assert math.isnan(mean_r_global([failed]))


def test_streams_played_together_score_as_those_played_alone():
    policy = CandidatePolicy(CandidateSettings(seed=3))
    alone = evaluate(ENV.make("test", evaluation=True), CandidateAgent(policy), range(5))
    for together in (1, 2, 5):
        envs = TrainSettings(env=ENV).make_heldouts(together)
        assert evaluate_policy(envs, policy, range(5)) == alone


def test_drawn_messages_are_a_stream_s_own_and_follow_the_seed():
    policy = CandidatePolicy(CandidateSettings(seed=3))

    def played(together, drawn):
        return evaluate_policy(TrainSettings(env=ENV).make_heldouts(together), policy, range(5), drawn=drawn)

    alone = played(1, 0)
    assert played(2, 0) == played(5, 0) == alone
    assert played(1, 1) != alone != played(1, None)


def test_evaluation_asks_all_questions_and_no_chunk_questions():
    env = EnvSettings(T=4, question_share=0.2).make("test", evaluation=True)
    record = play(env, make_agent("nothing"), 0)
    assert len(record.questions) == len(env.unwrapped.dataset[0].questions)
    assert all(step.readings == () for step in record.steps)


def test_an_evaluation_says_how_far_it_is():
    settings = TrainSettings(env=ENV)
    told = []
    policy = CandidatePolicy(CandidateSettings(max_operations=3, max_item_tokens=48))
    evaluate_policy(settings.make_heldouts(2), policy, range(3), told.append)
    assert told == [0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 2.75, 3.0]
