"""A GPU whose memory is full ends a run with the settings that help, first those that a resumed run may change."""

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
        training = [f"a --micro-batch below {own.micro_batch}"] if own.micro_batch > 1 else []
        training += [] if own.gradient_checkpointing else ["--gradient-checkpointing"]
        drawing = [f"a --batch below {own.batch}"] if own.batch > 1 else []
        free = [
            f"where the model {what}, {' or '.join(ways)}"
            for what, ways in (("was trained", training), ("drew messages", drawing))
            if ways
        ]
        goes_on = f"{'; '.join(free)}: the same command with these and --resume auto goes on from the last checkpoint. "
        raise MemenvsError(
            f"the GPU's memory is full. {goes_on[:1].upper() + goes_on[1:] if free else ''}Otherwise another run: --lora-rank, a "
            f"smaller --max-tokens or --memory-tokens, shorter chunks: {error}"
        ) from error
