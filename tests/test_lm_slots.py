"""Every value of every slot trains a language model, and each changes something."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from asked_judges import ASKED, judge_by  # noqa: F401 - a fixture

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401 - a fixture

from trainers.runlog import read_metrics
from trainers.slots.choices import SLOTS, Slots
from trainers.tokens.grpo import train

USUAL = {slot: getattr(Slots().filled, slot) for slot in SLOTS}
REWARD = {"sampler": "raw"}
"""By slot, where Fine-Mem's has variance at every step: raw pays 0 at all steps but the last."""
SAME = {("ratio", "decoupled"), ("sampler", "dynamic")}
"""What changes nothing here: fresh rollouts were drawn by the weights before the update, which are decoupled's proximal policy; and
no stream needs to be replaced if its outcomes differ."""
TOLD = ("train/loss", "train/gradient_norm", "train/log_ratio", "train/decisions", "train/tokens", "train/step_reward")


def update(folder, settings):
    train(settings, folder, tensorboard=False)
    line = read_metrics(folder / "metrics.csv")[-1]
    return [line[name] for name in TOLD]


@pytest.fixture(scope="module")
def usual(taught, tmp_path_factory):  # noqa: F811
    """What an update says with a reward and every slot as usual."""
    return cache(lambda reward: update(tmp_path_factory.mktemp("usual"), replace(taught, reward=reward)))


@pytest.mark.parametrize(
    ("slot", "name"), [(slot, name) for slot, names in SLOTS.items() for name in names if name != USUAL[slot]]
)
@pytest.mark.filterwarnings("ignore:the reward .raw. pays at the last step")
@pytest.mark.usefixtures("judge_by")
def test_every_value_trains_and_changes_something(taught, usual, slot, name, tmp_path):  # noqa: F811
    reward = REWARD.get(slot)
    asked = ASKED.get(name) if slot == "judge" else None
    told = update(tmp_path / "run", replace(taught, reward=reward, slots=Slots(**{slot: name}), judge_model=asked))
    assert np.isfinite(told).all()
    assert min(told[1:5]) > 0  # it moved
    if (slot, name) not in SAME:
        assert not np.allclose(told, usual(reward), rtol=1e-6, atol=0)
