"""The agent protocol, the registry, views and canonical messages."""

import json

import numpy as np
import pytest

from agents.base import AGENTS, SKIP_MESSAGE, Agent, View, make_agent, message
from agents.overlap import overlap
from agents.units import units
from memenvs.errors import SettingsError
from memenvs.memory.bank import MemoryItem
from memenvs.memory.operations import Operation, parse_operations
from memenvs.memory.tokens import count_tokens
from memenvs.streams.types import Chunk, Question, Stream

STREAM = Stream("s", "test", (Chunk("One. Two."), Chunk("Three.")), (Question("Which?", ("Two",), "test"),))


@pytest.mark.parametrize("name", AGENTS)
def test_every_registered_agent_is_made_and_answers(name):
    agent = make_agent(name)
    assert isinstance(agent, Agent)
    assert agent.name == name
    agent.reset(0, STREAM)
    memory = (MemoryItem("0.0", "One.", 0, 0, 2),)
    text = agent.act({"chunk": "Three.", "memory": "", "step": np.int64(1)}, {"memory": memory, "T": 2})
    assert parse_operations(text).error is None


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(SettingsError, match="Did you mean 'scripted'"):
        make_agent("scriptd")
    with pytest.raises(SettingsError, match="does not take these settings.*speed"):
        make_agent("random", speed=3)


def test_view():
    items = (MemoryItem("0.0", "One.", 0, 0, 2),)
    view = View.of({"chunk": "c", "memory": "rendered", "step": np.int64(3)}, {"memory": items, "T": 7})
    assert view == View("c", items, 3, 7)
    assert type(view.step) is int


def test_message_is_canonical_and_survives_parsing():
    operations = [
        Operation("INSERT", 'b "quoted" \n 東京'),
        Operation("UPDATE", "new", "1.0"),
        Operation("SKIP"),
        Operation("INSERT", "a"),
        Operation("DELETE", None, "0.0"),
    ]
    text = message(operations)
    assert list(parse_operations(text).operations) == [operations[i] for i in (4, 1, 0, 3)]
    assert json.loads(text)[0] == {"op": "DELETE", "id": "0.0"}
    assert message([]) == SKIP_MESSAGE == message([Operation("SKIP")])


def test_units_cut_long_sentences_without_losing_a_word():
    text = "A short one. " + " ".join(f"word{n}," for n in range(30)) + " end."
    pieces = units(text, 16)
    assert pieces[0] == "A short one."
    assert all(1 <= count_tokens(piece) <= 16 for piece in pieces)
    assert " ".join(pieces) == text
    assert units(text) == ("A short one.", text[len("A short one. ") :])
    assert units("") == () == units(" \n ", 5)


def test_overlap_of_words():
    assert overlap("Anna likes tea.", "tea likes ANNA") == 1.0
    assert overlap("Anna likes tea", "Ben wants coffee") == 0.0
    # anna 4, likes 5, tea 3, coffee 6: common 9 of 12 + 15.
    assert overlap("Anna likes tea", "Anna likes coffee") == pytest.approx(2 * 9 / 27)
    assert overlap("", "tea") == 0.0 == overlap("...", "...")
