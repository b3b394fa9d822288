"""A small model from nothing: a random Qwen3 with a tokenizer made from the streams that it is going to read.

For a look at the whole path on a CPU, without any weights to download. It knows no language; a warm start teaches it to write
messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.base import View
from agents.language_model.prompt import PromptSettings, make_prompt
from memenvs.errors import SettingsError, whole
from memenvs.memory.dialects import write_operations
from memenvs.memory.operations import Operation
from memenvs.streams.sentences import sentences
from memenvs.streams.types import Stream

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


@dataclass(frozen=True)
class SmallSettings:
    """Size of the model."""

    hidden: int = 128
    """Width."""
    layers: int = 4
    """Depth."""
    heads: int = 4
    """Attention heads, half as many for keys and values."""
    vocabulary: int = 2048
    """Most tokens of the tokenizer."""
    context: int = 4096
    """Longest prompt and message together."""
    seed: int = 0
    """Of the weights."""

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "heads", "vocabulary", "context"):
            whole(name, getattr(self, name), 1)
        if self.hidden % self.heads or self.heads % 2:
            raise SettingsError(f"heads must be even and divide hidden, got {self.heads} and {self.hidden}")
        if (self.hidden // self.heads) % 2:
            raise SettingsError(
                f"a head's width must be even, for positions turn pairs of numbers: hidden must be a multiple of {2 * self.heads} "
                f"with {self.heads} heads, got {self.hidden}"
            )


def make_small(
    folder: str | Path, streams: Iterable[Stream], prompt: PromptSettings, settings: SmallSettings = SmallSettings()
) -> int:
    """Write a model that transformers loads.

    Args:
        folder: receives weights, configuration and tokenizer.
        streams: whose words the tokenizer learns; training streams.
        prompt: what the model will be asked with.
        settings: its size.

    Returns:
        The number of parameters.

    Raises:
        SettingsError: torch or transformers is not installed.
    """
    try:
        import torch
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
    except ImportError as error:
        raise SettingsError("language models need torch and transformers: pip install -e '.[train,lm]'") from error
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.train_from_iterator(
        _texts(streams, prompt),
        trainers.BpeTrainer(
            vocab_size=settings.vocabulary,
            special_tokens=list(_SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token=_SPECIAL[0], eos_token=_SPECIAL[1], chat_template=CHAT_TEMPLATE
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer),
                hidden_size=settings.hidden,
                intermediate_size=2 * settings.hidden,
                num_hidden_layers=settings.layers,
                num_attention_heads=settings.heads,
                num_key_value_heads=settings.heads // 2,
                head_dim=settings.hidden // settings.heads,
                max_position_embeddings=settings.context,
                tie_word_embeddings=True,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                bos_token_id=None,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def _texts(streams: Iterable[Stream], prompt: PromptSettings) -> Iterator[str]:
    """What the model will read and write: prompts of every chunk, and a message for every sentence."""
    for stream in streams:
        for step, chunk in enumerate(stream.chunks):
            asked = make_prompt(View(chunk.text, (), step, stream.T), prompt)
            for message in asked.messages(tools=False):
                yield message["content"]
            for number, sentence in enumerate(sentences(chunk.text)):
                operations = [Operation("INSERT", sentence), Operation("UPDATE", sentence, f"{step}.{number}")]
                yield write_operations(operations, prompt.dialect, chunk.text)
