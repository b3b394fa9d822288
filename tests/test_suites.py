"""memenvs evaluate --suite, as a person runs it."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from endpoint_server import EndpointServer

from memenvs.scoring import score
from trainers.cli import main

SMALL = ["--suite", "builtin", "--T", "5", "--streams", "3"]


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


def table(folder):
    """The table without what time decides."""
    found = json.loads((folder / "table.json").read_text())
    for row in found["rows"]:
        for name in ("seconds", "playing_seconds"):
            row.get("costs", {}).pop(name, None)
    return found


def rows(folder):
    return {row["agent"]: row for row in table(folder)["rows"]}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    evaluate(*SMALL, "--out", folder)
    return folder


def test_the_table_is_what_the_runs_say(done):
    found = rows(done)
    assert {"nothing", "keep_everything", "shuffled", "rag", "long_context", "oracle_evidence"} <= set(found)
    for name, row in found.items():
        run = json.loads((done / "runs" / f"{name}.json").read_text())
        by_task = {}
        for stream in run["streams"]:
            own = {}
            for question in stream["questions"]:
                assert question["score"] == score(question["prediction"], question["references"], question["source"])
                own.setdefault(question["subtask"], []).append(question["score"])
            for task, scores in own.items():
                by_task.setdefault(task, []).append(sum(scores) / len(scores))
        means = {task: sum(values) / len(values) for task, values in by_task.items()}
        assert {task: cell["score"] for task, cell in row["subtasks"].items()} == pytest.approx(means)
        assert row["of_subtasks"]["score"] == pytest.approx(sum(means.values()) / len(means))
        assert run["result"]["of_subtasks"]["score"] == row["of_subtasks"]["score"]
        assert (run["seed"], run["profile"], run["suite"]) == (0, "corrected", "builtin")
        assert set(run["versions"]) == {"memenvs", "python", "numpy", "gymnasium"}
    assert found["nothing"]["of_subtasks"]["score"] < found["hindsight"]["of_subtasks"]["score"]
    assert found["nothing"]["memory_tokens"] == 0


def test_a_run_tells_what_was_retrieved_and_cited(done):
    run = json.loads((done / "runs" / "oracle_evidence.json").read_text())
    questions = [q for stream in run["streams"] for q in stream["questions"]]
    for question in questions:
        assert set(question["cited"]) <= {item for item, _ in question["retrieved"]}
    assert any(question["cited"] for question in questions)
    assert run["dataset"] == table(done)["dataset"]


def test_the_csv_has_the_same_numbers(done):
    with (done / "table.csv").open(newline="") as file:
        lines = {line["agent"]: line for line in csv.DictReader(file)}
    for name, row in rows(done).items():
        assert float(lines[name]["of_subtasks"]) == row["of_subtasks"]["score"]
        assert lines[name]["profile"] == "corrected"
    assert (done / "table.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_again_reads_nothing(done, tmp_path, capsys):
    before = table(done)
    evaluate(*SMALL, "--out", done)
    assert table(done) == before
    assert "builtin: 0 questions read" in capsys.readouterr().out


def test_rescore_and_compare_take_the_folder(done, tmp_path, capsys):
    main(["rescore", str(done), "--profile", "corrected", "--out", str(tmp_path)])
    main(["compare", str(done / "records" / "hindsight.jsonl"), str(done), "--out", str(tmp_path)])
    found = json.loads((tmp_path / "compared.json").read_text())["rows"]
    better = {row["agent_b"]: row["difference"] for row in found if row["source"] == "r_global"}
    assert better["nothing"] > 0.5
    assert "costs" not in capsys.readouterr().out


KILLED = """
import os, signal, sys
from trainers.cli import main
from trainers.suites.kept import KeptRecords
append, left = KeptRecords.append, 20

def append_or_die(self, record):
    global left
    append(self, record)
    left -= self.path.parent.name == "records"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

