"""Chunk questions by rule and through an endpoint: verified, distinct, never made of a failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from memenvs.errors import DataError
from memenvs.reading import ExtractiveReader
from memenvs.reading.base import Reading
from memenvs.scoring.profiles import score
from memenvs.streams import load
from memenvs.streams.builders.chunk_questions import by_rule, candidates, normal, verified
from trainers.cli import main
from trainers.data_build.asked import tasks

FACTS = (
    "Marie Curie discovered polonium in Paris with her husband in 1898. The bridge over the river Clyde carries 14 trains "
    "every morning. In the small town of Bergen the painter Lars Hertervig sold only seven large pictures. Old boats rust."
)
EXAMPLES = "\n\n".join(
    f"Sentence: {text}\nLabel: {label}" for text, label in [("turn on the lamp", 3), ("play jazz", 8)]
)


def test_questions_by_rule_are_answered_from_the_chunk_and_not_from_nothing():
    (asked,) = by_rule([FACTS], "squad")
    assert len(asked) >= 3
    reader = ExtractiveReader()
    for pair in asked:
        told, untold = reader.read([Reading(pair["question"], (("1", FACTS),)), Reading(pair["question"], ())])
        assert score(told.text, (pair["answer"],), "squad") == 1
        assert untold.text == ""
        assert pair["answer"] in FACTS
        assert f" {normal(pair['answer'])} " not in f" {normal(pair['question'])} "


def test_a_date_a_number_and_a_leading_name_are_asked_for_in_their_own_way():
    found = dict(candidates(FACTS))
    assert found["When? Fill the gap: “Marie Curie discovered polonium in Paris with her husband in ____.”"] == "1898"
    assert found["How many? Fill the gap: “The bridge over the river Clyde carries ____ trains every morning.”"] == "14"
    assert found["Who or what discovered polonium in Paris with her husband in 1898?"] == "Marie Curie"
    assert not any("boats" in question for question in found)


def test_labelled_examples_are_asked_for_their_labels():
    (asked,) = by_rule([EXAMPLES], "icl_nlu_8296shot_balance")
    assert {pair["question"].split("\n")[0]: pair["answer"] for pair in asked} == {
        "Sentence: turn on the lamp": "3",
        "Sentence: play jazz": "8",
    }


def test_no_question_comes_twice_in_a_stream_and_no_answer_twice_in_a_chunk():
    first, second = by_rule([FACTS, FACTS], "squad")
    questions = [normal(pair["question"]) for pair in first + second]
    assert len(set(questions)) == len(questions)
    assert len({normal(pair["answer"]) for pair in first}) == len(first)


def test_the_first_questions_are_spread_over_the_chunk():
    ships = [f"{a}{b}ora" for a in ("Mal", "Ter", "Bin", "Sol", "Kad", "Vor", "Lin") for b in "aeiouy"]
    text = " ".join(f"The {ship} left the old harbour with {i + 100} heavy crates." for i, ship in enumerate(ships))
    (asked,) = by_rule([text], "squad", most=5)
    places = sorted(int(pair["answer"]) - 100 for pair in asked)
    assert len(places) == 5
    assert places[0] < 10
    assert places[-1] > 30


def test_wrapper_lines_are_not_asked_about():
    wrapped = f"[Dialogue between User and Assistant on 2024-01-01 00:00]\n<User>Please note, Anna Bell, 77 things for me:\n{FACTS}"
    assert not any("2024" in q + a or "Anna Bell" in q + a for q, a in candidates(wrapped))


def test_a_question_that_needs_no_memory_is_not_verified():
    class Knowing:
        name = "knowing"

        def read(self, readings):
            from memenvs.reading.base import Answer

            return [Answer("Paris") for _ in readings]

    assert not verified(Knowing(), "What is the capital of France?", "Paris", "Paris is nice.", "squad")


# Through an endpoint: a real server on loopback


class Server:
    """An OpenAI-compatible server that answers as ``reply`` says: a status and a body, per (model, prompt)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.reply: Callable[[str, str], tuple[int, str]] = honest
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = asked["messages"][0]["content"]
                outer.requests.append((asked["model"], prompt))
                status, text = outer.reply(asked["model"], prompt)
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"


def completion(text: str) -> tuple[int, str]:
    return 200, json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
        }
    )


