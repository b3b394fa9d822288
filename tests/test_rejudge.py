"""Records with another judge's scores: what changes, what stays, and what no verdict does."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import memenvs  # noqa: F401  (registers the ids)
from memenvs.errors import ScorerError, SettingsError
from memenvs.memory import MemoryItem, Retrieved
from memenvs.record import EpisodeRecord, ReadingRecord, StepRecord
from rewards import terms
from trainers.slots.judges import ExactJudge
from trainers.slots.judging import rejudge
from trainers.slots.self_prm import SelfPrmJudge

NAN = float("nan")


def question(name, prediction, score):
    return ReadingRecord(name, (f"ref {name}",), "builtin-fact", (Retrieved("0.0", 1.0, 0, 0),), (), prediction, score)


def episode(*predictions, failure=None, scores=None):
    """An episode with one global question per prediction and one chunk question; None is a reading that failed."""
    scores = [None if p is None else 0.0 for p in predictions] if scores is None else scores
    chunk = question("chunk", "x", 0.5)
    steps = (StepRecord(0, "c", None, 10, "m", None, (), 1, 5, (chunk,)),)
    asked = tuple(question(f"q{j}", p, s) for j, (p, s) in enumerate(zip(predictions, scores, strict=True)))
    return EpisodeRecord("s", "builtin", "f", steps, asked, (MemoryItem("0.0", "x", 0, 0, 1),), failure, {"k": 5})


class Recorder:
    """Says what it was shown, and gives the scores it was made with."""

    def __init__(self, **scores):
        self.scores, self.seen = scores, []

    def __call__(self, question, references, answers):
        self.seen.append((question, references, [answer.text for answer in answers]))
        return np.array([self.scores[answer.text] for answer in answers], float)


def test_global_questions_get_the_judges_scores_and_nothing_else_changes():
    judge = Recorder(a=1.0, b=0.25, c=0.5)
    before = [episode("a", "b"), episode("b", "c")]
    after = rejudge(before, judge)
    assert [[q.score for q in record.questions] for record in after] == [[1, 0.25], [0.25, 0.5]]
    assert [record.r_global for record in after] == [0.625, 0.375]
    assert judge.seen == [("q0", ("ref q0",), ["a", "b"]), ("q1", ("ref q1",), ["b", "c"])]
    # The chunk question's score is the reward of its step, and not the judge's.
    assert [terms.chunk(record) for record in after] == [(0.5,)] * 2
    assert after[0].settings == {"k": 5, "judge": "Recorder"}
    restored = [
        replace(new, questions=old.questions, settings=old.settings) for new, old in zip(after, before, strict=True)
    ]
    assert restored == before
    assert EpisodeRecord.from_json(after[0].to_json()) == after[0]


def test_no_verdict_takes_the_rollout_out_of_the_statistics():
    first, second = rejudge([episode("a", "b"), episode("a", "c")], Recorder(a=1.0, b=NAN, c=0.5))
    assert [q.score for q in first.questions] == [1.0, None]
    assert first.failure == "Recorder gave no verdict on the answer 'b' to 'q1'"
    assert math.isnan(first.r_global)
    assert (second.failure, second.r_global) == (None, 0.75)


def test_failed_rollouts_stay_failed_and_are_not_shown():
    failed = episode("a", None, failure="the reader timed out")
    elsewhere = episode("a", "b", failure="a chunk question failed", scores=[0.0, 1.0])
    judge = Recorder(c=1.0, d=0.5)
    after = rejudge([failed, episode("c", "d"), elsewhere], judge)
    assert after[0] == failed
    assert after[2] == elsewhere
    assert after[1].r_global == 0.75
    assert [texts for *_, texts in judge.seen] == [["c"], ["d"]]


def test_a_question_that_failed_without_failing_its_record_stays_so():
    for unanswered in (episode("a", None), episode("a", "b", scores=[0.0, None])):
        (after,) = rejudge([unanswered], Recorder(a=1.0, b=1.0))
        assert [q.score for q in after.questions] == [1.0, None]


def test_nobody_to_judge():
    everyone = [episode("a", failure="x"), episode("b", failure="y")]
    assert rejudge(everyone, Recorder()) == everyone
    assert rejudge([], Recorder()) == []


def test_what_records_do_not_hold_is_given_beside_them():
    after = rejudge([episode("a", "b"), episode("c", "b")], SelfPrmJudge("best"), self_scores=[[0.9, 0.1], [0.2, 0.3]])
    assert [[q.score for q in record.questions] for record in after] == [[1, 1], [0, 1]]

    def first_number(question, references, answers):
        return [float(answer.hidden[0]) for answer in answers]

    hidden = [[np.array([0.1]), np.array([0.2])], [np.array([0.3]), np.array([0.4])]]
    after = rejudge([episode("a", "b"), episode("c", "b")], first_number, hidden=hidden)
    assert [[q.score for q in record.questions] for record in after] == [[0.1, 0.2], [0.3, 0.4]]
    assert after[0].settings["judge"] == "first_number"


@pytest.mark.parametrize(
    ("records", "arguments", "message"),
    [
        ([episode("a"), replace(episode("a"), fingerprint="other", stream_id="s2")], {}, "record 1 .*'s2'"),
        ([episode("a"), episode("a", "b")], {}, "same global questions"),
        ([episode("a", "b")], {"self_scores": [0.1, 0.2]}, r"\(1, 2\), got shape \(2,\)"),
        ([episode("a", "b")], {"hidden": [[None]]}, r"rows of \[1\]"),
    ],
)
def test_records_that_do_not_belong_together_are_refused(records, arguments, message):
    with pytest.raises(SettingsError, match=message):
        rejudge(records, Recorder(a=1.0, b=1.0), **arguments)


@pytest.mark.parametrize("scores", [[1.0], [0.5, 1.5], [-0.1, 0.0], [math.inf, 0.0], 1.0])
def test_a_judge_that_gives_something_else_is_an_error(scores):
    with pytest.raises(ScorerError, match="for each of 2 answers"):
        rejudge([episode("a"), episode("b")], lambda question, references, answers: scores)


def test_played_episodes_can_be_judged_by_their_own_metric():
    env = gym.make("FineMem-Memalpha-v0", data_settings={"T": 4})
    records = []
    for share in (0.3, 1.0):
        observation, _ = env.reset(seed=5)
        done = False
        while not done:
            chunk = observation["chunk"]
            operation = {"op": "INSERT", "content": chunk[: int(share * len(chunk))]}
            observation, _, done, _, _ = env.step(json.dumps([operation]))
        records.append(env.unwrapped.record)
    after = rejudge(records, ExactJudge())
    facts = [
        (old.score, new.score)
        for before, record in zip(records, after, strict=True)
        for old, new in zip(before.questions, record.questions, strict=True)
        if old.source == "builtin-fact"
    ]
    assert any(old == 1 for old, _ in facts)
    assert any(old == 0 for old, _ in facts)
    assert all(old == new for old, new in facts)
