"""The lists in a model's reply: those that trying every bracket finds, however long the reply is."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainers.data_build.json_lists import json_lists


def tried_one_by_one(text):
    """The same by the library alone, in time quadratic in the length."""
    found, start = [], text.find("[")
    while start >= 0:
        try:
            listed, end = json.JSONDecoder().raw_decode(text, start)
        except ValueError:
            end = start + 1
        else:
            found.append(listed)
        start = text.find("[", end)
    return found


def test_lists_are_found_among_words_and_fences():
    assert json_lists('Sure [as asked]:\n```json\n[{"a": [1]}]\n```') == [[{"a": [1]}]]
    assert json_lists('See [1], [2]. Then ["a", {"b": [null, -1.5e3]}] and [] []') == [
        [1], [2], ["a", {"b": [None, -1500.0]}], [], [],
    ]  # fmt: skip


def test_what_is_whole_in_a_broken_list_is_found():
    assert json_lists("[1, 2") == []
    assert json_lists('[{"a": [1, 2]}, {"b": [3], "c') == [[1, 2], [3]]
    assert json_lists('["he wrote [4] and [5') == [[4]]
    assert json_lists('[6, [7] [8], {"a" 1}]') == [[7], [8]]


PIECES = st.sampled_from([*'[]{}",:\\ x', "01", "2.5e3", "true", '["a",', '{"a":', '"[1]'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)
WRITTEN = st.builds(json.dumps, VALUES, ensure_ascii=st.booleans(), indent=st.sampled_from((None, 1, "\t")))
TEXTS = st.lists(PIECES | WRITTEN | WRITTEN.map(lambda text: text[: len(text) // 2]), max_size=12).map("".join)


@given(TEXTS)
@example('["[","]",["')
@example('["a\\"[1]", "\\u00e9", "\\x"]')
@example("[[1],[2}]")
@example("[-Infinity, 1E+5,\t-0\r\n]")
def test_they_are_those_that_trying_every_bracket_finds(text):
    assert json.dumps(json_lists(text)) == json.dumps(tried_one_by_one(text))


def test_a_list_is_read_to_a_depth():
    assert json_lists("[" * 100 + "]" * 100) == [json.loads("[" * 100 + "]" * 100)]
    assert json_lists("[" * 101 + "]" * 101) == [[]]
    assert json_lists("[" + "1" * 5000 + "] [2]") == [[2]]  # Python reads no such number


@pytest.mark.parametrize(
    "part",
    ["[", '["', '[\\"', '["a ', "[1, ", '[{"a":', '["[",', '["a",[', "[1 ", "{[", "[" * 90 + "x", "[" * 50 + "1 1" + "]" * 50],
    ids=repr,
)  # fmt: skip
def test_half_a_megabyte_is_read_as_a_short_reply_is(part):
    """It would take minutes if every bracket were tried."""
    tail = ' ["found"]'
    assert json_lists(part * (500_000 // len(part) // 2 * 2) + tail) == tried_one_by_one(part * 4 + tail)
