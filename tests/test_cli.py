"""The commands as a person runs them."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rewards.credit import ESTIMATORS
from trainers.cli import main
from trainers.reward_bench.methods import CONTROLS

SMALL = ["--T", "4", "--updates", "2", "--group-size", "2", "--eval-streams", "2", "--final-streams", "2"]


def run(*arguments, **keywords):
    return subprocess.run(
        [sys.executable, "-m", "memenvs", *arguments], capture_output=True, text=True, timeout=600, **keywords
    )


def test_envs_as_json(capsys):
    main(["envs", "--as-json"])
    found = {info["id"]: info for info in json.loads(capsys.readouterr().out)}
    assert found["FineMem-Memalpha-v0"]["data"] == "builtin"
    assert found["FineMem-Memalpha-Flat-v0"]["observation"] == "array"


@pytest.mark.parametrize("command", ["train", "evaluate", "envs", "play", "demo", "bench-rewards"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "(default:" in text
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith("memenvs ")]
    assert len(examples) >= 2, "each example stands on a line of its own"
    assert f"memenvs {command}" in examples
    if command == "train":
        assert "memenvs train --reward my_module:MyReward" in examples
    if command == "bench-rewards":
        assert "memenvs bench-rewards --wrappers my_module:MyReward" in examples


@pytest.mark.parametrize("command", ["train", "bench-rewards"])
def test_help_names_every_estimator(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    named = set(re.findall(r"[a-z]+(?:-[a-z]+)*", re.sub(r"-\s*│\s*│\s*", "-", capsys.readouterr().out)))
    assert set(ESTIMATORS) <= named
    if command == "bench-rewards":
        assert set(CONTROLS) <= named


def test_the_overview_names_each_command_once_and_shortly(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in ("train", "evaluate", "envs", "play", "demo", "bench-rewards"):
        assert f"• {command} " in text
    assert "--reward" not in text


def test_a_misspelt_command_is_an_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["trian"])
    assert stopped.value.code != 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two trained runs with the same last folder name, under different quotas."""
    folder = tmp_path_factory.mktemp("runs")
    main(["train", *SMALL, "--out", str(folder / "a" / "seed0")])
    main(["train", *SMALL, "--max-operations", "6", "--out", str(folder / "wide" / "seed0")])
    main(["train", *SMALL, "--seed", "1", "--out", str(folder / "b" / "seed0")])
    return folder


