"""The table of known titles: made once, and the nearest title as one compares all of them by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from memenvs.scoring import recsys, score
from memenvs.scoring.recsys import Titles

RECSYS = "recsys_redial_full"
WORDS = st.text("abA é1", max_size=6)


@pytest.mark.parametrize(("profile", "right"), [("mab", "1"), ("memalpha-eval", "1"), ("corrected", "1")])
def test_the_titles_of_a_table_are_made_once_and_never_those_of_an_older_one(profile, right, monkeypatch):
    made = []
    plain = recsys.title
    monkeypatch.setattr(recsys, "title", lambda entity: made.append(entity) or plain(entity))
    table = {f"{profile} Up": 1, f"{profile} Heat": 2}
    for _ in range(3):
        assert score(f"1. {profile} Up", [right], RECSYS, profile, entities=dict(table)) == 1.0
    assert len(made) == 2
    table[f"{profile} Up"], table[f"{profile} Heat"] = 2, 1
    assert score(f"1. {profile} Up", [right], RECSYS, profile, entities=table) == 0.0
    assert score(f"1. {profile} Heat", [right], RECSYS, profile, entities=table) == 1.0


@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(WORDS, max_size=150))
def test_the_nearest_title_is_that_of_a_comparison_with_all(entities, lines):
    known = {recsys.title(entity) for entity in entities}
    expected = [max(known, key=lambda k: (-Levenshtein.distance(line.lower(), k.lower()), k)) for line in lines]
    table = Titles({entity: number for number, entity in enumerate(entities)})
    assert table.nearest(lines) == expected
    assert table.nearest(lines[::-1]) == expected[::-1]


def test_lines_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(recsys, "_LINES_KEPT", 2)
    table = Titles({"Up": 0, "Heat": 1})
    for _ in range(2):
        assert table.nearest(["up", "heat", "hea", "u"]) == ["Up", "Heat", "Heat", "Up"]
    assert len(table._found) == 4
    assert table.nearest(["heap"]) == ["Heat"]
    assert len(table._found) == 1
