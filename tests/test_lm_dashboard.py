"""What a language model's run says of itself while it goes: metrics.csv, timing.csv, rollouts.jsonl."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from taught_model import taught  # noqa: F401 - a fixture

from trainers.rollout import Group
from trainers.runlog import read_metrics
from trainers.slots.choices import Slots
from trainers.slots.ratios import RatioSettings, outside
from trainers.tokens.grpo import train
from trainers.tokens.measures import PassMeasures, drawn_messages, group_line, message_line, token_line
from trainers.tokens.parts import TokenParts
from trainers.tokens.rollout_file import FILE, RolloutFile
from trainers.tokens.rows import TokenRow
from trainers.update import advantages

LOG_RATIOS = torch.tensor([1.30, 1.25, 0.85, 0.75, 1.0]).log()


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("ppo", RatioSettings(0.2, 0.28), [1, 0, 0, 1, 0]),
        ("loop", RatioSettings(0.9, 0.27), [1, 0, 0, 1, 0]),  # from 1 / 1.27 = .787
        ("cispo", RatioSettings(0.2, 0.2), [1, 1, 0, 1, 0]),
        ("cispo", RatioSettings(0.2, 1.27, "absolute"), [1, 0, 0, 0, 0]),
        ("gspo", RatioSettings(3e-4, 4e-4), [1, 1, 1, 1, 1]),  # the geometric mean is 1.0073
        ("gspo", RatioSettings(0.1, 0.1), [0, 0, 0, 0, 0]),
        ("decoupled", RatioSettings(0.2, 0.2, proximal=LOG_RATIOS[None]), [0, 0, 0, 0, 0]),
    ],
)
def test_tokens_outside_the_clip_range(name, settings, expected):
    mask = torch.ones(1, 5, dtype=torch.bool)
    found = outside(name, LOG_RATIOS[None], torch.zeros(1, 5), mask, settings)
    assert found.int().tolist() == [expected]
    assert not outside(name, LOG_RATIOS[None], torch.zeros(1, 5), ~mask, settings).any()


def test_a_pass_is_measured_over_its_tokens():
    measures = PassMeasures()
    assert measures.means() == {}
    ones = torch.tensor([[True, True], [True, False]])
    measures.add(
        new=torch.tensor([[-1.0, -2.0], [-3.0, 9.0]]),
        recorded=torch.tensor([[-1.5, -2.0], [-3.0, 0.0]]),
        old=torch.tensor([[-1.0, -2.0], [-2.0, 0.0]]),
        mask=ones,
        outside=torch.tensor([[False, False], [True, True]]),
        reference=torch.tensor([[-1.0, -3.0], [-3.0, 0.0]]),
    )
    measures.add(
        *[torch.zeros(1, 1)] * 3,
        torch.ones(1, 1, dtype=torch.bool),
        torch.zeros(1, 1, dtype=torch.bool),
        torch.zeros(1, 1),
    )
    # exp(-1) + 1 - 1 of one token in four.
    assert measures.means() == pytest.approx(
        {"log_ratio": 0.125, "drift": 0.25, "clip_share": 0.25, "kl": np.exp(-1) / 4}
    )


def test_the_entropy_is_the_mean_over_drawn_tokens():
    rows = [TokenRow((1,), (2, 3, 4), (-1.0, -2.0, -3.0)), TokenRow((1,), (2,), (-4.0,))]
    line = token_line(rows)
    assert (line["train/entropy"], line["train/message_tokens"], line["train/tokens"]) == (2.5, 2.0, 4.0)
    assert token_line([]) == {}


def group(failed):
    return Group(0, [], np.zeros((2, 3)), {}, {}, np.zeros(2), (), None, [], np.array(failed))


def test_columns_that_teach_nothing_and_groups_that_are_not_trained():
    groups = [group([False, False]), group([False, True]), group([False, False])]
    tables = [np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]), np.zeros((2, 3)), np.ones((2, 3))]
    masks = [np.ones((2, 3), bool), np.array([[False] * 3, [True] * 3]), np.zeros((2, 3), bool)]
    assert group_line(groups, tables, masks) == {"train/groups_dropped": 2.0, "train/zero_advantage_share": 5 / 9}


def messages(folder):
    """The lines of a run's rollouts.jsonl."""
    return [json.loads(line) for line in (folder / FILE).read_text(encoding="utf-8").split("\n") if line]


