"""The scoring stage: what has no score says why."""

from dataclasses import replace

import pytest
from tiny_episodes import play

from memenvs.memory.tokens import count_tokens
from memenvs.scoring import JudgeError
from trainers.cli import main
from trainers.judging import Verdicts
from trainers.rescoring import Missing
from trainers.suites.kept import KeptRecords
from trainers.suites.scoring import Scorer, score_file, score_files
from trainers.suites.suite import Column, Suite

SUITE = Suite("tiny", "", "builtin", "test", "mab", (Column("A", ("icl",)), Column("B", ("longmemeval_s",))))


def record(*sources, index=0, **settings):
    """One question per source, each answered with "3", which is right."""
    played = play([[("INSERT", f"q{i} 3")] for i in range(len(sources))], {f"q{i}": "3" for i in range(len(sources))})
    questions = tuple(replace(q, source=s) for q, s in zip(played.questions, sources, strict=True))
    return replace(played, questions=questions, settings={"stream_index": index, **settings})


class Judge:
    """Says yes to all, and nothing about prompts with a word."""

    name = "judge"

    def __init__(self, silent_on=None):
        self.silent_on = silent_on
        self.asked = 0

    def replies(self, prompts):
        self.asked += len(prompts)
        if any(self.silent_on and self.silent_on in prompt for prompt in prompts):
            raise JudgeError("nothing to say")
        return ["yes"] * len(prompts)


def test_every_reason_is_told_apart():
    found = Scorer("mab").scores(
        record("icl_nlu", "longmemeval_s*", "squad", "recsys_redial_full", "icl_nlu", not_asked=[4])
    )
    assert found == [1.0, Missing.JUDGE, Missing.UNKNOWN, Missing.REFUSED, Missing.NOT_ASKED]


def test_a_refusal_is_explained_once_per_source():
    scorer = Scorer("mab")
    scorer.scores(record("recsys_redial_full", "recsys_redial_full", "icl_nlu"))
    assert list(scorer.refusals) == ["recsys_redial_full"]
    assert "entity2id.json" in scorer.refusals["recsys_redial_full"]


@pytest.mark.parametrize("silent_on", [None, "q1"])
def test_scores_are_written_into_the_file_and_summed_up(silent_on, tmp_path):
    kept = KeptRecords(tmp_path / "x.jsonl")
    told = {"question_types": ["multi-session"] * 2}
    for index in range(2):
        kept.append(replace(record("longmemeval_s*", "longmemeval_s*", index=index), metadata=told))
    judge = Judge(silent_on)
    summaries = score_file(kept, SUITE, Scorer("mab", Verdicts(judge)), count_tokens)
    cells = [summary.cells["B"] for summary in summaries]
    if silent_on is None:
        assert [(cell.total, cell.scored, dict(cell.missing)) for cell in cells] == [(2.0, 2, {})] * 2
    else:
        assert [(cell.total, cell.scored, dict(cell.missing)) for cell in cells] == [(1.0, 1, {"judge failed": 1})] * 2
    again = list(kept)
    assert [[q.score for q in r.questions] for r in again] == [[1.0, None if silent_on else 1.0]] * 2
    assert {(r.settings["profile"], r.settings["judge"]) for r in again} == {("mab", "judge")}
    assert [summary.memory_tokens for summary in summaries] == [4, 4]
    # Under another profile, from the same file: the judge's scores are gone, and its name with them.
    score_file(kept, SUITE, Scorer("corrected"), count_tokens)
    assert [[q.score for q in r.questions] for r in kept] == [[1.0, 1.0]] * 2
    assert all("judge" not in r.settings for r in kept)


def test_scoring_tells_how_far_it_is(tmp_path):
    files = {arm: KeptRecords(tmp_path / f"{arm}.jsonl") for arm in ("x", "y")}
    for index, arm in enumerate("xxy"):
        files[arm].append(record("icl_nlu", index=index))
    told = []
    every = score_files(files, SUITE, Scorer("mab"), count_tokens, lambda arm, scored: told.append((arm, scored)))
    assert told == [("x", 0), ("x", 1), ("x", 2), ("y", 0), ("y", 1)]
    assert {arm: [own.cells["A"].total for own in found] for arm, found in every.items()} == {
        "x": [1.0, 1.0],
        "y": [1.0],
    }


def test_the_command_shows_how_many_episodes_it_scored(tmp_path, capsys):
    main(["evaluate", "--suite", "builtin", "--streams", "2", "--controls", "nothing", "rag", "--out", str(tmp_path)])
    assert "scoring: 4 episodes" in capsys.readouterr().out
