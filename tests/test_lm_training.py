"""Training a language model from nothing: warm start, GRPO, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from taught_model import without_warm_start

from agents.base import View, make_agent
from agents.language_model.policy import Decision, load_policy
from agents.language_model.sampling import Sample
from agents.language_model.small import SmallSettings, make_small
from memenvs.errors import DataError, SettingsError
from memenvs.memory import parse_operations
from memenvs.streams import load
from trainers.runlog import read_metrics
from trainers.settings import EnvSettings
from trainers.slots.choices import Slots
from trainers.tokens.grpo import train
from trainers.tokens.measures import message_line
from trainers.tokens.parts import TokenParts, token_row
from trainers.tokens.rows import TokenRow
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.tokens.teacher import sayable, teacher_rows
from trainers.tokens.update import log_prob_table

OWN = {"message": "sentences", "task": "", "memory_tokens": 48, "max_tokens": 48}
ENV = EnvSettings(T=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("small")
    data = load("builtin", "train", T=4)
    prompt = LanguageModelSettings(**OWN).prompt(ENV)
    make_small(folder, [data[i] for i in range(8)], prompt, SmallSettings(hidden=32, layers=2, vocabulary=512))
    return folder


@pytest.fixture
def settings(model):
    own = LanguageModelSettings(
        model=str(model), **OWN, warm_start="scripted", warm_streams=6, warm_epochs=8, warm_rate=5e-3, warm_batch=4
    )
    return TokenTrainSettings(
        env=ENV, lm=own, updates=3, group_size=3, learning_rate=1e-3, eval_every=2, eval_streams=1, final_streams=2,
        checkpoint_every=1,
    )  # fmt: skip


def test_a_run_goes_from_nothing_to_a_model_that_is_asked_as_it_was_trained(settings, tmp_path):
    stages = []
    settings = replace(settings, lm=replace(settings.lm, max_tokens=40))
    with pytest.warns(UserWarning, match="longer than max_tokens=40, the longest has 45 tokens: they are left out"):
        policy, scores = train(
            settings, tmp_path, progress=lambda stage, done, total, line: stages.append((stage, done, total))
        )
    updates = [stage for stage in stages if stage[0] == "updates"]
    assert [stages[0], stages[5], updates[-1]] == [("teacher", 1, 6), ("teacher", 6, 6), ("updates", 3, 3)]
    # Held-out streams of start.json, of the curve, and of the curve's end with result.json: none is played twice.
    assert [total for stage, done, total in stages if stage == "held-out" and done == total] == [2, 1, 2]
    bare, taught = (load_policy(folder).lm.model.state_dict() for folder in (settings.lm.model, tmp_path / "taught"))
    assert any(not torch.equal(bare[name], value) for name, value in taught.items())
    lines = read_metrics(tmp_path / "metrics.csv")
    assert [line["update"] for line in lines] == [0, 1, 2, 3]
    assert lines[0]["warm/loss"] < 4.5 < np.log(512)
    assert 0 < lines[0]["warm/left_out"] < 24
    assert max(line["train/log_ratio"] for line in lines[1:]) < 1e-4
    assert [line["train/shortened"] for line in lines[1:]] == [0.0] * 3
    digests = [json.loads((tmp_path / name).read_text())["model_digest"] for name in ("settings.json", "result.json")]
    assert len(set(digests)) == 1
    assert len(scores) == 2
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["settings"]["lm"]["message"] == "sentences"
    kept = load_policy(next(tmp_path.glob("checkpoint-*")))
    stream = load("builtin", "test", T=4)[0]
    view = View(stream.chunks[0].text, (), 0, 4)
    assert kept.tokens(view) == policy.tokens(view)
    assert kept.act([view], greedy=True)[0].message == policy.act([view], greedy=True)[0].message


def test_the_teachers_messages_are_read_as_it_meant_them(model):
    policy = load_policy(
        model, **{k: v for k, v in OWN.items() if k not in ("message", "max_tokens")}, dialect="sentences"
    )
    env = replace(ENV, dialect="sentences").make("train")
    teacher = make_agent("scripted", max_operations=3, max_item_tokens=48)
    rows = teacher_rows(env, teacher, policy, [5])
    env.reset(seed=5)
    native = replace(ENV).make("train")
    observation, info = native.reset(seed=5)
    teacher.reset(5, None)
    for row in rows:
        assert row.completion[-1] == policy.lm.tokenizer.eos_token_id
        chunk = observation["chunk"]
        written = parse_operations(policy.lm.decode(row.completion), "sentences", chunk).operations
        meant = parse_operations(message := teacher.act(observation, info)).operations
        assert sorted(map(repr, written)) == sorted(map(repr, meant))
        observation, _, _, _, info = native.step(message)


def test_adapters_alone_are_trained_and_the_reference_is_the_model_without_them(settings, tmp_path):
    own = without_warm_start(settings.lm, lora_rank=2)
    settings = replace(settings, lm=own, updates=2, slots=Slots(regulariser="kl_k3", beta=0.1))
    parts = TokenParts(settings)
    trained = [name for name, parameter in parts.model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    _, whole = train(settings, tmp_path / "whole", tensorboard=False)
    train(replace(settings, updates=1), tmp_path / "parts", tensorboard=False)
    _, again = train(settings, tmp_path / "parts", resume=True, tensorboard=False)
    assert again == whole
    line = read_metrics(tmp_path / "whole" / "metrics.csv")[1]
    assert np.isfinite(line["train/loss"])


def test_an_entropy_bonus_is_refused(settings):
    with pytest.raises(SettingsError, match="entropy"):
        replace(settings, entropy=0.1)


def test_a_run_without_a_model_or_with_an_unknown_teacher_is_refused(settings, tmp_path):
    with pytest.raises(SettingsError, match="--model"):
        train(replace(settings, lm=replace(settings.lm, model="")), tmp_path)
    with pytest.raises(SettingsError, match=r"scripted.*Did you mean 'scripted'"):
        train(replace(settings, lm=replace(settings.lm, warm_start="scriptd")), tmp_path / "b", tensorboard=False)
    with pytest.raises(DataError, match="no causal language model"):
        train(replace(settings, lm=replace(settings.lm, model=str(tmp_path / "nothing"))), tmp_path / "c")


def test_a_teacher_names_no_item_that_the_prompt_hides(model):
    policy = load_policy(model, task="", memory_tokens=0, dialect="sentences")
    env = replace(ENV, dialect="sentences").make("train")
    teacher = make_agent("scripted", max_operations=3, max_item_tokens=48)
    written = [policy.lm.decode(row.completion) for row in teacher_rows(env, teacher, policy, range(12))]
    assert not any("UPDATE" in message or "DELETE" in message for message in written)
    shown = load_policy(model, task="", memory_tokens=500, dialect="sentences")
    written = [shown.lm.decode(row.completion) for row in teacher_rows(env, teacher, shown, range(12))]
    assert any("UPDATE" in message for message in written)


@pytest.mark.parametrize("sampler", ["npr", "zero_variance", "dynamic", "many"])
def test_samplers_that_are_not_refused_run(settings, sampler, tmp_path):
    settings = replace(
        settings,
        lm=without_warm_start(settings.lm),
        updates=1,
        pool=4,
        slots=Slots(sampler=sampler),
        group_size=2,
    )
    train(settings, tmp_path, tensorboard=False)
    assert read_metrics(tmp_path / "metrics.csv")[-1]["update"] == 1


def test_half_precision_is_for_adapters_and_adapters_are_not_trained_upon(settings, tmp_path):
    with pytest.raises(SettingsError, match="lora_rank"):
        replace(settings.lm, dtype="bfloat16")
    adapted = replace(settings, lm=without_warm_start(settings.lm, lora_rank=2), updates=1)
    train(adapted, tmp_path / "first", tensorboard=False)
    folder = next((tmp_path / "first").glob("checkpoint-*"))
    with pytest.raises(SettingsError, match="merge"):
        TokenParts(replace(adapted, lm=replace(adapted.lm, model=str(folder))))


def test_the_first_pass_is_compared_with_sampling_and_the_last_with_the_first(settings):
    parts = TokenParts(replace(settings, epochs=3, learning_rate=1e-2))
    bare = [TokenRow((5, 6, 7, g), (8, 9 + g, 10), (-1.0,) * 3, 1.0 - g) for g in range(3)]
    old = log_prob_table(parts.model, bare).tolist()
    rows = [replace(row, old=tuple(values)) for row, values in zip(bare, old, strict=True)]
    line = parts.learn(rows)
    assert line["train/log_ratio"] < 1e-5 < 1e-3 < line["train/drift"]


def test_a_message_that_ends_at_its_longest_is_not_truncated():
    made = [
        Decision("x", Sample((1,), (2, 3), (-1.0, -2.0), "x", truncated), shortened)
        for truncated, shortened in ((True, False), (False, True), (False, True), (False, False))
    ]
    assert message_line(made) == {"train/truncated": 0.25, "train/shortened": 0.5}
    assert message_line([]) == {}
    assert token_row(made[0], 0.5, 3, 2) == TokenRow((1,), (2, 3), (-1.0, -2.0), 0.5, 3, 2)


def test_a_teachers_messages_that_could_not_be_said_are_left_out():
    rows = [TokenRow((1,), (2,) * length) for length in (3, 9, 4, 5)]
    with pytest.warns(
        UserWarning, match="2 of the teacher's 4 messages are longer than max_tokens=4, the longest has 9"
    ):
        assert sayable(rows, 4) == [rows[0], rows[2]]
    assert sayable(rows, 9) == rows
    with pytest.raises(SettingsError, match="nothing is left to learn from. Set max_tokens to 9"):
        sayable(rows, 2)


def test_another_model_at_the_same_path_is_not_resumed(settings, model, tmp_path):
    (other := tmp_path / "model").mkdir()
    for file in model.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    settings = replace(settings, lm=without_warm_start(settings.lm, model=str(other)), updates=1)
    train(settings, tmp_path / "run", tensorboard=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    weights = load_file(other / "model.safetensors")
    name = max(weights, key=lambda name: weights[name].numel())
    save_file(weights | {name: weights[name] + 1e-3}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"began with another model than .* holds now"):
        train(replace(settings, updates=2), tmp_path / "run", resume=True, tensorboard=False)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()} == before
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    train(replace(settings, updates=2), tmp_path / "run", resume=True, tensorboard=False)


def test_chunks_beyond_the_models_context_are_found_before_anything_is_written(settings, model, tmp_path):
    (short := tmp_path / "model").mkdir()
    for file in model.iterdir():
        (short / file.name).write_bytes(file.read_bytes())
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 60}))
    with pytest.raises(
        SettingsError, match="stream 0 .*without any memory.*context of 60 leaves it 12; take smaller chunks"
    ):
        train(replace(settings, lm=replace(settings.lm, model=str(short))), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_refused_resume_changes_nothing(settings, tmp_path):
    settings = replace(settings, lm=without_warm_start(settings.lm), updates=1)
    train(settings, tmp_path, tensorboard=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(DataError, match="other settings"):
        train(replace(settings, learning_rate=0.5), tmp_path, resume=True, tensorboard=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
