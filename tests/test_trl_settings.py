"""Every setting is served by the adapter to TRL's trainer, or refused with the way out."""

from dataclasses import fields, replace

import pytest

pytest.importorskip("trl")

from trl_program import arguments

from memenvs.errors import SettingsError
from trainers.slots.choices import PRESETS, SLOTS, Slots
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.trl_settings import REFUSED, SERVED, apply_to, check_settings
from trainers.trl_settings import SLOTS as TAKEN

PLAIN = TokenTrainSettings(group_size=4, lm=LanguageModelSettings(model="any"))
#: Another value of every field that is refused.
OTHER = {
    "epochs": 2, "judge_model": "a:b", "eval_every": 3, "final_streams": 3, "checkpoint_every": 3, "keep": 3, "lm.device": "cuda:1",
    "lm.cut_off": "leave_out", "lm.overlong_buffer": 3,
    "lm.warm_start": "scripted", "eval_drawn": True, "mini_batch": 3, "warm_up": 2,
}  # fmt: skip
#: Refused by TokenTrainSettings itself.
EARLIER = {
    "entropy": 0.1, "slots.beta": 0.1, "slots.reset_every": 3, "slots.reset_above": 0.1, "slots.lam": 0.5,
    "lm.warm_streams": 3, "lm.warm_epochs": 1, "lm.warm_rate": 1.0, "lm.warm_batch": 3,
}  # fmt: skip


def changed(name, value):
    part, _, field = name.rpartition(".")
    return replace(PLAIN, **({part: replace(getattr(PLAIN, part), **{field: value})} if part else {name: value}))


def test_every_field_is_decided():
    names = [field.name for field in fields(TokenTrainSettings)]
    names += [f"lm.{field.name}" for field in fields(LanguageModelSettings)]
    names += [f"slots.{field.name}" for field in fields(Slots)]
    assert sorted(names) == sorted([*SERVED, *REFUSED])
    assert OTHER.keys() | EARLIER.keys() == REFUSED.keys()
    assert TAKEN.keys() <= SLOTS.keys()


@pytest.mark.parametrize("name", OTHER)
def test_what_would_be_ignored_is_refused(name):
    check_settings(PLAIN)
    with pytest.raises(SettingsError) as refused:
        check_settings(changed(name, OTHER[name]))
    assert f"{name}={OTHER[name]!r}: {REFUSED[name]}" in str(refused.value)


@pytest.mark.parametrize("name", EARLIER)
def test_what_is_refused_earlier_is_refused(name):
    with pytest.raises(SettingsError, match=name.split(".")[-1]):
        changed(name, EARLIER[name])


@pytest.mark.parametrize(
    ("slot", "name"),
    [(slot, name) for slot, (served, _) in TAKEN.items() for name in SLOTS[slot] if name not in served],
)
def test_slots_that_are_not_served_are_refused(slot, name):
    with pytest.raises(SettingsError, match=f"{slot} '?\"?{name}"):
        check_settings(replace(PLAIN, slots=Slots(**{slot: name})))


def test_the_presets_that_can_be_trained():
    served = set()
    for preset in PRESETS:
        try:
            check_settings(replace(PLAIN, slots=Slots(preset=preset)))
            served.add(preset)
        except SettingsError:
            pass
    assert served == {"finemem", "dr-grpo", "gspo", "luspo", "reinforce++", "gigpo"}


def test_other_things_that_cannot_be_served_are_refused():
    with pytest.raises(SettingsError, match="lm.model is missing"):
        check_settings(TokenTrainSettings())
    with pytest.raises(SettingsError, match="plays on with the policy"):
        check_settings(replace(PLAIN, reward="credit:monte-carlo"))
    with pytest.raises(SettingsError, match="cap='absolute'"):
        check_settings(replace(PLAIN, slots=Slots(ratio="cispo")))


def test_our_settings_become_trls(tmp_path):
    slots = Slots(ratio="loop", clip_high=0.25)
    own = replace(PLAIN.lm, temperature=0.7, top_p=0.9, max_tokens=33)
    settings = replace(PLAIN, seed=5, learning_rate=0.01, max_norm=0.3, updates=7, lm=own, slots=slots)
    args = arguments(tmp_path)
    apply_to(args, settings, slots.filled)
    assert (args.seed, args.learning_rate, args.max_grad_norm, args.max_steps) == (5, 0.01, 0.3, 7)
    assert (args.temperature, args.top_p, args.max_completion_length) == (0.7, 0.9, 33)
    assert (1 - args.epsilon, 1 + args.epsilon_high) == pytest.approx((0.8, 1.25))
    assert not args.shuffle_dataset
    for given, loss, level in (
        (Slots(preset="gspo"), "dapo", "sequence"),
        (Slots(ratio="cispo", cap="absolute", clip_high=5.0), "cispo", "token"),
    ):
        apply_to(args := arguments(tmp_path), replace(PLAIN, slots=given), given.filled)
        assert (args.loss_type, args.importance_sampling_level) == (loss, level)
        assert (args.epsilon, args.epsilon_high) == (given.filled.clip_low, given.filled.clip_high)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"beta": 0.04}, "beta=0.04"),
        ({"num_iterations": 2}, "one pass"),
        ({"num_generations": 2}, "group_size 4 and num_generations 2"),
        (
            {"per_device_train_batch_size": 8},
            "8 x processes 1 x gradient_accumulation_steps 1 must be .* streams x group_size = 4",
        ),
        ({"steps_per_generation": 2}, "steps_per_generation is gradient_accumulation_steps"),
        ({"loss_type": "grpo"}, "choose the aggregation and the ratio in settings.slots"),
        ({"learning_rate": 1e-3}, "set learning_rate in our settings"),
        ({"max_grad_norm": 0.5}, "set max_norm in our settings"),
        ({"temperature": 0.5, "max_steps": 9}, "set lm.temperature; max_steps=9, .*set updates"),
        ({"mask_truncated_completions": True}, "not made by TRL"),
        ({"entropy_coef": 0.1}, "in micro-batches"),
        ({"num_generations_eval": 2}, "once each"),
    ],
)
def test_settings_of_trl_that_would_be_ignored_are_refused(given, told, tmp_path):
    with pytest.raises(SettingsError, match=told):
        apply_to(arguments(tmp_path, **given), PLAIN, PLAIN.slots.filled)


def test_gradient_checkpointing_is_trls(tmp_path):
    asked = replace(PLAIN, lm=replace(PLAIN.lm, gradient_checkpointing=True))
    apply_to(args := arguments(tmp_path), asked, asked.slots.filled)
    assert args.gradient_checkpointing
    apply_to(off := arguments(tmp_path, gradient_checkpointing=False), PLAIN, PLAIN.slots.filled)
    assert not off.gradient_checkpointing
    with pytest.raises(SettingsError, match="gradient_checkpointing=False, which would be True"):
        apply_to(off, asked, asked.slots.filled)
