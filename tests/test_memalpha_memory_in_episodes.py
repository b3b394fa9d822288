"""Episodes and environments with Mem-alpha's memory, beside the flat one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import gymnasium as gym
import pytest

import memenvs
from memenvs import testing
from memenvs.episode import Episode, EpisodeSettings
from memenvs.errors import EpisodeError, SettingsError
from memenvs.memory import MemoryBank, Operation, ThreePartMemory
from memenvs.memory.memalpha_calls import MemoryCall
from memenvs.memory.three_part_retrieval import ThreePartRetriever
from memenvs.memory.three_part_view import manager_view
from memenvs.reading import Answer
from memenvs.record import EpisodeRecord
from memenvs.streams.types import Chunk, Question, Stream
from rewards import FineMemReward, terms
from rewards.credit.replay import settings_of

QUESTIONS = (
    Question("Where does Ann live?", ("Rome",), "builtin-fact"),
    Question("What did Bob buy?", ("a kite",), "builtin-fact"),
)
STREAM = Stream("s", "builtin", (Chunk("Ann lives in Rome."), Chunk("On Monday Bob bought a kite.")), QUESTIONS)
THREE = EpisodeSettings(memory="memalpha", dialect="memalpha", k=1)


def write(part: str, content: str) -> dict:
    if part == "core":
        return {"name": "memory_update", "arguments": {"memory_type": "core_memory", "new_content": content}}
    return {"name": "new_memory_insert", "arguments": {"memory_type": f"{part}_memory", "content": content}}


def manager(chunk: str) -> str:
    """A manager by rule: dated chunks are episodic, others semantic; the core says what the last chunk was about."""
    part = "episodic" if chunk.startswith("On ") else "semantic"
    calls = [write(part, chunk), write("core", f"last: {chunk.split()[0]}")]
    return "\n".join(f"✿FUNCTION✿: {call['name']}\n✿ARGS✿: {json.dumps(call['arguments'])}" for call in calls)


def answers(needs) -> list[Answer]:
    return [Answer("Rome" if "Ann" in reading.question else "a kite", ()) for reading in needs]


def play(settings: EpisodeSettings = THREE) -> Episode:
    episode = Episode(STREAM, settings)
    while not episode.done:
        needs = episode.act(manager(episode.observe().chunk))
        episode.answer(answers(needs))
    return episode


def test_an_episode_with_three_parts():
    episode = play()
    record = episode.record()
    assert [item.id for item in record.memory] == ["core", "s0.0", "e1.0"]
    assert [item.content for item in record.memory] == ["last: On", STREAM.chunks[0].text, STREAM.chunks[1].text]
    assert [(item.step, item.created) for item in record.memory] == [(1, 0), (0, 0), (1, 1)]
    # The core, then k = 1 item of each part, whatever the other part's scores.
    assert [[r.id for r in question.retrieved] for question in record.questions] == [["core", "s0.0", "e1.0"]] * 2
    assert record.r_global == 1
    assert terms.fmt(record) == (1, 1)
    assert sum(terms.attribution(record)) == pytest.approx(1)
    assert EpisodeRecord.from_json(record.to_json()) == record
    assert settings_of(record) == THREE


def test_snapshots_and_digests_hold_the_parts():
    episode, other = Episode(STREAM, THREE), Episode(STREAM, THREE)
    episode.answer(answers(episode.act(manager(STREAM.chunks[0].text))))
    other.restore(episode.snapshot())
    assert other.digest() == episode.digest()
    readings = [each.act(manager(STREAM.chunks[1].text)) for each in (episode, other)]
    assert readings[0] == readings[1]
    assert other.digest() == episode.digest() == play().digest().replace(":2:", ":1:")
    with pytest.raises(EpisodeError, match="another episode"):
        Episode(STREAM).restore(Episode(STREAM, THREE).snapshot())
    strict = Episode(STREAM, EpisodeSettings(memory="memalpha-strict", dialect="memalpha", k=1))
    with pytest.raises(EpisodeError, match="memory memalpha there, memalpha-strict here"):
        strict.restore(Episode(STREAM, THREE).snapshot())


def test_the_flat_memory_is_the_default_and_is_not_named():
    episode = Episode(STREAM)
    assert type(episode.bank) is MemoryBank
    assert "memory" not in EpisodeSettings().facts()
    assert EpisodeSettings().facts() | {"memory": "flat"} == asdict(EpisodeSettings())
    origin = {"stream": STREAM.fingerprint, "questions": [0, 1]} | EpisodeSettings().facts()
    origin |= {"retriever": {"k1": 1.5, "b": 0.75, "idf": "lucene", "epsilon": 0.25, "profile": "default"}}
    key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
    assert episode.digest() == f"{key}:0:{'0' * 64}"


def test_memories_and_dialects_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match=r"memory must be one of flat, memalpha.*Did you mean 'memalpha'"):
        EpisodeSettings(memory="memalfa")
    with pytest.raises(SettingsError, match='writes memories of three parts; set memory="memalpha" too'):
        gym.make("FineMem-Memalpha-v0", dialect="memalpha")


def test_the_rule_decides_what_is_valid():
    delete = json.dumps({"name": "memory_delete", "arguments": {"memory_type": "semantic_memory", "memory_id": "s9.9"}})
    shares = []
    for memory in ("memalpha", "memalpha-strict"):
        episode = Episode(STREAM, EpisodeSettings(memory=memory, dialect="memalpha"))
        episode.act(delete)
        shares.append(terms.fmt_step(episode.answer([])))
    assert shares == [1, 0]


def test_the_id_pair_shares_its_streams():
    flat, three = gym.make("FineMem-Memalpha-v0"), gym.make("MemAlpha-Memalpha-v0")
    seen = [env.reset(seed=5) for env in (flat, three)]
    assert seen[0][0]["chunk"] == seen[1][0]["chunk"]
    assert flat.unwrapped.episode.stream.fingerprint == three.unwrapped.episode.stream.fingerprint
    assert seen[1][0]["memory"].startswith("<core_memory>")
    # An agent that knows of no parts writes semantic items.
    *_, info = three.step('[{"op": "INSERT", "content": "a note"}]')
    assert [item.id for item in info["memory"]] == ["s0.0"]


def test_an_episode_of_the_id_is_played_shown_and_paid():
    env = FineMemReward(gym.make("MemAlpha-Memalpha-v0", data_settings={"T": 4}, render_mode="ansi"))
    observation, _ = env.reset(seed=1)
    done = False
    while not done:
        observation, _, done, _, info = env.step(manager(observation["chunk"]))
        assert observation["memory"] == manager_view(env.unwrapped.episode.bank)
        assert "[core]" in env.render()
    assert info["r_global"] > 0
    assert info["step_reward_terms"]["format"] == (1, 1, 1, 1)


def test_the_contract_holds():
    assert testing.check("MemAlpha-Memalpha-v0", data_settings={"T": 4}) == [check.__name__ for check in testing.CHECKS]
    assert "MemAlpha-Memalpha-v0" in {info.id for info in memenvs.envs()}


def filled(n: int, core: bool = True) -> ThreePartMemory:
    memory = ThreePartMemory(core=core)
    inserts = [MemoryCall("INSERT", f"{part} {i}", None, part) for i in range(n) for part in ("semantic", "episodic")]
    memory.apply([*inserts, *([Operation("UPDATE", "sum", "core")] if core else [])])
    return memory


def test_the_view_shows_the_last_items_of_each_part():
    assert manager_view(ThreePartMemory()) == (
        "<core_memory>\n\n</core_memory>\n\n"
        "<semantic_memory> (Only show the most recent 0 out of 0 memories)\nEmpty.\n</semantic_memory>\n\n"
        "<episodic_memory> (Only show the most recent 0 out of 0 memories)\nEmpty.\n</episodic_memory>"
    )
    view = manager_view(filled(3, core=False), last=2)
    assert view.splitlines()[:4] == [
        "<semantic_memory> (Only show the most recent 2 out of 3 memories)", "[s0.2] semantic 1", "[s0.4] semantic 2",
        "</semantic_memory>",
    ]  # fmt: skip
    assert view.splitlines()[6:] == ["[e0.3] episodic 1", "[e0.5] episodic 2", "</episodic_memory>"]


def test_a_view_that_is_too_long_shows_fewer_items():
    memory = filled(9)
    halved = [manager_view(memory, last) for last in (5, 2, 1, 0)]
    for longer, shorter in pairwise(halved):
        assert manager_view(memory, max_chars=len(longer)) == longer
        assert manager_view(memory, max_chars=len(longer) - 1) == shorter
    assert manager_view(memory, max_chars=7) == "<core_m"


def test_the_view_shows_the_items_that_the_published_one_shows(shared: Path):
    rows = (shared / "oracles/peers/memalpha_server_misc.jsonl").read_text(encoding="utf-8").splitlines()
    seen = 0
    for row in map(json.loads, rows):
        if "render_system_prompt" not in row["function"] or row["inputs"]["status"] != "memorie":
            continue
        given = row["inputs"]
        last = given["max_num_of_recent_chunks"]
        memory = filled(given["n_items"], given["including_core"])
        view = manager_view(memory, 20 if last is None else last)
        for part, items in (("semantic", memory.semantic), ("episodic", memory.episodic)):
            theirs = len(row["shows"][part])
            assert [item.id for item in items if f"[{item.id}]" in view] == [i.id for i in items[len(items) - theirs :]]
            assert f"most recent {theirs} out of {given['n_items']} memories" in view
        assert ("<core_memory>" in view) == given["including_core"]
        seen += 1
    assert seen > 5


def test_parts_are_ranked_on_their_own_and_follow_the_memory():
    memory = filled(4)
    retriever, fresh = ThreePartRetriever(), ThreePartRetriever()
    retriever.restore(memory.items)
    assert [r.id for r, _ in retriever.top_k("semantic 2", 2)][:2] == ["core", "s0.4"]
    report = memory.apply(
        [Operation("DELETE", None, "core"), Operation("UPDATE", "kite", "e0.1"), Operation("DELETE", None, "s0.4")]
    )
    retriever.follow(report.changes)
    fresh.restore(memory.items)
    for query in ("semantic 2", "kite", ""):
        assert retriever.top_k(query, 3) == fresh.top_k(query, 3)
        assert len(retriever.top_k(query, 3)) == 6
    assert retriever.top_k("kite", 1)[1][0].id == "e0.1"
