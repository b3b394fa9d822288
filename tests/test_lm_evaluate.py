"""``memenvs evaluate`` with language models beside controls."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openai")

from endpoint_server import EndpointServer
from small_models import small_lm

from agents.language_model import LanguageModelPolicy, PromptSettings, SamplingSettings
from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from trainers.commands_evaluate import evaluate


def first_sentence(messages):
    """Keep the first sentence of the chunk: a message of the dialect "json"."""
    chunk = messages[-1]["content"].split("\n")[1]
    return json.dumps([{"op": "INSERT", "content": chunk.split(". ")[0] + "."}, {"op": "DELETE", "id": "9.9"}])


def test_models_are_rows_of_the_table_each_in_its_dialect(tmp_path):
    folder = tmp_path / "tiny"
    LanguageModelPolicy(small_lm(), PromptSettings("sentences"), SamplingSettings(max_tokens=12)).save(folder)
    with EndpointServer(first_sentence) as server:
        hosted = f"endpoint:{server.address}#rules"
        agents = (f"lm:{folder}", hosted, "first")
        evaluate(agents, env={"T": 4}, streams=2, out=tmp_path / "out", records=True)
        assert "Limits" in server.requests[0]["messages"][0]["content"]
        assert len(server.requests) == 8
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    local, remote, first = table["rows"]
    assert (local["kind"], local["dialect"], remote["dialect"]) == ("language model", "sentences", "json")
    # A random model says nothing that can be read; the rule on the server keeps a sentence a step, and one DELETE is refused.
    assert (local["unreadable_messages"], local["memory_tokens"], local["invalid_operations"]) == (4, 0, 0)
    assert (remote["unreadable_messages"], remote["invalid_operations"]) == (0, 4)
    assert remote["memory_tokens"] > 0
    assert "unreadable_messages" not in first
    lines = {path.name: path.read_text().splitlines() for path in (tmp_path / "out" / "records").iterdir()}
    (name,) = (name for name in lines if name.startswith("endpoint"))
    record = EpisodeRecord.from_json(lines[name][0])
    assert [item.content for item in record.memory] == [step.chunk.split(". ")[0] + "." for step in record.steps]


def test_a_name_without_a_model_says_how_models_are_named(tmp_path):
    with pytest.raises(SettingsError, match="lm:MODEL, endpoint:MODEL"):
        evaluate(("lm",), out=tmp_path)
