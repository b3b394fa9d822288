"""What Mem-alpha's server does around a prompt and around a judge's reply."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memenvs.errors import DataError
from memenvs.memory.three_part_retrieval import fitting_k
from rewards.memalpha_content import fenced_object, loose_verdict, verdict


@pytest.mark.parametrize(
    ("each", "k"),
    [(10, 20), (1499, 20), (1501, 19), (3001, 9), (29_999, 1)],
)
def test_the_width_shrinks_until_the_prompt_fits(each, k):
    assert fitting_k(lambda width: width * each) == k


def test_a_prompt_as_long_as_the_limit_does_not_fit_and_does_not_shrink():
    asked = []

    def tokens(width):
        asked.append(width)
        return 1500 * width

    with pytest.raises(DataError, match="less than 30000 tokens, got 30000 with 20 items of each part"):
        fitting_k(tokens)
    assert asked == [20]
    with pytest.raises(DataError, match="got 30001 with 1 items"):
        fitting_k(lambda width: 30_001)
    assert fitting_k(lambda width: 5, k=0) == 0


@settings(max_examples=100)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(1, 200))
def test_it_is_the_widest_that_is_no_longer_than_the_limit(sizes, limit):
    total = [sum(sizes[:width]) for width in range(len(sizes) + 1)]
    most = len(sizes)
    widest = max((width for width in range(1, most + 1) if total[width] <= limit), default=1)
    if total[widest] >= limit:
        with pytest.raises(DataError):
            fitting_k(total.__getitem__, most, limit)
    else:
        assert fitting_k(total.__getitem__, most, limit) == widest


GOOD = '{"VALID": true, "ISSUES": [], "EXPLANATION": "ok"}'


@pytest.mark.parametrize(
    ("reply", "strict", "loose"),
    [
        (f"```json\n{GOOD}\n```", True, True),
        (f"```\n{GOOD}\n```", None, True),  # the fence must say json
        (f"``` json\n{GOOD}\n```", None, True),  # no fence, but the text holds "VALID": true
        ('```json\n{"VALID": 1, "ISSUES": [], "EXPLANATION": "x"}\n```', None, True),
        ('```json\n{"VALID": "false"}\n```', None, True),  # a text counts as true
        ('```json\n{"ISSUES": []}\n```', None, False),
        ('"VALID": true, and no fence', None, True),
        ('"VALID":true', None, False),
        ("", None, False),
        (f"```json\n{GOOD}\n```\n```json\n{GOOD.replace('true', 'false')}\n```", True, True),  # the first counts
        ('```json\n{"a": {"VALID": true} }\n``` ```\n', None, False),
    ],
)
def test_a_reply_is_read_strictly_and_loosely(reply, strict, loose):
    assert (verdict(reply), loose_verdict(reply)) == (strict, loose)


def test_only_an_object_is_fenced():
    assert fenced_object("```json\n[1]\n```") is None
    assert fenced_object("```json {}```") == {}
    assert fenced_object('x ```{"a": "`"}``` y') == {"a": "`"}