def test_train_then_evaluate_beside_controls(runs, tmp_path, capsys):
    run = runs / "a" / "seed0"
    assert {p.name for p in run.iterdir()} >= {"metrics.csv", "result.json", "curve.png", "settings.json"}
    main(["evaluate", "--agents", str(run), "nothing", "first", "hindsight", "--streams", "3", "--out", str(tmp_path)])
    table = json.loads((tmp_path / "table.json").read_text())
    rows = {row["agent"]: row for row in table["rows"]}
    assert rows["nothing"]["r_global"] == 0
    assert rows["hindsight"]["r_global"] > 0.8
    assert rows["hindsight"]["builtin-fact"] > 0.8
    assert rows["first"]["memory_tokens"] <= rows["seed0"]["memory_tokens"]
    assert rows["seed0"]["run"] == str(run)
    assert table["equal_memory_reference"] == str(run)
    facts = (table["data"], table["split"], table["profile"], table["reader"], table["streams"])
    assert facts == ("builtin", "test", "corrected", "extractive", 3)
    assert table["limits"] == {"max_operations": 3, "max_item_tokens": 48, "memory_budget": None}
    with (tmp_path / "table.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            assert (line["data"], line["profile"], line["dataset"]) == ("builtin", "corrected", table["dataset"])
    shown = capsys.readouterr().out
    assert "T 4, max_operations 3" in shown


def test_a_run_is_evaluated_in_its_own_environment(runs, tmp_path, capsys):
    main(["evaluate", "--agents", str(runs / "wide" / "seed0"), "--streams", "3", "--out", str(tmp_path)])
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["limits"]["max_operations"] == 6
    assert table["settings"]["T"] == 4
    assert table["rows"][0]["invalid_operations"] == 0
    assert "max_operations 6" in capsys.readouterr().out


def test_records_of_every_agent_are_kept_apart(runs, tmp_path):
    agents = [str(runs / "a" / "seed0"), str(runs / "b" / "seed0"), "nothing", "first", "nothing"]
    main(["evaluate", "--agents", *agents, "--streams", "2", "--out", str(tmp_path), "--records"])
    files = {p.name: p.read_text().splitlines() for p in (tmp_path / "records").iterdir()}
    assert set(files) == {"a-seed0.jsonl", "b-seed0.jsonl", "nothing.jsonl", "first.jsonl"}
    assert all(len(lines) == 2 for lines in files.values())
    assert len(json.loads((tmp_path / "table.json").read_text())["rows"]) == 4


@pytest.mark.parametrize("agents", [["hindsight", "candidate"], ["hindsight", "keep_evrything"], ["nothing", "first"]])
def test_agents_are_checked_before_anything_is_played(agents, tmp_path):
    with pytest.raises(SystemExit):
        main(["evaluate", "--agents", *agents, "--out", str(tmp_path), "--records", "--streams", "1"])
    assert not list(tmp_path.iterdir())


def test_a_reward_is_found_in_the_current_directory(tmp_path):
    (tmp_path / "my_reward.py").write_text(
        "from rewards import RewardWrapper\n\n\nclass Mine(RewardWrapper):\n"
        "    def terms(self, record):\n        return {'mine': (1.0,) * record.T}\n"
    )
    script = Path(sys.executable).with_name("memenvs")
    if not script.is_file():
        pytest.skip("needs the installed console script")
    done = subprocess.run(
        [script, "train", *SMALL, "--reward", "my_reward:Mine", "--out", "run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert " 2/2 " in done.stdout
    assert json.loads((tmp_path / "run" / "result.json").read_text())["settings"]["reward"] == "my_reward:Mine"


def test_play_reads_a_persons_lines():
    done = run("play", "--T", "4", input="1 2\nd 0.0\n9\n\n\n")
    assert done.returncode == 0, done.stderr
    assert "the chunk has 1 to" in done.stdout
    assert "r_global" in done.stdout


def test_play_cuts_sentences_to_the_size_of_an_item_and_takes_a_text_with_commas():
    done = run("play", "--T", "4", "--max-item-tokens", "6", input="1 2\n+ Ann, Bob, Eve\n\n\n")
    assert done.returncode == 0, done.stderr
    assert "refused" not in done.stdout
    assert "Ann, Bob, Eve" in done.stdout


def test_play_stops_when_the_person_does():
    assert "stopped before the end" in run("play", "--T", "4", input="q\n").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--reward", "finmem"], "Did you mean 'finemem'?"),
        (["train", "--data", "no/such/file.parquet"], "no such file or folder"),
        (["evaluate", "--agents", "keep_evrything"], "Did you mean 'keep_everything'?"),
        (["evaluate", "--agents", "first"], "needs a memory size"),
        (
            ["evaluate", "--agents", "candidate"],
            "accepted: the folder of a run (memenvs train --out ...), or one of controls",
        ),
        (["evaluate", "--agents", "tests"], "holds no checkpoint"),
        (["evaluate", "--agents"], "at least one agent"),
        (["evaluate", "--seed", "-1"], "seed must be at least 0"),
        (["evaluate", "--streams", "0"], "streams must be at least 1"),
        (["evaluate", "--env-id", "Foo-v0"], "`Foo` doesn't exist"),
        (["evaluate", "--env-id", "FineMem-Memalpha-Flat-v0"], "gives arrays"),
        (["train", "--env-id", "Foo-v0"], "`Foo` doesn't exist"),
        (["train", "--env-id", "FineMem-Memalpha-Flat-v0"], "gives arrays"),
        (["train", "--seed", "-1"], "seed must be at least 0"),
        (["bench-rewards", "--estimators", "evidence-sited"], "Did you mean 'evidence-cited'?"),
        (["bench-rewards", "--wrappers", "my_modul:MyReward"], "cannot be imported"),
        (["bench-rewards", "--data", "no/such/folder"], "no such file or folder"),
        (["bench-rewards", "--policy", "tests"], "holds no checkpoint"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--out", str(tmp_path / "x")])
    assert message in str(stopped.value.code)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stream", "-1"], "must be an index below"),
        (["--env-id", "Foo-v0"], "`Foo` doesn't exist"),
        (["--env-id", "FineMem-Memalpha-Flat-v0"], "gives arrays"),
        (["--max-operations", "0"], "max_operations must be at least 1"),
    ],
)
def test_mistakes_in_play_are_explained_too(arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(["play", *arguments])
    assert message in str(stopped.value.code)
