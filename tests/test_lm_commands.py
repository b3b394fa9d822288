"""``memenvs train --agent lm`` and ``demo-lm`` as a person runs them."""

import csv
import json

import pytest

pytest.importorskip("transformers")

from trainers.cli import main
from trainers.comparison import evaluate_control
from trainers.evaluation import mean_r_global
from trainers.lm_demo import _make_model
from trainers.lm_demo_settings import LMDemoSettings, model_folder, run_settings
from trainers.runlog import read_metrics

QUICK = [
    "--seeds", "1", "--updates", "2", "--streams-per-update", "1", "--T", "4", "--warm-streams", "4", "--streams", "2", "--hidden",
    "32", "--layers", "2", "--workers", "1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "example"), [(["train", "--agent", "lm"], "--model Qwen/Qwen3-4B"), (["demo-lm"], "--seeds 1")]
)
def test_help_teaches(command, example, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith(f"memenvs {command[0]}")]
    assert any(example in line for line in examples)


def test_the_help_of_train_says_that_language_models_have_options_of_their_own(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "memenvs train --agent lm --help" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["--agent", "ml"], ["--agent=ml"], ["--agent"]])
def test_an_unknown_agent_is_named(given):
    with pytest.raises(SystemExit, match=r"--agent must be one of candidate, lm, got '(ml)?'"):
        main(["train", *given])


def test_the_candidate_policy_can_be_named_too(tmp_path):
    main([
        "train", "--agent=candidate", "--T", "4", "--updates", "1", "--group-size", "2", "--eval-streams", "1",
        "--final-streams", "1", "--out", str(tmp_path),
    ])  # fmt: skip
    assert len(read_metrics(tmp_path / "metrics.csv")) == 2


@pytest.mark.slow
def test_the_demo_goes_from_nothing_to_table_and_figure_and_is_not_done_twice(tmp_path, capsys):
    main(["demo-lm", *QUICK, "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "GRPO added" in shown
    assert "\ntime: " in shown
    assert f"{tmp_path / 'runs' / 'seed0'}: " in shown
    table = json.loads((tmp_path / "table.json").read_text())
    means = {row["agent"]: row["r_global"] for row in table["rows"]}
    for gained, how in (("gained", ""), ("drawn_gained", ", drawn")):
        assert table[gained]["mean"] == pytest.approx(means[f"warm start + GRPO{how}"] - means[f"warm start{how}"])
    run = tmp_path / "runs" / "seed0"
    env = run_settings(LMDemoSettings(T=4), 0).env
    # The table's streams are none of the curve's.
    assert means["scripted"] == mean_r_global(evaluate_control("scripted", env, "test", (1000, 1001), None))
    assert {"heldout/r_global", "heldout/drawn_r_global"} <= read_metrics(run / "metrics.csv")[-1].keys()
    with (tmp_path / "table.csv").open() as file:
        assert {row["agent"] for row in csv.DictReader(file)} >= {"scripted", "scripted, memory hidden", "hindsight"}
    assert (tmp_path / "curves.png").stat().st_size > 5000
    kept = run / "result.json"
    made = kept.stat().st_mtime_ns
    main(["demo-lm", *QUICK, "--out", str(tmp_path)])
    assert kept.stat().st_mtime_ns == made
    capsys.readouterr()
    # The run is an agent like any other, by its folder, in tables and in suites.
    out = ["--streams", "1", "--out", str(tmp_path / "evaluated")]
    main(["evaluate", "--agents", str(run), f"lm:{run}", "--T", "4", *out])
    rows = json.loads((tmp_path / "evaluated" / "table.json").read_text())["rows"]
    assert len(rows) == 1
    assert rows[0]["dialect"] == "sentences"
    main(
        [
            "evaluate",
            "--suite",
            "builtin",
            "--agent",
            str(run),
            "--controls",
            "none",
            "--streams",
            "1",
            "--out",
            str(tmp_path / "suite"),
        ]
    )
    assert len(list((tmp_path / "suite" / "records").glob("*.jsonl"))) == 1
    with pytest.raises(SystemExit, match="resume"):
        main(["train", "--agent", "lm", "--model", str(tmp_path / "models" / "2x32-T4-seed0"), "--out", str(run)])


def test_a_model_made_for_streams_of_another_length_is_not_taken_over(tmp_path):
    short, long = (LMDemoSettings(hidden=16, layers=1, T=T, out=tmp_path) for T in (4, 12))
    for settings in (short, long, short):
        _make_model(settings, 0)
    words = [(model_folder(settings, 0) / "tokenizer.json").read_text() for settings in (short, long)]
    assert words[0] != words[1]
    assert len(list((tmp_path / "models").iterdir())) == 2
