"""The reference policy of a KL term: what a model's trainable weights were at some moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from memenvs.errors import DataError


class Reference:
    """Copies of a model's trainable weights, which take their place for a while.

    Frozen weights are the model's own, so beside adapters of peft a reference costs another set of adapters, and otherwise another
    set of weights.

    Args:
        model: whose weights are copied, on its device.
    """

    def __init__(self, model: Any) -> None:
        self.weights: dict[str, torch.Tensor] = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters() if parameter.requires_grad
        }

    @contextmanager
    def instead(self, model: Any) -> Iterator[None]:
        """The model with these weights; its own are back after the block. Only for passes without a gradient.

        Args:
            model: the one that was copied.
        """
        parameters = dict(model.named_parameters())
        own = {name: parameters[name].data for name in self.weights}
        try:
            for name, weight in self.weights.items():
                parameters[name].data = weight
            yield
        finally:
            for name, weight in own.items():
                parameters[name].data = weight

    def save(self, file: Path) -> None:
        """Write the copies as safetensors."""
        from safetensors.torch import save_file

        save_file({name: weight.contiguous() for name, weight in self.weights.items()}, file)

    def load(self, file: Path) -> None:
        """Take what `save` wrote of a reference to the same model.

        Raises:
            DataError: the file is missing, or is of other weights.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            kept = load_file(file)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{file}: the reference policy cannot be read: {error}") from error
        if (found := _shapes(kept)) != (wanted := _shapes(self.weights)):
            raise DataError(
                f"{file} holds the reference policy of another model, {len(found)} weights where {len(wanted)} of other names or "
                "shapes are trained; resume with the model and the rank that the run began with"
            )
        for name, weight in kept.items():
            self.weights[name].copy_(weight)


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}
