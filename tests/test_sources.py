"""Opening a source: what is opened for which name, and that nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memenvs.errors import DataError, SettingsError
from memenvs.streams import StreamDataset, load
from memenvs.streams.memalpha import MemalphaStreams


def test_builtin_is_the_default_and_takes_its_settings():
    dataset = load(T=4)
    assert isinstance(dataset, StreamDataset)
    assert (dataset.source, dataset.split, dataset.max_steps) == ("builtin", "train", 4)
    assert dataset[0].T == 4
    assert dataset[0].fingerprint == load("builtin", "train", T=4)[0].fingerprint
    assert load(split="test", T=4)[0].fingerprint != dataset[0].fingerprint


def test_a_setting_that_the_source_does_not_have_is_refused_by_name(tmp_path):
    with pytest.raises(SettingsError, match="unknown setting 'steps'"):
        load("builtin", steps=4)
    with pytest.raises(SettingsError, match=r"unknown setting 'T' for the source .*train.parquet'; known: families"):
        load(str(_parquet(tmp_path)), T=4)
    with pytest.raises(SettingsError, match="Did you mean 'chunk_questions'"):
        load(str(_parquet(tmp_path)), chunk_question="column")
    with pytest.raises(SettingsError, match="Did you mean 'revision'"):
        load("org/data", revison="abc")


def test_a_fault_inside_a_loader_is_not_taken_for_a_wrong_setting(tmp_path, monkeypatch):
    def faulty(*_, **__):
        return len(5)

    monkeypatch.setattr(MemalphaStreams, "__init__", faulty)
    with pytest.raises(TypeError, match="has no len"):
        load(str(_parquet(tmp_path)))


@pytest.mark.parametrize(
    "source",
    ["", "bultin", "train.parquet", "./data/train", "/no/such/folder", "a/b/c", "data/train.parquet", "~nobody-here/x.parquet",
     "x\0y", "x" * 5_000],
    ids=lambda source: repr(source)[:20],
)  # fmt: skip
def test_a_wrong_path_is_an_error_and_never_the_builtin_streams(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MemalphaStreams, "from_hub", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(DataError):
        load(source)


def test_a_path_may_be_a_path_and_wins_over_a_hub_id_of_the_same_name(tmp_path, monkeypatch):
    (tmp_path / "org").mkdir()
    _parquet(tmp_path / "org")
    monkeypatch.chdir(tmp_path)
    for source in (Path("org"), "org", "./org", tmp_path / "org" / "train.parquet"):
        assert len(load(source)) == 1
    monkeypatch.chdir(tmp_path / "org")
    (tmp_path / "org/a").mkdir()
    (tmp_path / "org/a/b").mkdir()
    with pytest.raises(DataError, match=r"has no train\.parquet"):
        load("a/b")


def test_a_name_with_one_slash_is_asked_of_the_hub(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(MemalphaStreams, "from_hub", lambda *args, **kwargs: asked.append((args, kwargs)))
    load("org/data", split="test", revision="abc")
    assert asked == [(("org/data",), {"split": "test", "revision": "abc"})]


def test_the_hub_out_of_reach_is_a_data_error():
    # In a process of its own: the libraries read the switch when they are imported.
    code = "from memenvs.streams import load\nload('nobody/nothing')"
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True, check=False)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("memenvs.errors.DataError: the hub data set 'nobody/nothing'"), run.stderr


def _parquet(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({
        "instance_id": [0],
        "chunks": ['["a"]'],
        "questions_and_answers": ['[{"question": "q", "answer": "a"}]'],
        "data_source": ["squad"],
    })  # fmt: skip
    parquet.write_table(table, folder / "train.parquet")
    return folder / "train.parquet"


def test_a_revision_is_named_once():
    for source, settings in (("memalpha@v1", {"revision": "v2"}), ("memalpha@", {})):
        with pytest.raises(SettingsError, match="expected one revision after the @ of a hub id"):
            load(source, **settings)
    with pytest.raises(SettingsError, match=r"unknown setting 'revision' for the source 'Elvin-Yiming-Du/PerLTQA'"):
        load("perltqa@v1")
