"""In which environment runs are evaluated."""

import json
from dataclasses import asdict, replace

import pytest

from memenvs.errors import DataError, SettingsError
from trainers.run_env import EnvOptions, env_for, trained_folder
from trainers.settings import EnvSettings, TrainSettings


@pytest.fixture
def run(tmp_path):
    """Makes the folder of a run that was trained in an environment."""

    def make(name, eval_data=None, **env):
        state = tmp_path / name / "checkpoint-000001" / "state.json"
        state.parent.mkdir(parents=True)
        settings = TrainSettings(env=EnvSettings(**env), eval_data=eval_data)
        state.write_text(json.dumps({"settings": settings.to_json()}))
        return tmp_path / name

    return make


def test_options_are_named_as_in_training():
    assert set(EnvOptions.__annotations__) <= set(asdict(EnvSettings()))


def test_without_runs_what_is_not_given_is_the_default():
    assert env_for([]) == EnvSettings()
    assert env_for([], {"T": 8, "max_operations": None}) == EnvSettings(T=8, max_operations=None)


def test_what_is_not_given_is_as_the_runs_were_trained(run):
    trained = {"T": 8, "max_operations": 6, "max_item_tokens": None, "memory_budget": 90, "k": 3}
    runs = [run("a", **trained), run("b", **trained, relevance=0.5, question_share=0.5)]
    assert env_for(runs) == EnvSettings(**trained)


def test_an_option_wins_even_if_it_is_the_default(run):
    a, b = run("a", T=8, k=3), run("b", T=9, k=4)
    assert env_for([a, b], {"T": None, "k": 5}) == EnvSettings()
    with pytest.raises(SettingsError, match=r"T is not the same everywhere \(.*a: 8, .*b: 9\); say which with --T"):
        env_for([a, b], {"k": 5})


@pytest.mark.parametrize("name", ["max_operations", "max_item_tokens", "memory_budget"])
def test_limits_must_be_those_of_every_run(name, run):
    a, b = run("a", **{name: 5}), run("b", **{name: None})
    for runs, options in (([a, b], {}), ([a], {name: 4}), ([b], {name: 4}), ([a, b], {name: 5})):
        with pytest.raises(SettingsError, match=f"{name} is not the same everywhere .* decides which operations"):
            env_for(runs, options)
    assert env_for([a], {name: 5}) == replace(EnvSettings(), **{name: 5})


def test_a_run_on_a_file_is_evaluated_on_its_held_out_file(run, tmp_path):
    (tmp_path / "train.parquet").touch()
    assert env_for([run("a", data=str(tmp_path / "train.parquet"))]).data == str(tmp_path / "test.parquet")
    assert env_for([run("b", data="owner/set")]).data == "owner/set"
    assert env_for([run("c", data="owner/set", eval_data="other.parquet")]).data == "other.parquet"


def test_a_run_on_its_ids_own_data_is_evaluated_there(run):
    a = run("a", env_id="RunningSum-v0", T=8)
    assert env_for([a]) == EnvSettings(env_id="RunningSum-v0", T=8)
    assert env_for([a], {"env_id": "FineMem-Memalpha-v0"}).source == "builtin"


def test_other_data_brings_no_length_along(run):
    assert env_for([run("a", T=8)], {"data": "x.parquet"}) == EnvSettings(data="x.parquet")
    assert env_for([run("b", T=8)], {"data": "builtin"}).T == 8


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no checkpoint"):
        env_for([tmp_path])
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match="does not say with what settings"):
        env_for([tmp_path])


def test_a_checkpoint_and_a_language_models_run_are_named_in_several_ways(run, tmp_path):
    a = run("a", T=8, max_operations=5)
    checkpoint = next(a.iterdir())
    for name in (str(a), f"lm:{a}", str(checkpoint), f"lm:{checkpoint}"):
        assert env_for([trained_folder(name)]) == EnvSettings(T=8, max_operations=5)
    assert [trained_folder(name) for name in ("controls", "lm:owner/model", f"lm:{tmp_path}")] == [None] * 3


def test_a_saved_model_brings_its_limits_and_nothing_else(run, tmp_path):
    prompt = {"dialect": "json", "max_operations": 5, "max_item_tokens": None, "memory_budget": 70}
    (tmp_path / "prompt.json").write_text(json.dumps({"prompt": prompt, "sampling": {}}))
    saved = trained_folder(f"lm:{tmp_path}")
    limits = {"max_operations": 5, "max_item_tokens": None, "memory_budget": 70}
    assert env_for([saved], {"T": 8}) == EnvSettings(T=8, **limits)
    assert env_for([run("a", T=9, k=3, **limits), saved]) == EnvSettings(T=9, k=3, **limits)
    with pytest.raises(SettingsError, match="max_operations is not the same everywhere"):
        env_for([saved], {"max_operations": 3})


def test_a_runs_own_reader_is_asked_as_in_training(run, tmp_path):
    reader = "http://127.0.0.1:1/v1#m"
    a = run("a", reader=reader, reader_max_tokens=9, reader_concurrency=4, reader_cache=str(tmp_path / "gone.sqlite"))
    asked = EnvSettings(reader=reader, reader_max_tokens=9, reader_concurrency=4)
    assert env_for([a]) == asked
    assert env_for([a], {}, {"max_tokens": 7}) == replace(asked, reader_max_tokens=7)
    assert env_for([a], {"reader": reader}) == EnvSettings(reader=reader)  # named anew: nothing comes along
    (a / "replies.sqlite").touch()
    assert env_for([a]).reader_cache == str(a / "replies.sqlite")
    b = run("b", reader=reader, reader_max_tokens=8, reader_concurrency=2)
    with pytest.raises(
        SettingsError, match="reader_max_tokens is not the same everywhere .* say which with --max-tokens"
    ):
        env_for([a, b])
    assert env_for([a, b], {}, {"max_tokens": 7}) == EnvSettings(reader=reader, reader_max_tokens=7)
