"""What was read, kept as it was read: all of it, or its last tokens."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi
from suite_arms import Noting

from agents.whole_chunks import WholeChunks, last_tokens
from memenvs import EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.memory.tokens import count_tokens, search_tokens
from memenvs.streams import Chunk, Question, Stream, StreamList
from trainers.suites.arms import play
from trainers.suites.arms_list import _BASELINE, Arm

CHUNKS = st.text("ab cd?.", max_size=14).filter(str.strip)
TEXTS = st.lists(st.text("ab .,\n", max_size=12), min_size=1, max_size=6)


def stream_of(texts, *queries):
    questions = tuple(Question(query, ("x",), "squad") for query in queries or ("a",))
    return StreamList([Stream("s", "squad", tuple(map(Chunk, texts)), questions)])


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, ""), (1, "."), (2, "tea."), (3, "likes tea."), (4, "Ann likes tea."), (9, "Ann likes tea.")],
)
def test_the_end_of_a_text(most, expected):
    assert last_tokens("Ann likes tea.", most) == expected


def test_a_counter_that_is_not_additive_is_never_exceeded():
    def pairs(text):  # like a byte-pair encoding: "aa" is one token, "a" another
        return -(-len(text) // 2)

    for most in range(6):
        end = last_tokens("aaaaaaaaa", most, pairs)
        assert pairs(end) == min(most, 5)
        assert len(end) == min(2 * most, 9)


@settings(max_examples=300)
@given(TEXTS, st.integers(1, 12))
def test_a_long_context_has_the_last_tokens_exactly_after_every_step(texts, most):
    record = play(f"long_context:{most}", stream_of(texts), 0, EpisodeSettings(), Noting())
    read = 0
    for step, text in zip(record.steps, texts, strict=True):
        read += count_tokens(text)
        assert step.memory_tokens == min(read, most)
    words = [word for text in texts for word in _tokens(text)]
    kept = [word for item in record.memory for word in _tokens(item.content)]
    assert kept == words[-most:] if words else kept == []


def _tokens(text):
    import re

    return re.findall(r"\w+|[^\w\s]", text)


@settings(max_examples=200)
@given(TEXTS)
def test_without_a_bound_chunks_are_kept_verbatim_and_shown_in_reading_order(texts):
    reader, kept = Noting(), [text for text in texts if text.strip()]
    record = play("long_context:1000", stream_of(texts), 0, EpisodeSettings(), reader)
    assert [item.content for item in record.memory] == kept
    assert [content for _, content in reader.seen[0].items] == kept
    assert [found.id for found in record.questions[0].retrieved] == [item.id for item in record.memory]


def test_the_bound_may_stand_in_any_unit_of_the_episode():
    pytest.importorskip("tiktoken")
    from memenvs.errors import DataError
    from memenvs.memory import token_counter

    try:
        count = token_counter("o200k")
    except DataError as error:
        pytest.skip(str(error))
    texts = [f"Number {n} is internationalisation, {n * 7919} times." for n in range(40)]
    record = play("long_context:100", stream_of(texts), 0, EpisodeSettings(tokens="o200k"), Noting())
    assert 99 <= record.memory_tokens <= 100
    assert record.memory_tokens == sum(count(item.content) for item in record.memory)


@settings(max_examples=150)
@given(st.lists(CHUNKS, min_size=1, max_size=8), st.text("abcd .", max_size=8))
def test_rag_shows_the_two_best_chunks_of_rank_bm25(texts, query):
    assume(any(search_tokens(text) for text in texts))  # rank_bm25 divides by zero
    reader = Noting()
    play("rag", stream_of(texts, query), 0, EpisodeSettings(), reader)
    scores = BM25Okapi([list(search_tokens(text)) for text in texts]).get_scores(list(search_tokens(query)))
    best = sorted(range(len(texts)), key=lambda place: -scores[place])[:2]
    assert [content for _, content in reader.seen[0].items] == [texts[place] for place in best]


def test_rag_finds_what_the_published_baseline_finds(shared: Path):
    folder = shared / "oracles/peers"
    corpora = json.loads((folder / "retrieval_corpora.json").read_text(encoding="utf-8"))
    cases = [json.loads(line) for line in (folder / "memalpha_retrieval_longctx.jsonl").read_text().splitlines()]
    tried = 0
    for case in cases:
        given_ = case["inputs"]
        docs = corpora[given_["corpus"]]["docs"]
        if not all(map(str.strip, docs)):
            continue  # a memory holds no blank item; see test_retrieval_profiles.py
        tried += 1
        own = _BASELINE | {"retrieval": "memalpha-longctx", "k": given_["top_k"]}
        arm = Arm("rag", "baseline", "", lambda settings, budget: WholeChunks(), settings=own)
        chosen = "rag" if given_["top_k"] == 2 else arm
        reader = Noting()
        play(chosen, stream_of(docs, given_["query"]), 0, EpisodeSettings(), reader)
        assert [content for _, content in reader.seen[0].items] == case["output"], case
    assert tried > 100


def test_pieces_are_whole_sentences_within_their_size():
    text = "One two three. Four five. Six seven eight nine ten. Eleven."
    agent = WholeChunks(piece_tokens=7)
    sent = json.loads(agent.act({"chunk": text, "step": 0}, {"memory": (), "T": 1}))
    assert [entry["content"] for entry in sent] == ["One two three. Four five.", "Six seven eight nine ten.", "Eleven."]


def test_numbers_below_one_are_refused():
    with pytest.raises(SettingsError, match="most_tokens must be at least 1 or None, got 0"):
        WholeChunks(most_tokens=0)
    with pytest.raises(SettingsError, match="piece_tokens must be a whole number or None, got 'x'"):
        WholeChunks(piece_tokens="x")
