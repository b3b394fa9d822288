"""Which values of the slots read which number: by changing it; and what nobody reads is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from memenvs.errors import SettingsError
from trainers.settings import TrainSettings
from trainers.slots.choices import PRESETS, SLOTS, Slots, resolve
from trainers.slots.mixing import MIXINGS
from trainers.slots.numbers import READ_BY, check_numbers
from trainers.slots.ratios import RatioSettings
from trainers.slots.types import Scored
from trainers.update import advantage_settings

#: Another value than the presets' of every number that decides advantages.
OTHER = {"gamma": 0.5, "lam": 0.3, "alpha": 0.9, "omega": 3.0, "ddof": 0, "eps": 0.1}
DRAWN = np.random.default_rng(0)
TERMS = {"outcome": DRAWN.random((4, 3)), "chunk": DRAWN.random((4, 3))}
OUTCOMES, VALUES = DRAWN.random(4), DRAWN.random((4, 3))


def table(slots):
    """Advantages of four rollouts of three steps, of which some pass through the same states."""
    settings = advantage_settings(slots.filled)
    rewards = MIXINGS[slots.filled.mix](TERMS, {}, settings)
    same = tuple(tuple(str(t) for t in range(3)) for _ in range(4))
    group = Scored(rewards, OUTCOMES, same, (("a", "b", "a"),) * 4, (0, 0, 1, 1), VALUES)
    baselines = resolve("group", slots.filled.group)(group, settings)
    (found,) = resolve("advantage", slots.filled.advantage)([group], [baselines], settings)
    return found


def refused(slots):
    try:
        check_numbers(slots)
    except SettingsError as error:
        assert "would not be used" in str(error)  # noqa: PT017 - both outcomes are wanted
        return True
    return False


@pytest.mark.parametrize("number", OTHER)
@pytest.mark.parametrize("advantage", SLOTS["advantage"])
@pytest.mark.parametrize("group", SLOTS["group"])
def test_a_number_is_refused_where_changing_it_changes_no_advantage(group, advantage, number):
    for mix in SLOTS["mix"]:
        slots = Slots(group=group, advantage=advantage, mix=mix)
        try:
            slots.filled  # noqa: B018 - slots that do not go together have no numbers
        except SettingsError:
            continue
        changed = replace(slots, **{number: OTHER[number]})
        assert refused(changed) == bool((table(changed) == table(slots)).all()), mix


@pytest.mark.parametrize("number", ["clip_low", "clip_high", "cap"])
@pytest.mark.parametrize("ratio", SLOTS["ratio"])
def test_a_number_of_the_clip_is_refused_where_changing_it_changes_no_objective(ratio, number):
    # The first row became likelier, beyond the clip range, and the second less likely.
    new, old, mask = (
        torch.tensor([[-2.0, -2.5], [-4.9, -5.5]]),
        torch.full((2, 2), -4.0),
        torch.ones(2, 2, dtype=torch.bool),
    )
    other = {"clip_low": 0.4, "clip_high": 1.6, "cap": "absolute"}
    for cap in ("range", "absolute"):
        slots = Slots(ratio=ratio, clip_high=1.5, cap=cap if ratio == "cispo" else None)
        changed = replace(slots, **{number: other[number]})
        objectives = [
            resolve("ratio", ratio)(
                new, old, torch.tensor([[1.0], [-1.0]]), mask,
                RatioSettings(one.filled.clip_low, one.filled.clip_high, one.filled.cap, proximal=old + 0.1),
            ).tolist()
            for one in (slots, changed)
        ]  # fmt: skip
        if changed != slots:
            assert refused(changed) == (objectives[0] == objectives[1]), (cap, objectives)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_says_may_be_given_and_is_read(preset):
    own = {name: value for name, value in PRESETS[preset].items() if name in READ_BY}
    check_numbers(Slots(preset=preset, **own))


def test_what_a_preset_says_and_a_given_slot_does_not_read_is_nobodys_mistake():
    assert TrainSettings(slots=Slots(preset="gigpo", group="step")).slots.filled.gamma == 0.95


def test_the_refusal_names_who_would_read_it():
    with pytest.raises(
        SettingsError,
        match=r"gamma would not .* the advantage whiten\|gae, or group state .* leave gamma out; lam .* gae",
    ):
        TrainSettings(slots=Slots(gamma=0.5, lam=0.5))
