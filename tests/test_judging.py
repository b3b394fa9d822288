"""Verdicts over saved answers: a failing case leaves the others alone, replies are kept on disk, over HTTP too."""

import json
import threading
from dataclasses import replace

import pytest
from endpoint_server import EndpointServer

from memenvs import Episode, EpisodeSettings
from memenvs.errors import ScorerError, SettingsError
from memenvs.record import EpisodeRecord
from memenvs.scoring import CachedJudge, Case, JudgeError, make_judge, rubric_for, verdicts, verdicts_each
from memenvs.scoring.judge import attempts
from memenvs.streams import Chunk, Question, Stream
from trainers.cli import main
from trainers.judging import KEPT, Verdicts, case_of

LME = "longmemeval_s*"
KINDS = ("multi-session", "temporal-reasoning", "knowledge-update")


class Picky:
    """Says "yes" to what it knows, and fails a whole batch if it does not know one prompt of it."""

    name = "picky-1"

    def __init__(self, *known):
        self.known, self.batches = known, []

    def replies(self, prompts):
        self.batches.append(len(prompts))
        if not all(any(word in prompt for word in self.known) for prompt in prompts):
            raise ScorerError("lost the thread")
        return ["yes"] * len(prompts)


def test_prompts_that_fail_are_found_by_halves():
    judge = Picky("a", "b", "d")
    found = attempts(judge, ["a", "b", "c", "d"])
    assert [one if isinstance(one, str) else type(one) for one in found] == ["yes", "yes", JudgeError, "yes"]
    assert judge.batches == [4, 2, 2, 1, 1]
    assert attempts(judge, []) == []


def test_a_case_that_fails_leaves_the_others_alone():
    rubric = rubric_for(LME, "mab")
    cases = [
        Case("Rome", ("Rome",), "Where?", KINDS[0]),
        Case("Oslo", ("Rome",), "Where?", "no such type"),
        Case("Bern", ("Rome",), "Where?", KINDS[0]),
    ]
    first, second, third = verdicts_each(cases, rubric, Picky("Response: Rome"))
    assert first == 1.0
    assert isinstance(second, ScorerError)
    assert not isinstance(second, JudgeError), "the rubric cannot ask about it"
    assert isinstance(third, JudgeError)
    assert "lost the thread" in str(third)
    with pytest.raises(ScorerError, match="needs the question's type"):
        verdicts(cases, rubric, Picky("Response"))


def test_a_reply_without_a_number_is_the_judges_failure():
    class Vague:
        name = "vague-1"

        def replies(self, prompts):
            return ['{"fluency": 1}' if "coherent" in prompt else "many" for prompt in prompts]

    case = Case("A summary.", ("A book.",), keypoints=("a point",))
    (found,) = verdicts_each([case], rubric_for("infbench_sum_eng_shots2", "mab"), Vague())
    assert isinstance(found, JudgeError)
    assert "expected a JSON object" in str(found)


def test_replies_are_kept_on_disk_and_failures_are_not(tmp_path):
    path = tmp_path / "kept" / "verdicts.sqlite"
    judge = Picky("a", "b")
    with pytest.raises(JudgeError, match="no reply to 1 of 3 prompts; the first: lost the thread"):
        CachedJudge(judge, path=path).replies(["a", "c", "b"])
    silent = Picky("c")
    again = CachedJudge(silent, path=path)
    assert again.replies(["b", "c", "a", "c"]) == ["yes"] * 4
    assert silent.batches == [1], "only what failed is asked again, once"
    other = Picky()
    other.name = "picky-2"
    assert isinstance(CachedJudge(other, path=path).attempts(["a"])[0], JudgeError), (
        "another judge's replies are its own"
    )
    (tmp_path / "other").write_text("no cache")
    with pytest.raises(SettingsError, match="expected a reply cache"):
        CachedJudge(judge, path=tmp_path / "other")


def test_several_askers_may_share_a_file(tmp_path):
    path = tmp_path / KEPT
    askers = [CachedJudge(Picky("p"), path=path) for _ in range(4)]
    prompts = [f"p{number}" for number in range(20)]
    found = [[] for _ in askers]

    def ask(place):
        found[place] = askers[place].replies(prompts)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["yes"] * 20] * 4
    assert CachedJudge(Picky(), path=path).replies(prompts) == ["yes"] * 20


def stream():
    questions = tuple(Question(f"Where on day {n}?", (f"town {n}",), LME) for n in range(3))
    metadata = {
        "question_types": list(KINDS),
        "question_ids": ["q0", "q1_abs", "q2"],
        "keypoints": ["one", "two"],
        "x": 1,
    }
    return Stream("s/0", LME, (Chunk("The towns."),), questions, metadata)


