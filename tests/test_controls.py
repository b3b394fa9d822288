"""Controls: what they store, that their operations fit the limits, and that they order as they should."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

import memenvs  # noqa: F401
from agents.base import AGENTS, View, make_agent
from agents.budgeted import First, Last, RandomBudget
from agents.controls import KeepEverything, Random
from agents.hindsight import Hindsight
from agents.scripted import Scripted
from memenvs.errors import SettingsError
from memenvs.memory.bank import MemoryBank, MemoryLimits
from memenvs.memory.operations import Operation, parse_operations
from memenvs.streams.types import Chunk, Evidence, Question, Stream

CONTROLS = [name for name in AGENTS if name != "candidate"]
CHUNKS = [
    f"Item {t} has colour red{t}. Box {t} holds {t} nails. Nice weather today. Key {t} is green." for t in range(6)
]


def stream_of(chunks, questions=(Question("Which?", ("x",), "test"),)):
    return Stream("s", "test", tuple(map(Chunk, chunks)), tuple(questions))


def play(agent, stream, limits=MemoryLimits(), seed=0):
    """Contents of the final memory and all outcomes."""
    bank = MemoryBank(limits)
    agent.reset(seed, stream)
    outcomes = []
    for step, chunk in enumerate(stream.chunks):
        text = agent.act({"chunk": chunk.text, "memory": "", "step": step}, {"memory": bank.items, "T": stream.T})
        report = parse_operations(text)
        assert report.error is None
        outcomes += bank.apply(report.operations).outcomes
    return [item.content for item in bank.items], outcomes


def mixed_text(rng):
    words = [
        "Anna",
        "now",
        "no longer",
        "likes",
        "tea",
        "Ünï",
        "東京",
        "12",
        "\n",
        ". ",
        "? ",
        "label: 3",
        '"quoted"',
        "🎉",
    ]
    return " ".join(rng.choice(words, size=int(rng.integers(0, 120))))


@pytest.mark.parametrize("limits", [{}, {"max_operations": 3, "max_item_tokens": 8, "memory_budget": 40}])
@pytest.mark.parametrize("name", CONTROLS)
def test_no_operation_is_refused_on_any_text(name, limits):
    rng = np.random.default_rng(0)
    chunks = [*(mixed_text(rng) for _ in range(12)), "", "word " * 1600, "Same. Same. Same.", "Same."]
    stream = stream_of(chunks, [Question("Who?", ("Anna",), "test")])
    env_limits = MemoryLimits(limits.get("max_operations"), limits.get("max_item_tokens"), limits.get("memory_budget"))
    _, outcomes = play(make_agent(name, **limits), stream, env_limits)
    assert [o for o in outcomes if not o.valid] == []
    assert name == "nothing" or any(o.op == "INSERT" for o in outcomes)


@pytest.mark.parametrize("name", CONTROLS)
def test_same_seed_same_messages(name):
    stream = stream_of(CHUNKS, [Question("Which?", ("green",), "test")])
    agent = make_agent(name, max_operations=2)
    first, again = play(agent, stream, seed=3), play(agent, stream, seed=3)
    assert first == again


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "hindsight"])
def test_only_hindsight_looks_at_the_stream(name):
    stream = stream_of(CHUNKS)
    told, blind = make_agent(name, max_operations=2), make_agent(name, max_operations=2)
    told.reset(1, stream)
    blind.reset(1)
    for step, text in enumerate(CHUNKS):
        observation, info = {"chunk": text, "memory": "", "step": step}, {"memory": (), "T": 6}
        assert told.act(observation, info) == blind.act(observation, info)


def test_keep_everything_in_order_and_up_to_the_quota():
    stream = stream_of(["One. Two. Three.", "Four."])
    assert play(KeepEverything(), stream)[0] == ["One.", "Two.", "Three.", "Four."]
    assert play(KeepEverything(max_operations=2), stream)[0] == ["One.", "Two.", "Four."]
    assert play(KeepEverything(max_item_tokens=1), stream_of(["a b"]))[0] == ["a", "b"]


def test_random_takes_each_sentence_about_equally_often():
    agent = Random(max_operations=1)
    agent.reset(0)
    counts = {"A.": 0, "B.": 0, "C.": 0}
    for _ in range(600):
        counts[agent.operations(View("", (), 0, 1), ("A.", "B.", "C."))[0].content] += 1
    assert min(counts.values()) > 150


def test_first_and_last_keep_the_two_ends():
    stream = stream_of([f"Line {t}a. Line {t}b." for t in range(5)])  # three tokens a line
    assert play(First(memory_budget=10), stream)[0] == ["Line 0a.", "Line 0b.", "Line 1a."]
    assert sorted(play(Last(memory_budget=10), stream)[0]) == ["Line 3b.", "Line 4a.", "Line 4b."]
    # A quota of two pays for one exchange a step.
    assert sorted(play(Last(memory_budget=6, max_operations=2), stream)[0]) == ["Line 3b.", "Line 4b."]


def test_random_budget_is_a_uniform_sample_of_the_stream():
    stream = stream_of([f"Line {t:02d}." for t in range(20)])
    agent = RandomBudget(memory_budget=15)
    counts = dict.fromkeys((chunk.text for chunk in stream.chunks), 0)
    for seed in range(400):
        kept, _ = play(agent, stream, seed=seed)
        assert len(kept) == 5
        for text in kept:
            counts[text] += 1
    # 400 x 5 / 20 = 100 each, standard deviation 8.7.
    assert min(counts.values()) > 60
    assert max(counts.values()) < 140


def test_scripted_skips_small_talk_and_duplicates_and_updates():
    chunks = [
        "Anna Berg lives in Paris. Hello, nice weather! Ben Karr is a baker.",
        "Anna Berg lives in Paris. Box 7 holds nails.",
        "Anna Berg now lives in Oslo.",
        "Ben Karr now owns a dog.",
    ]
    kept, outcomes = play(Scripted(), stream_of(chunks))
    assert kept == [
        "Anna Berg now lives in Oslo.",
        "Ben Karr is a baker.",
        "Box 7 holds nails.",
        "Ben Karr now owns a dog.",
    ]
    assert [o.op for o in outcomes if o.op == "UPDATE"] == ["UPDATE"]


def test_hindsight_stores_the_evidence_the_most_asked_first():
    red, nails = Evidence(1, "Item 1 has colour red1."), Evidence(1, "Box 1 holds 1 nails.")
    questions = [
        Question("q1", ("1",), "test", (nails,)),
        Question("q2", ("red1",), "test", (red,)),
        Question("q3", ("red1",), "test", (red, Evidence(4, "Key 4 is green."))),
        Question("q4", ("red2",), "test"),
    ]
    stream = stream_of(CHUNKS, questions)
    kept, _ = play(Hindsight(), stream)
    # q4 does not tell its evidence: the sentence with the answer stands in.
    assert kept == [red.text, nails.text, "Item 2 has colour red2.", "Key 4 is green."]
    assert play(Hindsight(max_operations=1), stream)[0] == [red.text, "Item 2 has colour red2.", "Key 4 is green."]
    only_chunk = dataclasses.replace(questions[0], text="How many nails are in the box?", evidence=(Evidence(3),))
    assert play(Hindsight(), stream_of(CHUNKS, [only_chunk]))[0] == ["Box 3 holds 3 nails."]
    with pytest.raises(ValueError, match="needs the stream"):
        Hindsight().reset(0)


def test_hindsight_without_named_evidence_keeps_outdated_answers_and_nothing_of_a_summary():
    stream = stream_of(
        ["Oslo has 3 bridges.", "Oslo has 4 bridges. Rome has 13."], [Question("How many?", ("3",), "test")]
    )
    assert play(Hindsight(), stream)[0] == ["Oslo has 3 bridges.", "Rome has 13."]
    summary = Question("Summarise.", ("Oslo, Rome, bridges",), "test")
    assert play(Hindsight(), stream_of(["Oslo has 3 bridges.", "Rome has 13."], [summary]))[0] == []


def test_limits_below_one_are_refused():
    with pytest.raises(SettingsError, match="max_operations must be at least 1"):
        KeepEverything(max_operations=0)


def test_canonical_order_frees_the_budget_before_it_is_spent():
    stream = stream_of(["Line a.", "Line b."])
    kept, outcomes = play(Last(memory_budget=3), stream, MemoryLimits(max_tokens=3))
    assert kept == ["Line b."]
    assert [o.op for o in outcomes] == ["INSERT", "DELETE", "INSERT"]
    assert Operation("DELETE", None, "0.0").id == outcomes[1].id


def test_controls_order_as_they_should_on_builtin_streams():
    env = gym.make("FineMem-Memalpha-v0", split="test", max_operations=3, max_item_tokens=48, chunk_questions=0)

    def score(name):
        scores = []
        for index in range(6):
            agent = make_agent(name, max_operations=3, max_item_tokens=48)
            observation, info = env.reset(seed=0, options={"stream": index})
            agent.reset(index, env.unwrapped.episode.stream)
            done = False
            while not done:
                observation, reward, done, _, info = env.step(agent.act(observation, info))
            scores.append(reward)
        return np.mean(scores)

    nothing, at_random, scripted, hindsight = (score(n) for n in ("nothing", "random", "scripted", "hindsight"))
    assert nothing < 0.1 < at_random < scripted < hindsight
    assert hindsight > 0.9
