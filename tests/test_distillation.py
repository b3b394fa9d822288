"""The distillation loss against numbers worked out by hand."""

import pytest
import torch
from torch.autograd import gradcheck

from memenvs.errors import SettingsError
from trainers.distillation import distillation_loss

NAN, INF = float("nan"), float("inf")
ONE = torch.tensor([[True]])


def logits(*values):
    return torch.tensor([[values]], dtype=torch.float64)


def test_one_token():
    # softmax(1, 0) = (.731, .269) against (.5, .5): KL .1109, times T² = 4.
    assert distillation_loss(logits(2, 0), logits(1, 1), 2.0, ONE).item() == pytest.approx(0.443776286687, abs=1e-12)


def test_tokens_of_all_rows_weigh_the_same_and_the_rest_is_ignored():
    # Three tokens count, one of them with the KL above; whatever stands at the fourth place.
    teacher = torch.tensor([[[2.0, 0.0], [5.0, 5.0]], [[1.0, 3.0], [NAN, INF]]], dtype=torch.float64)
    student = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[4.0, 6.0], [-INF, NAN]]], dtype=torch.float64).requires_grad_()
    mask = torch.tensor([[True, True], [True, False]])
    loss = distillation_loss(teacher, student, 2.0, mask)
    loss.backward()
    assert loss.item() == pytest.approx(0.443776286687 / 3, abs=1e-12)
    # T² (student - teacher) / T / 3 at the one token where they differ.
    expected = torch.zeros_like(student)
    expected[0, 0] = 2.0 / 3 * torch.tensor([0.5 - 0.731058578630, 0.5 - 0.268941421370])
    torch.testing.assert_close(student.grad, expected, atol=1e-7, rtol=0)


def test_gradient_agrees_with_finite_differences_and_spares_the_teacher():
    teacher = logits(0.3, -1.0, 2.0).requires_grad_()
    student = logits(1.0, 0.2, -0.5).requires_grad_()
    assert gradcheck(lambda x: distillation_loss(teacher, x, 1.5, ONE), (student,))
    distillation_loss(teacher, student, 1.5, ONE).backward()
    assert teacher.grad is None


def test_barred_choices():
    student = logits(1.0, 1.0, -INF).requires_grad_()
    loss = distillation_loss(logits(2.0, 0.0, -INF), student, 2.0, ONE)
    loss.backward()
    assert loss.item() == pytest.approx(0.443776286687, abs=1e-12)
    assert torch.isfinite(student.grad).all()
    assert distillation_loss(logits(0.0, 0.0), logits(0.0, -INF), 1.0, ONE).item() == INF


def test_without_a_token_the_loss_and_its_gradient_are_zero():
    student = logits(1.0, 0.0).requires_grad_()
    loss = distillation_loss(logits(0.0, 1.0), student, 2.0, ~ONE)
    loss.backward()
    assert loss.item() == 0
    assert not student.grad.any()


def test_wrong_input_is_refused():
    with pytest.raises(SettingsError, match="temperature must be a finite number above 0, got 0"):
        distillation_loss(logits(1, 1), logits(1, 1), 0, ONE)
    with pytest.raises(SettingsError, match=r"\(1, 1, 2\) and \(1, 1, 3\)"):
        distillation_loss(logits(1, 1), logits(1, 1, 1), 1.0, ONE)
    with pytest.raises(SettingsError, match=r"mask's \(2, 1\)"):
        distillation_loss(logits(1, 1), logits(1, 1), 1.0, ONE.repeat(2, 1))
