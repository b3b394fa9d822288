"""``memenvs data inspect``: counts, tokens, problems, a sample."""

from __future__ import annotations

import json

import pytest
from published_files import locomo_conversation, longmemeval_instance, write_json

from memenvs.memory.tokens import count_tokens
from memenvs.streams import load
from trainers.cli import main
from trainers.commands_inspect import report


def test_the_report_counts_what_is_there(tmp_path):
    rows = [
        longmemeval_instance(),
        longmemeval_instance(question_id="e2_abs", answer=""),
        longmemeval_instance(answer=None),
    ]
    data = load(write_json(tmp_path / "s.json", rows), on_error="skip")
    found = report(data, count_tokens)
    assert {name: found[name] for name in ("streams", "skipped", "chunks", "questions", "questions_with_evidence")} == {
        "streams": 2, "skipped": 1, "chunks": 4, "questions": 2, "questions_with_evidence": 1}  # fmt: skip
    assert found["sources"] == {"longmemeval-abstention-multi-session": 1, "longmemeval-multi-session": 1}
    assert found["steps"] == {"min": 2, "mean": 2.0, "max": 2, "sum": 4}
    sizes = [count_tokens(chunk.text) for chunk in data[0].chunks]
    assert found["tokens_per_chunk"]["max"] == max(sizes)
    assert found["tokens_per_stream"]["sum"] == 2 * sum(sizes)
    assert found["fingerprint"] == data.fingerprint
    assert found["problems"] == [data.skipped[0].reason, "e2_abs: questions with an empty reference: [0]"]
    assert "row 2, field answer" in found["problems"][0]
    assert found["sample"]["references"] == ["tea"]


def test_problems_that_a_loader_noted_are_listed(tmp_path, capsys):
    path = write_json(tmp_path / "locomo10.json", [locomo_conversation()])
    main(["data", "inspect", str(path), "--as-json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["streams"], found["questions"], found["tokens"], found["licence"]) == (1, 5, "words", "CC BY-NC 4.0")
    assert "conv-1: question 3: no evidence" in found["problems"]


def test_questions_asked_twice_are_a_problem(tmp_path):
    asked = locomo_conversation()["qa"][:1] * 2
    found = report(load(write_json(tmp_path / "locomo10.json", [locomo_conversation(qa=asked)])), count_tokens)
    assert "conv-1: 1 questions asked more than once" in found["problems"]


def test_the_summary_for_people_and_a_file_that_is_none(tmp_path, capsys):
    path = write_json(tmp_path / "locomo10.json", [locomo_conversation(sample_id="[bold]")])
    main(["data", "inspect", str(path), "--families", "locomo-5"])
    out = capsys.readouterr().out
    assert "questions: 1" in out
    assert "stream: [bold]" in out
    with pytest.raises(SystemExit, match=r"DataError: .*x\.json holds no streams"):
        main(["data", "inspect", str(write_json(tmp_path / "x.json", {"a": 1}))])
