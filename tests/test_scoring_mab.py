"""MemoryAgentBench's scores, and LoCoMo's, against the published functions and typed-in cases."""

from __future__ import annotations

import json

import pytest

from memenvs.errors import DataError, ScorerError
from memenvs.scoring import score
from memenvs.scoring.mab import post_process
from memenvs.scoring.recsys import Titles, clean, load_entities, recall, recommendations, title

ENTITIES = {
    "<http://dbpedia.org/resource/Up_(2009_film)>": 2,
    "<http://dbpedia.org/resource/The_Matrix>": 0,
    "<http://dbpedia.org/resource/Spider-Man>": 3,
    "<http://dbpedia.org/resource/Alien_(film)>": 4,
    "<http://dbpedia.org/resource/Aliens_(film)>": 5,
}


def test_a_label_is_right_without_its_word_only():
    metrics, parsed = post_process("label: 3", ["3"], "icl_banking77_5900shot_balance")
    assert (metrics["exact_match"], metrics["substring_exact_match"], parsed) == (0, 1, "label: 3")
    assert score("label: 3", ["3"], "icl_banking77_5900shot_balance", "mab") == 0
    assert score("Sure.\nAnswer: 3\nBye", ["3"], "icl_banking77_5900shot_balance", "mab") == 1


def test_outside_labels_the_better_of_reply_and_its_answer_line_counts():
    metrics, parsed = post_process("First Rome.\nAnswer: Paris", ["Paris"], "ruler_qa1_197K")
    assert (metrics["exact_match"], parsed) == (1, "Paris")
    assert score("First Rome.\nAnswer: Paris", ["Rome"], "factconsolidation_sh_6k", "mab") == 1


def test_events_are_found_in_the_whole_reply_but_scored_in_one_line():
    metrics, _ = post_process(
        "Next:\nDebbie waited. Marianne left.", ["Debbie waited", "Marianne left"], "eventqa_full"
    )
    assert (metrics["eventqa_recall"], metrics["substring_exact_match"]) == (1, 0)
    assert post_process("Debbie waited", ["Debbie waited", "Marianne left"], "eventqa_full")[0]["eventqa_recall"] == 0
    # Resumed runs pass the answer as a text, which is then searched letter by letter.
    assert post_process("Marie left", "meter", "eventqa_full")[0]["eventqa_recall"] == 1


def test_a_detective_must_give_the_choice_and_nothing_else():
    assert score('{"answer": "C. Anna"}', ["C. Anna"], "detective_qa", "mab") == 0
    assert score("C. Anna.", ["C. Anna"], "detective_qa", "mab") == 1


def test_needles_are_shares_and_options_are_found_anywhere():
    assert score("Paris", ["London", "Paris"], "ruler_niah_mk", "mab") == 0.5
    metrics, _ = post_process("I say B, the butler!", ["B", "the butler"], "infbench_choice_eng_shots2")
    assert (metrics["exact_match"], metrics["substring_exact_match"]) == (1, 1)
    with pytest.raises(ScorerError, match="multiple-choice answer"):
        post_process("Paris", ["Paris"], "infbench_choice_eng_shots2")


def test_nested_references_are_taken_apart_once():
    assert post_process("yes", [["no", "yes"]], "infbench_sum_eng_shots2")[0]["exact_match"] == 1
    with pytest.raises(ScorerError, match="references that are texts"):
        post_process("yes", [[["no"], ["yes"]]], "infbench_sum_eng_shots2")


def test_titles_are_found_in_a_reply():
    assert title("<http://dbpedia.org/resource/Titanic_(1997_film)>") == "Titanic"
    assert clean("12 Monkeys") == "Monkeys"
    assert clean("10 - Heat (1995)") == "Heat"
    assert recommendations("Of 11.5 I like\n1. Up") == [
        "I like",
        "Up",
    ]  # "1." in 11.5 opens the list, and 5 is its number
    assert recommendations("The Matrix, Up") == ["The Matrix", "Up"]
    assert recommendations("Sure:\n1. Up (2009)\n2) Heat\n") == ["Up", "Heat", ""]


def test_the_nearest_title_counts_and_ties_do_not_hang_on_hashing():
    assert Titles({"Up": 0, "The Matrix": 1}).nearest(["the matriks"]) == ["The Matrix"]
    for order in (["It", "The Matrix", "Up"], ["Up", "It", "The Matrix"]):
        assert Titles({name: number for number, name in enumerate(order)}).nearest([""]) == ["Up"]


def test_recall_at_k():
    metrics, named, right = recall("1. The Matrix\n2. Alien 3\n3. Spider-Man", ["5", "0", "4"], ENTITIES)
    assert (named, right) == (["The Matrix", "Aliens", "Spider Man"], ["Aliens", "The Matrix", "Alien"])
    assert metrics == pytest.approx({"recsys_recall@1": 1 / 3, "recsys_recall@5": 2 / 3, "recsys_recall@10": 2 / 3})
    assert score("1. The Matrix", ["0"], "recsys_redial_full", "mab", entities=ENTITIES) == 1.0


def test_an_answer_of_ids_as_one_text_is_taken_digit_by_digit():
    # Resumed runs pass the first id alone: "24" are the titles 2 and 4.
    metrics, named, right = recall("1. Up\n2. Alien", list("24"), ENTITIES)
    assert post_process("1. Up\n2. Alien", "24", "recsys_redial_full", ENTITIES)[0] == metrics
    assert (named, right) == (["Up", "Alien"], ["Up", "Alien"])
    for wrong in ([2, 4], [["2"], ["4"]], None):
        with pytest.raises(ScorerError, match="ids of titles, as texts"):
            post_process("1. Up", wrong, "recsys_redial_full", ENTITIES)


def test_recommendations_need_a_table_with_their_titles(tmp_path):
    with pytest.raises(ScorerError, match="give entities=load_entities"):
        score("1. Up", ["2"], "recsys_redial_full", "mab")
    with pytest.raises(ScorerError, match="table of 5 titles"):
        recall("1. Up", ["77"], ENTITIES)
    path = tmp_path / "entity2id.json"
    path.write_text(json.dumps(ENTITIES))
    assert load_entities(path) == ENTITIES
    path.write_text('{"Up": "two"}')
    with pytest.raises(DataError, match="gives every entity a number"):
        load_entities(path)
    with pytest.raises(DataError, match="cannot read the table"):
        load_entities(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("source", "prediction", "reference", "expected"),
    [
        ("locomo-4", "She jumped and runs", "jumping, running", 4 / 5),  # she jump run against jump run
        ("locomo-2", "7 May 2023", "May 7, 2023", 1.0),
        # Parts: "hikes" finds hike (1), "art museum" at best museum (2/3).
        ("locomo-1", "hiking, the museum", "hikes, art museum", (1 + 2 / 3) / 2),
        ("locomo-3", "Likely no", "Likely no; she dislikes it", 1.0),
        ("locomo-4", "", "", 0.0),
        ("locomo-5", "It is not mentioned.", "a cat", 1.0),
        ("locomo-5", "a cat", "a cat", 0.0),
        ("locomo-5", "I do not know", "a cat", 0.0),
    ],
)
def test_locomo_scores_by_category(source, prediction, reference, expected):
    assert score(prediction, (reference,), source, "locomo") == pytest.approx(expected)


def test_locomo_needs_the_category():
    with pytest.raises(ScorerError, match=r"locomo-1 \(multi-hop\)"):
        score("a", ("a",), "locomo", "locomo")
