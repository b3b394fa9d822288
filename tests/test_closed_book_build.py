"""`memenvs data build memalpha --closed-book`: over a real server; what a model knows without the text is left out and counted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("openai")
pytest.importorskip("pyarrow")

from endpoint_server import EndpointServer, Messages, free_port, start_process

from memenvs.streams import load
from trainers.cli import main
from trainers.data_build.memalpha import BuildSettings, build

NUMBER = "How many steps has tower"


def squad_json(path: Path, articles: int = 40) -> Path:
    """Articles of 4 paragraphs; each asks for a number of steps and for a town."""

    def paragraph(i: int, j: int) -> dict[str, object]:
        context = f"Castle {i} stands in Town {j}. " + f"Its tower {j} has {100 + i} old steps and a garden. " * 30
        asked = [(f"{NUMBER} {i} {j}?", str(100 + i)), (f"Where is castle {i} {j}?", f"Town {j}")]
        return {"context": context, "qas": [{"question": q, "answers": [{"text": a}]} for q, a in asked]}

    data = [{"title": f"A{i}", "paragraphs": [paragraph(i, j) for j in range(4)]} for i in range(articles)]
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    return path


def knowing_numbers(messages: Messages) -> str:
    """Knows every tower, in other words and after some thought, and no town."""
    question = messages[-1]["content"].rpartition("Question: ")[2]
    if question.startswith(NUMBER):
        return f"<think>Town 3?</think> It has {100 + int(question.split()[-2])} STEPS."
    return "<think>Town 0, Town 1, Town 2, Town 3</think> I do not know."


def command(raw: Path, out: Path, address: str) -> list[str]:
    return ["data", "build", "memalpha", "--squad", str(raw), "--out", str(out), "--small", "--instances", "3",
            "--chunk-questions", "none", "--closed-book", f"{address}#rules"]  # fmt: skip


def questions(out: Path) -> set[str]:
    return {q.text for split in ("train", "test") for stream in load(out, split=split) for q in stream.questions}


def test_only_questions_that_need_the_text_remain_and_the_manifest_counts_the_others(tmp_path, capsys):
    raw = squad_json(tmp_path / "squad.json")
    with EndpointServer(knowing_numbers) as server:
        main(command(raw, tmp_path / "out", server.address))
        asked = len(server.requests)
    assert all(text.startswith("Where is castle") for text in questions(tmp_path / "out"))
    manifest = json.loads((tmp_path / "out/MANIFEST.json").read_text())
    found = manifest["sources"]["squad"]["closed_book"]
    assert found == {"model": "rules", "asked": asked, "left_out": asked // 2, "blank_replies": 0}
    assert asked == 318
    assert f"{asked // 2} of {asked} questions that rules knows" in " ".join(capsys.readouterr().out.split())
    assert "127.0.0.1" not in (tmp_path / "out/MANIFEST.json").read_text()
    build({"squad": raw}, tmp_path / "all", BuildSettings(small=True, instances=3, chunk_questions="none"))
    assert any(text.startswith(NUMBER) for text in questions(tmp_path / "all"))


def test_a_question_without_a_reply_ends_the_build_and_the_next_one_asks_only_it(tmp_path):
    raw, out = squad_json(tmp_path / "squad.json"), tmp_path / "out"
    with EndpointServer(knowing_numbers) as server:
        server.fault_of = lambda request: "400" if "castle 7 2?" in request["messages"][-1]["content"] else ""
        with pytest.raises(SystemExit, match=r"1 of \d+ closed-book questions got no reply, so nothing is written"):
            main(command(raw, out, server.address))
        assert not (out / "train.parquet").exists()
        before, server.fault_of = len(server.requests), None
        main(command(raw, out, server.address))
        again = [request["messages"][-1]["content"] for request in server.requests[before:]]
    assert len(again) == len(set(again)) < 318
    assert sum("castle 7 2?" in text for text in again) == 1
    assert len(server.requests) == 319, "what was answered is not asked again"


def test_blank_replies_leave_questions_in_as_published(tmp_path):
    raw = squad_json(tmp_path / "squad.json", 12)
    with EndpointServer(lambda messages: " ") as server:
        from memenvs.endpoint import ChatEndpoint, ChatSettings

        model = ChatEndpoint(ChatSettings(server.address, "rules", max_retries=0))
        settings = BuildSettings(small=True, instances=3, chunk_questions="none")
        manifest = build({"squad": raw}, tmp_path / "out", settings, closed_book=model)
    found = manifest["sources"]["squad"]["closed_book"]
    assert (found["left_out"], found["blank_replies"]) == (0, found["asked"])


def test_a_model_that_knows_everything_leaves_no_stream(tmp_path):
    raw = squad_json(tmp_path / "squad.json", 12)
    with (
        EndpointServer(lambda messages: " ".join(map(str, range(100, 140))) + " Town 0 Town 1 Town 2 Town 3") as server,
        pytest.raises(SystemExit, match="fewer than 10 questions that need the text"),
    ):
        main(command(raw, tmp_path / "out", server.address))


def test_a_model_without_questions_to_filter_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.label").write_text("DESC:manner How?\n")
    with pytest.raises(SystemExit, match="closed_book filters questions of squad and hotpotqa"):
        main(
            [
                "data",
                "build",
                "memalpha",
                "--trec",
                str(tmp_path / "t.label"),
                "--closed-book",
                "http://127.0.0.1:9/v1#m",
            ]
        )
    with pytest.raises(SystemExit, match="--closed-book-cache needs --closed-book"):
        main(["data", "build", "memalpha", "--trec", str(tmp_path / "t.label"), "--closed-book-cache", "x.sqlite"])
    assert [path.name for path in tmp_path.iterdir()] == ["t.label"]


@pytest.mark.slow
def test_a_killed_build_goes_on_and_gives_what_an_unbroken_one_gives(tmp_path):
    raw, port, log = squad_json(tmp_path / "squad.json"), free_port(), tmp_path / "served.jsonl"
    server = start_process(port, log, "--answer", "echo", "--hold-after", "60")
    address = f"http://127.0.0.1:{port}/v1"
    try:
        first = subprocess.Popen([sys.executable, "-m", "memenvs", *command(raw, tmp_path / "out", address)])
        while not log.is_file() or len(log.read_text().splitlines()) < 60:
            assert first.poll() is None
            threading.Event().wait(0.02)
        for one in (first, server):
            one.send_signal(signal.SIGKILL)
            one.wait()
        assert not (tmp_path / "out/train.parquet").exists()
        server = start_process(port, log, "--answer", "echo")
        main(command(raw, tmp_path / "out", address))
        served = log.read_text().splitlines()
        main(command(raw, tmp_path / "whole", address))
    finally:
        server.kill()
        server.wait()
    # Only what was under way when it was killed is asked twice.
    assert len(set(served)) == 318 <= len(served) <= 318 + 8
    assert (tmp_path / "out/train.parquet").read_bytes() == (tmp_path / "whole/train.parquet").read_bytes()
    assert (tmp_path / "out/MANIFEST.json").read_text() == (tmp_path / "whole/MANIFEST.json").read_text()
