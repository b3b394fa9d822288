"""Search tokens and token counts."""

from __future__ import annotations

import json

import pytest

from memenvs.memory.tokens import count_tokens, search_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ()),
        ("!!! ...", ()),
        ("Mary lives in Paris, France.", ("mary", "lives", "in", "paris", "france")),
        ("it's e-mail", ("it", "s", "e", "mail")),
        ("SNAKE_case 2024-05-01", ("snake_case", "2024", "05", "01")),
        ("CAFÉ 北京 Ärger", ("café", "北京", "ärger")),
        ("a\ud800b", ("a", "b")),
    ],
)
def test_search_tokens_are_lower_cased_words(text, tokens):
    assert search_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" \n", 0),
        ("tea", 1),
        ("Mary lives in Paris, France.", 7),
        ("it's", 3),
        ("a_b 12.5%", 5),
        ("北京 é!", 3),
    ],
)
def test_tokens_are_words_and_punctuation_marks(text, count):
    assert count_tokens(text) == count


def test_search_tokens_equal_the_published_servers(shared):
    lines = (shared / "oracles/peers/memalpha_tokenize.jsonl").read_text(encoding="utf-8").splitlines()
    for case in map(json.loads, lines):
        assert search_tokens(case["inputs"]["text"]) == tuple(case["output"]), case
    assert len(lines) > 100
