"""The folder of a suite's evaluation: one command at a time, and one table of all that several commands played."""

import json
import re
import shutil
import subprocess
import sys
import threading

import pytest
from endpoint_server import EndpointServer, first_note

from trainers.cli import main
from trainers.lock import alone_in

SMALL = ["--suite", "builtin", "--T", "4", "--streams", "2"]


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


def table(folder):
    return json.loads((folder / "table.json").read_text())


def rows(folder):
    return {row["agent"]: row for row in table(folder)["rows"]}


def numbers(folder):
    """Arm -> what it is worth; without times."""
    found = rows(folder)
    for row in found.values():
        row["costs"] = {name: value for name, value in row["costs"].items() if "seconds" not in name}
    return found


def test_a_second_command_in_the_folder_is_refused_until_the_first_is_done(tmp_path):
    folder = tmp_path / "both"
    with EndpointServer(first_note) as server:
        given = [*SMALL, "--controls", "rag", "--reader", f"{server.address}#rules"]
        evaluate(*given, "--out", tmp_path / "alone")
        server.requests.clear()
        server.gate.clear()
        command = [sys.executable, "-m", "memenvs", "evaluate", *given, "--out", str(folder)]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while first.poll() is None and not server.requests:
            threading.Event().wait(0.002)
        held = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
        for more in ([], ["--resume", "never"]):
            with pytest.raises(SystemExit, match=f"process {first.pid} on .*--out"):
                evaluate(*given, *more, "--out", folder)
        assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == held
        server.gate.set()
        assert first.wait() == 0
        evaluate(*given, "--out", folder)
    assert numbers(folder) == numbers(tmp_path / "alone")


def test_a_command_that_was_killed_holds_nothing(tmp_path):
    holding = "import sys; from pathlib import Path; from trainers.lock import alone_in\n"
    holding += "with alone_in(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", holding, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout.readline() == "held\n"
    with pytest.raises(SystemExit, match=f"process {first.pid}"):
        evaluate(*SMALL, "--controls", "rag", "--out", tmp_path)
    first.kill()
    first.communicate()
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "rag.tmp").write_text("half a li")
    evaluate(*SMALL, "--controls", "rag", "--out", tmp_path)
    assert set(rows(tmp_path)) == {"rag"}
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_is_free_again_after_a_mistake(tmp_path):
    with pytest.raises(KeyError), alone_in(tmp_path):
        raise KeyError
    with alone_in(tmp_path), pytest.raises(SystemExit, match="another command"):
        evaluate(*SMALL, "--out", tmp_path)


def test_an_evaluation_without_a_suite_holds_its_folder_too(tmp_path):
    with alone_in(tmp_path), pytest.raises(SystemExit, match="another command"):
        evaluate("--agents", "nothing", "--streams", 1, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """Four arms, played by one command."""
    folder = tmp_path_factory.mktemp("at_once")
    evaluate(*SMALL, "--controls", "random", "first", "rag", "hindsight", "--profile", "mab", "--out", folder)
    return folder


def test_a_table_holds_what_earlier_commands_played_under_the_same_rules(at_once, tmp_path, capsys):
    evaluate(*SMALL, "--controls", "random", "first", "hindsight", "--out", tmp_path)
    before = {path.name for path in (tmp_path / "records").iterdir()}
    evaluate(*SMALL, "--controls", "rag", "--profile", "mab", "--out", tmp_path)
    told = " ".join(capsys.readouterr().out.split())
    assert "name them to ask open questions again: random, first (size of random), hindsight" in told
    assert "not on all" not in told
    assert list(rows(tmp_path)) == ["rag", "random", "first", "hindsight"]
    assert numbers(tmp_path) == numbers(at_once)
    assert table(tmp_path)["earlier"] == {"random": None, "first": "random", "hindsight": None}
    assert table(tmp_path)["arms"] == table(at_once)["arms"]
    runs = [json.loads(path.read_text()) for path in (tmp_path / "runs").iterdir()]
    assert {(run["profile"], run["settings"]["profile"]) for run in runs} == {("mab", "mab")}
    assert before < {path.name for path in (tmp_path / "records").iterdir()}
    main(["compare", str(tmp_path), str(at_once), "--out", str(tmp_path / "compared")])


def test_an_agent_that_joins_leaves_the_controls_of_another_size_named(tmp_path, capsys):
    evaluate(*SMALL, "--controls", "random", "first", "--out", tmp_path)
    evaluate(*SMALL, "--agent", "hindsight", "--controls", "first", "--out", tmp_path)
    assert "random, first (size of random)" in " ".join(capsys.readouterr().out.split())
    assert list(rows(tmp_path)) == ["hindsight", "first@hindsight", "random", "first"]
    sizes = {
        arm: json.loads((tmp_path / "runs" / f"{arm}.json").read_text())["equal_memory_reference"]
        for arm in ("first", "first@hindsight")
    }
    assert sizes == {"first": "random", "first@hindsight": "hindsight"}


def test_an_earlier_arm_that_was_stopped_or_whose_run_is_gone_is_shown_as_it_is(at_once, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(at_once, folder)
    path = folder / "records" / "random.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + "\n" + lines[1][:100])
    gone = [json.loads(line) for line in (folder / "records" / "hindsight.jsonl").read_text().splitlines()]
    for record in gone:
        record["settings"]["arm"] = "runs/gone"
    (folder / "records" / "mine.jsonl").write_text("".join(json.dumps(record) + "\n" for record in gone))
    evaluate(*SMALL, "--controls", "rag", "--out", folder)
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"not on all 2 streams: random 1;", told)
    found = rows(folder)
    assert (found["random"]["streams"], found["rag"]["streams"]) == (1, 2)
    assert found["mine"]["kind"] == "agent"
    assert found["mine"]["of_subtasks"] == found["hindsight"]["of_subtasks"]
    assert table(folder)["arms"]["mine"] == "runs/gone, which is not there any more"


def test_the_exit_code_tells_of_questions_that_are_open(tmp_path):
    with EndpointServer(first_note) as server:
        given = [*SMALL, "--reader", f"{server.address}#rules", "--out", tmp_path]
        server.fault_of = lambda request: "400"
        with pytest.raises(SystemExit) as ended:
            evaluate(*given, "--controls", "rag")
        assert ended.value.code == 3
        asked = rows(tmp_path)["rag"]["questions"]
        assert rows(tmp_path)["rag"]["missing"] == {"failed": asked}
        # Another arm's command has nothing to try again; the one with the questions has, until they are answered.
        server.fault_of = None
        evaluate(*given, "--controls", "nothing")
        assert rows(tmp_path)["rag"]["missing"] == {"failed": asked}
        evaluate(*given, "--controls", "rag")
    assert rows(tmp_path)["rag"]["missing"] == {}


def test_the_help_of_a_switch_says_what_the_switch_does(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--no-published with a suite, leave the paper's rows out. (default: False)" in told
