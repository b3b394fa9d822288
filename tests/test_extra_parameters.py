"""More parameters of the requests to readers, managers and judges, as the command line takes them."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer, first_note

from memenvs.errors import SettingsError
from trainers.cli import main
from trainers.judge_options import judge_arguments
from trainers.judging import judged_by
from trainers.reader_settings import ReaderSettings
from trainers.run_env import env_for
from trainers.settings import EnvSettings, TrainSettings

QUIET = '{"chat_template_kwargs": {"enable_thinking": false}, "temperature": null, "max_tokens": null, "seed": 3}'
SENT = {"chat_template_kwargs": {"enable_thinking": False}, "seed": 3}
SERVED, LOCAL = "http://127.0.0.1:9/v1#m", "local:x"


@pytest.fixture
def server():
    with EndpointServer(first_note) as running:
        yield running


def parameters(server):
    """What the requests held beside model and messages, all the same."""
    (sent,) = {json.dumps(request | {"messages": None}, sort_keys=True) for request in server.requests}
    return {name: value for name, value in json.loads(sent).items() if name not in ("messages", "model")}


def test_a_reader_in_training_gets_them_and_one_that_is_evaluated_as_it_was_trained_too(server, tmp_path):
    small = ["--T", "4", "--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "1"]
    run = str(tmp_path / "run")
    main(["train", *small, "--reader", f"{server.address}#rules", "--reader-extra", QUIET, "--out", run])
    assert parameters(server) == SENT
    server.requests.clear()
    main(["evaluate", "--agents", run, "--streams", "2", "--seed", "7", "--out", str(tmp_path / "table")])
    assert server.requests
    assert parameters(server) == SENT
    server.requests.clear()
    again = ["evaluate", "--agents", run, "--streams", "2", "--extra", "{}", "--out", str(tmp_path / "other")]
    main(again)
    assert parameters(server) == {"temperature": 0.0, "max_tokens": 1024}


def test_a_reader_of_a_suite_gets_them_and_they_are_in_its_results(server, tmp_path):
    suite = ["--suite", "builtin", "--T", "4", "--streams", "1", "--controls", "rag", "--out", str(tmp_path)]
    main(["evaluate", *suite, "--reader", f"{server.address}#rules", "--extra", QUIET])
    assert parameters(server) == SENT
    assert json.loads((tmp_path / "table.json").read_text())["reader_settings"] == SENT


def test_a_hosted_manager_gets_them(tmp_path):
    with EndpointServer(lambda messages: '[{"op": "SKIP"}]') as server:
        agents = ["--agents", f"endpoint:{server.address}#rules", "--T", "4", "--streams", "1"]
        main(["evaluate", *agents, "--manager-extra", QUIET, "--out", str(tmp_path)])
    assert parameters(server) == SENT
    with pytest.raises(SystemExit, match=r"--manager-extra: only agents endpoint:\.\.\. take it"):
        main(["evaluate", "--agents", "nothing", "--manager-extra", QUIET, "--out", str(tmp_path)])


def test_a_judge_gets_them(server, tmp_path):
    options = {"judge_extra": '{"seed": 3, "temperature": null}', "judge_max_tokens": 9}
    verdicts = judged_by(f"{server.address}#rules", options, tmp_path)
    verdicts.judge.replies(["Is it Rome?"])
    assert parameters(server) == {"seed": 3, "max_tokens": 9}


@pytest.mark.parametrize("command", [["rescore", "x"], ["compare", "x", "y"], ["evaluate", "--suite", "builtin"]])
def test_without_a_judge_its_options_are_refused(command, tmp_path):
    for option in (["--judge-extra", "{}"], ["--judge-max-tokens", "9"]):
        with pytest.raises(SystemExit, match=f"{option[0]}: nobody judges"):
            main([*command, *option, "--out", str(tmp_path)])


def test_without_a_suite_a_judges_options_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="--judge-extra needs a suite"):
        main(["evaluate", "--judge-extra", "{}", "--out", str(tmp_path)])


def test_they_decide_replies_and_a_run_without_them_is_as_it_was_before_there_were_any():
    base = TrainSettings(env=EnvSettings(reader=SERVED))
    # Of the version before the option.
    assert base.fingerprint == "be9608fd11d5ea39"

    def given(extra):
        return replace(base, env=replace(base.env, reader_extra=extra)).fingerprint

    assert given('{"a": 1, "b": {"c": 2, "d": 3}}') == given('{"b":{"d":3,"c":2},"a":1}') != base.fingerprint
    assert given('{"a": 2}') != given('{"a": 1}')
    assert given("{}") == base.fingerprint


def test_what_is_left_out_now_is_not_taken_from_a_run(tmp_path):
    state = tmp_path / "checkpoint-000001" / "state.json"
    state.parent.mkdir(parents=True)
    settings = TrainSettings(env=EnvSettings(reader=SERVED, reader_max_tokens=256, reader_temperature=0.1))
    state.write_text(json.dumps({"settings": settings.to_json()}))
    found = env_for([tmp_path], {}, {"extra": '{"max_tokens": null}'})
    assert (found.reader_max_tokens, found.reader_temperature) == (None, 0.1)


def test_runs_whose_readers_got_others_are_not_one_table(tmp_path):
    runs = []
    for number, extra in enumerate((QUIET, None)):
        state = tmp_path / str(number) / "checkpoint-000001" / "state.json"
        state.parent.mkdir(parents=True)
        settings = TrainSettings(env=EnvSettings(reader=SERVED, reader_extra=extra))
        state.write_text(json.dumps({"settings": settings.to_json()}))
        runs.append(tmp_path / str(number))
    with pytest.raises(SettingsError, match="reader_extra is not the same everywhere .* say which with --extra"):
        env_for(runs)
    assert env_for(runs, {}, {"extra": QUIET}) == EnvSettings(reader=SERVED, reader_extra=QUIET)


def test_a_local_reader_takes_what_its_template_is_told_alone():
    quiet = '{"chat_template_kwargs": {"enable_thinking": false}}'
    told = ReaderSettings(LOCAL, reader_extra=quiet, reader_max_tokens=9).reader_arguments
    assert told == {"chat_template_kwargs": {"enable_thinking": False}, "max_tokens": 9}
    with pytest.raises(SettingsError, match="of a local: reader are chat_template_kwargs, an object, alone; got seed"):
        ReaderSettings(LOCAL, reader_extra='{"seed": 1}')
    with pytest.raises(SettingsError, match="got chat_template_kwargs that is no object"):
        ReaderSettings(LOCAL, reader_extra='{"chat_template_kwargs": 1}')


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("enable_thinking=false", "extra parameters of the reader must be a JSON object, such as .*, got 'enable_thin"),
        ("[1]", "got '\\[1\\]': it is no object"),
        ('{"x": NaN}', "JSON has no NaN"),
        ("[" * 100_000, "must be a JSON object"),
        ('{"temperature": null}', "leave out temperature .null., which is given as well"),
    ],
)
def test_mistakes_are_explained(extra, told):
    with pytest.raises(SettingsError, match=told):
        ReaderSettings(SERVED, reader_extra=extra, reader_temperature=0.5)
    with pytest.raises(SettingsError, match=told.replace("reader", "judge").replace("temperature", "max_tokens")):
        judge_arguments(SERVED, {"judge_extra": extra.replace("temperature", "max_tokens"), "judge_max_tokens": 9})


def test_a_reader_that_would_ignore_them_is_refused():
    with pytest.raises(SettingsError, match="--reader-extra: only a reader at an address"):
        ReaderSettings("extractive", reader_extra="{}")
