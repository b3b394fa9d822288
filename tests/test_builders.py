"""Builders of Memalpha-style streams: packing, evidence, draws that depend on the seed alone."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import DataError, SettingsError
from memenvs.memory.tokens import count_tokens
from memenvs.streams.builders.books import BookRule, Chapter, books, keywords
from memenvs.streams.builders.instance import BuiltQuestion, Instance, rng, sample
from memenvs.streams.builders.labelled import RULES, LabelledRule, label_ids, labelled
from memenvs.streams.builders.packing import packed, whole_sentences
from memenvs.streams.builders.passages import MultiHop, Paragraph, PassageRule, hotpotqa, squad
from memenvs.streams.builders.wrapping import dialogue, reading


@given(
    st.lists(st.text(alphabet="ab .", min_size=1, max_size=20).map(str.strip).filter(bool)),
    st.integers(1, 9),
    st.integers(0, 9),
)
def test_every_text_is_known_to_stand_in_the_chunk_that_holds_it(texts, least, more):
    chunks = packed(texts, count_tokens, least, least + more, rng(0))
    assert [i for _, inside in chunks for i in inside] == list(range(len(texts)))
    assert [chunk for chunk, _ in chunks] == ["\n\n".join(texts[i] for i in inside) for _, inside in chunks]


@given(st.text(alphabet="ab. \n?", max_size=200))
def test_finding_sentences_loses_no_word(text):
    assert " ".join(whole_sentences(text)).split() == text.split()


def test_hard_wrapped_lines_are_one_sentence():
    assert whole_sentences("The old\nman sat\ndown.\n\nHe ate") == ["The old man sat down.", "He ate"]


def test_a_dialogue_has_a_date_a_day_per_chunk_and_both_speakers():
    lines = dialogue(31, "Snow fell.", rng(0)).split("\n")
    assert lines[0] == "[Dialogue between User and Assistant on 2024-02-01 00:00]"
    assert lines[1].startswith("<User>")
    assert lines[2] == "Snow fell."
    assert lines[3].startswith("<Assistant>")


def test_a_reading_tells_the_day_in_both_frames():
    lines = reading(2, "It rained.").split("\n")
    assert lines[:3] == ["[Event happened on 2024-01-03 The user is reading a book]", "<User> It rained.", ""]
    assert lines[3].startswith("<System> Please remember what the user reads on 2024-01-03")


def test_a_sample_keeps_the_order_and_is_the_whole_where_it_is_small():
    assert sample([5, 4, 3], 3, rng(0)) == [5, 4, 3]
    drawn = sample(range(100), 10, rng(0, "a"))
    assert drawn == sorted(set(drawn))
    assert drawn != sample(range(100), 10, rng(0, "b"))


def test_an_instance_refuses_evidence_outside_its_chunks():
    with pytest.raises(SettingsError, match="stray evidence"):
        Instance("squad", ("a",), (BuiltQuestion("q", "a", (1,)),))


# SQuAD and HotpotQA


def _paragraphs(number: int) -> list[Paragraph]:
    asked = [tuple((f"What is fact {i}.{j}?", f"value {i}") for j in range(5)) for i in range(number)]
    return [Paragraph(f"Fact {i} is value {i}, " + "as told " * 20, f"T{i // 4}", asked[i]) for i in range(number)]


SMALL = PassageRule(low=40, high=120, chunks=3, raw=5, least=5, most=7)


def test_the_evidence_of_a_squad_question_is_the_chunk_with_its_paragraph():
    found, _ = squad(_paragraphs(20), 0, SMALL)
    assert len(found) > 1
    for instance in found:
        assert len(instance.chunks) <= 3
        assert len(instance.questions) == 7
        for question in instance.questions:
            (step,) = question.evidence
            number = question.question.split()[3].split(".")[0]
            assert f"Fact {number} is value {number}," in instance.chunks[step]


def test_a_paragraph_that_comes_twice_is_told_once_and_asked_of_twice():
    twice = [Paragraph("A b c.", "T", (("one?", "b"),)), Paragraph("A b c.", "T", (("two?", "c"),))]
    (instance,), _ = squad(twice, 0, PassageRule(raw=2, least=2))
    assert "".join(instance.chunks).count("A b c.") == 1
    assert [q.question for q in instance.questions] == ["one?", "two?"]


def test_questions_with_long_answers_are_left_out_and_small_instances_counted():
    asked = (("short?", "one two"), ("long?", "one two three four five"))
    found, dropped = squad([Paragraph("Text.", "T", asked)], 0, PassageRule(raw=2, least=1))
    assert [q.question for q in found[0].questions] == ["short?"]
    assert squad([Paragraph("Text.", "T", asked)], 0) == ([], {"fewer than 50 questions": 1})
    assert dropped == {}


def _hops(number: int) -> list[MultiHop]:
    return [
        MultiHop(f"q{i}?", f"a{i}", ((f"T{i}", f"text {i}"), (f"T{i + 1}", f"text {i + 1}")), f"id{i}")
        for i in range(number)
    ]


def test_a_hotpotqa_question_has_every_supporting_article_as_evidence():
    rule = PassageRule(low=10, high=20, raw=2, least=2, tokens=16)
    found, _ = hotpotqa(_hops(30), 0, rule)
    assert len(found) > 2
    for instance in found:
        for question in instance.questions:
            number = int(question.question[1:-1])
            for article in (number, number + 1):
                assert any(f"Title: T{article}\ntext {article}" in instance.chunks[step] for step in question.evidence)


def test_articles_of_hotpotqa_stand_in_the_order_in_which_questions_need_them():
    (instance,), _ = hotpotqa(_hops(4), 0, PassageRule(raw=2, least=2))
    text = "\n".join(instance.chunks)
    places = [text.index(f"Title: T{i}\n") for i in range(5)]
    assert places == sorted(places)


# Labelled sentences


POOL = [(f"utterance number {i} of kind {i % 6}", str(i % 6)) for i in range(300)]
RULE = LabelledRule("icl_trec_coarse_6600shot_balance", 60, 60, "text", chunks=4, questions=20)


def _examples(chunk: str) -> list[tuple[str, str]]:
    lines = chunk.split("\n")
    return [
        (a.removeprefix("Sentence: "), b.removeprefix("Label: "))
        for a, b in pairwise(lines)
        if a.startswith("Sentence: ") and b.startswith("Label: ")
    ]


def test_every_label_has_an_example_and_examples_are_never_asked():
    for instance in labelled(POOL, [], RULE, 5, 0, "train"):
        told = [pair for chunk in instance.chunks for pair in _examples(chunk)]
        assert {label for _, label in told} == set("012345")
        assert len(told) == len(set(told)) == instance.metadata["examples"]
        asked = {question.question.split("\n")[0].removeprefix("Sentence: ") for question in instance.questions}
        assert len(asked) == 20
        assert not asked & {text for text, _ in told}


def test_rare_labels_are_told_too_where_there_is_room_for_them():
    pool = [(f"utterance number {i} of kind {i % 6}", str(i % 6)) for i in range(600)]
    pool += [(f"utterance number {i} is rare", str(i)) for i in range(1000, 1020)]
    for instance in labelled(pool, [], RULE, 5, 0, "train"):
        assert instance.metadata["labels_covered"] == 26


def test_the_evidence_of_a_label_question_is_every_chunk_with_its_label():
    (instance,) = labelled(POOL, [], RULE, 1, 0, "train")
    for question in instance.questions:
        holding = [step for step, c in enumerate(instance.chunks) if question.answer in {b for _, b in _examples(c)}]
        assert list(question.evidence) == holding


def test_labels_are_spread_over_the_chunks_and_not_appended_to_the_first():
    # The published builder gives its first chunk one more example of every label: 32 examples, then 26 in each other chunk.
    sizes = [[len(_examples(chunk)) for chunk in i.chunks] for i in labelled(POOL, [], RULE, 20, 0, "train")]
    assert max(size[0] - size[1] for size in sizes) < 6


def test_held_out_sentences_are_asked_and_never_told():
    apart = POOL[:150]
    for instance in labelled(POOL, apart, RULE, 3, 0, "test"):
        asked = {q.question.split("\n")[0].removeprefix("Sentence: ") for q in instance.questions}
        assert asked <= {text for text, _ in apart}
        told = {text for chunk in instance.chunks for text, _ in _examples(chunk)}
        assert not told & {text for text, _ in apart}


def test_a_label_without_an_example_is_not_asked_for():
    (instance,) = labelled(POOL, [("what is this", "6"), ("number of kind 3", "3")], RULE, 1, 0, "test")
    assert [question.answer for question in instance.questions] == ["3"]


def test_the_order_of_the_pool_does_not_matter():
    assert labelled(POOL[::-1], [], RULE, 2, 0, "train") == labelled(POOL, [], RULE, 2, 0, "train")
    assert labelled(POOL, [], RULE, 1, 1, "train") != labelled(POOL, [], RULE, 1, 0, "train")


def test_a_pool_that_is_too_small_is_refused():
    with pytest.raises(DataError, match="give more examples"):
        labelled(POOL[:3], [], RULE, 1, 0, "train")


def test_label_ids_are_a_permutation_that_the_order_of_examples_does_not_change():
    names = ["pay", "lost", "card", "help"]
    assert label_ids(names, 0) == label_ids(names[::-1] * 2, 0)
    assert sorted(label_ids(names, 0).values()) == ["0", "1", "2", "3"]
    assert label_ids(["0", "2"], 0) == {"0": "0", "2": "2"}


def test_the_wording_of_abstracts_differs():
    assert RULES["pubmed"].example("We did x.", "3") == "Sample: We did x.\nLabels: 3"
    assert "above medical abstract sentence?" in RULES["pubmed"].question("We did x.")
    assert RULES["nlu"].question("hi").split("\n")[0] == "Sentence: hi"


# Books


STORY = " ".join(f"Then Captain Nemo met Ned Land on day {i}, and the sea was calm." for i in range(60))


def test_a_book_asks_for_the_names_of_its_summary():
    summary = "A man called Ned Land meets Captain Nemo. Everyone leaves Paris."
    (instance,), dropped = books([Chapter(STORY, summary, "Sea")], 0, BookRule(tokens=200, least=2))
    (question,) = instance.questions
    assert question.answer == "Captain Nemo, Ned Land"
    assert question.evidence == tuple(range(len(instance.chunks)))
    first = instance.chunks[0].split("\n")[0].split()[3]
    last = instance.chunks[-1].split("\n")[0].split()[3]
    assert question.question == f"Summarize the content of the book I read from {first} to {last}"
    assert dropped == {}


def test_one_to_three_days_pass_between_two_parts():
    (instance,), _ = books([Chapter(STORY, "It is about Ned Land.")], 3, BookRule(tokens=100, least=2))
    days = [chunk.split("\n")[0].split()[3] for chunk in instance.chunks]
    assert days[0] == "2024-01-01"
    assert days == sorted(set(days))


def test_without_a_summary_names_must_stand_in_two_chunks():
    assert keywords("", ["We saw Rome and Oslo.", "They left Rome for Bern."], 5) == ["Rome"]


def test_a_book_of_too_few_or_too_many_chunks_is_left_out_or_cut():
    rule = BookRule(tokens=100, least=2, most=4)
    assert books([Chapter(STORY, "about Ned Land")], 0, rule) == ([], {"not 2 to 4 chunks": 1})
    parts, _ = books([Chapter(STORY)], 0, BookRule(tokens=100, least=2, most=4, parts=True))
    assert {len(part.chunks) for part in parts} <= {2, 3, 4}
    assert len(parts) > 1


# PerLTQA and sessions


SCRIPT = """
from test_builders import *
from test_builders import _hops, _paragraphs
made = [
    squad(_paragraphs(20), 3, SMALL)[0], hotpotqa(_hops(30), 3, PassageRule(10, 20, raw=2, least=2, tokens=16))[0],
    labelled(POOL, [], RULE, 2, 3, "train"), books([Chapter(STORY, "about Ned Land")], 3, BookRule(tokens=100, least=2))[0],
]
import hashlib
print(hashlib.sha256(repr(made).encode()).hexdigest())
"""


def test_the_hash_seed_changes_nothing():
    root = Path(__file__).resolve().parents[1]
    prints = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root / "tests")},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(prints) == 1
