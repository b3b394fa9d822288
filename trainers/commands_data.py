"""The commands ``memenvs data ...``, by name."""

from __future__ import annotations

from collections.abc import Callable

from trainers.commands_build import build, chunk_questions

DATA: dict[str, Callable[..., None]] = {"build": build, "chunk-questions": chunk_questions}
"""Name -> command."""
