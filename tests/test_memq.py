"""MemQ: decay over provenance, by hand."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_episodes import play

from memenvs.errors import DataError, SettingsError
from rewards import terms
from rewards.credit.provenance import eligibility, memq, provenance

# Step 0 writes x and y, step 1 corrects x, step 2 merges both into one item, step 3 writes z.
MERGE = [
    [("INSERT", "x old"), ("INSERT", "y 2")],
    [("UPDATE", "0.0", "x new")],
    [("INSERT", "x new y 2"), ("DELETE", "0.0"), ("DELETE", "0.1")],
    [("INSERT", "z 3")],
]


def test_eligibility_decays_with_the_shortest_depth():
    # Credit vector 46: d was made from b and c, both from a; gamma lambda = .8 * .5.
    parents = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}
    found = eligibility(parents, "d", 0.8 * 0.5)
    assert found == pytest.approx({"d": 1.0, "b": 0.4, "c": 0.4, "a": 0.16})
    moved = {node: 0.1 * 1.0 * weight for node, weight in found.items()}
    assert moved == pytest.approx({"d": 0.1, "b": 0.04, "c": 0.04, "a": 0.016})
    assert eligibility(parents | {"d": ["b", "a"]}, "d", 0.4)["a"] == pytest.approx(0.4)
    assert eligibility(parents, "b", 0.4) == pytest.approx({"b": 1.0, "a": 0.4})


def test_eligibility_ends_on_a_cycle():
    assert eligibility({"a": ["b"], "b": ["a"]}, "a", 0.5) == {"a": 1.0, "b": 0.5}


def test_versions_come_from_updates_and_from_what_the_same_message_deletes():
    graph = provenance(play(MERGE, {"z": "3"}))
    x, y, corrected, merged, z = graph.parents
    assert graph.parents == {x: (), y: (), corrected: (x,), merged: (corrected, y), z: ()}
    assert [graph.steps[version] for version in (x, y, corrected, merged, z)] == [0, 0, 1, 2, 3]
    assert graph.latest == {"2.0": merged, "3.0": z}


def test_an_item_inserted_and_deleted_by_one_message_is_nobodys_parent():
    graph = provenance(play([[("INSERT", "x 1"), ("INSERT", "y 2"), ("DELETE", "0.0")]], {"y": "2"}))
    assert list(graph.parents.values()) == [(), ()]


def test_credit_of_a_merge_by_hand():
    # k = 1: question x retrieves the merged item: 1 to step 2, at depth 1 .4 each to the correction (step 1) and to y (step 0), at
    # depth 2 .16 to the first x (step 0). Question z scores 1 at step 3. Two questions: halves.
    record = play(MERGE, {"x": "new y 2", "z": "3"}, k=1)
    assert [q.score for q in record.questions] == [1.0, 1.0]
    assert memq(record) == pytest.approx(((0.4 + 0.16) / 2, 0.4 / 2, 0.5, 0.5))
    assert memq(record, gamma=1.0, lam=1.0) == pytest.approx((1.0, 0.5, 0.5, 0.5))


def test_cited_evidence_leaves_out_what_was_only_retrieved():
    record = play(MERGE, {"z": "3"})
    assert [r.id for r in record.questions[0].retrieved] == ["3.0", "2.0"]
    assert memq(record, evidence="cited") == pytest.approx((0, 0, 0, 1))
    assert memq(record) == pytest.approx(((0.4 + 0.16) / 2, 0.4 / 2, 0.5, 0.5))


@given(
    st.lists(st.sampled_from(["insert", "update", "delete", "skip"]), min_size=1, max_size=6),
    st.sampled_from(terms.EVIDENCE),
)
def test_without_decay_left_it_is_the_evidence_anchored_attribution(kinds, evidence):
    first = {
        "insert": lambda t: ("INSERT", f"x {t}"),
        "update": lambda t: ("UPDATE", "0.0", f"x {t}"),
        "delete": lambda t: ("DELETE", "0.0"),
        "skip": lambda t: ("SKIP",),
    }
    record = play([[("INSERT", "x a")], *([first[kind](t)] for t, kind in enumerate(kinds))], {"x": "1", "y": "2"})
    attributed = terms.attribution(record, evidence)
    assert memq(record, gamma=0.0, evidence=evidence) == pytest.approx(attributed)
    assert all(
        credit >= share - 1e-12 for credit, share in zip(memq(record, evidence=evidence), attributed, strict=True)
    )


def test_a_failed_question_is_not_a_number():
    assert all(math.isnan(c) for c in memq(play(MERGE, {"x": "1"}, fails=True)))


def test_bad_settings_and_contradictory_records_are_refused():
    record = play(MERGE, {"x": "new"})
    with pytest.raises(SettingsError, match=r"lam must be in \[0, 1\], got 2"):
        memq(record, lam=2)
    with pytest.raises(SettingsError, match="Did you mean 'cited'"):
        memq(record, evidence="cite")
    without_first = replace(record, steps=(replace(record.steps[0], operations=()), *record.steps[1:]))
    with pytest.raises(DataError, match=r"step 1: the record calls UPDATE of item '0.0' valid"):
        memq(without_first)
    without_last = replace(record, steps=(*record.steps[:3], replace(record.steps[3], operations=())))
    with pytest.raises(DataError, match=r"used item '3.0', which no operation left behind"):
        memq(without_last)
