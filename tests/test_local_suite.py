"""``memenvs evaluate --suite`` with a model within the process as reader."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from small_models import saved_model

from trainers.cli import main

SMALL = ("--suite", "builtin", "--T", "4", "--streams", "2", "--controls", "nothing", "rag")
TOKENS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return saved_model(tmp_path_factory.mktemp("suite") / "tiny")


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


def test_a_table_tells_what_a_local_reader_read_and_cited(folder, tmp_path, capsys):
    asked = ("--reader", f"local:{folder}", "--max-tokens", TOKENS, "--batch", 4, "--device", "cpu")
    evaluate(*SMALL, *asked, "--out", tmp_path)
    assert "uncited" in capsys.readouterr().out
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["reader"] == "tiny"
    assert table["reader_settings"]["max_tokens"] == TOKENS
    for row in table["rows"]:
        runs = json.loads((tmp_path / "runs" / f"{row['agent']}.json").read_text())
        questions = [question for stream in runs["streams"] for question in stream["questions"]]
        spent = row["costs"]
        assert spent["readings"] == len(questions) == spent["reader_answered"] + spent["reader_cached"]
        # Random weights cite nothing: every answer from an item is uncited, none without one.
        assert spent["uncited"] == sum(bool(question["retrieved"]) for question in questions)
        assert all(question["prediction"] and not question["cited"] for question in questions)
        assert spent["reader_completion_tokens"] == pytest.approx(TOKENS * spent["reader_answered"])
    nothing, rag = (row["costs"] for row in table["rows"])
    assert nothing["uncited"] == 0 < rag["uncited"]
    assert rag["reader_prompt_tokens"] > nothing["reader_prompt_tokens"] > 0
    # The same command again reads nothing.
    before = (tmp_path / "records" / "rag.jsonl").read_bytes()
    evaluate(*SMALL, *asked, "--out", tmp_path)
    assert (tmp_path / "records" / "rag.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("reader", "option", "told"),
    [
        ("local:x", ("--timeout", "3"), "--timeout: only a reader at an address .* takes it, not 'local:x'"),
        ("extractive", ("--device", "cpu"), "--device: only a local: reader takes it, not 'extractive'"),
        ("http://127.0.0.1:9/v1#m", ("--batch", "2"), "--batch: only a local: reader takes it"),
        ("extractive", ("--max-tokens", "3"), "--max-tokens: only a reader at an address"),
    ],
)
def test_options_of_another_reader_are_refused(reader, option, told, tmp_path):
    with pytest.raises(SystemExit) as refused:
        evaluate(*SMALL, "--reader", reader, *option, "--out", tmp_path)
    assert re.search(told, str(refused.value))
