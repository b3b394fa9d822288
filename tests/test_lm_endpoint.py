"""A hosted model as the manager, over a real server on loopback."""

import json

import gymnasium as gym
import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, completion

import memenvs  # noqa: F401
from agents.base import Agent, AgentError, View, make_agent
from agents.language_model import EndpointAgent, PromptSettings, make_prompt
from memenvs.endpoint import Failure
from memenvs.errors import SettingsError
from memenvs.memory import Operation, parse_operations

VIEWS = [View(f"Chunk number {n}.", (), n, 3) for n in range(3)]


def first_words(messages):
    """Write down the first three words of the chunk."""
    chunk = messages[-1]["content"].split("\n")[1]
    return "I keep this:\n" + json.dumps([{"op": "INSERT", "content": " ".join(chunk.split()[:3])}])


class ToolServer(EndpointServer):
    """Answers with tool calls."""

    calls = (("insert", {"content": "Ann has a cat."}), ("delete", {"id": "0.0"}))

    def _handle(self, handler, request, fault):
        calls = [
            {"id": str(n), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for n, (name, arguments) in enumerate(self.calls)
        ]
        body = completion(None, "tool_calls")
        body["choices"][0]["message"]["tool_calls"] = calls
        handler.reply(200, body)


def test_a_hosted_model_plays_an_episode():
    with EndpointServer(first_words) as server:
        agent = make_agent(f"endpoint:{server.address}", max_tokens=64, max_operations=2)
        assert isinstance(agent, Agent)
        assert agent.name == "endpoint:rules"
        env = gym.make("FineMem-Memalpha-v0", chunk_questions=0, data_settings={"T": 4})
        observation, info = env.reset(seed=1)
        agent.reset(0)
        done = False
        views = []
        while not done:
            views.append(View.of(observation, info))
            observation, _, done, _, info = env.step(agent.act(observation, info))
        record = env.unwrapped.record
    assert [item.content for item in record.memory] == [" ".join(step.chunk.split()[:3]) for step in record.steps]
    assert agent.usage.answered == 4
    # It was asked what a model in this process is asked.
    for request, view in zip(server.requests, views, strict=True):
        assert request["messages"] == make_prompt(view, PromptSettings(max_operations=2)).messages(tools=True)
        assert (request["max_tokens"], request["temperature"]) == (64, 0.0)
        assert "tools" not in request


def test_tool_calls_are_the_message():
    with ToolServer() as server:
        agent = EndpointAgent(server.address, dialect="function_calls", extra={"parallel_tool_calls": True})
        message = agent.act({"chunk": "Hello.", "step": 0}, {"memory": (), "T": 2})
    (request,) = server.requests
    assert [tool["function"]["name"] for tool in request["tools"]] == ["insert", "update", "delete", "skip"]
    assert request["parallel_tool_calls"] is True
    assert list(parse_operations(message, "function_calls").operations) == [
        Operation("INSERT", "Ann has a cat."), Operation("DELETE", None, "0.0"),
    ]  # fmt: skip


def test_calls_on_a_memory_of_parts():
    with ToolServer() as server:
        server.calls = (("new_memory_insert", {"memory_type": "episodic_memory", "content": "Monday."}),)
        agent = EndpointAgent(server.address, dialect="memalpha")
        message = agent.act({"chunk": "Hello.", "step": 0}, {"memory": (), "T": 2})
    assert "memory_update" in json.dumps(server.requests[0]["tools"])
    (found,) = parse_operations(message, "memalpha").operations
    assert (found.op, found.content, found.kind) == ("INSERT", "Monday.", "episodic")


def test_a_server_that_knows_of_no_tools_is_told_in_words():
    with EndpointServer(lambda _: '<tool_call>\n{"name": "skip", "arguments": {}}\n</tool_call>') as server:
        agent = EndpointAgent(server.address, dialect="function_calls", tools=False, system=False)
        message = agent.act({"chunk": "Hello.", "step": 0}, {"memory": (), "T": 2})
    (request,) = server.requests
    assert "tools" not in request
    (asked,) = request["messages"]
    assert asked["role"] == "user"
    assert '{"name": "insert"' in asked["content"]
    assert list(parse_operations(message, "function_calls").operations) == [Operation("SKIP")]


def test_a_failed_request_is_a_failure_and_no_skip():
    with EndpointServer(first_words) as server:
        server.fault_of = lambda request: "400" if "Chunk number 1." in request["messages"][-1]["content"] else ""
        agent = EndpointAgent(server.address)
        first, second, third = agent.act_batch(VIEWS)
        assert isinstance(second, Failure)
        assert second.kind == "refused"
        for n, message in ((0, first), (2, third)):
            assert list(parse_operations(message).operations) == [Operation("INSERT", f"Chunk number {n}.")]
        with pytest.raises(AgentError, match="gave no message for step 1: refused"):
            agent.act({"chunk": "Chunk number 1.", "step": 1}, {"memory": (), "T": 3})
    assert dict(agent.usage.failed) == {"refused": 2}


def test_equal_steps_cost_one_request_and_are_kept(tmp_path):
    kept = tmp_path / "replies.sqlite"
    with EndpointServer(first_words) as server:
        url = f"{server.address}#rules"
        agent = EndpointAgent(url, cache=kept)
        once = agent.act_batch([VIEWS[0]] * 4)
        assert len(server.requests) == 1
    again = EndpointAgent(url, cache=kept, replay=True)
    assert again.act_batch(VIEWS[:1]) == once[:1]
    (missed,) = again.act_batch(VIEWS[1:2])
    assert missed.kind == "not_in_cache"


def test_thoughts_stay_with_the_model():
    with EndpointServer(lambda _: '<think>[{"op": "DELETE", "id": "0.0"}]?</think>\n[{"op": "SKIP"}]') as server:
        (message,) = EndpointAgent(server.address).act_batch(VIEWS[:1])
    assert message == '[{"op": "SKIP"}]'


def test_the_end_of_thoughts_within_a_call_is_what_the_call_says():
    with ToolServer() as server:
        server.calls = (("insert", {"content": "The tag </think> ends thoughts."}),)
        (message,) = EndpointAgent(server.address, dialect="function_calls").act_batch(VIEWS[:1])
    (found,) = parse_operations(message, "function_calls").operations
    assert found == Operation("INSERT", "The tag </think> ends thoughts.")


def test_settings_are_checked_before_anybody_is_asked():
    with pytest.raises(SettingsError, match="endpoint:MODEL, or url="):
        make_agent("endpoint")
    with pytest.raises(SettingsError, match="Did you mean 'max_tokens'"):
        make_agent("endpoint:http://127.0.0.1:1/v1", max_token=3)
    with pytest.raises(SettingsError, match="no prompt for the dialect"):
        make_agent("endpoint", url="http://127.0.0.1:1/v1", dialect="jsn")
    with pytest.raises(SettingsError, match="base_url must be an address"):
        make_agent("endpoint:localhost#m")
