"""What is compared in every suite: each arm's memory and what its reader is shown."""

import json
from dataclasses import asdict, replace

import pytest
from endpoint_server import EndpointServer
from hypothesis import given, settings
from hypothesis import strategies as st
from suite_arms import FACTS, Noting, room, rooms

from agents.base import make_agent
from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.errors import ReaderError, SettingsError
from memenvs.memory import EverythingRetriever, EvidenceRetriever, MemoryLimits
from memenvs.reading import ExtractiveReader, read
from memenvs.streams import Chunk, Question, Stream, StreamList, load
from trainers import checkpoint
from trainers.suites.arms import ARMS, ArmUnavailable, find_arm, play

PLAYABLE = [name for name, arm in ARMS.items() if arm.make is not None]
SETTINGS = EpisodeSettings(k=2)


def shown(name, dataset=None, index=0, episode=SETTINGS, **given):
    """The texts that the reader is shown, per question."""
    reader = Noting()
    play(name, dataset or StreamList([room()]), index, episode, reader, **given)
    return [[content for _, content in reading.items] for reading in reader.seen]


def mean(name, dataset, streams, **given):
    records = [play(name, dataset, i, EpisodeSettings(), ExtractiveReader(), streams=streams, **given) for i in streams]
    return sum(record.r_global for record in records) / len(records)


def test_what_each_arm_shows_its_reader():
    sentences = [s + "." for text in FACTS for s in text.removesuffix(".").split(". ")]
    assert shown("nothing") == [[], [], []]
    assert shown("long_context") == [list(FACTS)] * 3
    assert shown("long_context:10") == [["late.", FACTS[2]]] * 3
    assert shown("rag")[0] == [FACTS[0], FACTS[2]]
    assert sorted(shown("rag_mab")[1]) == sorted(FACTS)
    assert sorted(shown("rag_mab:6")[1]) == sorted(sentences)
    assert shown("first", budget=4) == [["Ann likes tea."]] * 3
    assert shown("last", budget=3) == [["Nobody came."]] * 3
    everything = shown("keep_everything", episode=EpisodeSettings(k=9))
    assert [sorted(texts) for texts in everything] == [sorted(sentences)] * 3


def test_baselines_know_no_limits_of_a_memory_and_controls_do():
    tight = EpisodeSettings(k=9, limits=MemoryLimits(max_operations=1, max_item_tokens=4))
    assert shown("long_context", episode=tight) == [list(FACTS)] * 3
    assert sorted(shown("keep_everything", episode=tight)[0]) == [
        "Ann likes tea.",
        "Ann lives in Oslo",
        "Bob plays chess.",
    ]
    record = play("rag", StreamList([room()]), 0, tight, Noting())
    assert record.settings["limits"] == {"max_operations": None, "max_item_tokens": None, "max_tokens": None}


@pytest.mark.parametrize("name", PLAYABLE)
def test_an_arm_of_ours_is_understood_whatever_memory_and_dialect_the_agent_has(name):
    other = EpisodeSettings(k=9, memory="memalpha", dialect="memalpha")
    record = play(name, rooms("a", "a"), 0, other, Noting(), budget=9)
    assert (record.memory_tokens > 0) is (name != "nothing")
    assert [step.error for step in record.steps] == [None] * 3


@pytest.mark.parametrize("name", [*PLAYABLE, "shuffled:rag", "long_context:5", "rag_mab:5", "every_fact"])
def test_records_say_what_they_came_from_and_survive_json(name):
    dataset = rooms("a", "a", "b")
    record = play(name, dataset, 1, SETTINGS, Noting(), seed=3, budget=9)
    said = record.settings
    assert (said["arm"], said["seed"], said["reader"], said["stream_index"]) == (name, 3, "noting", 1)
    assert said["dataset"] == dataset.fingerprint
    assert said["retrieval"] == ARMS.get(name, find_arm(name)).settings.get("retrieval", "default")
    assert (record.stream_id, record.fingerprint) == ("a/1", dataset[1].fingerprint)
    assert EpisodeRecord.from_json(record.to_json()) == record
    assert play(name, dataset, 1, SETTINGS, Noting(), seed=3, budget=9) == record


def test_on_generated_streams_knowing_nothing_is_worst_and_the_evidence_is_enough():
    dataset, streams = load("builtin", "test"), range(12)
    size = 900
    scores = {name: mean(name, dataset, streams, budget=size) for name in PLAYABLE}
    assert scores["nothing"] == scores["shuffled"] == 0
    assert all(score > 0.3 for name, score in scores.items() if name not in ("nothing", "shuffled"))
    assert scores["oracle_evidence"] >= 0.99
    assert (
        scores["oracle_evidence"]
        >= scores["hindsight"]
        > max(score for name, score in scores.items() if ARMS[name].kind != "oracle")
    )


def test_the_agent_under_test_is_an_object_or_the_folder_of_a_run(tmp_path):
    dataset = load("builtin", "test")
    agent = make_agent("candidate")
    once = play("agent", dataset, 4, SETTINGS, ExtractiveReader(), agent=agent)
    checkpoint.save(tmp_path / "run", 1, {"policy": agent.policy}, {"policy": asdict(agent.policy.settings)})
    again = play(str(tmp_path / "run"), dataset, 4, SETTINGS, ExtractiveReader())
    assert again.memory == once.memory
    assert len(again.memory) > 0
    assert (again.settings["arm"], again.settings["agent"]) == (str(tmp_path / "run"), "candidate")


