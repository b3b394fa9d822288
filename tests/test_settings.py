from dataclasses import replace

import pyarrow
import pyarrow.parquet
import pytest

from memenvs.errors import SettingsError
from trainers.settings import EnvSettings, TrainSettings


def parquet(path):
    columns = {
        "instance_id": [0],
        "chunks": ['["Ann lives in Oslo.", "Bob has a dog."]'],
        "questions_and_answers": ['[{"question": "Where does Ann live?", "answer": "Oslo"}]'],
        "data_source": ["squad"],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return str(path)


def test_an_environment_gets_its_limits_and_its_data():
    env = EnvSettings(T=7, max_operations=2, memory_budget=50).make("test")
    _, info = env.reset(seed=0)
    assert info["T"] == 7
    assert env.unwrapped.settings.limits.max_operations == 2
    assert env.unwrapped.dataset.split == "test"


def test_an_id_keeps_its_family_when_T_is_set():
    env = EnvSettings(env_id="FineMem-Memalpha-Conflict-v0", T=8).make("test")
    assert set(env.unwrapped.dataset[0].metadata["families"]) == {"conflict-resolution"}
    assert env.unwrapped.dataset[0].T == 8


def test_settings_of_builtin_data_are_refused_elsewhere(tmp_path):
    with pytest.raises(SettingsError, match="builtin"):
        EnvSettings(data=parquet(tmp_path / "train.parquet"), T=7).make("train")


def test_an_id_brings_its_own_data_unless_other_data_is_given(tmp_path):
    settings = TrainSettings(env=EnvSettings(env_id="RunningSum-v0", T=6))
    for env in (settings.make_envs()[0], settings.make_heldouts(1)[0]):
        assert (env.unwrapped.dataset.source, env.reset(seed=0)[1]["T"]) == ("running-sum", 6)
    other = EnvSettings(env_id="RunningSum-v0", data=parquet(tmp_path / "train.parquet"))
    assert other.make("train").unwrapped.dataset.source == "train.parquet"
    with pytest.raises(SettingsError, match="relevance is a setting of builtin data; the data is 'running-sum'"):
        EnvSettings(env_id="RunningSum-v0", relevance=0.5).open("train")


def test_held_out_data_is_the_test_file_beside_and_never_the_training_file(tmp_path):
    train = parquet(tmp_path / "train.parquet")
    settings = TrainSettings(env=EnvSettings(data=train))
    with pytest.raises(SettingsError, match="eval_data"):
        settings.make_heldouts(1)
    parquet(tmp_path / "test.parquet")
    assert settings.make_heldouts(1)[0].unwrapped.dataset.split == "test"
    with pytest.raises(SettingsError, match="eval_data"):
        TrainSettings(env=EnvSettings(data=str(tmp_path / "test.parquet"))).make_heldouts(1)


@pytest.mark.parametrize(
    ("reward", "read"), [("raw", 0), ("outcome", 0), ("evidence-cited", 0), ("chunk", 5), ("finemem", 5)]
)
def test_presets_without_chunk_questions_read_none(reward, read):
    env = TrainSettings(reward=reward).make_envs()[0]
    assert env.unwrapped.settings.chunk_questions == read


def test_the_scale_reaches_the_reward():
    for scale in ("sum", "mean"):
        env = TrainSettings(env=EnvSettings(T=5), reward="finemem", scale=scale).make_envs()[0]
        assert env.choices["scale"] == scale


def test_the_weight_of_compression_reaches_the_reward():
    settings = TrainSettings(env=EnvSettings(T=5), reward="credit:uniform", compression=0.25)
    assert settings.make_envs()[0].env.weight == 0.25
    with pytest.raises(SettingsError, match="compression is for credit:NAME"):
        replace(settings, reward="finemem").make_envs()


def test_data_without_chunk_questions_is_said_and_evidence_can_stand_in(tmp_path):
    train = parquet(tmp_path / "train.parquet")
    with pytest.warns(UserWarning, match="no chunk questions"):
        TrainSettings(env=EnvSettings(data=train)).make_envs()
    (tmp_path / "train.evidence.jsonl").write_text('{"instance_id": 0, "evidence_chunk_idx": [[0]]}')
    settings = TrainSettings(env=EnvSettings(data=train, chunk_questions_from="evidence"))
    env = settings.make_envs()[0]
    env.reset(seed=0)
    _, _, _, _, info = env.step('[{"op": "INSERT", "content": "Ann lives in Oslo."}]')
    assert [q.score for q in info["chunk_questions"]] == [1.0]
    with pytest.raises(SettingsError, match="Memalpha"):
        EnvSettings(chunk_questions_from="evidence").open("train")


def test_an_array_environment_is_refused():
    with pytest.raises(SettingsError, match="arrays"):
        EnvSettings(env_id="FineMem-Memalpha-Flat-v0").make("train")


def test_the_fingerprint_ignores_only_what_does_not_change_the_numbers():
    base = TrainSettings()
    assert replace(base, updates=999).fingerprint == base.fingerprint
    assert replace(base, learning_rate=1e-3).fingerprint != base.fingerprint
    assert replace(base, env=EnvSettings(k=3)).fingerprint != base.fingerprint


@pytest.mark.parametrize("change", [{"group_size": 1}, {"updates": 0}, {"eval_every": 0}, {"seed": -1}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(SettingsError, match="at least"):
        TrainSettings(**change)
