import json

import pytest

from agents.human import HELP, Human, StoppedError, read_line
from memenvs.memory import MemoryItem, Operation

SENTENCES = ("One is here.", "Two is here.", "Three is here.")
OBSERVATION = {"chunk": " ".join(SENTENCES), "memory": "[0.0] old", "step": 1}
INFO = {"T": 3, "memory": (MemoryItem("0.0", "old", 0, 0, 1),)}


def test_a_line_becomes_operations():
    assert read_line("1 3, u 0.0 2,, d 1.0, + Ann, Bob and Eve met + left ", SENTENCES) == [
        Operation("INSERT", "One is here."),
        Operation("INSERT", "Three is here."),
        Operation("UPDATE", "Two is here.", "0.0"),
        Operation("DELETE", None, "1.0"),
        Operation("INSERT", "Ann, Bob and Eve met + left"),
    ]


@pytest.mark.parametrize("line", ["4", "0", "x", "u 0.0", "d", "u 0.0 9", "1, +"])
def test_a_line_that_makes_no_sense_is_explained(line):
    with pytest.raises(ValueError, match="sentence|write"):
        read_line(line, SENTENCES)


def play(*lines, **limits):
    shown, typed = [], iter(lines)

    def ask(prompt):
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    return Human(ask, shown.append, **limits), shown


def test_a_bad_line_is_asked_again_and_help_is_shown():
    human, shown = play("7", "?", "2")
    message = human.act(OBSERVATION, INFO)
    assert json.loads(message) == [{"op": "INSERT", "content": "Two is here."}]
    assert any("1 to 3" in text for text in shown)
    assert HELP in shown
    assert "  2  Two is here." in shown


def test_long_sentences_are_cut_to_the_size_of_an_item():
    human, shown = play("2", max_item_tokens=2)
    assert json.loads(human.act(OBSERVATION, INFO)) == [{"op": "INSERT", "content": "here."}]
    assert "  1  One is" in shown


def test_a_line_over_the_limits_is_asked_again_before_a_step_is_spent():
    human, shown = play("1 2 3", "+ a text of six words here", "1 2", max_operations=2, max_item_tokens=5)
    assert len(json.loads(human.act(OBSERVATION, INFO))) == 2
    assert any("room for 2" in text for text in shown)
    assert any("6 tokens; an item may have 5" in text for text in shown)


def test_enter_skips():
    human, _ = play("")
    assert json.loads(human.act(OBSERVATION, INFO)) == [{"op": "SKIP"}]


@pytest.mark.parametrize("lines", [("q",), ()])
def test_q_and_the_end_of_input_stop(lines):
    human, _ = play(*lines)
    with pytest.raises(StoppedError):
        human.act(OBSERVATION, INFO)
