"""``memenvs evaluate`` with language models beside controls."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openai")

from endpoint_server import EndpointServer, first_note
from small_models import small_lm
from taught_model import taught  # noqa: F401

from agents.language_model import LanguageModelPolicy, PromptSettings, SamplingSettings
from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord
from trainers.commands_evaluate import evaluate
from trainers.comparison import scores_to_json
from trainers.evaluation import EpisodeScore


def first_sentence(messages):
    """Keep the first sentence of the chunk: a message of the dialect "json"."""
    chunk = messages[-1]["content"].split("\n")[1]
    return json.dumps([{"op": "INSERT", "content": chunk.split(". ")[0] + "."}, {"op": "DELETE", "id": "9.9"}])


def test_models_are_rows_of_the_table_each_in_its_dialect(tmp_path):
    folder = tmp_path / "tiny"
    prompt = PromptSettings("sentences", max_operations=3, max_item_tokens=48)
    LanguageModelPolicy(small_lm(), prompt, SamplingSettings(max_tokens=12)).save(folder)
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


def test_a_failed_request_costs_one_stream_and_the_rest_is_kept(tmp_path, capsys):
    with EndpointServer(first_sentence) as server:
        served = server.requests

        def second_of_the_first_stream(request):
            return "400" if request["messages"] == served[0]["messages"] else ""

        server.fault_of = second_of_the_first_stream
        hosted = f"endpoint:{server.address}#rules"
        given = {"env": {"T": 4}, "streams": 3, "out": tmp_path, "records": True}
        asking = {"manager_concurrency": 1, "manager_price_in": 100_000.0}
        with pytest.raises(SystemExit) as ended:
            evaluate((hosted, "first"), manager=asking, **given)
        assert ended.value.code == 3
        table = json.loads((tmp_path / "table.json").read_text())
        remote, first = table["rows"]
        assert (remote["failures"], remote["streams"], first["failures"]) == (1, 3, 1)
        # One request failed, two streams of four chunks were answered, ten tokens each; only these are in the means.
        assert (remote["manager_requests"], remote["manager_answered"], remote["manager_cost"]) == (9, 8, 8.0)
        assert (remote["invalid_operations"], remote["unreadable_messages"]) == (4, 0)
        assert remote["r_global"] is not None
        (name,) = (path.name for path in (tmp_path / "records").iterdir() if path.name.startswith("endpoint"))
        records = [EpisodeRecord.from_json(line) for line in (tmp_path / "records" / name).read_text().splitlines()]
        assert remote["memory_tokens"] == sum(record.memory_tokens for record in records) / 2
        assert "failed on 1 of 3 streams, first on " in capsys.readouterr().out
        # The same command asks for what failed, and for nothing else.
        server.fault_of = None
        evaluate((hosted, "first"), manager=asking, **given)
        remote, first = json.loads((tmp_path / "table.json").read_text())["rows"]
        assert (remote["failures"], first["failures"], remote["manager_cached"], remote["manager_answered"]) == (
            0,
            0,
            8,
            4,
        )


def test_a_manager_that_always_fails_has_no_numbers(tmp_path):
    with EndpointServer(first_sentence) as server:
        server.fault_of = lambda request: "400"
        with pytest.raises(SystemExit):
            evaluate((f"endpoint:{server.address}#rules", "keep_everything"), env={"T": 4}, streams=2, out=tmp_path)
    remote, control = json.loads((tmp_path / "table.json").read_text())["rows"]
    empty = ("r_global", "low", "high", "memory_tokens", "memory_share", "invalid_operations", "unreadable_messages")
    assert [remote[name] for name in empty] == [None] * len(empty)
    assert (remote["failures"], control["failures"]) == (2, 0)


def test_options_that_nobody_takes_are_refused(tmp_path):
    for manager, kind in (({"manager_dtype": "bfloat16"}, "lm"), ({"manager_concurrency": 2}, "endpoint")):
        with pytest.raises(SettingsError, match=f"only agents {kind}:"):
            evaluate(("nothing",), manager=manager, out=tmp_path)
    with pytest.raises(SettingsError, match=r"--manager-temperature: only agents lm:\.\.\. and endpoint:"):
        evaluate(("nothing",), manager={"manager_temperature": 1.0}, out=tmp_path)
    with pytest.raises(SettingsError, match="without a suite"):
        evaluate(("nothing",), suite="builtin", manager={"manager_concurrency": 2}, out=tmp_path)
    with pytest.raises(SettingsError, match="--concurrency: only a reader at an address"):
        evaluate(("nothing",), endpoint={"concurrency": 2}, out=tmp_path)


@pytest.fixture(scope="module")
def trained(taught, tmp_path_factory):  # noqa: F811
    """The folder of a run in half precision, under limits of its own, with a reader behind a server; and that server."""
    from trainers.tokens.grpo import train

    pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("trained")
    with EndpointServer(first_note) as server:
        reading = {"reader": f"{server.address}#rules", "reader_max_tokens": 77}
        settings = replace(
            taught,
            env=replace(taught.env, k=2, max_item_tokens=40, **reading),
            lm=replace(taught.lm, batch=5, dtype="bfloat16", lora_rank=4),
            reward="outcome",
            final_streams=7,
            eval_drawn=True,
        )
        train(settings, folder / "run", tensorboard=False)
        yield folder / "run", server


@pytest.mark.slow
@pytest.mark.parametrize(
    ("named", "manager"), [("", {}), ("lm:", {}), ("checkpoint", {}), ("lm:", {"manager_temperature": 1.0})]
)
def test_a_run_has_the_scores_that_its_training_ended_with(trained, named, manager, tmp_path):
    run, server = trained
    agent = str(next(run.glob("checkpoint-*"))) if named == "checkpoint" else f"{named}{run}"
    before = len(server.requests)
    evaluate((agent,), streams=7, out=tmp_path, records=True, manager=manager)
    result, table = (json.loads(path.read_text()) for path in (run / "result.json", tmp_path / "table.json"))
    (records,) = (tmp_path / "records").iterdir()
    scores = [EpisodeScore.of(EpisodeRecord.from_json(line)) for line in records.read_text().splitlines()]
    drawn = "drawn_" if manager else ""
    assert scores_to_json(scores) == result[f"{drawn}episodes"] != result["episodes" if drawn else "drawn_episodes"]
    assert sum(score.memory_tokens for score in scores) > 0
    (row,) = table["rows"]
    assert row["r_global"] == pytest.approx(result[f"{drawn}r_global"])
    for fact in ("env", "data", "dataset", "limits", "k", "reader", "split"):
        assert table[fact] == result[fact]
    assert len(server.requests) == before  # training kept what its reader replied


@pytest.mark.slow
def test_an_option_goes_before_what_a_run_was_trained_with_but_for_limits(trained, tmp_path):
    run, server = trained
    before = len(server.requests)
    evaluate(
        (f"lm:{run}",), streams=2, env={"reader": f"{server.address}#rules"}, endpoint={"max_tokens": 55}, out=tmp_path
    )
    asked = server.requests[before:]
    assert {request["max_tokens"] for request in asked} == {55}
    evaluate(
        (f"lm:{run}",), streams=2, env={"reader": "extractive"}, manager={"manager_dtype": "float32"}, out=tmp_path
    )
    assert json.loads((tmp_path / "table.json").read_text())["reader"] == "extractive"
    with pytest.raises(SettingsError, match=r"max_operations is not the same everywhere \(.*: 1, the option: 3\)"):
        evaluate((f"lm:{run}",), streams=2, env={"max_operations": 3}, out=tmp_path)
