"""What is read out of a model's reply: leniently, without eval, and never an id that does not exist."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.reading.replies import Understood, understand_reply

FOUND = {
    '{"answer": "Rome", "evidence": [2]}': ("Rome", (1,)),
    ' {"Answer": "Rome", "Evidence": [2, 1, 2]}\n': ("Rome", (0, 1)),
    '```json\n{"answer": "Rome", "evidence": [1]}\n```': ("Rome", (0,)),
    'Sure! {"note": 1} Here: {"answer": "Rome", "evidence": [3]} Bye {x}': ("Rome", (2,)),
    "{'answer': 'Rome', 'evidence': [3]}": ("Rome", (2,)),
    "{answer: 'It is Anna\\'s', evidence: [1]}": ("It is Anna's", (0,)),
    '{"answer": "Rome", "evidence": [1, 3': ("Rome", (0, 2)),
    '{"answer": "Rome and th': ("Rome and th", ()),
    '{"answer": "a\nb", "evidence": []}': ("a\nb", ()),
    '{"answer": "Rome", "evidence": "[2], note 3"}': ("Rome", (1, 2)),
    '{"answer": "Rome", "evidence": ["1", "[3]"]}': ("Rome", (0, 2)),
    '{"answer": "Rome", "evidence": 2}': ("Rome", (1,)),
    '{"answer": "Rome", "sources": [2]}': ("Rome", (1,)),
    '{"answer": "Rome", "evidence": [0, 4, -1, 99999999999, 1.5, true, null, "x", {"a": 1}]}': ("Rome", ()),
    '{"answer": "Rome", "evidence": ["3.1", "1.2.3"]}': ("Rome", ()),
    '{"answer": 7, "evidence": [1]}': ("7", (0,)),
    '{"answer": 2.50}': ("2.5", ()),
    '{"answer": true}': ("yes", ()),
    '{"answer": null, "evidence": []}': ("", ()),
    '{"answer": ["a", "b"]}': ("a, b", ()),
    '{"answer": {"option": "C"}}': ('{"option": "C"}', ()),
    '<think>{"answer": "no"}</think>\n{"answer": "Rome", "evidence": [1]}': ("Rome", (0,)),
    'thoughts without a beginning</think>{"answer": "Rome"}': ("Rome", ()),
}


@pytest.mark.parametrize("reply", FOUND)
def test_json_is_found_wherever_it_stands(reply):
    text, places = FOUND[reply]
    assert understand_reply(reply, 3) == Understood(text, places, True)


PLAIN = {
    "Rome": "Rome",
    " Answer: Rome \n": "Rome",
    "The answer is: Rome": "Rome",
    "```\nRome\n```": "Rome",
    "It is {Rome}.": "It is {Rome}.",
    "<think>hm</think> Rome": "Rome",
    "[1, 2]": "[1, 2]",
    '{"reply": "Rome"}': '{"reply": "Rome"}',
}


@pytest.mark.parametrize("reply", PLAIN)
def test_what_is_no_such_json_is_the_answer(reply):
    assert understand_reply(reply, 3) == Understood(PLAIN[reply], (), False)


def test_unended_thoughts_are_no_answer():
    assert understand_reply('<think>{"answer": "Rome"', 3).text is None


@pytest.mark.parametrize(
    ("reply", "question", "text"),
    [
        (r'{"answer": "3"}', r"... \boxed{label}", r"\boxed{3}"),
        (r'{"answer": 3}', r"... \boxed{label}", r"\boxed{3}"),
        (r'{"answer": "\boxed{3}"}', r"... \boxed{label}", r"\boxed{3}"),
        (r'{"answer": "\\boxed{3}"}', r"... \boxed{label}", r"\boxed{3}"),
        ("label: 3", r"... \boxed{label}", r"\boxed{3}"),
        ("Label: 3", "What is the label?", "3"),
        (r"\boxed{3}", "What is the label?", r"\boxed{3}"),
        ('{"answer": ""}', r"... \boxed{label}", ""),
    ],
)
def test_a_label_comes_in_the_form_that_the_question_asks_for(reply, question, text):
    assert understand_reply(reply, 0, question, "pubmed-rct").text == text


def test_a_box_is_for_labels_only():
    assert understand_reply('{"answer": "3"}', 0, r"What is \boxed{x}?", "squad").text == "3"


def test_recommended_titles_become_numbered_lines():
    reply = '{"answer": ["Heat", "1917 (2019)", 300]}'
    assert understand_reply(reply, 0, "", "recsys_redial_full").text == "1. Heat\n2. 1917 (2019)\n3. 300"


@given(st.text() | st.text(alphabet="{}[]\"'\\:, answervidc123<>/thk`\n"), st.integers(0, 5))
def test_no_reply_raises_and_no_place_is_invented(reply, items):
    understood = understand_reply(reply, items)
    assert all(0 <= place < items for place in understood.places)
    assert list(understood.places) == sorted(set(understood.places))


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.lists(st.integers(1, 5), max_size=5),
    st.sampled_from(["", "Well: ", "```json\n"]),
)
def test_what_was_asked_for_comes_through_whole(answer, evidence, before):
    understood = understand_reply(before + json.dumps({"answer": answer, "evidence": evidence}), 5)
    wanted = answer.replace("\x08oxed{", "\\boxed{").strip()
    assert understood == Understood(wanted, tuple(sorted({n - 1 for n in evidence})), True)


def test_deep_nesting_is_no_answer_and_no_error():
    reply = '{"answer": ' + "[" * 100_000
    assert understand_reply(reply, 1).text is not None


@pytest.mark.parametrize("reply", ['{"answer": %s1%s}', "{'answer': %s1%s}", '{"evidence": %s1%s, "answer": 1}'])
def test_lists_deep_within_each_other_are_no_answer(reply):
    deep = reply % ("[" * 400, "]" * 400)
    assert understand_reply(deep, 1) == Understood(deep, (), False)
    # Twenty are still read.
    assert understand_reply(reply % ("[" * 20, "]" * 20), 1).text == "1"


REPEATED = (
    "{",
    '{"',
    '{"a":',
    '{"a":[',
    '{"k":"',
    "{ x",
    '{"answer":',
    "```",
    "``` ",
    "```\n",
    "answer {",
    '{"a":1}',
    "' \"{answer:",
)
LONG = """
import json, sys
from memenvs.reading.replies import understand_reply
for part in json.loads(sys.argv[1]):
    for text in (part * 40_000, "{answer: " + part * 40_000, "```" + part * 40_000 + "```"):
        understand_reply(text, 3)
understand_reply('{"' * 1_000_000, 3)
"""


def test_long_replies_are_read_in_time_that_grows_with_their_length():
    """In time that grows with its square each of these takes many minutes."""
    subprocess.run([sys.executable, "-c", LONG, json.dumps(REPEATED)], check=True, timeout=600)
