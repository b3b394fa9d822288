"""Sentences of MemoryAgentBench's contexts: by marks, or by nltk's model of abbreviations."""

from __future__ import annotations

import pytest
from published_files import mab_row, write_parquet

from memenvs.errors import DataError, SettingsError
from memenvs.streams import load

pytest.importorskip("pyarrow")
nltk = pytest.importorskip("nltk")
CONTEXT = "Dr. Ann likes tea. Bob went home."


@pytest.fixture
def path(tmp_path):
    return write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("ruler_qa1_197K", CONTEXT)])


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A punkt model in its published form that knows one abbreviation."""
    folder = tmp_path / "nltk_data/tokenizers/punkt_tab/english"
    folder.mkdir(parents=True)
    for name in ("collocations.tab", "sent_starters.txt", "ortho_context.tab"):
        (folder / name).write_text("")
    (folder / "abbrev_types.txt").write_text("dr")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk_data")])
    nltk.tokenize._get_punkt_tokenizer.cache_clear()
    yield
    nltk.tokenize._get_punkt_tokenizer.cache_clear()


def test_a_model_keeps_an_abbreviation_within_its_sentence(path, model):
    assert [chunk.text for chunk in load(path, chunk_size=1)[0].chunks] == ["Dr.", "Ann likes tea.", "Bob went home."]
    data = load(path, chunk_size=1, sentences="nltk")
    assert [chunk.text for chunk in data[0].chunks] == ["Dr. Ann likes tea.", "Bob went home."]
    assert (
        load(path).fingerprint == load(path, sentences="marks").fingerprint != load(path, sentences="nltk").fingerprint
    )


def test_without_a_model_the_error_says_how_to_get_it(path, tmp_path, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    nltk.tokenize._get_punkt_tokenizer.cache_clear()
    with pytest.raises(
        DataError, match="punkt model, which is not on this machine: python -m nltk.downloader punkt_tab"
    ):
        load(path, sentences="nltk")
    with pytest.raises(SettingsError, match="sentences must be one of marks, nltk, got 'nlkt'.*Did you mean 'nltk'"):
        load(path, sentences="nlkt")
