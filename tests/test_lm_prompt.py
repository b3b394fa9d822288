"""What a language model is asked: layout, dialects, the view of the memory, equal bytes on every path."""

import gymnasium as gym
import numpy as np
import pytest

import memenvs  # noqa: F401
from agents.base import View, make_agent
from agents.language_model import PromptSettings, make_prompt
from agents.language_model.formats import PROMPTED, format_text, tools_of
from agents.language_model.view import memory_view
from memenvs import Episode
from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.memory import MemoryBank, MemoryItem, Operation, count_tokens, parse_operations
from memenvs.streams.types import Chunk, Question, Stream
from memenvs.vector import MemoryVectorEnv


def item(item_id, content, step=None):
    created = int(item_id.lstrip("se").split(".")[0])
    return MemoryItem(item_id, content, created if step is None else step, created, count_tokens(content))


MEMORY = (
    item("0.0", "Ann owns a red boat."),
    item("0.1", "Bob lives in Oslo.", step=4),
    item("1.0", "The boat of Ann is called Vega."),
    item("2.0", "Tea is hot."),
    item("3.0", "Cleo plays chess."),
)
VIEW = View("Ann sold the boat. Rain fell.", MEMORY, 5, 9)


def ids(view):
    return [item.id for item in view.shown]


def test_instructions_then_chunk_then_memory_then_request():
    prompt = make_prompt(VIEW)
    request = prompt.request
    places = [
        request.index(part)
        for part in (VIEW.chunk, "[0.0] Ann owns a red boat.", "[3.0] Cleo", "Reply with the operations")
    ]
    assert places == sorted(places)
    assert request.startswith("# Chunk 6 of 9\nAnn sold")
    assert VIEW.chunk not in prompt.instructions
    # Rollouts of a group have other memories; up to there their prompts are equal.
    other = make_prompt(View(VIEW.chunk, MEMORY[2:], 5, 9))
    assert other.instructions == prompt.instructions
    assert other.request[: places[1]] == request[: places[1]]
    assert other.request != request


def test_limits_and_time_are_told_where_there_are_any():
    assert "Limits" not in make_prompt(VIEW).instructions
    told = make_prompt(VIEW, PromptSettings(max_operations=3, memory_budget=77)).instructions
    assert "Operations in one reply: at most 3\n- Tokens of the whole memory: at most 77\n" in told
    assert "Tokens of one item" not in told
    assert make_prompt(View("x", (), 0, 2, "2024-05-01")).request.startswith("# Chunk 1 of 2 (2024-05-01)\nx\n")


@pytest.mark.parametrize("dialect", PROMPTED)
def test_the_example_of_each_format_is_a_message_of_its_dialect(dialect):
    for line in [format_text(dialect).rsplit("reply ", 1)[-1].removesuffix(".")]:
        if dialect != "function_calls":
            assert parse_operations(line, dialect).operations == (Operation("SKIP"),)
    if "\n" in (text := format_text(dialect)):
        example = text[text.index("\n") :].rsplit("\nI", 1)[0]
        found = parse_operations(example, dialect, "One. Two. Three. Four. Five.").operations
        assert [operation.op for operation in found] == ["INSERT", "UPDATE", "DELETE"]
    else:
        assert tools_of(dialect)


def test_tools_are_described_where_they_cannot_be_handed_over():
    prompt = make_prompt(VIEW, PromptSettings("function_calls"))
    names = [tool["function"]["name"] for tool in prompt.tools]
    assert names == ["insert", "update", "delete", "skip"]
    with_tools, without = prompt.messages(tools=True), prompt.messages(tools=False)
    assert [message["role"] for message in without] == ["system", "user"]
    assert with_tools[1] == without[1]
    assert '{"name": "insert"' not in with_tools[0]["content"]
    assert '{"name": "insert"' in without[0]["content"]
    assert without[0]["content"].startswith(with_tools[0]["content"])
    (one,) = prompt.messages(tools=False, system=False)
    assert one == {"role": "user", "content": f"{without[0]['content']}\n\n{without[1]['content']}"}
    assert make_prompt(VIEW).tools == ()


def test_sentences_are_shown_with_the_numbers_that_messages_use():
    request = make_prompt(VIEW, PromptSettings("sentences")).request
    assert "\nAnn sold the boat. [1]\nRain fell. [2]\n" in request


def test_all_items_are_shown_where_they_fit():
    total = sum(count_tokens(item.line) for item in MEMORY)
    for budget in (None, total):
        view = memory_view(MEMORY, VIEW.chunk, budget)
        assert view.shown == MEMORY
        assert "not shown" not in view.text()
    assert len(memory_view(MEMORY, VIEW.chunk, total - 1).hidden) == 1


