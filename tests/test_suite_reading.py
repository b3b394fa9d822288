"""The reading stage of a suite: inject once, read later, ask again what failed, go on where a kill stopped."""

import json
import shutil
from dataclasses import replace

import pytest

from memenvs.errors import DataError, ReaderError, SettingsError
from memenvs.reading import Answer, ExtractiveReader
from memenvs.record import EpisodeRecord
from trainers.suites.catalogue import SUITES
from trainers.suites.kept import KeptRecords
from trainers.suites.later import reading_of, unread, with_answers
from trainers.suites.plan import make_plan
from trainers.suites.run import read_suite

ARMS = ["random", "first", "rag", "oracle_evidence"]


def plan(reader=None, streams=3, arms=ARMS, **options):
    return make_plan(SUITES["builtin"], [], arms, {"T": 4, **options}, reader or ExtractiveReader(), streams)


def records(folder, arms=ARMS):
    """Arm -> its records as plain data, without what time decides."""
    found = {}
    for arm in arms:
        lines = [json.loads(line) for line in (folder / "records" / f"{arm}.jsonl").read_text().splitlines()]
        for line in lines:
            for name in ("seconds", "playing_seconds"):
                line["settings"]["costs"].pop(name)
        found[arm] = lines
    return found


class Flaky:
    """The extractive reader; fails on every second question the first time that it is asked, or on all in one go."""

    name = "extractive"

    def __init__(self, whole=False, recovers=True):
        self.whole, self.recovers = whole, recovers
        self.asked = []
        self.seen = set()

    def read(self, readings):
        self.asked += readings
        if self.whole and len(self.asked) == len(readings):
            raise ReaderError("nobody there")
        answers = []
        for number, (reading, answer) in enumerate(zip(readings, ExtractiveReader().read(readings), strict=True)):
            fails = number % 2 == 0 and (reading not in self.seen or not self.recovers) and not self.whole
            answers.append(Answer("", failure="as told") if fails else answer)
            self.seen.add(reading)
        return answers


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An evaluation without any trouble."""
    folder = tmp_path_factory.mktemp("whole")
    read_suite(plan(), folder)
    return folder


def test_the_budget_is_the_reference_agents_size(whole):
    found = records(whole)
    for own, other in zip(found["first"], found["random"], strict=True):
        assert own["settings"]["budget"] == other["steps"][-1]["memory_tokens"]
        assert own["steps"][-1]["memory_tokens"] <= own["settings"]["budget"]


@pytest.mark.parametrize("reader", [Flaky(), Flaky(whole=True)], ids=["single", "whole"])
def test_questions_that_failed_are_asked_again_and_give_the_same(reader, whole, tmp_path):
    shown = []
    read_suite(plan(reader), tmp_path, lambda progress: shown.append(progress.failed))
    expected = records(whole)
    found = records(tmp_path)
    for arm in ARMS:
        for one, other in zip(found[arm], expected[arm], strict=True):
            assert one["questions"] == other["questions"]
            assert one["failure"] is None
            asked = sum(question["prediction"] is not None for question in one["questions"])
            assert one["settings"]["costs"]["readings"] > asked or reader.whole
    assert max(shown) > 0
    assert shown[-1] == 0


def test_a_question_that_fails_again_stays_failed_and_is_asked_on_resume(whole, tmp_path):
    read_suite(plan(Flaky(recovers=False)), tmp_path)
    failed = [q for arm in ARMS for r in records(tmp_path)[arm] for q in r["questions"] if q["prediction"] is None]
    assert failed
    assert all(q["score"] is None and q["failure"] == "as told" for q in failed)
    again = read_suite(plan(ExtractiveReader()), tmp_path)
    assert again.unavailable == {}
    expected = records(whole)
    for arm in ARMS:
        for one, other in zip(records(tmp_path)[arm], expected[arm], strict=True):
            assert one["questions"] == other["questions"]


def test_only_what_has_no_answer_is_asked_on_resume(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    reader = Flaky()
    read_suite(plan(reader), tmp_path / "copy")
    assert reader.asked == []


@pytest.mark.parametrize("cut", [1, 200, 5000])
def test_a_torn_line_is_played_again(cut, whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    path = folder / "records" / "rag.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    read_suite(plan(), folder)
    assert records(folder) == records(whole)


def test_a_record_of_a_stream_twice_is_refused(whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    path = folder / "records" / "rag.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(DataError, match="two records of stream 0"):
        read_suite(plan(), folder)


def test_more_agents_later_are_the_same_as_at_once(whole, tmp_path):
    read_suite(plan(arms=["random"]), tmp_path)
    read_suite(plan(), tmp_path)
    assert records(tmp_path) == records(whole)


def test_another_plan_in_the_folder_is_refused_with_the_way_out(tmp_path):
    plan().check_mark(tmp_path)
    plan().check_mark(tmp_path)
    for other, named in ((plan(k=3), "k 5 there, 3 now"), (plan(streams=2), "streams 3 there, 2 now")):
        with pytest.raises(SettingsError, match=named) as refused:
            other.check_mark(tmp_path)
        assert "--out" in str(refused.value)
        assert "--resume never" in str(refused.value)
    plan(k=3).check_mark(tmp_path, anew=True)
    plan(k=3).check_mark(tmp_path)


def test_starting_anew_drops_the_records(whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    plan(k=3).check_mark(folder, anew=True)
    assert not list((folder / "records").iterdir())


def test_a_reading_is_made_of_the_record_alone(whole):
    first = next(iter(KeptRecords(whole / "records" / "rag.jsonl")))
    question = first.questions[0]
    reading = reading_of(first, question)
    chunks = {step.step: step.chunk for step in first.steps}
    assert [text for _, text in reading.items] == [chunks[found.step] for found in question.retrieved]
    with pytest.raises(DataError, match="not in the record's memory"):
        reading_of(replace(first, memory=()), question)


def test_answers_must_fit(whole):
    first = next(iter(KeptRecords(whole / "records" / "rag.jsonl")))
    opened = replace(first, questions=(replace(first.questions[0], prediction=None, score=None), *first.questions[1:]))
    assert unread(opened) == [0]
    with pytest.raises(ReaderError, match="expected 1 answers"):
        with_answers(opened, [])
    with pytest.raises(ReaderError, match="which it was not given"):
        with_answers(opened, [Answer("x", ("nowhere",))])
    assert with_answers(opened, [Answer(first.questions[0].prediction, first.questions[0].evidence_ids)]) == first


def test_kept_records_come_back(whole, tmp_path):
    first, *rest = KeptRecords(whole / "records" / "random.jsonl")
    kept = KeptRecords(tmp_path / "records" / "x.jsonl")
    assert list(kept) == []
    kept.append(first)
    for record in rest:
        kept.append(record)
    kept.replace(iter([first]))
    assert list(KeptRecords(kept.path)) == [first]
    assert isinstance(first, EpisodeRecord)


def test_the_first_agent_named_gives_its_size_and_stands_once():
    agents = ["hindsight", "long_context:50"]
    made = make_plan(SUITES["builtin"], agents, ["all"], {}, ExtractiveReader(), 2)
    assert list(made.arms)[:2] == ["hindsight", "long_context-50"]
    assert made.reference == "hindsight"
    assert {name for name, arm in made.arms.items() if arm.needs_budget} == {
        "first@hindsight", "last@hindsight", "random_budget@hindsight"
    }  # fmt: skip
    assert list(made.arms).count("hindsight") == 1