def test_a_run_tells_its_kl_its_times_and_one_groups_messages(taught, tmp_path):  # noqa: F811
    settings = replace(taught, updates=2, slots=Slots(regulariser="kl_k3", beta=0.01))
    train(settings, tmp_path / "whole")
    first, second = read_metrics(tmp_path / "whole" / "metrics.csv")[1:]
    assert min(first["train/kl"], second["train/kl"]) > 0  # of the last pass: one step is behind it
    assert 0 < first["train/clip_share"] < 1
    assert 0 < first["train/entropy"] < np.log(400)
    assert first["train/message_tokens"] == pytest.approx(first["train/tokens"] / first["train/decisions"])
    times = read_metrics(tmp_path / "whole" / "timing.csv")
    assert [line["update"] for line in times] == [1, 2]
    assert all(line["seconds/all"] > line["seconds/rollouts"] + line["seconds/update"] > 0 for line in times)
    lines = messages(tmp_path / "whole")
    assert [(line["update"], line["rollout"], line["step"]) for line in lines] == [
        (update, g, t) for update in (1, 2) for g in range(3) for t in range(4)
    ]
    assert len({(line["update"], line["stream"]) for line in lines}) == 2
    assert any(line["message"] and line["advantage"] for line in lines)
    # Killed in the middle of the second update's lines.
    train(replace(settings, updates=1), tmp_path / "cut", tensorboard=False)
    with (tmp_path / "cut" / "rollouts.jsonl").open("a") as file:
        file.write(json.dumps(lines[12]) + "\n" + json.dumps(lines[13])[:20])
    train(settings, tmp_path / "cut", resume=True, tensorboard=False)
    assert messages(tmp_path / "cut") == lines
    assert [line["update"] for line in read_metrics(tmp_path / "cut" / "timing.csv")] == [1, 2]


def test_in_half_precision_the_first_pass_clips_nothing(taught):  # noqa: F811
    own = replace(taught.lm, dtype="bfloat16", lora_rank=2)
    # Large models differ by more than GSPO's range, this one by less.
    slots = Slots(preset="gspo", clip_low=1e-6, clip_high=1e-6)
    parts = TokenParts(replace(taught, lm=own, epochs=1, learning_rate=0.0, slots=slots))
    drawn = parts.draw(0)
    ones = [np.ones(one.rewards.shape) for one in drawn.groups]
    fresh, recorded = (parts.learn(parts.rows(drawn.groups, ones, drawn.masks, n)) for n in (drawn.fresh, 0))
    assert recorded["train/clip_share"] > 0
    assert fresh["train/clip_share"] == fresh["train/drift"] == 0
    assert fresh["train/log_ratio"] == recorded["train/log_ratio"] > 0


def test_messages_that_were_cut_off_are_left_out_where_asked(taught):  # noqa: F811
    rows = {}
    for cut_off in ("train", "leave_out"):
        parts = TokenParts(replace(taught, lm=replace(taught.lm, max_tokens=12, cut_off=cut_off)))
        drawn = parts.draw(0)
        rows[cut_off] = parts.rows(drawn.groups, advantages(drawn.groups, parts.slots), drawn.masks)
    whole = [row for row in rows["train"] if row.completion[-1] == parts.policy.lm.tokenizer.eos_token_id]
    assert 0 < len(whole) < len(rows["train"])
    assert rows["leave_out"] == whole  # with the advantages that they have among all
    # What was left out is counted all the same.
    assert message_line(drawn_messages(drawn.groups))["train/truncated"] == 1 - len(whole) / len(rows["train"])


def test_a_message_that_leaves_share_was_drawn_once(taught):  # noqa: F811
    (group,) = TokenParts(replace(taught, group_size=4, streams=1, slots=Slots(group="tree"))).draw(0).groups
    # Four leaves of four steps, of which two and two share the first half.
    assert len(drawn_messages([group])) == 2 * 2 + 4 * 2


def test_a_new_run_keeps_no_messages_of_an_old_one(tmp_path):
    (tmp_path / "rollouts.jsonl").write_text('{"update": 1}\n')
    RolloutFile(tmp_path, None)
    assert messages(tmp_path) == []


def test_an_update_that_trains_nothing_says_so(taught, tmp_path):  # noqa: F811
    mute = replace(taught, lm=replace(taught.lm, max_tokens=1), slots=Slots(sampler="dynamic"), updates=1)
    with pytest.warns(UserWarning, match=r"update 1 trained nothing: the sampler 'dynamic' left 0 of \d+ groups"):
        train(mute, tmp_path, tensorboard=False)
    line = read_metrics(tmp_path / "metrics.csv")[-1]
    assert (line["train/decisions"], line["train/zero_advantage_share"]) == (0, 1)
    assert line["train/truncated"] > 0
    assert line["train/groups_dropped"] >= 2
