"""Readers that break their contract, alone and in an environment."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from memenvs.env import MemoryEnv
from memenvs.errors import ReaderError
from memenvs.reading import Answer, ExtractiveReader, Reading
from memenvs.reading.asking import ask, read
from memenvs.streams import Chunk, Question, Stream, StreamList

INSERT, SKIP = '[{"op": "INSERT", "content": "a"}]', '[{"op": "SKIP"}]'
ASKED = Question("Who?", ("Zoë",), "builtin-fact")
STREAMS = StreamList([Stream("told", "builtin", tuple(Chunk(f"day {i}", None, (ASKED,)) for i in range(4)), (ASKED,))])


def raising(error: BaseException):
    def read(readings):
        raise error

    return read


BREAKS = [
    (raising(TimeoutError("after 30 s")), "raised TimeoutError: after 30 s"),
    (raising(ZeroDivisionError()), "raised ZeroDivisionError"),
    (raising(ReaderError("503")), "ReaderError: 503"),
    (lambda readings: None, r"expected \d+ answers, one per reading; the reader 'breaks' gave NoneType"),
    (lambda readings: "x" * len(readings), "gave str"),
    (
        lambda readings: [Answer("x")] * (len(readings) + 1),
        r"expected \d+ answers, one per reading; the reader 'breaks' gave \d+",
    ),
    (lambda readings: [None] * len(readings), "broke its contract: expected an Answer, got NoneType"),
    (lambda readings: [Answer(None) for _ in readings], "the text of an answer must be a string, got NoneType"),
    (lambda readings: [Answer("x", ("9.9",)) for _ in readings], r"it cited \['9.9'\], which it was not given"),
    (lambda readings: [Answer("x", None) for _ in readings], "evidence_ids must be a tuple of ids, got NoneType"),
]


class Breaks:
    """Answers like `ExtractiveReader` but for one call."""

    name = "breaks"

    def __init__(self, read: Any, call: int) -> None:
        self.wrong, self.call, self.calls = read, call, 0

    def read(self, readings):
        self.calls += 1
        return (self.wrong if self.calls == self.call else ExtractiveReader().read)(readings)


@pytest.mark.parametrize(("read", "message"), BREAKS)
@pytest.mark.parametrize("call", [2, 4])
def test_a_reader_that_breaks_its_contract_is_a_failure(read: Any, message: str, call: int):
    env = MemoryEnv(STREAMS, reader=Breaks(read, call))
    env.reset(options={"stream": 0})
    for step in range(4):
        _, reward, terminated, _, info = env.step(INSERT)
        assert (info["failure"] is not None) == (step + 1 >= call)
    assert terminated
    assert re.search(f"^ReaderError: .*{message}", f"{info['failure']}") or info["failure"] == message
    assert math.isnan(reward) == (call == 4), "the global questions are read at the end"
    env.reset(options={"stream": 0})
    assert env.step(SKIP)[4]["failure"] is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_meant_to_stop_the_program_passes(error: type[BaseException]):
    env = MemoryEnv(STREAMS, reader=Breaks(raising(error()), 1))
    env.reset(seed=1)
    with pytest.raises(error):
        env.step(SKIP)
    env.reset(seed=1)
    assert env.step(SKIP)[4]["failure"] is None


def test_the_cause_of_a_failure_is_kept():
    error = TimeoutError("after 30 s")
    readings = [Reading("?", (("0.0", "a"),))]
    with pytest.raises(ReaderError, match="the reader 'breaks' raised TimeoutError: after 30 s") as caught:
        ask(Breaks(raising(error), 1), readings)
    assert caught.value.__cause__ is error
    assert ask(Breaks(lambda _: (Answer("x", ("0.0",)),), 1), readings) == [Answer("x", ("0.0",))]


def test_nothing_is_asked_where_there_is_nothing_to_read():
    assert read(Breaks(raising(TimeoutError()), 1), []) == ([], None)
