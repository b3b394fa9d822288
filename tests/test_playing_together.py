"""Streams played side by side are those played one by one."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import lm  # noqa: F401

from agents.language_model import LanguageModelAgent
from memenvs.reading import ExtractiveReader
from memenvs.streams.stream_list import StreamList
from memenvs.streams.types import Chunk, Question, Stream
from trainers.evaluation import evaluate
from trainers.playing_together import evaluate_together


class Counting(ExtractiveReader):
    """Counts what each call asks."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def read(self, readings):
        self.calls.append(len(readings))
        return super().read(readings)


def streams():
    """Three streams of different length."""
    made = []
    for number, T in enumerate((3, 1, 2)):
        chunks = tuple(Chunk(f"Item {n} of stream {number} is red.") for n in range(T))
        made.append(Stream(f"s{number}", "test", chunks, (Question("Which?", ("red",), "builtin-fact"),)))
    return made


def test_each_stream_has_the_draws_it_has_alone(lm, tmp_path):  # noqa: F811
    import gymnasium as gym

    import memenvs  # noqa: F401

    data = StreamList(streams(), "test")

    reader = Counting()

    def make():
        return gym.make("FineMem-Memalpha-v0", data=data, reader=reader, disable_env_checker=True)

    alone, together = [], []
    agent = LanguageModelAgent(lm, temperature=1.0, max_tokens=12, batch=2)
    expected = evaluate(make(), agent, [2, 0, 1], seed=4, keep=alone.append)
    assert reader.calls == [1, 1, 1]
    reader.calls.clear()
    found = evaluate_together(make, agent, [2, 0, 1], seed=4, keep=together.append)
    assert reader.calls == [1, 2]  # the stream of one step takes the place of that of two, and ends with that of three
    assert found == expected
    messages = [[step.message for step in record.steps] for record in together]
    assert messages == [[step.message for step in record.steps] for record in alone]
    assert [len(row) for row in messages] == [2, 3, 1]
    assert len({message for row in messages for message in row}) == 6
