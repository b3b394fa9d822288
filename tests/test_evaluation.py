import math

import pytest
from endpoint_server import EndpointServer, first_note

from agents.base import make_agent
from agents.candidate import CandidateAgent, CandidatePolicy, CandidateSettings
from memenvs.errors import ReaderError
from memenvs.reading import make_reader
from trainers.evaluation import EpisodeScore, evaluate, evaluate_policy, mean_r_global, memory_share, play
from trainers.layers import share_reader
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


def read_over_http(server, together):
    """Scores and records of four streams, and how many questions each call of the reader asked."""
    reader, calls, records = make_reader(f"{server.address}#rules", concurrency=4), [], []
    read = reader.read
    reader.read = lambda readings: calls.append(len(readings)) or read(readings)
    envs = TrainSettings(env=ENV).make_heldouts(together)
    share_reader(envs, reader)
    scores = evaluate_policy(envs, CandidatePolicy(CandidateSettings(seed=3)), range(4), keep=records.append)
    return scores, records, calls


def test_streams_that_end_together_are_read_with_one_call():
    with EndpointServer(first_note) as server:
        alone, records, calls = read_over_http(server, 1)
        asked = [len(record.questions) for record in records]
        assert calls == asked
        found, again, calls = read_over_http(server, 3)
        assert calls == [sum(asked[:3]), asked[3]]
    assert found == alone
    assert [(r.steps, r.questions) for r in again] == [(r.steps, r.questions) for r in records]


def test_a_question_that_fails_is_one_stream_s_though_others_are_read_with_it():
    with EndpointServer(first_note) as server:
        alone, records, _ = read_over_http(server, 1)
    lost = records[1].questions[0].question
    with EndpointServer(first_note) as server:  # another one, whose replies nobody remembers
        server.fault_of = lambda request: "400" if lost in request["messages"][-1]["content"] else ""
        found, again, _ = read_over_http(server, 4)
    failed = [(n, q.question) for n, record in enumerate(again) for q in record.questions if q.failure is not None]
    assert failed == [(1, lost)]
    assert [score.failure is not None for score in found] == [False, True, False, False]
    assert [found[n] for n in (0, 2, 3)] == [alone[n] for n in (0, 2, 3)]
    assert again[1].questions[1:] == records[1].questions[1:]


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
