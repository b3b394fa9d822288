"""Where numbers came from: what every results file says about itself."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from memenvs.env import MemoryEnv
from memenvs.version import __version__

COLUMNS = ("data", "split", "dataset", "profile")
"""Facts that every row of a CSV table repeats, since a CSV has no other place for them."""


def facts(env: gym.Env[Any, Any], **more: Any) -> dict[str, Any]:
    """What the numbers of an environment depend on, as plain data.

    Args:
        env: a memenvs environment, wrapped or not.
        more: further facts, for instance ``seed``, ``streams`` and ``settings``; one of the same name replaces ours.

    Returns:
        ``memenvs`` (version), ``env`` (id), ``data``, ``revision`` (commit of a hub), ``split``, ``dataset`` (fingerprint),
        ``licence``, ``reader``, ``profile`` (of scoring), ``tokens`` (name of the counter), ``k``, ``retrieval``, ``memory``,
        ``dialect``, ``limits``, ``skipped_rows`` (rows of the data that were left out because they could not be read), then
        ``more``.
    """
    base = env.unwrapped
    assert isinstance(base, MemoryEnv), f"expected a memenvs environment, got {type(base).__name__}"
    dataset, settings = base.dataset, base.settings
    return {
        "memenvs": __version__,
        "env": base.spec.id if base.spec else None,
        "data": dataset.source,
        "revision": getattr(dataset, "revision", None),
        "split": dataset.split,
        "dataset": dataset.fingerprint,
        "licence": dataset.licence,
        "reader": base.reader.name,
        "profile": settings.profile,
        "tokens": settings.tokens,
        "k": settings.k,
        "retrieval": settings.retrieval,
        "memory": settings.memory,
        "dialect": settings.dialect,
        "limits": {
            "max_operations": settings.limits.max_operations,
            "max_item_tokens": settings.limits.max_item_tokens,
            "memory_budget": settings.limits.max_tokens,
        },
        "skipped_rows": len(getattr(dataset, "skipped", ())),
        **more,
    }