KeptRecords.append = append_or_die
main(sys.argv[1:])
"""


def test_killed_and_resumed_is_the_same_as_not_killed(done, tmp_path):
    given = ["evaluate", *SMALL, "--out", str(tmp_path)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *given], stdout=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    files = list((tmp_path / "records").iterdir())
    assert sum(len(file.read_bytes().splitlines()) for file in files) == 20
    assert not (tmp_path / "table.json").exists()
    with files[0].open("ab") as file:
        file.write(b'{"format": 1, "stream_id": "torn')
    command = [sys.executable, "-m", "memenvs", *given]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONHASHSEED": "7"})
    assert table(tmp_path) == table(done)


def test_an_agent_under_test_gives_the_size_and_is_shuffled(tmp_path):
    # In the folder of an evaluation without it, whose records are taken over.
    evaluate(*SMALL, "--out", tmp_path / "table")
    small = ["--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "1", "--T", "5"]
    main(["train", *small, "--out", str(tmp_path / "run")])
    evaluate(*SMALL, "--agent", tmp_path / "run", "--out", tmp_path / "table")
    found = rows(tmp_path / "table")
    assert next(iter(found)) == "run"
    assert found["run"]["kind"] == "agent"
    assert table(tmp_path / "table")["equal_memory_reference"] == "run"
    assert found["first@run"]["memory_tokens"] <= found["run"]["memory_tokens"]
    assert found["shuffled-run"]["memory_tokens"] == pytest.approx(found["run"]["memory_tokens"])
    shutil.rmtree(tmp_path / "run")
    main(["train", *small, "--seed", "1", "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match="other weights"):
        evaluate(*SMALL, "--agent", tmp_path / "run", "--out", tmp_path / "table")


MISTAKES = [
    (["--suite", "memalfa"], "Did you mean 'memalpha'"),
    (["--suite", "builtin", "--controls", "rga"], "Did you mean 'rag'"),
    (["--suite", "builtin", "--controls", "none"], "nothing to play"),
    (["--suite", "builtin", "--controls", "first"], "needs a memory size"),
    (["--suite", "builtin", "--profile", "mba"], "Did you mean 'mab'"),
    (["--suite", "builtin", "--split", "train"], "its own split"),
    (["--suite", "builtin", "--env-id", "RunningSum-v0"], "env_id"),
    (["--suite", "builtin", "--temperature", "1"], "--temperature: only a reader at an address"),
    (["--suite", "builtin", "--streams", "0"], "at least 1"),
    (["--suite", "builtin", "--streams", "1", "--controls", "shuffled"], "nothing could be played"),
    (["--suite", "memalpha", "--data", "builtin"], "has none of the sub-tasks"),
    (["--profile", "mab"], "needs a suite"),
    (
        ["--on-error", "skip", "--resume", "never", "--no-published"],
        "--resume and --on-error and --no-published needs a suite",
    ),
]


@pytest.mark.parametrize(("arguments", "told"), MISTAKES, ids=[told for _, told in MISTAKES])
def test_mistakes_are_explained_before_anything_is_played(arguments, told, tmp_path):
    with pytest.raises(SystemExit, match=re.escape(told)):
        evaluate(*arguments, "--out", tmp_path)
    assert not list(tmp_path.glob("records/*"))


def test_real_streams_without_and_with_a_judge(shared, tmp_path, capsys):
    given = ["--suite", "memalpha", "--data", shared / "data" / "rebuilt_memalpha_schema", "--controls", "rag"]
    evaluate(*given, "--out", tmp_path)
    row = rows(tmp_path)["rag"]
    assert row["subtasks"]["lme_train"]["score"] is None
    assert row["subtasks"]["lme_train"]["missing"] == {"needs a judge": 100}
    assert "needs a judge" in capsys.readouterr().out
    assert row["of_subtasks"]["over"] == ["SQuAD", "HotpotQA", "NLU", "PubMed", "BookSum"]
    with EndpointServer(lambda messages: "yes") as server:
        evaluate(*given, "--judge", server.address, "--out", tmp_path)
        assert rows(tmp_path)["rag"]["subtasks"]["lme_train"]["score"] == 1
        asked = len(server.requests)
    assert 0 < asked <= 100
    published = [row for row in table(tmp_path)["rows"] if row["published"]]
    assert {row["agent"] for row in published} >= {"Mem-alpha", "RAG-Top2"}
    evaluate(*given, "--no-published", "--profile", "corrected", "--out", tmp_path)
    assert set(rows(tmp_path)) == {"rag"}
    assert table(tmp_path)["profile"] == "corrected"
    assert rows(tmp_path)["rag"]["subtasks"]["lme_train"]["missing"] == {}


def test_a_judge_that_fails_leaves_questions_unscored_and_is_asked_again(shared, tmp_path):
    given = ["--suite", "memalpha", "--data", shared / "data" / "rebuilt_memalpha_schema", "--controls", "nothing"]
    with EndpointServer(lambda messages: "no") as server:
        server.faults = ["400"] * 3
        with pytest.raises(SystemExit) as ended:
            evaluate(*given, "--judge", server.address, "--out", tmp_path)
        assert ended.value.code == 3
        first = rows(tmp_path)["nothing"]["subtasks"]["lme_train"]
        evaluate(*given, "--judge", server.address, "--out", tmp_path)
    failed = first["missing"]["judge failed"]
    assert failed >= 3
    assert first["scored"] == 100 - failed
    assert rows(tmp_path)["nothing"]["subtasks"]["lme_train"]["missing"] == {}


@pytest.mark.parametrize(
    "suite", ["locomo", "memoryagentbench", "longmemeval", "perltqa", "factconsolidation", "memalpha-mab"]
)
def test_every_suite_runs_on_real_records(suite, shared, tmp_path):
    data = {
        "locomo": "locomo", "memoryagentbench": "rebuilt_memoryagentbench_schema", "perltqa": "perltqa",
        "factconsolidation": "rebuilt_memoryagentbench_schema", "longmemeval": "rebuilt_longmemeval_schema",
        "memalpha-mab": "rebuilt_memalpha_schema/memoryagentbench_test.parquet",
    }[suite]  # fmt: skip
    streams = ["--streams", "2"] if suite != "factconsolidation" else []
    evaluate(
        "--suite", suite, "--data", shared / "data" / data, "--controls", "nothing", "rag", *streams, "--out", tmp_path
    )
    found = rows(tmp_path)["rag"]
    assert found["questions"] == found["scored"] + sum(found["missing"].values()) > 0
    if suite == "longmemeval":
        assert set(found["missing"]) == {"needs a judge"}
    else:
        assert found["scored"] > 0
    if suite == "factconsolidation":
        assert set(found["groups"]) == {"Single-hop", "Multi-hop"}
        assert Path(tmp_path / "runs" / "rag.json").is_file()
