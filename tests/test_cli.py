"""The commands as a person runs them."""

import json
import subprocess
import sys

import pytest

from trainers.cli import main


def run(*arguments, **keywords):
    return subprocess.run(
        [sys.executable, "-m", "memenvs", *arguments], capture_output=True, text=True, timeout=120, **keywords
    )


def test_envs_as_json(capsys):
    main(["envs", "--as-json", "True"])
    found = {info["id"]: info for info in json.loads(capsys.readouterr().out)}
    assert found["FineMem-Memalpha-v0"]["data"] == "builtin"
    assert found["FineMem-Memalpha-Flat-v0"]["observation"] == "array"


@pytest.mark.parametrize("command", ["train", "evaluate", "envs", "play", "demo"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "(default:" in text
    if command == "train":
        assert "--reward my_module:MyReward" in " ".join(text.split())


def test_train_then_evaluate_beside_controls(tmp_path, capsys):
    small = ["--T", "4", "--updates", "2", "--group-size", "2", "--eval-streams", "2", "--final-streams", "2"]
    main(["train", *small, "--out", str(tmp_path / "a")])
    assert {p.name for p in (tmp_path / "a").iterdir()} >= {"metrics.csv", "result.json", "curve.png", "settings.json"}
    agents = [str(tmp_path / "a"), "nothing", "first", "hindsight"]
    out = tmp_path / "table"
    main(["evaluate", "--agents", *agents, "--T", "4", "--streams", "3", "--out", str(out), "--records", "True"])
    table = json.loads((out / "table.json").read_text())
    rows = {row["agent"]: row for row in table["rows"]}
    assert rows["nothing"]["r_global"] == 0
    assert rows["hindsight"]["r_global"] > 0.8
    assert rows["first"]["memory_tokens"] <= rows[str(tmp_path / "a")]["memory_tokens"]
    assert table["data"] == "builtin"
    assert (table["split"], table["profile"], table["reader"], table["streams"]) == (
        "test",
        "corrected",
        "extractive",
        3,
    )
    assert len((out / "a.jsonl").read_text().splitlines()) == 3


def test_play_reads_a_persons_lines():
    done = run("play", "--T", "4", input="1 2\nd 0.0\n9\n\n\n")
    assert done.returncode == 0, done.stderr
    assert "the chunk has 1 to" in done.stdout
    assert "r_global" in done.stdout


def test_play_stops_when_the_person_does():
    assert "stopped before the end" in run("play", "--T", "4", input="q\n").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--reward", "finmem"], "Did you mean 'finemem'?"),
        (["train", "--data", "no/such/file.parquet"], "no such file or folder"),
        (["evaluate", "--agents", "keep_evrything"], "Did you mean 'keep_everything'?"),
        (["evaluate", "--agents", "first"], "needs a memory size"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--out", str(tmp_path / "x")])
    assert message in str(stopped.value.code)
