"""Retrieval as the published benchmarks do it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

import memenvs  # noqa: F401 - registers the environments
from memenvs import Episode, EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.memory import RETRIEVAL_PROFILES, BM25Index, BM25Retriever, MemoryItem
from memenvs.memory.tokens import split_tokens
from memenvs.reading import make_reader
from memenvs.streams import Chunk, Question, Stream
from rewards.credit.items import item_shapley, loo_item
from rewards.credit.replay import StepGame

ROOM = ["John is 18 years old.", "Mary lives in Paris, France.", "The cat sat on the mat."]


def found(docs: list[str], profile: str, query: str, k: int | None = None) -> list[tuple[int, float]]:
    """Places and scores of the retrieved texts."""
    retriever = BM25Retriever(profile=profile)
    retriever.restore([MemoryItem(str(n), text, 0, 0, 1) for n, text in enumerate(docs)])
    width = RETRIEVAL_PROFILES[profile].k if k is None else k
    return [(int(one.id), one.score) for one, _ in retriever.top_k(query, width)]


def places(docs: list[str], profile: str, query: str, k: int | None = None) -> list[int]:
    return [place for place, _ in found(docs, profile, query, k)]


@pytest.mark.parametrize(
    ("profile", "query", "expected"),
    [
        ("memalpha-server", "Where does Mary live?", [1, 0, 2]),
        ("memalpha-server", " ", []),
        ("memalpha-server", "!!!", []),
        ("memalpha-memory", "", []),
        ("memalpha-longctx", "", [0, 1]),
        ("memalpha-longctx", "the cat", [2, 0]),
        ("mab", "", [2, 1, 0]),
        ("mab", "mary paris france", [2, 1, 0]),
        ("mab", "Mary France", [1, 2, 0]),
        ("default", "", [0, 1, 2]),
    ],
)
def test_order_ties_and_questions_without_words(profile, query, expected):
    assert places(ROOM, profile, query) == expected


def test_only_the_memory_search_drops_scores_below_zero():
    one = ["only one document here"]
    # Okapi: idf = ln(.5) - ln(1.5) for each of the four words, floored to a quarter of the mean: (1/4) ln(1/3).
    assert found(one, "memalpha-server", "document") == [(0, pytest.approx(-0.27465307216702745, rel=1e-12))]
    assert found(one, "memalpha-memory", "document") == []
    assert found(one, "memalpha-memory", "nothing") == [(0, 0.0)], "a score of 0 is kept"


def test_split_tokens_keep_case_and_punctuation():
    assert split_tokens(" France. \nfrance ") == ("France.", "france")
    assert places(["in France.", "in France", "elsewhere"], "mab", "France.", 1) == [0]


def test_more_texts_than_k_are_cut_after_ties_are_ordered():
    same = ["same text"] * 3
    assert places(same, "memalpha-longctx", "same") == [0, 1]
    assert places(same, "mab", "other", 2) == [2, 1]


def test_texts_without_words_score_zero_where_the_published_server_divides_by_zero():
    assert found(["", "!!!"], "memalpha-server", "word") == [(0, 0.0), (1, 0.0)]


words = st.sampled_from(["a", "b", "B", "c.", "d", "e"])
texts = st.lists(st.lists(words, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=9)


@settings(max_examples=150)
@given(texts, st.lists(words, max_size=4).map(" ".join))
def test_scores_equal_rank_bm25_to_the_last_bit(docs, query):
    """Not only nearly: ties, and signs at a threshold, hang on the last bit."""
    peer = BM25Okapi([text.split() for text in docs]).get_scores(query.split())
    index = BM25Index(idf="okapi", tokens="split", ties="reversed")
    for n, text in enumerate(["gone", *docs]):
        index.insert(str(n), text)
    index.delete("0")
    assert list(index.scores(query).values()) == peer.tolist()
    assert [int(n) - 1 for n, _ in index.top_k(query, 4)] == peer.argsort()[::-1][:4].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "memalpha-sever"}, "Did you mean 'memalpha-server'"),
        ({"profile": None}, "retrieval must be one of default, memalpha-server"),
        ({"profile": "mab", "idf": "lucene"}, "'mab' has idf='okapi', got idf='lucene'"),
    ],
)
def test_a_profile_that_does_not_exist_or_is_contradicted_is_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        BM25Retriever(**arguments)


def test_an_index_names_its_choices():
    with pytest.raises(
        SettingsError, match="ties must be one of rounded, stable, reversed, got 'stabel'. Did you mean"
    ):
        BM25Index(ties="stabel")
    with pytest.raises(SettingsError, match="tokens must be one of words, split, got 'word'"):
        BM25Index(tokens="word")


STREAM = Stream(
    "s",
    "builtin",
    (Chunk("Ann likes tea."), Chunk("Ann likes cats.")),
    (Question("What does Ann like?", ("tea",), "builtin-fact"),),
)
WRITES = ['[{"op": "INSERT", "content": "Ann likes tea."}]', '[{"op": "INSERT", "content": "Ann likes cats."}]']


def play(settings: EpisodeSettings, questions: tuple[Question, ...] = STREAM.questions) -> Any:
    episode, reader = Episode(replace(STREAM, questions=questions), settings), make_reader("extractive")
    for message in WRITES:
        needs = episode.act(message)
        episode.answer(reader.read(needs))
    return episode.record()


def test_an_episode_retrieves_as_its_settings_say_and_its_record_says_so():
    record = play(EpisodeSettings(retrieval="mab"))
    assert record.settings["retrieval"] == "mab"
    assert [r.id for r in record.questions[0].retrieved] == ["1.0", "0.0"], "no word is shared, so ties are reversed"
    assert [r.id for r in play(EpisodeSettings()).questions[0].retrieved] == ["0.0", "1.0"]


def test_credit_replays_a_record_under_its_own_profile():
    record = play(EpisodeSettings(k=1, retrieval="mab"))
    game = StepGame(record, make_reader("extractive"))
    # Alone, the first step's item is retrieved; beside the second step's, the tie is lost.
    assert (game.value([0]), game.value([0, 1])) == (1.0, record.r_global)


def test_items_that_a_profile_does_not_retrieve_earn_nothing():
    # Both items hold "Ann", whose idf is negative then: the search tool's threshold leaves nothing to read.
    record = play(EpisodeSettings(retrieval="memalpha-memory"), (Question("Ann?", ("tea",), "builtin-fact"),))
    assert record.questions[0].retrieved == ()
    for estimator in (loo_item, item_shapley):
        assert estimator(record, make_reader("extractive")) == (0.0, 0.0)


def test_a_retriever_of_another_profile_than_the_settings_is_refused():
    with pytest.raises(SettingsError, match="has the profile 'default', the settings say retrieval='mab'"):
        Episode(STREAM, EpisodeSettings(retrieval="mab"), retriever=BM25Retriever())


def test_a_snapshot_belongs_to_its_profile():
    first, second = Episode(STREAM), Episode(STREAM, EpisodeSettings(retrieval="memalpha-server"))
    assert first.digest() != second.digest()


def test_an_environment_takes_a_profile_and_its_width():
    env = gym.make("FineMem-Memalpha-v0", retrieval="memalpha-server", data_settings={"T": 4}).unwrapped
    assert (env.settings.retrieval, env.settings.k) == ("memalpha-server", 20)
    env.reset(seed=0)
    for _ in range(4):
        env.step("[]")
    assert (env.record.settings["retrieval"], env.record.settings["idf"]) == ("memalpha-server", "okapi")
    assert gym.make("FineMem-Memalpha-v0", retrieval="mab", k=3).unwrapped.settings.k == 3
    assert gym.make("FineMem-Memalpha-v0").unwrapped.settings.k == 5
    with pytest.raises(SettingsError, match="leave idf out"):
        gym.make("FineMem-Memalpha-v0", retrieval="mab", idf="lucene")


def cases(shared: Path, name: str) -> list[dict[str, Any]]:
    lines = (shared / f"oracles/peers/{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def corpora(shared: Path) -> list[list[str]]:
    folder = shared / "oracles/peers/retrieval_corpora.json"
    return [corpus["docs"] for corpus in json.loads(folder.read_text(encoding="utf-8"))]


def test_the_server_profile_finds_what_the_published_server_finds(shared, corpora):
    for case in cases(shared, "memalpha_retrieval_server"):
        given, docs = case["inputs"], corpora[case["inputs"]["corpus"]]
        if "raises" in case:
            continue  # the division by zero above
        for kind in ("semantic", "episodic"):
            count = len(docs) if given[kind].startswith("all") else int(given[kind].split()[1])
            ranked = places(docs[:count], "memalpha-server", given["query"], given["top_k"])
            assert [f"{kind[0] if kind == 'episodic' else 'm'}{n:03d}" for n in ranked] == case["output"][kind], case
        if "bm25_scores_semantic" in case:
            scores = dict(found(docs, "memalpha-server", given["query"], len(docs)))
            assert [scores[n] for n in range(len(docs))] == pytest.approx(case["bm25_scores_semantic"], rel=1e-9, abs=0)


def test_the_memory_profile_finds_what_the_published_search_tool_finds(shared, corpora):
    for case in cases(shared, "memalpha_retrieval_memory"):
        given = case["inputs"]
        docs = corpora[given["corpus"]]
        ranked = found(docs, "memalpha-memory", given["query"], given["top_k"] or len(docs))
        assert [f"m{n:03d}" for n, _ in ranked] == [item_id for item_id, _ in case["output"]], case
        assert [s for _, s in ranked] == pytest.approx([s for _, s in case["output"]], rel=1e-9, abs=0)


def test_the_longctx_profile_finds_what_the_published_baseline_finds(shared, corpora):
    for case in cases(shared, "memalpha_retrieval_longctx"):
        given, docs = case["inputs"], corpora[case["inputs"]["corpus"]]
        ranked = places(docs, "memalpha-longctx", given["query"], given["top_k"])
        assert [docs[n] for n in ranked] == case["output"], case


def test_the_mab_profile_finds_what_memoryagentbench_finds(shared, corpora):
    for case in cases(shared, "mab_retrieval_bm25"):
        if case["function"] == "_extract_retrieval_query":
            continue  # see test_mab_templates.py
        given, docs = case["inputs"], corpora[case["inputs"]["corpus"]]
        ranked = found(docs, "mab", given["query"], len(docs))
        assert [n for n, _ in ranked][: given["k"]] == case["output"], case
        assert [s for _, s in sorted(ranked)] == pytest.approx(case["scores"], rel=1e-9, abs=0)