def test_items_alike_to_the_chunk_come_first_then_the_latest_written():
    # "[0.0] Ann owns a red boat." has 11 tokens, [1.0] 13, [0.1] 10, [3.0] 9, [2.0] 9.
    assert [count_tokens(item.line) for item in MEMORY] == [11, 10, 13, 9, 9]
    assert ids(memory_view(MEMORY, VIEW.chunk, 24)) == ["0.0", "1.0"]
    # Of those that share no word with the chunk, 0.1 was written last.
    assert ids(memory_view(MEMORY, VIEW.chunk, 34)) == ["0.0", "0.1", "1.0"]
    assert ids(memory_view(MEMORY, VIEW.chunk, 43)) == ["0.0", "0.1", "1.0", "3.0"]
    # What does not fit is left out and the next is tried.
    assert ids(memory_view(MEMORY, VIEW.chunk, 23)) == ["0.1", "1.0"]
    assert ids(memory_view(MEMORY, VIEW.chunk, 22)) == ["1.0", "3.0"]
    assert ids(memory_view(MEMORY, VIEW.chunk, 19, "newest")) == ["0.1", "3.0"]
    assert ids(memory_view(MEMORY, VIEW.chunk, 0)) == []


def test_what_is_hidden_is_counted():
    view = memory_view(MEMORY, VIEW.chunk, 24)
    assert view.text() == (
        "[0.0] Ann owns a red boat.\n[1.0] The boat of Ann is called Vega.\n(3 of 5 items not shown; they are kept)"
    )
    assert memory_view(MEMORY, "", 0).text() == "(5 of 5 items not shown; they are kept)"
    assert memory_view((), "").text() == "(empty)"


def test_hidden_items_stay_addressable():
    bank = MemoryBank()
    bank.apply([Operation("INSERT", f"Number {n}.") for n in range(6)])
    view = memory_view(bank.items, "", 8)
    assert ids(view) == ["0.5"]
    report = bank.apply(
        parse_operations('[{"op": "UPDATE", "id": "0.1", "content": "New."}, {"op": "DELETE", "id": "0.2"}]').operations
    )
    assert {"0.1", "0.2"} <= {item.id for item in view.hidden}
    assert [outcome.valid for outcome in report.outcomes] == [True, True]
    assert [item.content for item in bank.items] == ["Number 0.", "New.", "Number 3.", "Number 4.", "Number 5."]
    assert ids(memory_view(bank.items, "", 8)) == ["0.1"]  # the latest write


def test_a_memory_of_parts_is_shown_in_parts_the_core_first():
    core = MemoryItem("core", "Ann is a sailor.", 0, 0, 5)
    memory = (core, item("s0.0", "Boats float."), item("e1.0", "On Monday Ann sailed."))
    text = make_prompt(View("Rain.", memory, 2, 3), PromptSettings("memalpha", memory_tokens=17)).request
    assert text.split("\n\n")[1] == (
        "# Memory\ncore_memory:\n[core] Ann is a sailor.\nsemantic_memory:\n[s0.0] Boats float.\n"
        "episodic_memory:\n(1 of 1 items not shown; they are kept)"
    )


def test_equal_bytes_from_gym_from_the_episode_and_from_the_vector_environment():
    """Training, evaluation and the batched path show a model the same."""
    settings = {"chunk_questions": 0, "data_settings": {"T": 4}}
    how = PromptSettings(memory_tokens=60, max_operations=4)
    env = gym.make("FineMem-Memalpha-v0", **settings)
    observation, info = env.reset(seed=3)
    stream = env.unwrapped.episode.stream
    episode = Episode(stream, EpisodeSettings(chunk_questions=0))
    envs = MemoryVectorEnv(2, **settings)
    observations, infos = envs.reset(seed=[3, 3])
    writer = make_agent("keep_everything")
    for step in range(stream.T):
        views = [
            View.of(observation, info),
            View.seen(episode.observe()),
            View.each(observations, infos)[1],
        ]
        prompts = [make_prompt(view, how) for view in views]
        assert prompts[0] == prompts[1] == prompts[2]
        assert ("not shown" in prompts[0].request) == (step > 0)
        message = writer.act(observation, info)
        observation, _, _, _, info = env.step(message)
        readings = episode.act(message)
        episode.answer(None if readings else [], "nobody reads here" if readings else None)
        observations, _, _, _, infos = envs.step(np.array([message] * 2, dtype=object))


def test_a_time_of_the_data_reaches_the_prompt_on_both_paths():
    stream = Stream("s", "test", (Chunk("A. B.", "Monday"),), (Question("Which?", ("A",), "builtin-fact"),))
    seen = Episode(stream).observe()
    info = {"memory": seen.memory, "T": seen.T, "timestamp": seen.timestamp}
    of_gym = View.of({"chunk": seen.chunk, "memory": "", "step": np.int64(0)}, info)
    assert of_gym == View.seen(seen) == View("A. B.", (), 0, 1, "Monday")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dialect": "sentence"}, "Did you mean 'sentences'"),
        ({"show": "oldest"}, "alike, newest"),
        ({"memory_tokens": -1}, "at least 0 or None"),
        ({"max_operations": 0}, "at least 1 or None"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(SettingsError, match=said):
        PromptSettings(**settings)