def test_a_given_agent_keeps_its_dialect():
    class Caller:
        name = "caller"

        def reset(self, seed, stream=None):
            pass

        def act(self, observation, info):
            call = {"memory_type": "semantic_memory", "content": observation["chunk"]}
            return f"✿FUNCTION✿: new_memory_insert\n✿ARGS✿: {json.dumps(call)}"

    own = EpisodeSettings(memory="memalpha", dialect="memalpha")
    record = play("agent", StreamList([room()]), 0, own, Noting(), agent=Caller())
    assert [item.content for item in record.memory] == list(FACTS)


def test_a_model_behind_a_server_is_an_arm_and_its_faults_are_its_own():
    pytest.importorskip("openai")

    def reply(messages):
        asked = messages[-1]["content"]
        if "Bob plays chess" in asked:
            return "I would rather not."
        return json.dumps([{"op": "INSERT", "content": "tea" if "Ann likes tea" in asked else "Oslo"}])

    with EndpointServer(reply) as server:
        name = f"endpoint:{server.address}#rules"
        limited = EpisodeSettings(limits=MemoryLimits(max_operations=1), memory="memalpha", dialect="memalpha")
        record = play(name, StreamList([room()]), 0, limited, Noting())
        other = play(f"shuffled:{name}", rooms("a", "a"), 0, SETTINGS, Noting())
    assert [item.content for item in record.memory] == ["tea", "Oslo"]
    assert [step.error is None for step in record.steps] == [True, False, True]
    assert (record.settings["agent"], record.settings["dialect"]) == ("endpoint:rules", "json")
    assert other.settings["memory_of"]["stream"] == "a/1"


def test_what_an_arm_lacks_is_said():
    alone = StreamList([room()])
    with pytest.raises(ArmUnavailable, match="'agent' needs an agent"):
        play("agent", alone, 0, SETTINGS, Noting())
    with pytest.raises(ArmUnavailable, match="last needs the memory size of an agent"):
        play("last", alone, 0, SETTINGS, Noting())
    with pytest.raises(SettingsError, match=r"'keep_everythin' is neither an arm .* Did you mean 'keep_everything'"):
        play("keep_everythin", alone, 0, SETTINGS, Noting())
    for wrong in ("long_context:0", "long_context:-1", "rag_mab:x", "rag:3", "shuffled:"):
        with pytest.raises(SettingsError, match="neither an arm"):
            find_arm(wrong)


def test_a_message_that_cannot_be_read_is_not_scored_as_an_empty_memory():
    long = "word " * 14_000
    dataset = StreamList([replace(room(), chunks=(Chunk(long),), questions=(Question("Who?", ("x",), "squad"),))])
    with pytest.raises(SettingsError, match="chunk 0 needs a message of 700.. characters"):
        play("rag", dataset, 0, SETTINGS, Noting())
    with pytest.raises(SettingsError, match=r"keep_everything could not write chunk 0 .*at most 65536 are read"):
        play("keep_everything", dataset, 0, SETTINGS, Noting())


def test_a_reader_that_fails_leaves_a_failure_and_no_score():
    class Broken(Noting):
        def read(self, readings):
            raise ReaderError("no server")

    record = play("rag", StreamList([room()]), 0, SETTINGS, Broken())
    assert "no server" in record.failure
    assert [q.score for q in record.questions] == [None] * 3


ARM_NAMES = st.sampled_from([*PLAYABLE, "shuffled:long_context", "long_context:6"])


@settings(max_examples=60)
@given(ARM_NAMES, st.permutations(range(3)), st.integers(1, 3), st.integers(0, 5))
def test_questions_never_change_the_memory(name, order, count, seed):
    """Inject once, query many: the same memory and the same answers whatever else is asked, in any order."""
    dataset = rooms("a", "a")
    every = play(name, dataset, 0, SETTINGS, Noting(), seed, budget=9)
    some = play(name, dataset, 0, SETTINGS, Noting(), seed, budget=9, questions=order[:count])
    assert some.memory == every.memory
    assert some.questions == tuple(every.questions[i] for i in order[:count])


@settings(max_examples=40)
@given(
    st.sampled_from(["default", "mab", "memalpha-longctx", "everything", "evidence"]),
    st.lists(st.lists(st.text("ab .?", max_size=8), min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_reading_changes_no_digest_and_reading_twice_gives_the_same(retrieval, chunks):
    texts = [tuple(text for text in chunk if text) for chunk in chunks]
    asked = tuple(Question(text, ("a",), "squad") for text in {"a?", "b", " "} | set(sum(texts, ())))
    stream = Stream("s", "squad", tuple(Chunk(" ".join(chunk)) for chunk in texts), asked)
    given_ = {q.text: [(t, text) for t, chunk in enumerate(texts) for text in chunk] for q in asked}
    retriever = {"everything": EverythingRetriever(), "evidence": EvidenceRetriever(given_)}.get(retrieval)
    episode = Episode(stream, EpisodeSettings(k=3, retrieval=retrieval), retriever=retriever)
    for chunk in texts:
        readings = episode.act(json.dumps([{"op": "INSERT", "content": text} for text in chunk]))
        before = episode.bank.digest(), episode.bank.items
        reader = Noting()
        answers, again = reader.read(readings), reader.read(readings)
        assert answers == again
        episode.answer(*read(reader, readings))
        assert (episode.bank.digest(), episode.bank.items) == before
    assert [q.prediction for q in episode.record().questions] == [answer.text for answer in answers]
