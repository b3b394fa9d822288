"""Token counters by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs import Episode, EpisodeSettings
from memenvs.errors import DataError, SettingsError
from memenvs.memory import count_tokens, token_counter
from memenvs.memory.token_counters import _VOCABULARIES, FOLDER_VARIABLE, TOKEN_COUNTERS, _content, _places
from memenvs.streams import Chunk, Question, Stream


def counter(name: str):
    """The counter; the test is skipped where its vocabulary is absent."""
    try:
        return token_counter(name)
    except DataError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("text", "o200k", "cl100k", "qwen"),
    [
        ("", 0, 0, 0),
        ("France", 1, 1, 1),
        ("france.", 3, 3, 3),
        ("The answer is France", 4, 4, 4),
        ("FRANCE", 2, 2, 2),
        # The accent as a character of its own: Qwen's tokenizer composes it first.
        ("cafe\u0301", 3, 3, 2),
    ],
)
def test_counts_are_those_of_the_published_encodings(text, o200k, cl100k, qwen):
    assert (counter("o200k")(text), counter("cl100k")(text), counter("qwen")(text)) == (o200k, cl100k, qwen)


def test_special_tokens_are_text_except_where_the_published_code_counts_nothing():
    text = "Ann <|endoftext|> Bob"
    assert counter("o200k")(text) == 2 + counter("o200k")(" <|endoftext|>")
    assert counter("memalpha-o200k")(text) == 0
    assert counter("memalpha-o200k")("Ann <|im_start|> Bob") == counter("o200k")("Ann <|im_start|> Bob") > 0


def test_marks_of_a_chat_are_one_token_each_for_qwen():
    count = counter("qwen")
    assert count("<|im_start|>user<|im_end|>") == 2 + count("user")
    assert count("Ann <|endoftext|>") == count("Ann ") + 1
    assert count("<|im_begin|>") > 1


def test_a_text_with_a_lone_surrogate_is_counted():
    assert counter("o200k")("\ud800") > 0
    assert counter("qwen")("\ud800") > 0


def test_counts_equal_those_of_the_published_code(shared):
    names = {"o200k_base": "memalpha-o200k", "cl100k_base": "cl100k", "qwen": "qwen"}
    count = {key: counter(name) for key, name in names.items()}
    lines = (shared / "oracles/peers/memalpha_count_tokens.jsonl").read_text(encoding="utf-8").splitlines()
    for case in map(json.loads, lines):
        text = case["inputs"]["text"]
        assert {key: count[key](text) for key in case["output"]} == case["output"], case


@pytest.mark.parametrize(("name", "published"), [("o200k", "o200k_base"), ("cl100k", "cl100k_base")])
def test_the_encodings_equal_tiktokens_own(name, published, tmp_path, monkeypatch):
    """The patterns are ours: tiktoken's, given the same file through its cache, must count alike."""
    count = counter(name)
    vocabulary = _VOCABULARIES[name]
    source = next(path for path in _places(vocabulary) if path.is_file())
    shutil.copy(source, tmp_path / vocabulary.cached)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    peer = pytest.importorskip("tiktoken").get_encoding(published)

    @settings(max_examples=300)
    @given(st.text(alphabet=st.sampled_from("abAB ll'sSdtévÉ123 \t\r\n\u00a0.,/!<|>北京ǅʰ\u0301😀"), max_size=24))
    def equal(text: str) -> None:
        assert count(text) == len(peer.encode_ordinary(text))

    equal()


def test_an_absent_vocabulary_is_named_with_the_ways_to_get_it(tmp_path, monkeypatch):
    pytest.importorskip("tiktoken")
    monkeypatch.setattr("memenvs.memory.token_counters._places", lambda vocabulary: [tmp_path / vocabulary.file])
    with pytest.raises(DataError, match=r"o200k_base\.tiktoken .SHA-256 446a9.*pip install --no-deps litellm") as error:
        _content("o200k", _VOCABULARIES["o200k"])
    assert FOLDER_VARIABLE in str(error.value)


def test_a_file_with_another_content_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr("memenvs.memory.token_counters._places", lambda _: [Path(tmp_path, "o200k_base.tiktoken")])
    (tmp_path / "o200k_base.tiktoken").write_text("YQ== 0\n")
    with pytest.raises(DataError, match="another content than the published one is at .*o200k_base.tiktoken"):
        _content("o200k", _VOCABULARIES["o200k"])


def test_a_folder_of_ones_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert next(_places(_VOCABULARIES["qwen"])) == tmp_path / "qwen.tiktoken"


def test_unknown_names_are_refused():
    with pytest.raises(SettingsError, match="Did you mean 'o200k'"):
        EpisodeSettings(tokens="o200")
    assert token_counter("words") is count_tokens


@pytest.mark.parametrize("name", TOKEN_COUNTERS)
def test_settings_decide_what_an_episode_counts(name):
    count = counter(name)
    stream = Stream("s", "builtin", (Chunk("Mary's café, 2024."),), (Question("?", ("a",), "builtin-fact"),))
    episode = Episode(stream, EpisodeSettings(tokens=name))
    episode.act('[{"op": "INSERT", "content": "unbelievable café"}]')
    step = episode.answer(None, "no reader")
    assert (step.chunk_tokens, step.memory_tokens) == (count("Mary's café, 2024."), count("unbelievable café"))
    assert episode.record().settings["tokens"] == name
