"""Language models in a suite: several streams side by side, as if each were played alone."""

import json
import re
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openai")

from endpoint_server import EndpointServer, first_note
from small_models import small_lm

from agents.base import AgentError
from agents.language_model import LanguageModelPolicy, PromptSettings, SamplingSettings
from memenvs.reading import ExtractiveReader
from trainers.cli import main
from trainers.playing_together import side_by_side
from trainers.settings import EnvSettings
from trainers.suites.catalogue import SUITES
from trainers.suites.plan import make_plan
from trainers.suites.playing import StreamJob, play_block, play_stream
from trainers.tokens.parts import TokenParts
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

SMALL = ["--suite", "builtin", "--T", "4", "--streams", "3"]


class Counted:
    """An episode of some steps."""

    def __init__(self, name, steps):
        self.view, self.rng, self.left = name, None, steps

    @property
    def done(self):
        return self.left == 0

    def step(self, message):
        assert message == f"to {self.view}"
        self.left -= 1


class Two:
    """Decides for two at once; never for "c"."""

    together = 2

    def __init__(self):
        self.asked = []

    def messages(self, views, rngs):
        self.asked.append("".join(views))
        return [AgentError("no") if view == "c" else f"to {view}" for view in views]


def test_who_is_over_makes_room_and_who_fails_stops_nobody():
    agent = Two()
    games = [Counted(name, steps) for name, steps in (("a", 3), ("b", 1), ("c", 2), ("d", 2))]
    found = [(game.view, error and str(error)) for game, error in side_by_side(agent, games)]
    assert agent.asked == ["ab", "ac", "ad", "d"]
    assert found == [("b", None), ("c", "no"), ("a", None), ("d", None)]


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


def manage_or_answer(messages):
    """A manager that keeps the second sentence of the chunk, and a reader."""
    if "Limits" not in messages[0]["content"]:
        return first_note(messages)
    chunk = messages[-1]["content"].split("\n")[1]
    return json.dumps([{"op": "INSERT", "content": chunk.split(". ")[1] + "."}])


def is_manager(request):
    return "Limits" in request["messages"][0]["content"]


def episodes(folder, arm):
    """What was written and answered, stream by stream."""
    lines = [json.loads(line) for line in (folder / "records" / f"{arm}.jsonl").read_text().splitlines()]
    return [
        (
            line["settings"]["stream_index"],
            [step["message"] for step in line["steps"]],
            [(question["prediction"], question["score"]) for question in line["questions"]],
        )
        for line in lines
    ]


def managers(folder):
    """The arm that a server plays."""
    (name,) = (path.stem for path in (folder / "records").iterdir() if path.stem.startswith("endpoint"))
    return name


def test_a_small_model_writes_what_it_writes_alone(tmp_path):
    folder = tmp_path / "tiny"
    LanguageModelPolicy(small_lm(), PromptSettings("sentences"), SamplingSettings(max_tokens=12)).save(folder)
    plan = make_plan(SUITES["builtin"], [f"lm:{folder}"], ["first", "shuffled"], {"T": 4}, ExtractiveReader(), 3)
    model, first, shuffled = sorted(plan.arms, key=lambda name: (name.startswith("shuffled"), name.startswith("first")))
    jobs = [StreamJob(index, (model, shuffled, first)) for index in range(3)]
    together = {(index, name): found for index, name, found in play_block(plan, jobs)}
    assert list(together)[:6] == [(i, model) for i in range(3)] + [(i, shuffled) for i in range(3)]
    for job in jobs:
        for name, alone in play_stream(plan, job):
            found = together[job.index, name]
            assert [step.message for step in found.steps] == [step.message for step in alone.steps]
            assert found.memory == alone.memory
            assert {k: v for k, v in found.settings.items() if k != "costs"} == {
                k: v for k, v in alone.settings.items() if k != "costs"
            }
    messages = [step.message for (_, name), found in together.items() if name == model for step in found.steps]
    assert len(set(messages)) > 6


@pytest.mark.parametrize("named", ["run", "run/checkpoint-000000"])
def test_a_run_of_a_language_model_writes_under_the_limits_it_was_trained_with(tmp_path, named):
    LanguageModelPolicy(small_lm(), PromptSettings("sentences")).save(tmp_path / "model")
    own = LanguageModelSettings(model=str(tmp_path / "model"), message="sentences")
    env = EnvSettings(T=4, max_operations=7, max_item_tokens=9)
    TokenParts(TokenTrainSettings(env=env, lm=own)).save(tmp_path / "run", 0)
    plan = make_plan(SUITES["builtin"], [f"lm:{tmp_path / named}"], [], {"T": 4}, ExtractiveReader(), 1)
    assert (plan.settings.limits.max_operations, plan.settings.limits.max_item_tokens) == (7, 9)
    saved = make_plan(SUITES["builtin"], [f"lm:{tmp_path / 'model'}"], [], {"T": 4}, ExtractiveReader(), 1)
    assert saved.settings.limits == SUITES["builtin"].limits


