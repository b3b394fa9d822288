"""Chunks as the published benchmarks cut them. Where a test needs no vocabulary, a token is a piece between spaces."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import DataError, SettingsError
from memenvs.memory import token_counter
from memenvs.streams.chunking import (
    mab_chunks,
    mab_questions,
    pack_articles,
    pack_contexts,
    pack_sentences,
    split_sentences,
)
from memenvs.streams.mab_templates import mab_template
from memenvs.streams.session_chunks import session_chunks


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> int:
    """Counts white space too, so that what joins two texts costs something."""
    return len(text)


def counter(name: str):
    try:
        return token_counter(name)
    except DataError as error:
        pytest.skip(str(error))


def cases(shared, name, *functions):
    lines = (shared / f"oracles/peers/{name}.jsonl").read_text(encoding="utf-8").splitlines()
    found = [case for case in map(json.loads, lines) if case["function"].split(" ")[0] in functions]
    assert found
    return found


def test_sentences_end_after_a_mark_and_white_space():
    assert split_sentences("One. Two?\n\nThree! 3.5 e.g. Four ") == ["One.", "Two?", "Three!", "3.5 e.g.", "Four "]
    assert split_sentences("") == []


def test_contexts_are_packed_whole_until_the_target():
    assert pack_contexts(["a b", "c", "d e f g", "h"], words, most=3) == ["a b\n\nc", "d e f g", "h"]


def test_an_empty_line_between_contexts_costs_its_tokens():
    # "ab" 2 + "cd" 2 fits 6, and "\n\n" takes the rest: 2 + 2 + 2 = 6, so that "e" (1) does not fit.
    assert pack_contexts(["ab", "cd", "e"], letters, most=6) == ["ab\n\ncd", "e"]
    # The empty line is added after the question whether the context fits: 4 + 2 <= 6, though the chunk has 8 letters then.
    assert pack_contexts(["abcd", "ef"], letters, most=6) == ["abcd\n\nef"]


def test_a_target_is_drawn_for_the_first_chunk_and_after_each_closed_one():
    rng = random.Random(3)
    targets = [rng.randint(1, 6) for _ in range(9)]
    chunks = pack_contexts(["x"] * 20, words, most=6, least=1, rng=random.Random(3))
    sizes = [len(chunk.split()) for chunk in chunks]
    assert sizes[:-1] == targets[: len(sizes) - 1]
    assert sum(sizes) == 20


def test_empty_contexts_leave_no_trace_at_the_start_and_an_empty_line_within():
    assert pack_contexts(["", "a", "", "b", ""], words, most=9) == ["a\n\n\n\nb"]
    assert pack_contexts(["", ""], words) == []


def test_targets_must_be_a_range():
    with pytest.raises(SettingsError, match="1 <= least <= most, got least=9, most=4"):
        pack_contexts(["a"], words, most=4, least=9, rng=random.Random(0))


@given(st.lists(st.text("ab ", max_size=9), max_size=12), st.integers(1, 9))
def test_packing_loses_no_word(contexts, most):
    assert " ".join(pack_contexts(contexts, words, most)).split() == " ".join(contexts).split()
    assert " ".join(mab_chunks(" ".join(contexts), words, most)).split() == " ".join(contexts).split()


def test_articles_keep_their_titles_and_long_ones_are_cut_or_left_out():
    # Target 102: a long article is cut to 4 * (102 - 100) = 8 characters.
    chunks = pack_articles(["A", "B"], ["one two", "w " * 200], words, most=102)
    assert chunks == [("Title: A\none two\n\nTitle: B\nw w w w", ("A", "B"))]
    # Below a target of 100 the bound is negative and cuts from the end: 1000 - 4 characters are still too long.
    assert pack_articles(["A", "B"], ["w " * 500, "short"], words, most=99) == [("Title: B\nshort", ("B",))]
    with pytest.raises(ValueError, match="shorter"):
        pack_articles(["A"], ["a", "b"], words)


def test_sentences_are_packed_and_a_long_one_stays_whole():
    assert pack_sentences("A b. C d e f g. H.", words, most=3) == ["A b.", "C d e f g.", "H."]
    text = "A b.<|endoftext|> C."
    assert pack_sentences(text, words, most=9) == ["A b.<|endoftext|> C.".replace("<|endoftext|>", "\n")]
    assert pack_sentences(text, words, most=9, published=False) == [text]


def test_a_first_sentence_beyond_the_size_leaves_an_empty_chunk_in_memoryagentbench():
    text = "One two three. Four."
    assert mab_chunks(text, words, most=2) == ["", "One two three.", "Four."]
    assert mab_chunks(text, words, most=2, published=False) == ["One two three.", "Four."]
    assert mab_chunks("A b. One two three. Four.", words, most=2) == ["A b.", "One two three.", "Four."]
    assert mab_chunks("", words) == []


def test_an_end_of_text_mark_counts_one_token_in_memoryagentbench():
    # 1 + 1 + 1 = 3 tokens, not the 13 letters of the mark.
    assert mab_chunks("a<|endoftext|>b. c.", letters, most=4) == ["a<|endoftext|>b.", "c."]


def test_one_question_gets_its_references_nested_in_memoryagentbench():
    assert mab_questions(["q"], [["s1", "s2"]]) == [("q", [["s1", "s2"]])]
    assert mab_questions(["q"], [["s1", "s2"]], published=False) == [("q", ["s1", "s2"])]
    assert mab_questions(["q1", "q2"], [["x"], ["y", "z"]]) == [("q1", ["x"]), ("q2", ["y", "z"])]
    with pytest.raises(DataError, match="got 1 for 2 questions"):
        mab_questions(["q1", "q2"], [["x"]])


def turn(role: str, *content: str) -> dict[str, str]:
    return {"role": role, "content": " ".join(content)}


def test_sessions_share_a_chunk_until_it_is_nearly_full():
    sessions = [[turn("user", "hi"), turn("assistant", "ho")], [turn("user", *["w"] * 1790)], [turn("user", "end")]]
    first, second = session_chunks(["d1", "d2", "d3"], sessions, words)
    assert first.startswith(
        "[Dialogue at timestamp d1]\n<User>hi\n<Assistant>ho\n\n[Dialogue at timestamp d2]\n<User>w w"
    )
    assert second == "[Dialogue at timestamp d3]\n<User>end"


def test_a_users_turn_moves_on_to_stand_before_its_reply():
    def said(role, word, times):
        return turn(role, *[word] * times)

    session = [said("user", "a", 100), said("assistant", "b", 100), said("user", "c", 10), said("assistant", "d", 100)]
    chunks = session_chunks(["d"], [session], words, most=302)
    # The heading has 4: 4 + 100 + 100 + 10 fit, another 100 do not, and c goes with its reply.
    assert [[line.split()[0] for line in chunk.split("\n")[1:]] for chunk in chunks] == [
        ["<User>a", "<Assistant>b"],
        ["<User>c", "<Assistant>d"],
    ]


def test_a_long_turn_is_cut_between_sentences_and_a_long_first_sentence_between_words():
    (chunk, *_) = session_chunks(["d"], [[turn("user", *["w"] * 9, "v.", "Next.")]], words, most=154)
    assert chunk.split("\n")[1:] == ["<User>w w w w", "<User>w w w w", "<User>w v. Next."], "at most 4 words a part"
    # A long sentence after another one stays whole.
    text = session_chunks(["d"], [[turn("user", "First.", *["w"] * 9)]], words, most=154)[0]
    assert text == f"[Dialogue at timestamp d]\n<User>First.\n<User>{' '.join(['w'] * 9)}"


def test_the_chunkers_of_memalpha_equal_the_published_ones(shared):
    count = counter("qwen")
    for case in cases(shared, "memalpha_chunking", "create_chunks_use_sent_tokenizer"):
        assert pack_sentences(case["inputs"]["text"], count, case["inputs"]["max_tokens"]) == case["output"]
    for case in cases(shared, "memalpha_chunking", "create_chunks", "create_chunks_with_titles"):
        given = case["inputs"]
        rng = random.Random(given["seed"]) if given["variable_size"] else None
        sizes = (count, given["max_tokens"], given["min_tokens"] or 1, rng)
        if "titles" in given:
            packed = pack_articles(given["titles"], given["texts"], *sizes)
            assert [[chunk, list(titles)] for chunk, titles in packed] == case["output"]
        else:
            assert pack_contexts(given["contexts"], *sizes) == case["output"]


def test_the_chunkers_of_memoryagentbench_equal_the_published_ones(shared):
    count, other = counter("o200k"), counter("cl100k")
    for case in cases(shared, "mab_chunking", "chunk_text_into_sentences"):
        assert mab_chunks(case["inputs"]["text"], count, case["inputs"]["chunk_size"]) == case["output"]
    for case in cases(shared, "mab_chunking", "create_chunks_use_sent_tokenizer"):
        given = case["inputs"]
        assert pack_sentences(given["text"], other, given["max_tokens"], published=False) == case["output"]


def test_sessions_are_cut_as_published(shared):
    for case in cases(shared, "memalpha_builders", "process_lme_train_dataset"):
        given, count = case["inputs"], counter("qwen")
        chunks = session_chunks(given["haystack_dates"], given["haystack_sessions"], count)
        assert chunks == case["output"]["chunks"]
        assert [count(chunk) for chunk in chunks] == case["output"]["tokens"]


def test_questions_are_put_and_paired_as_published(shared):
    # The rows behind the vectors: questions, references, ids.
    rows = {
        "infbench_sum_eng_shots2": (["only"], [["s1", "s2"]], ["k1"]),
        "eventqa_full": (["e1", "e2"], [["x"], ["y"]], ["u1", "u2"]),
        "longmemeval_s*": (["l1", "l2"], [["x"], ["y"]], ["v1", "v2"]),
    }
    for case in cases(shared, "mab_conversation_creator", "ConversationCreator"):
        name = case["inputs"]["sub_dataset"]
        if name not in rows:
            continue  # refusals of the loader
        questions, answers, ids = rows[name]
        template = mab_template(name, "query", case["inputs"]["agent_name"])
        put = [
            [hashlib.sha256(template.format(question=question).encode()).hexdigest()[:16], references, key]
            for (question, references), key in zip(mab_questions(questions, answers), ids, strict=True)
        ]
        assert case["output"]["qa"] == [put]
