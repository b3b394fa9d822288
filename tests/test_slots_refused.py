"""Slots and numbers that cannot work are refused, and when."""

from dataclasses import replace

import pytest

from memenvs.errors import SettingsError
from trainers.grpo import train
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import Slots

SMALL = TrainSettings(env=EnvSettings(T=4), updates=1, group_size=2, eval_streams=1, final_streams=1)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"preset": "grpoo"}, "unknown preset"),
        ({"ratio": "pp"}, "unknown ratio"),
        ({"group": "local", "advantage": "gae"}, "local"),
        ({"group": "local", "advantage": "decoupled"}, "local"),
        ({"group": "local", "mix": "gdpo"}, "needs reward terms"),
        ({"group": "local", "judge": "consensus"}, "scored by the metric"),
        ({"preset": "dapo", "beta": 0.1}, "beta would not be used"),
        ({"reset_every": 5, "reset_above": 0.1}, "reset_every and reset_above would not be used"),
    ],
)
def test_slots_that_cannot_work_are_refused_at_once(slots, message):
    with pytest.raises(SettingsError, match=message):
        TrainSettings(slots=Slots(**slots))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slots": Slots(ddof=2)}, "ddof must be 0 or 1"),
        ({"slots": Slots(advantage="whiten", gamma=3.0)}, "gamma must be in"),
        ({"slots": Slots(advantage="alpha_mix", alpha=3.0)}, "alpha in"),
        ({"slots": Slots(clip_low=-1.0)}, "clip_low must be"),
        ({"slots": Slots(ratio="cispo", cap="absolute", clip_high=0.2)}, "at least 1"),
        ({"slots": Slots(regulariser="kl_k3", beta=-1.0)}, "beta must be"),
        ({"judge_model": "judge_by:yes"}, "'scorer' asks nobody"),
        ({"slots": Slots(judge="exact"), "judge_model": "judge_by:yes"}, "'exact' asks nobody"),
        ({"slots": Slots(judge="model")}, "give judge_model"),
        (
            {"slots": Slots(judge="model"), "judge_model": "json:JSONDecoder.x"},
            "judge_model .* cannot be imported: AttributeError",
        ),
        ({"slots": Slots(judge="model"), "judge_model": "math:pi"}, "is float; expected a callable list of prompts"),
        ({"predictor": "predictor.json"}, "credit:redistribution; the reward is 'finemem'"),
    ],
)
def test_what_the_slots_cannot_use_is_refused_before_anything_is_written(tmp_path, values, message):
    with pytest.raises(SettingsError, match=message):
        train(replace(SMALL, **values), tmp_path / "run", tensorboard=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("values", [{"pool": 0}, {"learning_rate": float("nan")}, {"entropy": -0.1}])
def test_numbers_out_of_range_are_refused(values):
    with pytest.raises(SettingsError, match=next(iter(values))):
        replace(SMALL, **values)