def honest(model: str, prompt: str) -> tuple[int, str]:
    """Writes a question per number in the text, and one that anybody can answer; verifies what stands in the text."""
    if model == "writer":
        numbers = sorted({word.strip(".") for word in prompt.split() if word.strip(".").isdigit() and len(word) > 3})
        pairs = [{"question": f"Which code belongs to door {number}?", "answer": number} for number in numbers]
        return completion(f"Here: {json.dumps([*pairs, {'question': 'What is two and two?', 'answer': 'four'}])}")
    questions = [line.split(". ", 1)[1] for line in prompt.splitlines() if line[:1].isdigit() and ". " in line]
    text = prompt.split("Answer each of these")[0]
    known = [q.split()[-1].rstrip("?") for q in questions]
    return completion(
        json.dumps(["four" if "two" in q else n if n in text else "" for q, n in zip(questions, known, strict=True)])
    )


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two streams with two chunks each; every chunk names two doors."""
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    chunks = [
        [f"Door {1000 + 10 * row + 2 * t} and door {1001 + 10 * row + 2 * t}." for t in range(2)] for row in range(2)
    ]
    rows = [
        {
            "instance_id": 7 + row,
            "prompt": "",
            "chunks": json.dumps(chunks[row]),
            "questions_and_answers": json.dumps([{"question": "q?", "answer": "a"}]),
            "data_source": "squad",
            "metadata": "{}",
            "num_chunks": 2,
            "num_questions": 1,
        }
        for row in range(2)
    ]
    path = tmp_path / "train.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    (tmp_path / "train.evidence.jsonl").write_text('{"instance_id": 7, "evidence_chunk_idx": [[1]]}\n')
    return path


def arguments(data: Path, server: Server, *more: str) -> list[str]:
    pytest.importorskip("openai")
    models = ["--endpoint", server.address, "--generator", "writer", "--verifier", "checker"]
    return ["data", "chunk-questions", str(data), *models, "--max-retries", "0", "--concurrency", "2", *more]


def asked_in(path: Path) -> list[list[list[str]]]:
    streams = load(path)
    return [[[q.references[0] for q in chunk.questions] for chunk in streams[i].chunks] for i in range(len(streams))]


WHOLE = [[["1000", "1001"], ["1002", "1003"]], [["1010", "1011"], ["1012", "1013"]]]


def test_verified_questions_get_into_the_file_and_those_anybody_answers_do_not(data, server, capsys):
    main(arguments(data, server))
    out = data.with_name("train-questions.parquet")
    assert asked_in(out) == WHOLE
    assert load(out)[0].questions[0].evidence[0].step == 1
    # Two rounds for each chunk, because two of five wanted questions are verified in the first and nothing is new in the
    # second: 3 + 1 calls.
    report = json.loads(out.with_suffix(".questions.json").read_text())
    assert report["calls"] == len(server.requests) == 16
    assert (report["prompt_tokens"], report["completion_tokens"]) == (160, 48)
    assert (report["generator"], report["verifier"], report["questions"], report["chunks_with_fewer"]) == (
        "writer",
        "checker",
        8,
        4,
    )
    assert "16 calls" in capsys.readouterr().out


BAD = {
    "too many requests": (429, '{"error": {"message": "slow down"}}'),
    "a server's error": (500, "broken"),
    "no JSON": (200, "<html>maintenance</html>"),
    "no completion": (200, '{"choices": []}'),
    "an empty reply": completion(""),
    "words instead of a list": completion("I cannot do that."),
    "a list of something else": completion("[1, 2]"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("model", ["writer", "checker"])
def test_a_failed_chunk_is_no_data_and_is_tried_again(data, server, kind, model):
    out = data.with_name("train-questions.parquet")
    server.reply = lambda m, prompt: BAD[kind] if m == model and "1012" in prompt else honest(m, prompt)
    with pytest.raises(SystemExit, match=r"1 chunks failed and 0 were not begun"):
        main(arguments(data, server))
    assert not out.exists()
    progress = out.with_suffix(".progress.jsonl").read_text().splitlines()
    assert sorted((e["row"], e["step"]) for e in map(json.loads, progress[1:])) == [(0, 0), (0, 1), (1, 0)]
    failure = json.loads(out.with_suffix(".failures.jsonl").read_text().splitlines()[1])
    assert (failure["row"], failure["step"]) == (1, 1)

    server.reply, before = honest, len(server.requests)
    main(arguments(data, server))
    assert asked_in(out) == WHOLE
    assert all("Door 1000" not in prompt for _, prompt in server.requests[before:])
    # What the failed try cost is in the sum.
    report = json.loads(out.with_suffix(".questions.json").read_text())
    spent = failure["usage"]["calls"]
    assert report["calls"] == 16 + spent


def test_the_client_retries_what_passes(data, server):
    failed: set[str] = set()

    def once(model: str, prompt: str) -> tuple[int, str]:
        if prompt in failed:
            return honest(model, prompt)
        failed.add(prompt)
        return BAD["too many requests"]

    server.reply = once
    main(arguments(data, server, "--max-retries", "2"))
    assert asked_in(data.with_name("train-questions.parquet")) == WHOLE


def test_a_line_that_a_killed_run_left_unfinished_is_asked_again(data, server):
    main(arguments(data, server))
    out = data.with_name("train-questions.parquet")
    progress = out.with_suffix(".progress.jsonl")
    kept = progress.read_bytes()
    progress.write_bytes(kept[:-20])
    out.unlink()
    before = len(server.requests)
    main(arguments(data, server))
    assert asked_in(out) == WHOLE
    assert len(server.requests) - before == 4
    entries = [json.loads(line) for line in progress.read_text().splitlines()]
    assert sorted((entry["row"], entry["step"]) for entry in entries[1:]) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_other_models_do_not_go_on_with_the_same_file(data, server):
    main(arguments(data, server))
    with pytest.raises(SystemExit, match="SettingsError.*give another --out"):
        main([*arguments(data, server), "--rounds", "1"])


def test_a_dead_endpoint_ends_the_run_early(data, server):
    server.reply = lambda *_: BAD["a server's error"]
    with pytest.raises(SystemExit, match="3 were not begun"):
        main(arguments(data, server, "--give-up", "1", "--concurrency", "1"))
    assert len(server.requests) == 1


def test_the_command_by_rule_needs_no_endpoint(data):
    main(["data", "chunk-questions", str(data), "--out", str(data.with_name("asked.parquet"))])
    assert load(data.with_name("asked.parquet"))[0].T == 2
    with pytest.raises(SystemExit, match="need --endpoint"):
        main(["data", "chunk-questions", str(data), "--generator", "writer"])
    with pytest.raises(SystemExit, match="generator is missing"):
        main(["data", "chunk-questions", str(data), "--endpoint", "http://127.0.0.1:1/v1", "--verifier", "x"])


def test_the_file_itself_is_not_overwritten(data):
    with pytest.raises(SystemExit, match="SettingsError"):
        main(["data", "chunk-questions", str(data), "--out", str(data)])


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="found none"):
        tasks(tmp_path / "no.parquet")
    (tmp_path / "train.parquet").touch()
    with pytest.raises(DataError, match=r"a folder; give one of \['train.parquet'\]"):
        tasks(tmp_path)


def test_other_published_formats_are_not_asked_about(shared):
    with pytest.raises(DataError, match="column chunks"):
        tasks(shared / "data/rebuilt_memoryagentbench_schema/data/Conflict_Resolution-00000-of-00001.parquet")


def test_drafts_in_a_models_thoughts_are_neither_questions_nor_answers():
    pytest.importorskip("openai")
    from endpoint_server import EndpointServer

    from trainers.data_build.endpoint import EndpointSettings, ReplyError, ask_chunk, connect

    pair = {"question": "Where did Marie Curie discover polonium?", "answer": "Paris"}

    def reply(messages):
        if "Each question asks" in messages[0]["content"]:
            return f'<think>[{{"question": "Who?", "answer": "Old boats"}}]</think>{json.dumps([pair])}'
        return '<think>["Rome"]</think>["Paris"]' if FACTS in messages[0]["content"] else '[""]'

    with EndpointServer(reply) as server:
        settings = EndpointSettings(server.address, "a", "b", per_chunk=2, rounds=1, extra='{"seed": 5}')
        assert ask_chunk(connect(settings), settings, FACTS, "squad") == [pair]
        assert {request["seed"] for request in server.requests} == {5}
        server.answer = lambda messages: '<think>[{"question": "Who?"'
        with pytest.raises(ReplyError, match="ends within its thoughts"):
            ask_chunk(connect(settings), settings, FACTS, "squad")