def test_manager_and_reader_behind_servers_are_asked_for_all_streams_at_once(tmp_path):
    both = threading.Barrier(3)

    def answer(messages):
        if "Limits" in messages[0]["content"]:
            both.wait(300)  # nobody gets a message before all three streams have asked for one
        return manage_or_answer(messages)

    with EndpointServer(answer) as server:
        agent = ["--agent", f"endpoint:{server.address}#manager", "--reader", f"{server.address}#reader"]
        evaluate(*SMALL, *agent, "--controls", "first", "shuffled", "nothing", "--out", tmp_path)
        asked = [request for request in server.requests if is_manager(request)]
        assert {request["model"] for request in asked} == {"manager"}
        assert len(asked) == 3 * 4
    name = managers(tmp_path)
    for _, messages, questions in episodes(tmp_path, name):
        assert all(json.loads(message)[0]["op"] == "INSERT" for message in messages)
        assert all(prediction is not None for prediction, _ in questions)
    rows = {row["agent"]: row for row in json.loads((tmp_path / "table.json").read_text())["rows"]}
    assert rows[name]["costs"]["manager_answered"] == pytest.approx(12)
    assert rows[name]["costs"]["manager_prompt_tokens"] == pytest.approx(120)
    assert rows[name]["memory_tokens"] > 0
    assert rows[f"first@{name}"]["memory_tokens"] <= rows[name]["memory_tokens"]
    # The memories that were made are shuffled; the manager is not asked for them.
    assert "manager_answered" not in rows[f"shuffled-{name}"]["costs"]
    assert rows[name]["costs"]["reader_answered"] + rows[name]["costs"]["reader_cached"] == rows[name]["questions"]


def test_a_stream_without_a_message_fails_alone_and_is_played_again(tmp_path):
    with EndpointServer(manage_or_answer) as server:
        agent = ["--agent", f"endpoint:{server.address}#manager", "--controls", "none"]
        evaluate(*SMALL, *agent, "--out", tmp_path / "whole")
        third = [r["messages"] for r in server.requests if re.search(r"\b[Ss]tep 3\b|3 of 4", str(r["messages"]))]
        assert third
        unlucky = third[0]
        server.fault_of = lambda request: "400" if request["messages"] == unlucky else ""
        with pytest.raises(SystemExit) as ended:
            evaluate(*SMALL, *agent, "--out", tmp_path / "other")
        assert ended.value.code == 3
        name = managers(tmp_path / "other")
        whole = episodes(tmp_path / "whole", name)
        found = episodes(tmp_path / "other", name)
        assert len(found) == 2
        assert all(one in whole for one in found)
        server.fault_of = None
        evaluate(*SMALL, *agent, "--out", tmp_path / "other")
    assert episodes(tmp_path / "other", name) == whole


@pytest.mark.slow
def test_killed_in_the_middle_of_streams_side_by_side(tmp_path):
    with EndpointServer(manage_or_answer) as server:
        given = ["--suite", "builtin", "--T", "4", "--streams", "20", "--controls", "none"]
        given += ["--agent", f"endpoint:{server.address}#manager", "--reader", f"{server.address}#reader"]
        evaluate(*given, "--out", tmp_path / "whole")
        command = [sys.executable, "-m", "memenvs", "evaluate", *given, "--out", str(tmp_path / "killed")]
        kept = tmp_path / "killed" / "waiting"

        def hold(request):
            """Once the first streams are over, the others get no message any more."""
            if list(kept.glob("*.jsonl")):
                server.gate.clear()
            return ""

        server.fault_of = hold
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while server.gate.is_set():
            assert process.poll() is None
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        server.fault_of = None
        server.gate.set()
        assert list(kept.glob("*.jsonl"))
        evaluate(*given, "--out", tmp_path / "killed")
    name = managers(tmp_path / "whole")
    assert episodes(tmp_path / "killed", name) == episodes(tmp_path / "whole", name)


@pytest.mark.slow
def test_workers_play_a_model_as_this_process_does(tmp_path):
    folder = tmp_path / "tiny"
    LanguageModelPolicy(small_lm(), PromptSettings("sentences"), SamplingSettings(max_tokens=12)).save(folder)
    given = [*SMALL, "--agents", f"lm:{folder}", "--controls", "first"]
    evaluate(*given, "--out", tmp_path / "0")
    evaluate(*given, "--workers", "2", "--out", tmp_path / "2")
    names = [path.stem for path in (tmp_path / "0" / "records").iterdir()]
    assert len(names) == 2
    for name in names:
        assert episodes(tmp_path / "2", name) == episodes(tmp_path / "0", name)


def test_manager_and_reader_behind_servers_without_a_suite(tmp_path):
    both = threading.Barrier(3)

    def answer(messages):
        if "Limits" in messages[0]["content"]:
            both.wait(300)
        return manage_or_answer(messages)

    with EndpointServer(answer) as server:
        agent = ["--agents", f"endpoint:{server.address}#manager", "first", "--reader", f"{server.address}#reader"]
        evaluate(*agent, "--T", "4", "--streams", "3", "--out", tmp_path)
        assert sum(map(is_manager, server.requests)) == 3 * 4
        assert any(request["model"] == "reader" for request in server.requests)
        with pytest.raises(SystemExit, match="--workers needs a suite"):
            evaluate(*agent, "--workers", "2", "--out", tmp_path)
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["failures"] for row in rows] == [0, 0]
    assert rows[0]["memory_tokens"] >= rows[1]["memory_tokens"] > 0
