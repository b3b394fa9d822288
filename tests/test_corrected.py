"""The rules of the profile `corrected` for summaries, recommendations and options, and that every benchmark has a rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.benchmarks import benchmarks
from memenvs.errors import ScorerError
from memenvs.scoring import metric_for, score
from memenvs.scoring.metrics import option_match
from memenvs.scoring.points import points, points_recall
from memenvs.scoring.titles import named, titles_recall

SUMMARY = "infbench_sum_eng_shots2"
RECSYS = "recsys_redial_full"


@pytest.mark.parametrize(
    ("references", "wanted", "keywords"),
    [
        (("Anna, Paris; the ball",), ("Anna", "Paris", "the ball"), True),
        (("Mr. Darcy, Pemberley",), ("Mr. Darcy", "Pemberley"), True),
        (("Anna", "Paris", "Anna", " "), ("Anna", "Paris"), True),
        (("Pemberley",), ("Pemberley",), True),
        (("Anna left Paris. Bob, her brother, stayed there.",), ("Anna left Paris.", "Bob, her brother, stayed there."), False),
        (("Anna left.",), ("Anna left.",), False),
        (("One two three four five six seven",), ("One two three four five six seven",), False),
        (("It is what it is. Anna left.",), ("Anna left.",), False),  # nothing but function words is no point
        (("the",), (), True),
    ],
)  # fmt: skip
def test_a_reference_is_keywords_or_sentences(references, wanted, keywords):
    assert points(references) == (wanted, keywords)


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("Anna went to Paris.", ("Anna, Paris, ball",), 2 / 3),
        ("Annabel in Parisian balls", ("Anna, Paris, ball",), 0),  # whole words
        ("Everything about New, York", ("New York",), 1),
        ("York, New", ("New York",), 0),
        # anna, left, paris: two of three; bob, stayed, london: one of three.
        ("Anna and Bob left.", ("Anna left Paris. Bob stayed in London.",), (2 / 3 + 1 / 3) / 2),
        ("", ("Anna left Paris. Bob stayed.",), 0),
        ("the of and", ("Anna left Paris. Bob stayed.",), 0),
        ("anything", ("the",), 0),
    ],
)
def test_a_summary_is_worth_the_points_that_it_tells(prediction, references, expected):
    assert points_recall(prediction, references) == pytest.approx(expected)
    assert score(prediction, references, SUMMARY) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        ("1. Up (2009)\n2) The Matrix\n\n3. 12 Monkeys", ["up", "matrix", "12 monkeys"]),
        ("I like these films:\n1. Up\n2. Heat\nEnjoy!", ["up", "heat"]),
        ("Up, Heat, 1917", ["up", "heat", "1917"]),
        ("- Up\n* Heat", ["up", "heat"]),
        ("12 Monkeys\n1917", ["12 monkeys", "1917"]),
        ("", []),
        ("1.\n2. Up", ["up"]),
    ],
)
def test_which_lines_name_titles(reply, lines):
    assert named(reply) == lines


def test_recommendations_are_the_right_titles_among_the_first_five():
    golds = ("12 Monkeys (1995)", "The Matrix", "Heat")
    assert titles_recall("1. Up\n2. Matrix, The\n3. 12 Monkeys\n4. Alien\n5. It\n6. Heat", golds) == pytest.approx(
        2 / 3
    )
    assert titles_recall("You liked Heat, so try 12 Monkeys", golds) == pytest.approx(2 / 3)
    assert titles_recall("1. Heathers", golds) == 0
    assert titles_recall("", golds) == 0
    assert score("1. Heat", ("Heat",), RECSYS) == 1.0


def test_a_table_makes_titles_of_numbers():
    table = {"<http://dbpedia.org/resource/Up_(2009_film)>": 2, "<http://dbpedia.org/resource/300_(film)>": 7}
    assert score("1. Up\n2. 300", ("2", "7"), RECSYS, entities=table) == 1.0
    assert score("1. Up\n2. 300", ("2", "300"), RECSYS, entities=table) == 1.0  # a title is a title
    assert score("1. Up", ("2",), RECSYS) == 0.0  # without the table "2" is a title that nobody named


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [("B", 1), ("(b)", 1), ("B. whoever", 1), ("Answer: B", 1), ("It was the Butler!", 1), ("Bob", 0), ("A", 0), ("", 0),
     ("Bare hands", 0)],
)  # fmt: skip
def test_an_option_is_its_letter_or_its_text(prediction, expected):
    assert option_match(prediction, ("B", "the butler")) == expected
    assert score(prediction, ("B", "the butler"), "infbench_choice_eng_shots2") == expected


def test_every_benchmark_has_rules_for_its_sources():
    scored = 0
    for benchmark in benchmarks():
        for family in benchmark.families:
            try:
                metric_for(family)
            except ScorerError:
                # Only a competency or a whole stands for several sources, which have their own ids.
                assert family in (
                    "Accurate_Retrieval",
                    "Test_Time_Learning",
                    "Long_Range_Understanding",
                    "Conflict_Resolution",
                )
            else:
                scored += 1
    assert scored > 50


pieces = st.lists(
    st.sampled_from(["Anna", "left", "Paris.", "the", "1.", "\n", ",", ";", "(x)", "", "é"]), max_size=12
).map(" ".join)


@settings(max_examples=200)
@given(pieces, st.lists(pieces, min_size=1, max_size=3))
def test_scores_are_shares_and_the_reference_itself_is_whole(prediction, references):
    for metric in (points_recall, titles_recall, option_match):
        assert 0 <= metric(prediction, references) <= 1
    if points(references)[0]:
        assert points_recall("\n".join(references), references) == pytest.approx(1.0)
