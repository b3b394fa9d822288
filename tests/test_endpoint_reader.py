"""A model behind a server as reader: what it is asked, what it cites, what happens when it fails, and in environments."""

from __future__ import annotations

import math
import pickle

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

pytest.importorskip("openai")

from endpoint_server import EndpointServer, first_note, free_port
from fake_clock import FakeClock

from memenvs import testing
from memenvs.endpoint import ChatEndpoint, ChatSettings
from memenvs.env import MemoryEnv
from memenvs.episode import Episode
from memenvs.errors import ReaderError, SettingsError
from memenvs.reading import Answer, CachedReader, EndpointReader, Reading, make_reader, read
from memenvs.reading.prompts import conversation
from memenvs.streams import Chunk, Question, Stream, StreamList
from memenvs.streams.mab_templates import mab_template

ITEMS = (("3.1", "The key is with Ann."), ("7.2", "Ben left for Oslo."))


@pytest.fixture
def server():
    with EndpointServer(first_note) as made:
        yield made


def reader(server: EndpointServer, templates: str = "own", **settings: object) -> EndpointReader:
    return EndpointReader(ChatEndpoint(ChatSettings(server.address, "rules", **settings), FakeClock()), templates)


def test_answers_come_with_the_ids_of_what_they_cite(server):
    model = reader(server)
    assert model.read([Reading("Who has the key?", ITEMS), Reading("Who?", ()), Reading("Who?", ITEMS[::-1])]) == [
        Answer("Ann", ("3.1",)),
        Answer("I don't know"),
        Answer("Oslo", ("7.2",)),
    ]
    # Without items there is nothing to cite.
    assert (model.name, model.uncited, model.unstructured) == ("rules", 0, 0)


def test_answers_that_cite_nothing_valid_are_counted(server):
    replies = iter(['{"answer": "Ann", "evidence": [9]}', '{"answer": "Ann"}', "Ann"])
    server.answer = lambda messages: next(replies)
    model = reader(server)
    for name in "abc":
        assert model.read([Reading(f"Who is {name}?", ITEMS)]) == [Answer("Ann")]
    assert (model.uncited, model.unstructured) == (3, 1)


def test_ids_are_no_part_of_what_is_asked(server):
    first = reader(server)
    renamed = tuple((f"x{item_id}", content) for item_id, content in ITEMS)
    assert first.read([Reading("Who?", ITEMS), Reading("Who?", renamed)]) == [
        Answer("Ann", ("3.1",)),
        Answer("Ann", ("x3.1",)),
    ]
    assert len(server.requests) == 1
    assert "3.1" not in str(server.requests)


def test_the_question_the_items_and_the_form_are_in_the_prompt():
    system, user = (message["content"] for message in conversation(Reading("Who {has} the key?", ITEMS, "squad")))
    assert '{"answer": "...", "evidence": [' in system
    assert user == "Notes:\n[1] The key is with Ann.\n[2] Ben left for Oslo.\n\nQuestion: Who {has} the key?"
    assert "(there are none)" in conversation(Reading("Who?", (), "squad"))[1]["content"]


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("icl_banking77_5900shot_balance", "label"),
        ("pubmed-rct", "label"),
        ("recsys_redial_full", "20 titles"),
        ("infbench_sum_eng_shots2", "summary"),
        ("booksum", "summary"),
        ("factconsolidation_mh_6k", "larger number"),
        ("eventqa_65536", "copied in full"),
        ("squad", "few words"),
        ("longmemeval_s*", "few words"),
    ],
)
def test_what_is_asked_for_depends_on_the_source(source, word):
    assert word in conversation(Reading("?", (), source))[0]["content"]


def test_memoryagentbench_templates_are_rendered_around_the_question(server):
    model = reader(server, "mab")
    source = "icl_nlu_8296shot_balance"
    server.answer = lambda messages: "label: 3"
    assert model.read([Reading("play {jazz}", ITEMS, source)]) == [Answer("3")]
    system, user = (message["content"] for message in server.requests[0]["messages"])
    assert system == mab_template(source, "system", "rag")
    assert user.startswith("The key is with Ann.\n\nBen left for Oslo.\n\n")
    assert user.endswith(mab_template(source, "query", "rag").format(question="play {jazz}"))
    assert model.name == "rules (mab)"
    with pytest.raises(ReaderError, match="no template for the sub-dataset 'squad'"):
        model.read([Reading("?", ITEMS, "squad")])


def test_a_failed_reading_has_a_failure_and_no_text(server):
    model = reader(server, max_retries=1)
    server.fault_of = lambda request: "500" if "bad" in request["messages"][-1]["content"] else ""
    good, bad = model.read([Reading("good?", ITEMS), Reading("bad?", ITEMS)])
    assert good == Answer("Ann", ("3.1",))
    assert (bad.text, bad.evidence_ids) == ("", ())
    assert bad.failure.startswith("server_error: ")
    assert "2 tries" in bad.failure


