"""How a language model's prompts are written, as a command line says it: its chat template, and what this knows and is told.

* `template_arguments` - what was given, as `agents.language_model.CausalLM.from_pretrained` takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memenvs.errors import DataError

TEMPLATE_OPTIONS = ("chat_template", "system", "thinking")
"""A file of Jinja text, and two switches: "on" or "off"."""


def template_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for the options that were given.

    Args:
        options: any of `TEMPLATE_OPTIONS`, and others, which are left out. None stands for one that was not given.

    Raises:
        DataError: the file cannot be read, or is empty.
    """
    given = {name: options[name] for name in TEMPLATE_OPTIONS if options.get(name) is not None}
    return {name: _text(Path(value)) if name == "chat_template" else value == "on" for name, value in given.items()}


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the chat template should be a file of Jinja text, got {str(file)!r}: {error}") from error
    if not text.strip():
        raise DataError(f"{file} should hold the Jinja text of a chat template, and is empty")
    return text