def record(asked=None, predictions=("town 0", "town 1", "nowhere")):
    episode = Episode(stream(), EpisodeSettings(), questions=asked)
    episode.act("[]")
    episode.answer(None, "no reader")
    made = episode.record()
    questions = tuple(
        replace(question, prediction=predictions[int(question.question[-2])], score=None) for question in made.questions
    )
    return replace(made, questions=questions, failure=None)


def test_a_record_holds_what_a_judge_must_know():
    made = EpisodeRecord.from_json(record(asked=[2, 1]).to_json())
    assert made.metadata == {
        "question_types": [KINDS[2], KINDS[1]], "question_ids": ["q2", "q1_abs"], "keypoints": ["one", "two"],
    }  # fmt: skip
    assert case_of(made, 0) == Case("nowhere", ("town 2",), "Where on day 2?", KINDS[2], ("one", "two"))
    assert case_of(made, 1).kind == "temporal-reasoning_abs"


def test_each_answer_is_asked_about_once_however_many_records_give_it():
    judge = Picky("Response")
    verdicts_of = Verdicts(judge)
    verdicts_of.ask([record(), record()], ["mab", "memalpha-train"])
    verdicts_of.ask([record()], ["mab"])
    assert judge.batches == [3]
    assert [verdicts_of.of(record(), index, "mab") for index in range(3)] == [1, 1, 1]
    assert isinstance(verdicts_of.of(record(), 0, "longmemeval"), JudgeError), "it was not asked under this profile"


def town(messages):
    """Yes where the response names the right town."""
    text = messages[-1]["content"]
    right = text.partition("['")[2].partition("']")[0]
    return "yes" if f"Model Response: {right}" in text else "No."


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "evaluation" / "records"
    folder.mkdir(parents=True)
    for name, predictions in (("good", ("town 0", "town 1", "town 2")), ("bad", ("town 0", "nowhere", "nowhere"))):
        (folder / f"{name}.jsonl").write_text(record(predictions=predictions).to_json() + "\n")
    return folder.parent


def line(result, agent, source=LME):
    (found,) = [r for r in result["rows"] if (r["agent"], r["source"], r["profile"]) == (agent, source, "mab")]
    return found


def rescore(saved, out, *more):
    main(["rescore", str(saved), "--profile", "mab", "--out", str(out), *more])
    return json.loads((out / "rescored.json").read_text())


def test_rescore_asks_a_judge_over_http_and_only_once(saved, tmp_path, capsys):
    assert line(rescore(saved, tmp_path / "without"), "good")["needs_a_judge"] == 3
    with EndpointServer(town) as server:
        server.fault_of = lambda request: "400" if "day 1" in request["messages"][-1]["content"] else ""
        judge = f"{server.address}#rules"
        result = rescore(saved, tmp_path / "a", "--judge", judge)
        assert (line(result, "good")["score"], line(result, "bad")["score"]) == (1.0, 0.5)
        assert line(result, "good")["judge_failed"] == line(result, "bad")["judge_failed"] == 1
        assert line(result, "good", "r_global")["score"] is None, "a stream counts with all its questions"
        assert "no score: mab, longmemeval_s*: refused" in capsys.readouterr().out
        asked = len(server.requests)
        server.fault_of = None
        result = rescore(saved, tmp_path / "b", "--judge", judge)
        assert (line(result, "good")["score"], line(result, "bad")["score"]) == (1.0, pytest.approx(1 / 3))
        assert len(server.requests) - asked == 2, "one answer of each agent was left"
        assert (saved / KEPT).is_file()
        asked = len(server.requests)
        main(["compare", *(str(saved / "records" / f"{n}.jsonl") for n in ("good", "bad")), "--profile", "mab", "--judge", judge,
              "--out", str(tmp_path / "c")])  # fmt: skip
        compared = json.loads((tmp_path / "c" / "compared.json").read_text())
        assert (compared["judge"], compared["rows"][0]["difference"]) == (result["judge"], pytest.approx(2 / 3))
        assert len(server.requests) == asked, "compare finds the verdicts of rescore"


def test_a_judge_needs_a_profile_to_compare_under(saved):
    files = [str(saved / "records" / f"{name}.jsonl") for name in ("good", "bad")]
    with pytest.raises(SystemExit, match="a judge scores under a profile"):
        main(["compare", *files, "--judge", "http://127.0.0.1:1/v1#rules"])


def test_an_endpoint_judge_fails_prompt_by_prompt():
    with EndpointServer(lambda messages: "yes") as server:
        server.fault_of = lambda request: "400" if request["messages"][-1]["content"] == "b" else ""
        judge = make_judge(f"{server.address}#rules")
        found = judge.attempts(["a", "b", "c"])
        assert [isinstance(one, JudgeError) for one in found] == [False, True, False]
        with pytest.raises(JudgeError, match="no reply to 1 of 2 prompts; the first: refused"):
            judge.replies(["a", "b"])
