"""Readers that break their contract, alone and in an environment."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from memenvs.env import MemoryEnv
from memenvs.errors import ReaderError
from memenvs.reading import Answer, CachedReader, ExtractiveReader, Reading
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


class FailsOn:
    """Answers all but the readings of one question."""

    name = "fails-on"

    def __init__(self, question: str) -> None:
        self.question, self.asked = question, []

    def read(self, readings):
        self.asked += [reading.question for reading in readings]
        return [
            Answer("", (), "429 after 3 tries") if reading.question == self.question else Answer("Zoë")
            for reading in readings
        ]


def test_one_failed_answer_leaves_the_others_their_scores() -> None:
    other = Question("Where?", ("Rome",), "builtin-fact")
    env = MemoryEnv(
        StreamList([Stream("two", "builtin", (Chunk("a"),), (ASKED, other))]),
        reader=FailsOn("Where?"),
        chunk_questions=0,
    )
    env.reset(seed=0)
    *_, info = env.step(SKIP)
    assert [(q.prediction, q.score, q.failure) for q in info["questions"]] == [
        ("Zoë", 1.0, None),
        (None, None, "429 after 3 tries"),
    ]
    assert math.isnan(info["r_global"])
    assert info["failure"] == "429 after 3 tries"


def test_credit_refuses_a_batch_with_a_failed_answer() -> None:
    asked = [Reading("Who?", ()), Reading("Where?", ())]
    with pytest.raises(ReaderError, match=r"failed on 1 of 2 readings: 429 after 3 tries"):
        ask(FailsOn("Where?"), asked)


def test_the_cache_keeps_answers_and_asks_again_for_failed_ones() -> None:
    reader = FailsOn("Where?")
    cached, asked = CachedReader(reader), [Reading("Who?", ()), Reading("Where?", ())]
    assert [answer.failure for answer in cached.read(asked)] == [None, "429 after 3 tries"]
    reader.question = "nothing"
    assert [answer.text for answer in cached.read(asked)] == ["Zoë", "Zoë"]
    assert reader.asked == ["Who?", "Where?", "Where?"]


@pytest.mark.parametrize("answer", [Answer("Zoë", (), "503"), Answer("", ("0.0",), "503")])
def test_a_failed_answer_has_neither_text_nor_evidence(answer: Answer) -> None:
    class Odd:
        name = "odd"

        def read(self, readings):
            return [answer for _ in readings]

    assert read(Odd(), [Reading("Who?", (("0.0", "a"),))])[1] is not None
