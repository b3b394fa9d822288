"""A language model's run whose reader is away: exit code, what is kept, and going on."""

import json

import pytest

pytest.importorskip("transformers")

from endpoint_server import EndpointServer, first_note, free_port

from agents.language_model.small import SmallSettings, make_small
from memenvs.streams import load
from trainers.cli import main
from trainers.lock import alone_in
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings
from trainers.tokens.settings import LanguageModelSettings


def test_a_run_without_a_reader_fails_keeps_its_warm_start_and_goes_on(tmp_path, capsys):
    own = LanguageModelSettings(model=str(tmp_path / "model"), message="sentences", task="", memory_tokens=0)
    data = load("builtin", "train", T=4)
    small = SmallSettings(hidden=32, layers=1, vocabulary=400)
    make_small(own.model, [data[i] for i in range(8)], own.prompt(EnvSettings(T=4)), small)
    folder, nowhere = tmp_path / "run", f"http://127.0.0.1:{free_port()}/v1#rules"
    command = [
        "train", "--agent", "lm", "--model", own.model, "--message", "sentences", "--task=", "--memory-tokens", "0",
        "--max-tokens", "48", "--T", "4", "--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "1",
        "--chunk-questions", "1", "--warm-start", "scripted", "--warm-streams", "12", "--warm-epochs", "8", "--warm-rate", "1e-2",
        "--warm-batch", "4", "--reader-patience", "0", "--out", str(folder),
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--reader", nowhere])
    assert str(stopped.value.code).startswith("ReaderError: the reader failed in all 1 held-out episodes")
    assert "connection" in str(stopped.value.code)
    assert not {path.name for path in folder.iterdir()} & {"start.json", "result.json"}
    assert (folder / "checkpoint-000000").is_dir()
    capsys.readouterr()
    with EndpointServer(first_note) as server:
        main([*command, "--reader", f"{server.address}#rules", "--resume", "auto"])
        with alone_in(folder), pytest.raises(SystemExit, match="another command is writing"):
            main([*command, "--reader", f"{server.address}#rules", "--resume", "auto"])
    shown = capsys.readouterr().out
    assert "teacher" not in shown
    lines = read_metrics(folder / "metrics.csv")
    assert [line["update"] for line in lines] == [0, 1]
    assert lines[0]["warm/loss"] > 0
    for name in ("start.json", "result.json"):
        told = json.loads((folder / name).read_text())
        # Of the attempt that failed its evaluation only the warm start counts, and a teacher asks nobody.
        assert (told["failures"], told["cost"]["reader/failed"]) == (0, 0)
