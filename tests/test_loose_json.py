"""JSON as models write it. Wanted values are those of the package json_repair 0.64.5."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.memory.loose_json import loads_loose

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{'a': 'b'}", {"a": "b"}),
        (
            "{kind: semantic_memory, content: bare words here}",
            {"kind": "semantic_memory", "content": "bare words here"},
        ),
        ('{"a": 1,}', {"a": 1}),
        ('{"a": "b",, "c": 1}', {"a": "b", "c": 1}),
        ('{"a": "b" "c": "d"}', {"a": "b", "c": "d"}),
        ('```json\n{"a": "b"}\n```', {"a": "b"}),
        ('prose {"a": 1} more', {"a": 1}),
        ('// c\n{"a": 1}', {"a": 1}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": "cut off', {"a": "cut off"}),
        ('{"a": {"b": "c"}', {"a": {"b": "c"}}),
        ('{"a": [1, 2}', {"a": [1, 2]}),
        ('{"a": True, "b": None}', {"a": True, "b": None}),
        ("{a: 1, b: 2.5, c: true}", {"a": 1, "b": 2.5, "c": True}),
        ('{"a": "he said "hi" there"}', {"a": 'he said "hi" there'}),
        ("{'content': 'it's fine', 'x': 1}", {"content": "it's fine", "x": 1}),
        ('{"a": \'b"c\'}', {"a": 'b"c'}),
        ("{“a”: “b”}", {"a": "b"}),
        ('{"a": }', {"a": ""}),
        ("{'a': 'x\\ny \\u00e9'}", {"a": "x\ny é"}),
        ("{", {}),
        ('{"a": "b"} {"c": 1}', [{"a": "b"}, {"c": 1}]),
        ('["a","b"', ["a", "b"]),
    ],
)
def test_what_was_meant_is_read(text: str, wanted: object):
    assert loads_loose(text) == wanted


@pytest.mark.parametrize("text", ["", "  ", "not json at all", "memory_type: x", "[" * 100_000, "{'a':" * 50_000])
def test_what_is_no_json_raises_value_error(text: str):
    with pytest.raises(ValueError, match=r"expected a JSON object|nested too deeply"):
        loads_loose(text)


@given(PLAIN)
def test_valid_json_is_read_as_it_is(value: object):
    assert loads_loose(json.dumps(value)) == value


@given(st.text(alphabet="{}[]:,'\"\\ab1 \n“”`", max_size=60))
def test_no_text_does_anything_but_give_a_value_or_raise_value_error(text: str):
    with contextlib.suppress(ValueError):
        json.dumps(loads_loose(text))


@pytest.mark.parametrize(
    "text", ['{"a": "' + '"' * 60_000, "{" + '"a" ' * 15_000, "{a:" + "'b' " * 15_000, "{" + " " * 60_000]
)
def test_long_nonsense_is_read_to_its_end(text: str):
    assert isinstance(loads_loose(text), dict)