def test_thoughts_without_an_answer_are_a_failure_and_not_an_answer(server):
    server.answer = lambda messages: "<think>Let me see"
    server.faults = ["length"]
    (answer,) = reader(server).read([Reading("?", ITEMS)])
    assert answer.failure == "no_text: the reply holds thoughts and no answer; raise max_tokens"


def test_a_reader_is_made_from_an_address(server):
    named = make_reader(f"{server.address}#org/model:v1#2", temperature=0.5, templates="mab")
    assert named.name == "org/model:v1#2 (mab)"
    assert named.endpoint.settings == ChatSettings(server.address, "org/model:v1#2", temperature=0.5)
    assert make_reader(server.address).name == "rules"
    assert isinstance(pickle.loads(pickle.dumps(named)), EndpointReader)
    with pytest.raises(SettingsError, match="unknown setting 'temprature'.*Did you mean 'temperature'"):
        make_reader(server.address, temprature=1)
    with pytest.raises(SettingsError, match="address names the model 'a', the settings 'b'"):
        make_reader(f"{server.address}#a", model="b")
    with pytest.raises(SettingsError, match="only a reader at an address takes settings"):
        make_reader("extractive", timeout=1)
    with pytest.raises(SettingsError, match="templates must be one of own, mab"):
        make_reader(f"{server.address}#m", templates="mob")
    with pytest.raises(SettingsError, match="Start the server, or name the model"):
        make_reader(f"http://127.0.0.1:{free_port()}/v1", patience=0)


# In episodes and environments

DAYS = tuple(Chunk(f"Day {n}.", None, (Question(f"What on day {n}?", (f"thing{n}",), "squad"),)) for n in range(3))
STREAM = Stream("days", "squad", DAYS, tuple(Question(f"Which {n}?", (f"thing{n}",), "squad") for n in range(4)))
INSERT = '[{"op": "INSERT", "content": "thing0"}, {"op": "INSERT", "content": "Which thing1"}]'


def played(env: gym.Env) -> dict:
    env.reset(seed=0)
    done, info = False, {}
    while not done:
        _, reward, done, _, info = env.step(INSERT)
    return info | {"reward": reward}


def test_failed_questions_are_no_scores_and_the_others_are_kept(server):
    model = reader(server, max_retries=0)
    server.fault_of = lambda request: "500" if "Question: Which 2?" in request["messages"][-1]["content"] else ""
    episode = Episode(STREAM)
    while not episode.done:
        episode.answer(*read(model, episode.act(INSERT)))
    record = episode.record()
    assert [reading.score is None for reading in record.questions] == [False, False, True, False]
    assert "server_error" in record.failure
    assert math.isnan(record.r_global)
    assert not any(reading.score is None for step in record.steps for reading in step.readings)


def test_an_environment_with_a_reader_at_an_address_has_a_spec_that_is_json(server, tmp_path):
    cache = str(tmp_path / "replies.sqlite")
    env = gym.make("FineMem-Memalpha-v0", reader=f"{server.address}#rules", reader_settings={"cache": cache}, k=2)
    first = played(env)
    assert first["failure"] is None
    asked = len(server.requests)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert played(again)["questions"] == first["questions"]
    assert len(server.requests) == asked > 0
    assert again.unwrapped.record.settings["reader"] == "rules"
    with pytest.raises(SettingsError, match="unknown setting 'chache'"):
        gym.make("FineMem-Memalpha-v0", reader=server.address, reader_settings={"chache": cache})


def test_an_environment_with_a_reader_at_an_address_keeps_every_promise(server):
    passed = testing.check("FineMem-Memalpha-v0", reader=server.address, data_settings={"T": 4})
    assert {"check_seeding", "check_other_process", "check_snapshot", "check_reader_failure"} <= set(passed)


def test_the_rollouts_of_a_group_ask_each_question_of_the_same_evidence_once(server):
    data = StreamList([STREAM])
    vector = gym.vector.SyncVectorEnv([lambda: MemoryEnv(data, reader=server.address, k=1) for _ in range(8)])
    vector.reset(seed=[0] * 8)
    for _ in range(3):
        _, rewards, *_ = vector.step((INSERT,) * 8)
    assert len(set(rewards)) == 1
    # Three chunk questions and four global ones, each of one evidence.
    assert len(server.requests) == len({str(request["messages"]) for request in server.requests}) == 7
    usages = [env.unwrapped.reader.usage for env in vector.envs]
    assert sum(usage.answered for usage in usages) == 7
    assert sum(usage.cached for usage in usages) == 7 * 7


def test_a_cached_reader_in_front_keeps_no_failure(server):
    model = CachedReader(reader(server, max_retries=0))
    server.faults = ["500"]
    assert model.read([Reading("?", ITEMS)])[0].failure is not None
    assert model.read([Reading("?", ITEMS)]) == [Answer("Ann", ("3.1",))]
