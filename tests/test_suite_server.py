"""A suite read by a model over HTTP whose server is killed: no question is lost, counted twice or turned into a wrong answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, free_port, start_process

from trainers.cli import main

ARMS = ["nothing", "random", "rag"]
SMALL = ["--suite", "builtin", "--T", "5", "--streams", "4", "--controls", *ARMS]


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "memenvs", "evaluate", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def results(folder):
    """Questions and answers of every run, and the table's scores."""
    runs = {}
    for path in sorted((folder / "runs").iterdir()):
        streams = json.loads(path.read_text())["streams"]
        runs[path.stem] = [(s["stream"], s["questions"]) for s in streams]
    table = json.loads((folder / "table.json").read_text())
    scores = {
        row["agent"]: (row["subtasks"], row["of_subtasks"], row["missing"])
        for row in table["rows"]
        if not row["published"]
    }
    return runs, scores


def costs(folder, name):
    rows = json.loads((folder / "table.json").read_text())["rows"]
    return sum(row["costs"].get(f"reader_{name}", 0) for row in rows if not row["published"])


def wait_for_lines(log, lines, process):
    while not log.is_file() or len(log.read_text().splitlines()) < lines:
        assert process.poll() is None, process.stdout.read()
        threading.Event().wait(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    port = free_port()
    server = start_process(port, folder / "served.jsonl")
    evaluate(*SMALL, "--reader", f"http://127.0.0.1:{port}/v1#rules", "--out", folder)
    server.kill()
    server.wait()
    return folder


def test_killed_and_restarted_within_patience(undisturbed, tmp_path):
    port, log = free_port(), tmp_path / "served.jsonl"
    server = start_process(port, log, "--hold-after", "20")
    process = started(*SMALL, "--reader", f"http://127.0.0.1:{port}/v1#rules", "--out", tmp_path)
    wait_for_lines(log, 20, process)
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert process.poll() is None, process.stdout.read()
    server = start_process(port, log)
    out, _ = process.communicate()
    server.kill()
    server.wait()
    assert process.returncode == 0, out
    assert results(tmp_path) == results(undisturbed)
    assert costs(tmp_path, "answered") == pytest.approx(costs(undisturbed, "answered"))
    assert costs(tmp_path, "prompt_tokens") == pytest.approx(costs(undisturbed, "prompt_tokens"))


def test_gone_for_good_then_back_for_the_same_command(undisturbed, tmp_path, capfd):
    port, log = free_port(), tmp_path / "served.jsonl"
    given = [
        *SMALL,
        "--reader",
        f"http://127.0.0.1:{port}/v1#rules",
        "--patience",
        "0",
        "--concurrency",
        "2",
        "--out",
        tmp_path,
    ]
    server = start_process(port, log, "--die-after", "25")
    with pytest.raises(SystemExit) as ended:
        evaluate(*given)
    assert ended.value.code == 3
    assert server.wait() == -signal.SIGKILL
    runs, scores = results(tmp_path)
    questions = [question for streams in runs.values() for _, own in streams for question in own]
    failed = [question for question in questions if question["prediction"] is None]
    assert 0 < len(failed) < len(questions)
    assert all(question["score"] is None and question["failure"] for question in failed)
    assert sum(missing.get("failed", 0) for *_, missing in scores.values()) == len(failed)
    assert f"failed: {len(failed)} questions" in capfd.readouterr().out.replace("\n", " ")
    server = start_process(port, log)
    evaluate(*given)
    server.kill()
    server.wait()
    assert results(tmp_path) == results(undisturbed)
    assert costs(tmp_path, "answered") == pytest.approx(costs(undisturbed, "answered"))
    prompts = log.read_text().splitlines()
    assert len(prompts) == len(set(prompts)), "no question that was answered is asked again"


def test_evaluation_and_server_killed_together(undisturbed, tmp_path):
    port, log = free_port(), tmp_path / "served.jsonl"
    given = [*SMALL, "--reader", f"http://127.0.0.1:{port}/v1#rules", "--out", tmp_path]
    server = start_process(port, log, "--hold-after", "30")
    process = started(*given)
    wait_for_lines(log, 30, process)
    for one in (process, server):
        one.send_signal(signal.SIGKILL)
        one.wait()
    server = start_process(port, log)
    evaluate(*given)
    server.kill()
    server.wait()
    assert results(tmp_path) == results(undisturbed)
    answered, cached = costs(tmp_path, "answered"), costs(tmp_path, "cached")
    assert answered + cached == pytest.approx(costs(undisturbed, "answered") + costs(undisturbed, "cached"))


def test_faults_of_a_server_change_nothing(undisturbed, tmp_path):
    port = free_port()
    server = start_process(port, tmp_path / "served.jsonl")
    with EndpointServer(upstream=f"http://127.0.0.1:{port}/v1") as proxy:
        proxy.faults = ["429 0.01", "", "500", "", "drop", "", "half", "", "html", "", "cut"]
        evaluate(*SMALL, "--reader", f"{proxy.address}#rules", "--out", tmp_path)
        assert proxy.faults == []
    server.kill()
    server.wait()
    assert results(tmp_path) == results(undisturbed)
    assert costs(tmp_path, "retries") == pytest.approx(6)


def keeper(messages):
    """A manager: keeps a line about every chunk."""
    return json.dumps([{"op": "INSERT", "content": f"noted: {messages[-1]['content'][-60:]}"}])


def test_a_manager_whose_server_fails_plays_again(tmp_path, capfd):
    with EndpointServer(keeper) as server:
        given = ["--suite", "builtin", "--T", "5", "--streams", "2", "--controls", "nothing"]
        given += ["--agent", f"endpoint:{server.address}#rules"]
        evaluate(*given, "--out", tmp_path / "whole")
        whole, _ = results(tmp_path / "whole")
        server.fault_of = lambda request: "400"
        with pytest.raises(SystemExit) as ended:
            evaluate(*given, "--out", tmp_path / "other")
        assert ended.value.code == 3
        told = " ".join(capfd.readouterr().out.split())
        assert "2 of 2 streams; the same command plays them again" in told
        assert set(results(tmp_path / "other")[0]) == {"nothing"}
        server.fault_of = None
        server.faults = ["", "", "400"]
        evaluate(*given, "--out", tmp_path / "other")
        assert server.faults == []
    assert results(tmp_path / "other")[0] == whole
    rows = {row["agent"]: row for row in json.loads((tmp_path / "other" / "table.json").read_text())["rows"]}
    [agent] = [name for name in rows if name != "nothing"]
    assert rows[agent]["memory_tokens"] > 0
    assert rows[agent]["costs"]["manager_answered"] + rows[agent]["costs"]["manager_cached"] == 10
    assert "manager_answered" not in rows["nothing"]["costs"]


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "transformers", "fastapi", "uvicorn")),
    reason="needs transformers serve: pip install -e '.[serve]'",
)
def test_a_small_language_model_behind_a_server_that_is_killed(tmp_path, shared):
    from tiny_server import make_model, serve

    model = make_model(tmp_path / "tiny")
    port = free_port()
    data = shared / "data" / "rebuilt_memalpha_schema"
    given = [
        "--suite",
        "memalpha",
        "--data",
        data,
        "--streams",
        "3",
        "--controls",
        "nothing",
        "random",
        "oracle_evidence",
        "--k",
        "2",
    ]
    given += ["--reader", f"http://127.0.0.1:{port}/v1#{model}", "--max-tokens", "6", "--concurrency", "4"]
    given += ["--patience", "600"]
    server = serve(model, port, tmp_path / "home")
    evaluate(*given, "--out", tmp_path / "whole")
    process = started(*given, "--out", tmp_path / "killed")
    records = tmp_path / "killed" / "records"
    while not any(path.stat().st_size for path in records.glob("*.jsonl")):
        assert process.poll() is None
        threading.Event().wait(0.01)
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert process.poll() is None
    server = serve(model, port, tmp_path / "home")
    out, _ = process.communicate()
    server.kill()
    server.wait()
    assert process.returncode == 0, out
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert costs(tmp_path / "killed", "completion_tokens") == pytest.approx(
        costs(tmp_path / "whole", "completion_tokens")
    )
    assert costs(tmp_path / "killed", "retries") > 0
