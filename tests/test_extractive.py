"""The extractive reader: hand-written cases per kind of question, evidence, ties, totality, determinism."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.memory.bank import MemoryBank
from memenvs.memory.operations import Operation
from memenvs.memory.retrieval import BM25Retriever
from memenvs.reading import Reader
from memenvs.reading.base import Answer, Reading
from memenvs.reading.extractive import ExtractiveReader
from memenvs.reading.lexicon import concept, stem


def read(question: str, *contents: str, source: str = "") -> Answer:
    """Answer with items called a, b, c ... in this order."""
    items = tuple((chr(ord("a") + n), content) for n, content in enumerate(contents))
    (answer,) = ExtractiveReader().read([Reading(question, items, source)])
    return answer


def test_is_a_reader() -> None:
    assert isinstance(ExtractiveReader(), Reader)
    assert ExtractiveReader.name == "extractive"
    assert ExtractiveReader().read([]) == []


# Sentences here are not those of the builtin streams: the reader must not depend on their templates.
@pytest.mark.parametrize(
    ("question", "contents", "wanted"),
    [
        (
            "Who painted the Mona Lisa?",
            ["The Mona Lisa was painted by Leonardo da Vinci in Florence."],
            "Leonardo da Vinci",
        ),
        ("Where was Ada Byron born?", ["Ada Byron was born in London, the daughter of a poet."], "London"),
        ("When did the bakery close?", ["The bakery closed on 3 March 2019 after a fire."], "3 March 2019"),
        ("When did the shop reopen?", ["The shop reopened later on the evening of May 12, with music."], "May 12"),
        ("In what year did the war end?", ["The long war ended in 1648 with a treaty."], "1648"),
        ("At what time does the ferry leave?", ["The ferry leaves the island at 18:45 every day."], "18:45"),
        ("How many bridges does the town have?", ["The old town has 23 bridges over 4 rivers."], "23"),
        ("What is the phone number of Tim Roe?", ["The phone number of Tim Roe is 5512."], "5512"),
        ("What is the balance of Tim Roe?", ["The balance of Tim Roe is -40."], "-40"),
        ("What is the balance of Tim Roe?", ["The balance of Tim Roe (−1,200) is low."], "−1,200"),
        ("What is the balance of Tim Roe?", ["Balance of Tim Roe=-40, as of May."], "-40"),
        ("How many goals did the 3-4 match have?", ["The 3-4 match had 7 goals."], "7"),
        ("What is the profession of Joan Hill?", ["Joan Hill has worked as a sculptor since her youth."], "sculptor"),
        (
            "What does Kim Lee drink in the evening?",
            ["In the evening Kim Lee drinks peppermint tea."],
            "peppermint tea",
        ),
        ("Which animal does Tom Ray own?", ["Tom Ray is the proud owner of a llama."], "llama"),
        ("Why was the match cancelled?", ["The match was cancelled because of heavy fog, they said."], "heavy fog"),
        ("Is the museum open?", ["The museum is open."], "yes"),
        ("Is the museum open?", ["The museum is not open."], "no"),
    ],
)
def test_one_item(question: str, contents: list[str], wanted: str) -> None:
    assert read(question, *contents) == Answer(wanted, ("a",))


def test_the_right_person_wins_over_the_same_words() -> None:
    answer = read(
        "Where does Jane Fox live?", "Peter Ash lives in Rome.", "Jane Fox enjoys opera.", "Jane Fox resides in Cairo."
    )
    assert answer == Answer("Cairo", ("c",))


def test_the_right_relation_wins_over_other_facts_of_the_person() -> None:
    items = ("Jane Fox keeps a mule as a pet.", "The occupation of Jane Fox is chef.", "Jane Fox lives in Cairo.")
    assert read("What is the job of Jane Fox?", *items) == Answer("chef", ("b",))
    assert read("Which city is home to Jane Fox?", *items) == Answer("Cairo", ("c",))
    assert read("Which animal does Jane Fox have?", *items) == Answer("mule", ("a",))


def test_what_no_longer_holds_is_not_the_answer() -> None:
    text = "Jane Fox no longer lives in Cairo but in Lima instead."
    assert read("Where does Jane Fox live?", text).text == "Lima"
    assert read("Where does Jane Fox live?", "Jane Fox lives in Lima instead of Cairo.").text == "Lima"


def test_an_opening_such_as_people_say_that_is_no_answer() -> None:
    assert (
        read("What is the job of Jane Fox?", "A colleague mentioned that Jane Fox is a chef by trade.").text == "chef"
    )


def test_ties_go_to_the_item_retrieved_first_old_or_new() -> None:
    old, new = "Jane Fox lives in Cairo.", "Jane Fox now lives in Lima."
    assert read("Where does Jane Fox live?", old, new) == Answer("Cairo", ("a",))
    assert read("Where does Jane Fox live?", new, old) == Answer("Lima", ("a",))


def test_an_item_may_hold_many_sentences() -> None:
    chunk = "It rained all day. Jane Fox lives in Cairo. The bakery opens at 7:30. Nobody came."
    assert read("When does the bakery open?", "Jane Fox likes rain.", chunk) == Answer("7:30", ("b",))
    assert read("Where does Jane Fox live?", chunk) == Answer("Cairo", ("a",))


@pytest.mark.parametrize(
    "question",
    [
        "Where does Jane Fox live?",
        "Summarise the points about the tram.",
        "How many times did Jane Fox sing?",
        'Which label does "late train" get?',
        "Why did it rain?",
        "Is it late?",
        "",
    ],
)
def test_nothing_relevant_gives_the_empty_answer(question: str) -> None:
    assert read(question) == Answer("", ())
    assert read(question, "Zebras graze quietly.") == Answer("", ())


# --- counts and summaries ------------------------------------------------------------------------------------------


def test_counts_different_sentences_that_tell_of_the_event() -> None:
    items = (
        "On Monday Jane Fox missed the train.",
        "Jane Fox missed the train on Friday.",
        "Jane Fox lives in Cairo.",
        "Peter Ash missed the train on Friday.",
        "On Monday Jane Fox missed the train.",
    )
    assert read("How many times did Jane Fox miss the train?", *items) == Answer("2", ("a", "b", "e"))


def test_a_kept_tally_counts() -> None:
    assert read("How often did Jane Fox miss the train?", "Jane Fox missed the train 4 times.") == Answer("4", ("a",))


def test_a_summary_lists_what_was_said_about_the_topic() -> None:
    answer = read(
        "Summarise the points about the tram line.",
        "A point about the tram line was noise.",
        "A point about the bridge was rust.",
        "One more point on the tram line: fares.",
        "Jane Fox drew a map of the tram line.",
    )
    assert "noise" in answer.text
    assert "fares" in answer.text
    assert "rust" not in answer.text
    assert answer.evidence_ids == ("a", "c")


def test_a_summary_of_everything_takes_everything() -> None:
    question = "Summarize the content of the book I read from 2024-01-01 to 2024-01-07"
    answer = read(question, "Syme hides in the city.", "A robot follows Syme.")
    assert answer == Answer("Syme hides in the city. A robot follows Syme.", ("a", "b"))


# --- labels --------------------------------------------------------------------------------------------------------

BOXED = "Put your final answer as \\boxed{label}."
NLU = (
    "Sentence: would you please once again explain me about your words.\nLabel: 20",
    "Sentence: i want dimmer lights\nLabel: 29",
    "Sentence: what are the ingredients necessary\nLabel: 9",
)


def test_label_of_the_most_similar_example() -> None:
    question = f"Sentence: make the lights dimmer\nWhat are the labels for the above sentence? {BOXED}"
    assert read(question, *NLU) == Answer("\\boxed{29}", ("b",))


def test_labels_plural_and_sample() -> None:
    items = (
        "Sample: Patients were randomly assigned to two groups.\nLabels: 2",
        "Sample: Little is known about the cause of this disease.\nLabels: 0",
    )
    question = f"Sentence: Subjects were assigned at random.\nWhat are the labels for this sentence? {BOXED}"
    assert read(question, *items, source="pubmed-rct").text == "\\boxed{2}"


def test_a_bare_utterance_is_a_label_question_where_the_source_says_so() -> None:
    assert read("the lights should be dimmer", *NLU, source="icl_nlu_8296shot_balance") == Answer("29", ("b",))


def test_several_examples_in_one_item() -> None:
    assert read('Which label does "dim the lights" get?', "Something else.", "\n\n".join(NLU)) == Answer("29", ("b",))


def test_codes_in_running_text() -> None:
    items = ('The request "my tap drips" goes under label K7.', 'A request such as "bulb is dead": label 31.')
    assert read('What is the label of "the tap in the hall drips"?', *items) == Answer("K7", ("a",))
    assert read('What is the label of "another dead bulb"?', *items) == Answer("31", ("b",))


# --- properties ----------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=80) | st.sampled_from(
    [*NLU, "Jane Fox lives in Cairo.", "no longer", "label:", '"', "\\boxed{", "May 12,"]
)
QUESTION = TEXT | st.sampled_from(
    ["Who is it?", "How many times did Jane Fox sing?", "Summarise the points.", "Which label?", "Why?", "When May 1?"]
)


@given(QUESTION, st.lists(TEXT, max_size=6))
def test_total_and_evidence_is_among_the_items_in_their_order(question: str, contents: list[str]) -> None:
    answer = read(question, *contents)
    positions = [ord(item_id) - ord("a") for item_id in answer.evidence_ids]
    assert positions == sorted(set(positions))
    assert all(0 <= position < len(contents) for position in positions)
    assert bool(answer.text) == bool(answer.evidence_ids)
    assert read(question, *contents) == answer


@given(st.text(alphabet=st.characters(categories=["Ll", "Lu", "Nd"]), max_size=20))
def test_stems_are_lower_case_and_never_empty(word: str) -> None:
    assert bool(stem(word)) == bool(word)
    assert stem(word) == stem(word.lower())


@pytest.mark.parametrize(
    "words",
    [
        ("cancel", "cancelled", "cancels", "cancelling"),
        ("live", "lives", "lived", "living"),
        ("miss", "missed", "misses"),
        ("story", "stories"),
        ("write", "wrote", "written"),
        ("box", "boxes"),
    ],
)
def test_forms_of_a_word_have_one_stem(words: tuple[str, ...]) -> None:
    assert len({stem(word) for word in words}) == 1


def test_synonyms_share_a_concept_and_others_do_not() -> None:
    assert concept(stem("occupation")) == concept(stem("works"))
    assert concept(stem("pets")) == concept(stem("animal"))
    assert concept(stem("pet")) != concept(stem("job"))
    assert concept("zebra") == "zebra"


def test_hash_seed_does_not_matter() -> None:
    code = (
        "from memenvs.reading.base import Reading\n"
        "from memenvs.reading.extractive import ExtractiveReader\n"
        "items = tuple((str(n), f'Sentence: {w} of the {v} in a row\\nLabel: {n}') for n, (w, v) in enumerate("
        "[('one', 'two'), ('two', 'row'), ('six', 'one'), ('row', 'one')]))\n"
        "questions = ['one two row six', 'What is the row of one?', 'Summarise the row of two']\n"
        "print(ExtractiveReader().read([Reading(q, items, s) for q in questions for s in ('', 'icl')]))"
    )
    outputs = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_reads_what_a_retriever_brings() -> None:
    facts = ["Jane Fox lives in Cairo.", "Peter Ash lives in Rome.", "Jane Fox is a chef.", "The bakery opens at 7:30."]
    retriever = BM25Retriever()
    retriever.follow(MemoryBank().apply(Operation("INSERT", fact) for fact in facts).changes)
    items = tuple((item.id, item.content) for _, item in retriever.top_k("Where does Jane Fox live?", 3))
    assert ExtractiveReader().read([Reading("Where does Jane Fox live?", items)]) == [Answer("Cairo", ("0.0",))]
