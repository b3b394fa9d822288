"""The clipped loss against numbers worked out by hand."""

import math

import pytest
import torch

from trainers.loss import clipped_loss


def loss_and_gradient(ratios, advantages, **kwargs):
    old = torch.zeros(len(ratios), dtype=torch.float64)
    new = torch.tensor([math.log(r) for r in ratios], dtype=torch.float64, requires_grad=True)
    loss = clipped_loss(new, old, torch.tensor(advantages, dtype=torch.float64), **kwargs)
    loss.backward()
    return loss.item(), new.grad.tolist()


def test_hand_computed():
    # ratio 1.5, A 1: clipped to 1.2; 0.5, A 1: 0.5; 1.5, A -1: -1.5; 0.5, A -1: clipped to -0.8.
    loss, gradient = loss_and_gradient([1.5, 0.5, 1.5, 0.5], [1.0, 1.0, -1.0, -1.0])
    assert loss == pytest.approx(-(1.2 + 0.5 - 1.5 - 0.8) / 4)
    assert gradient == pytest.approx([0.0, -0.5 / 4, 1.5 / 4, 0.0])


def test_at_ratio_one_it_is_the_policy_gradient():
    loss, gradient = loss_and_gradient([1.0, 1.0], [2.0, -1.0])
    assert loss == pytest.approx(-0.5)
    assert gradient == pytest.approx([-1.0, 0.5])


def test_clip_higher_and_mask():
    loss, _ = loss_and_gradient([1.5], [1.0], clip=0.2, clip_high=0.28)
    assert loss == pytest.approx(-1.28)
    loss, gradient = loss_and_gradient([1.0, 1.0], [2.0, -1.0], mask=torch.tensor([True, False]))
    assert loss == pytest.approx(-2.0)
    assert gradient == pytest.approx([-2.0, 0.0])
    assert loss_and_gradient([1.0], [1.0], mask=torch.tensor([False]))[0] == 0.0


def test_extreme_ratios_stay_finite():
    new = torch.tensor([500.0, -500.0, 500.0], requires_grad=True)
    loss = clipped_loss(new, torch.zeros(3), torch.tensor([1.0, -1.0, 0.0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(new.grad).all()


def test_old_log_probs_get_no_gradient_and_shapes_must_agree():
    old = torch.zeros(2, requires_grad=True)
    clipped_loss(torch.zeros(2, requires_grad=True), old, torch.ones(2)).backward()
    assert old.grad is None
    with pytest.raises(ValueError, match="one shape"):
        clipped_loss(torch.zeros(2), torch.zeros(2), torch.zeros(2, 1))
