"""Distillation of a policy that sees a hint into one that does not."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import log_softmax

from memenvs.errors import SettingsError
from trainers.slots.rows import check_mask


def distillation_loss(teacher_logits: Tensor, student_logits: Tensor, temperature: float, mask: Tensor) -> Tensor:
    """T² times the mean over tokens of KL(softmax(teacher / T) || softmax(student / T)).

    For a memory manager: the teacher reads the questions beforehand, the student does not, and both score the same reply.

    Args:
        teacher_logits: (N, L, V); no gradient goes back. -inf bars a choice.
        student_logits: (N, L, V), differentiable.
        temperature: T > 0; SSB takes 2.
        mask: (N, L) bool, True for the reply's tokens; what stands elsewhere is ignored.

    Returns:
        A scalar to be minimised; 0 without any token. Infinite where the student bars what the teacher allows.

    Raises:
        SettingsError: the shapes differ, or the temperature is not above 0.

    Source: semantic soft bootstrapping, purbeshmitra/semantic-soft-bootstrapping@f153382 ``ssb_train.py``; the factor T² keeps the
    gradient's size, Hinton et al., arXiv 1503.02531.
    """
    check_mask(mask)
    if not (math.isfinite(temperature) and temperature > 0):
        raise SettingsError(f"temperature must be a finite number above 0, got {temperature}")
    if teacher_logits.shape != student_logits.shape or teacher_logits.shape[:-1] != mask.shape:
        raise SettingsError(
            f"teacher and student logits must be (N, L, V) over the mask's {tuple(mask.shape)}, got "
            f"{tuple(teacher_logits.shape)} and {tuple(student_logits.shape)}"
        )
    teacher, student = (
        log_softmax(logits.masked_fill(~mask[..., None], 0.0) / temperature, dim=-1)
        for logits in (teacher_logits.detach(), student_logits)
    )
    probabilities = teacher.exp()
    # 0 log 0 is 0, also where the student bars the choice too.
    gap = (teacher - student).masked_fill(probabilities == 0, 0.0)
    return temperature**2 * (probabilities * gap).sum() / mask.sum().clamp(min=1)
