"""A GPU whose memory is full ends a run with the settings that help, all of which a resumed run may change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from memenvs.errors import MemenvsError
from trainers.tokens.settings import LanguageModelSettings


@contextmanager
def out_of_memory_told(own: LanguageModelSettings) -> Iterator[None]:
    """Say what to do where PyTorch can get no more memory within.

    Args:
        own: the settings that it ran out with.

    Raises:
        MemenvsError: it could not.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        checkpointing = "" if own.gradient_checkpointing else " or --gradient-checkpointing"
        raise MemenvsError(
            f"the GPU's memory is full. Where the model was trained, take a --micro-batch below {own.micro_batch}{checkpointing}; "
            f"where it drew messages, a --batch below {own.batch}. The same command with these and --resume auto goes on from the "
            f"last checkpoint: {error}"
        ) from error
