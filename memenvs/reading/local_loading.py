"""Loading a causal language model of transformers, or one with adapters of peft, with its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memenvs.errors import DataError

ADAPTERS = "adapter_config.json"
"""In a folder of adapters: says which model they belong to, by a path or an id on a hub."""


def load_model(name: str | Path, dtype: Any, revision: str | None = None) -> tuple[Any, Any]:
    """Load model and tokenizer.

    A folder of adapters names the model below them; a relative path there is looked for from the adapters' folder and then from the
    working directory. Where the folder has no tokenizer, that model's is taken.

    Args:
        name: a folder that ``save_pretrained`` wrote, or an id on the hub that transformers is set up for.
        dtype: of the weights, as transformers takes it; adapters are in float32 where these are in half precision.
        revision: commit, branch or tag on the hub.

    Returns:
        The model, on the CPU, and the tokenizer.

    Raises:
        DataError: there is no such model, it is no causal language model, or the model below adapters is missing.
        ImportError: torch or transformers is not installed, or peft for adapters.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(name)
    # By its whole path, so that adapters which are trained on it name it wherever they are loaded.
    shown = str(folder.resolve()) if folder.is_dir() else str(name)
    below = _below(folder)
    own_tokenizer = below is None or (folder / "tokenizer_config.json").is_file()
    try:
        tokenizer = AutoTokenizer.from_pretrained(shown if own_tokenizer else below, revision=revision)
        model: Any = AutoModelForCausalLM.from_pretrained(below or shown, revision=revision, dtype=dtype)
        if below is not None:
            from peft import PeftModel

            # Unlike transformers' own load_adapter this keeps adapters in float32 beside half-precision weights, as in training.
            model = PeftModel.from_pretrained(model, shown)
    except (OSError, ValueError, KeyError) as error:
        way_out = (
            f"; the adapters in it are for the model {below!r}, which must be a folder or an id on the hub: write where it is into "
            f'"base_model_name_or_path" of {folder / ADAPTERS}'
        )
        raise DataError(
            f"no causal language model could be loaded from {str(name)!r}; expected a folder that save_pretrained wrote, or an id "
            f"on the hub{'' if below is None else way_out}: {error}"
        ) from error
    return model, tokenizer


def _below(folder: Path) -> str | None:
    """The model below the adapters in a folder; None where it holds none."""
    file = folder / ADAPTERS
    if not file.is_file():
        return None
    try:
        named = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
        places = [place for place in (folder / named, Path(named)) if place.is_dir()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f'{file} should name the adapters\' model as "base_model_name_or_path": {error!r}') from error
    return str(places[0].resolve()) if places else str(named)
