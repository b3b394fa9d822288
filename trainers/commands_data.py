"""The commands ``memenvs data ...``, by name."""

from __future__ import annotations

from collections.abc import Callable

from trainers.commands_build import build, chunk_questions
from trainers.commands_inspect import inspect

DATA: dict[str, Callable[..., None]] = {"build": build, "chunk-questions": chunk_questions, "inspect": inspect}
"""Name -> command."""
