"""The model and tokenizer of transformers behind a `memenvs.reading.local_model.LocalModel`.

* `Weights` - text to tokens, the most probable replies, probabilities of given ones.
* `shared_weights` - those of a name; once in a process.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from memenvs.endpoint import Failure, Message, Reply
from memenvs.errors import SettingsError
from memenvs.reading.local_loading import load_model
from memenvs.reading.local_settings import LocalSettings

_OF_SAMPLING = frozenset({
    "do_sample", "temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "num_beams",
    "num_return_sequences", "max_length", "max_new_tokens", "min_length", "eos_token_id", "pad_token_id",
})  # fmt: skip
"""Generation settings that are not taken over from the model."""


class Weights:
    """Model and tokenizer.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer, with a chat template.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.lock = threading.Lock()
        """One asks at a time: readers of one model share it."""
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        ends = model.generation_config.eos_token_id
        known = [*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id]
        self.ends: list[int] = sorted({token for token in known if token is not None})

    def text(self, messages: Sequence[Message], arguments: Any) -> str | Failure:
        """A conversation as the model reads it, with the beginning of its reply."""
        from jinja2.exceptions import TemplateError

        # Half a character, as a cut text may hold, is no text for a tokenizer: a question mark stands for it.
        whole = [{name: part.encode("utf-8", "replace").decode() for name, part in m.items()} for m in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(whole, tokenize=False, add_generation_prompt=True, **arguments)
            )
        except TemplateError as error:
            return Failure("refused", f"the chat template refuses the conversation: {error}")

    def tokens(self, text: Any) -> Any:
        """Token ids; special tokens are those that the template wrote. What failed before stays that."""
        return text if isinstance(text, Failure) else list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def write(self, prompts: Sequence[list[int]], most: int) -> list[Reply | Failure]:
        """The most probable reply to each prompt, token by token, under the model's own penalties if it has any."""
        import torch

        settings = greedy_settings(self.model.generation_config, most, self.ends)
        tokens, mask = self._padded(prompts)
        try:
            with torch.inference_mode():
                written = self.model.generate(tokens, attention_mask=mask, generation_config=settings)
        except torch.OutOfMemoryError as error:
            told = f"{len(prompts)} prompts of up to {tokens.shape[1]} tokens: {error}; set a smaller batch"
            return [Failure("server_error", told) for _ in prompts]
        return [
            self._reply(len(prompt), row)
            for prompt, row in zip(prompts, written[:, tokens.shape[1] :].tolist(), strict=True)
        ]

    def _reply(self, read: int, row: list[int]) -> Reply | Failure:
        end = next((place for place, token in enumerate(row) if token in self.ends), None)
        row = row if end is None else row[: end + 1]
        reason = "length" if end is None else "stop"
        text = self.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if not text.strip():
            way_out = "; raise max_tokens" if end is None else ""
            said = f"the reply holds no text (finish_reason {reason!r}){way_out}"
            return Failure("no_text", said, "", read, len(row))
        return Reply(text, reason, read, len(row))

    def log_probs(self, rows: Sequence[tuple[list[int], int]]) -> list[tuple[float, ...]]:
        """Of the last tokens of each row: (token ids, how many of them)."""
        import torch

        tokens, mask = self._padded([row for row, _ in rows])
        most = max(own for _, own in rows)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        with torch.inference_mode():
            logits = self.model(
                input_ids=tokens, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=most + 1
            ).logits[:, -most - 1 : -1]
            found = logits.float().log_softmax(-1).gather(-1, tokens[:, -most:, None])[:, :, 0].tolist()
        return [tuple(values[most - own :]) for values, (_, own) in zip(found, rows, strict=True)]

    def _padded(self, rows: Sequence[list[int]]) -> tuple[Any, Any]:
        """Token ids and mask, padded on the left.

        A row is padded with its own first token: penalties on repeated tokens look at the padding too, and it must not make a
        difference which rows are beside it.
        """
        import torch

        width = max(map(len, rows))
        tokens = torch.tensor([[row[0]] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        device = next(self.model.parameters()).device
        return tokens.to(device), mask.to(device)


def greedy_settings(settings: Any, most: int, ends: list[int]) -> Any:
    """The model's generation settings without chance: penalties and the like stay, as servers keep them at temperature 0."""
    from transformers import GenerationConfig

    own = {name: value for name, value in settings.to_diff_dict().items() if name not in _OF_SAMPLING}
    pad = settings.pad_token_id if settings.pad_token_id is not None else (ends or [0])[0]
    return GenerationConfig(
        **own, do_sample=False, num_beams=1, max_new_tokens=most, eos_token_id=ends or None, pad_token_id=pad
    )


_WEIGHTS: weakref.WeakValueDictionary[str, Weights] = weakref.WeakValueDictionary()
_WEIGHTS_LOCK = threading.Lock()


def shared_weights(settings: LocalSettings) -> Weights:
    """The weights of this process for these settings; they stay as long as somebody holds them."""
    same = replace(settings, max_tokens=1, batch=1, chat_template_kwargs={})
    key = json.dumps(same.to_json(), sort_keys=True)
    with _WEIGHTS_LOCK:
        found = _WEIGHTS.get(key)
        if found is None:
            found = _WEIGHTS[key] = _load(settings)
        return found


def _load(settings: LocalSettings) -> Weights:
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "a reader within the process needs torch and transformers: pip install -e '.[train,lm]'"
        ) from error
    dtype = settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)
    device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = load_model(settings.model, dtype, settings.revision)
    if not isinstance(tokenizer.chat_template, str):
        raise SettingsError(
            f"the tokenizer of {settings.model!r} has no chat template (or several); a reader needs a model that was tuned to "
            "follow instructions"
        )
    return Weights(model.to(device).eval(), tokenizer)
