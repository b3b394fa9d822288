"""Models that others have a hand in: weights that accelerate moves about, modules with hooks.

* `input_device` - where a model's inputs belong.
* `hooked` - whether something waits for its modules to finish.
"""

from __future__ import annotations

from typing import Any

import torch


def input_device(model: Any) -> torch.device:
    """Where token ids belong.

    It is the device of the first weight, or the one that accelerate brings the embeddings to (``device_map``, ``cpu_offload``),
    while their weights may be on "meta".

    Args:
        model: a causal language model of transformers.
    """
    embeddings = model.get_input_embeddings()
    hook = getattr(embeddings, "_hf_hook", None)
    for own in getattr(hook, "hooks", (hook,)):  # accelerate puts several hooks of a module into one
        if (place := getattr(own, "execution_device", None)) is not None:
            return torch.device(place)
    return next(model.parameters()).device


def hooked(model: Any) -> bool:
    """Whether a module of the model has a hook: what hooks do after a pass, such as moving weights away again, must not be skipped.

    Args:
        model: any module.
    """
    # accelerate replaces `forward` instead of registering a hook.
    return any(
        module._forward_pre_hooks or module._forward_hooks or hasattr(module, "_hf_hook") for module in model.modules()
    )
