"""A causal language model of transformers with its tokenizer and chat template.

* `CausalLM` - loaded from a folder or a hub, or made from objects at hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.language_model.prompt import Prompt
from agents.language_model.spoken import THINK, THOUGHT
from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.reading.local_loading import load_model

DTYPES = ("float32", "bfloat16", "float16")


class CausalLM:
    """A model, ready to be asked.

    Args:
        model: any causal language model of transformers that attends to a cache of keys and values.
        tokenizer: its tokenizer.
        chat_template: Jinja text of a chat template; None takes the tokenizer's.
        thinking: whether models that can may think first; passed to the template as ``enable_thinking``.
        system: whether the template knows the role "system"; without it instructions begin the user's message.
        name: in results.

    Raises:
        SettingsError: there is no chat template, the model keeps a recurrent state instead of keys and values, or it has virtual
            tokens before the prompt.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        chat_template: str | None = None,
        thinking: bool = False,
        system: bool = True,
        name: str = "lm",
    ) -> None:
        template = chat_template or tokenizer.chat_template
        if not isinstance(template, str):
            raise SettingsError(
                f"the tokenizer of {name!r} has no chat template (or several); give one, for instance that of the family's "
                "instruction-tuned model: a file of its Jinja text with --chat-template (memenvs evaluate: "
                "--manager-chat-template), or the text as chat_template=... in Python"
            )
        if not tokenizer("a word")["input_ids"]:
            raise DataError(
                f"the tokenizer of {name!r} makes no tokens of a text: its files are missing beside the weights; save the "
                "tokenizer into the same folder"
            )
        if getattr(model, "_is_stateful", False):
            raise SettingsError(
                f"{type(model).__name__} keeps a recurrent state; a model with a key-value cache is needed"
            )
        if any(getattr(one, "is_prompt_learning", False) for one in getattr(model, "peft_config", {}).values()):
            raise SettingsError(
                "adapters that are virtual tokens or prefixes before the prompt are not read here; take adapters of weights, "
                "such as LoRA"
            )
        self.model, self.tokenizer, self.template = model, tokenizer, template
        self.thinking, self.system, self.name = thinking, system, name
        known = tokenizer.added_tokens_decoder
        self._unspoken = {i for i, token in known.items() if token.special and token.content not in (THINK, THOUGHT)}
        self.native_tools = "tools" in template
        """Whether the chat template tells the model about tools itself."""

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        dtype: str = "float32",
        device: str | None = None,
        revision: str | None = None,
        chat_template: str | None = None,
        thinking: bool = False,
        system: bool = True,
    ) -> CausalLM:
        """Load a model.

        Args:
            name: a folder, or an id on the hub that transformers is set up for; see `memenvs.reading.local_loading`.
            dtype: of the weights and of all that is computed but the softmax: one of `DTYPES`.
            device: for instance "cuda:1"; None takes the first GPU if there is one, else the CPU.
            revision: commit, branch or tag on the hub.
            chat_template: see the class, as ``thinking`` and ``system``.
            thinking: likewise.
            system: likewise.

        Raises:
            SettingsError: ``dtype`` is unknown.
            DataError: there is no such model, it is no causal language model, or the model below adapters is missing.
        """
        if dtype not in DTYPES:
            raise SettingsError(
                f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.{did_you_mean(str(dtype), DTYPES)}"
            )
        import torch

        model, tokenizer = load_model(name, getattr(torch, dtype), revision)
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        local = Path(name)
        shown = local.resolve().name if local.is_dir() else str(name)
        return cls(model.to(place).eval(), tokenizer, chat_template, thinking, system, shown)

    @property
    def dtype(self) -> str:
        """Of the weights, those of adapters aside."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def device(self) -> Any:
        """Where the model's inputs belong."""
        from agents.language_model.placement import input_device

        return input_device(self.model)

    @property
    def context(self) -> int | None:
        """Longest prompt and message together, in tokens, that the model was made for; None where its configuration is silent."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a message: the tokenizer's, and those of the model's generation settings."""
        given = getattr(self.model.generation_config, "eos_token_id", None)
        ids = given if isinstance(given, list) else [given]
        return frozenset(i for i in (self.tokenizer.eos_token_id, *ids) if i is not None)

    def text(self, prompt: Prompt) -> str:
        """The prompt as the model reads it.

        Raises:
            SettingsError: the chat template refuses it.
        """
        from jinja2.exceptions import TemplateError

        native = bool(prompt.tools) and self.native_tools
        try:
            return self.tokenizer.apply_chat_template(
                prompt.messages(tools=native, system=self.system),
                tools=list(prompt.tools) if native else None,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=self.thinking,
            )
        except TemplateError as error:
            way_out = (
                'a template without the role "system" needs --system off (memenvs evaluate: --manager-system off; in Python: '
                "system=False)"
                if self.system
                else "give another with --chat-template (memenvs evaluate: --manager-chat-template; in Python: chat_template=...)"
            )
            raise SettingsError(f"the chat template of {self.name!r} refuses the prompt: {error}; {way_out}") from error

    def tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt in token ids; special tokens are those that the template writes."""
        return tuple(self.tokenizer(self.text(prompt), add_special_tokens=False)["input_ids"])

    def decode(self, tokens: tuple[int, ...] | list[int]) -> str:
        """Tokens as text, special ones left out but for those around thoughts."""
        told = [token for token in tokens if token not in self._unspoken]
        return self.tokenizer.decode(told, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def thinks(self, prompt: tuple[int, ...]) -> bool:
        """Whether the prompt, in token ids, ends within thoughts, as templates of models that always think have it."""
        return self.tokenizer.decode(prompt[-8:]).rstrip().endswith(THINK)
