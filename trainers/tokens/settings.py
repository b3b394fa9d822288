"""What can be set about training a language model. Every field is an option of ``memenvs train --agent lm``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agents.language_model.prompt import PromptSettings
from memenvs.errors import SettingsError, whole
from trainers.chat_template import TEMPLATE_OPTIONS
from trainers.settings import EnvSettings, TrainSettings

ROUNDING = ("batch", "micro_batch", "gradient_checkpointing", "device")
"""Settings that move the numbers by rounding alone; a resumed run may have others, for instance on a smaller GPU."""
ADDED = ("overlong_buffer", *TEMPLATE_OPTIONS)
"""Settings that older runs do not know. Without a value they change nothing, so that these runs are resumed."""
STEPS = ("mini_batch", "warm_up", "max_norm", "eval_drawn")
"""Settings of a run that older ones do not know either; at their defaults they change nothing."""
WARM = ("warm_streams", "warm_epochs", "warm_rate", "warm_batch")
"""Settings of the warm start, which nobody reads without one."""


@dataclass(frozen=True)
class LanguageModelSettings:
    """Which model, what it reads and writes, and how it begins."""

    model: str = ""
    """Folder that ``save_pretrained`` wrote, or an id on a hub."""
    message: Literal["json", "function_calls", "memalpha", "memory-r1", "sentences"] = "json"
    """Dialect of the model's messages; the environment reads the same. "sentences" points at numbered sentences of the chunk
    instead of repeating them, which a small model can learn."""
    task: str | None = None
    """Instructions instead of ours; "" for none."""
    memory_tokens: int | None = 2048
    """Most tokens of the memory that the model sees; None for all of it."""
    show: Literal["alike", "newest"] = "alike"
    """Which items it sees where not all fit: those most alike to the chunk, or those written last."""
    max_tokens: int = 512
    """Longest message, in tokens."""
    cut_off: Literal["train", "leave_out"] = "train"
    """Messages that are cut off at ``max_tokens`` are trained like others, or left out of the loss, as in DAPO's overlong filtering
    (arXiv 2503.14476, section 3.4); their rewards stay in the group's statistics."""
    overlong_buffer: int | None = None
    """A message that comes within this many tokens of ``max_tokens`` costs up to 1 of its step's reward, in a straight line: DAPO's
    soft overlong punishment (arXiv 2503.14476, equation 13; there the last 4096 tokens of 20480). No penalty if not given."""
    chat_template: str | None = None
    """File of Jinja text to write prompts with, for a tokenizer that has no chat template. Where this, system or thinking is not
    given, it is as the prompt.json of the model's folder says; without one the tokenizer's, on, and off."""
    system: Literal["on", "off"] | None = None
    """Whether the chat template knows the role "system"; where it does not (Gemma), instructions begin the user's message."""
    thinking: Literal["on", "off"] | None = None
    """Whether a model that can think first may; told to the chat template as enable_thinking."""
    temperature: float = 1.0
    """Of sampling in training."""
    top_p: float = 1.0
    """Of sampling in training; below 1 the ratio still compares untruncated probabilities."""
    batch: int = 64
    """Prompts that are sampled together: as many streams are played in lock-step as their rollouts fit into it, at least one."""
    micro_batch: int = 8
    """Rows of the update that go through the model together."""
    gradient_checkpointing: bool = False
    """Keep only what goes into each decoder layer for the backward pass of the update and of the warm start, and work the rest out
    again there: much less memory, one more forward pass."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights; half precision with adapters only, which stay in float32."""
    device: str | None = None
    """For instance cuda:1; the first GPU, if there is one, where not given."""
    lora_rank: int | None = None
    """Train adapters of this rank on every linear layer (peft) instead of all weights."""
    warm_start: str | None = None
    """Learn from this agent first, for instance scripted: it is played over training streams, and the model learns to write its
    messages."""
    warm_streams: int = 200
    """Streams that the teacher plays."""
    warm_epochs: int = 3
    """Passes over its messages."""
    warm_rate: float = 1e-3
    """Highest learning rate of the warm start."""
    warm_batch: int = 16
    """Messages per step of the warm start."""

    def __post_init__(self) -> None:
        for name in ("max_tokens", "batch", "micro_batch", "warm_streams", "warm_epochs", "warm_batch"):
            whole(name, getattr(self, name), 1)
        if self.lora_rank is not None:
            whole("lora_rank", self.lora_rank, 1)
        if self.overlong_buffer is not None:
            self._check_overlong(whole("overlong_buffer", self.overlong_buffer, 1))
        if self.dtype != "float32" and self.lora_rank is None:
            raise SettingsError(
                f"weights in {self.dtype} cannot take steps as small as training's: 0.02 plus 1e-6 is 0.02 again. Train adapters "
                "beside them (lora_rank=16, which stay in float32), or take dtype float32"
            )
        if not self.temperature > 0:
            raise SettingsError(f"temperature must be above 0 in training, got {self.temperature}")

    def _check_overlong(self, buffer: int) -> None:
        if buffer > self.max_tokens:
            raise SettingsError(
                f"overlong_buffer is the last part of max_tokens, at most {self.max_tokens}, got {buffer}; DAPO took a fifth"
            )
        if self.cut_off == "leave_out":
            raise SettingsError(
                'overlong_buffer and cut_off="leave_out" do not go together: the messages that pay most would teach nothing. '
                "Give one of them"
            )

    def prompt(self, env: EnvSettings) -> PromptSettings:
        """The prompt's settings under an environment's limits."""
        given: dict[str, Any] = {} if self.task is None else {"task": self.task}
        return PromptSettings(
            dialect=self.message,
            memory_tokens=self.memory_tokens,
            show=self.show,
            max_operations=env.max_operations,
            max_item_tokens=env.max_item_tokens,
            memory_budget=env.memory_budget,
            **given,
        )


@dataclass(frozen=True)
class TokenTrainSettings(TrainSettings):
    """One run of GRPO with a language model."""

    learning_rate: float = 1e-6
    """Adam's step size."""
    epochs: int = 1
    """Passes over one update's rows."""
    entropy: float = 0.0
    """Not for language models: must be 0."""
    mini_batch: int | None = None
    """Rows of a step of the optimiser: a pass takes one step for each part of so many of the update's rows (messages), or one for
    all of them if not given."""
    warm_up: int = 0
    """Updates over whose steps the learning rate rises from 0 to learning_rate in a straight line."""
    max_norm: float = 1.0
    """Of the gradient of a step; longer ones are cut to it."""
    checkpoint_every: int = 5
    """Updates between two checkpoints; an update takes minutes."""
    eval_drawn: bool = False
    """Play held-out streams twice, greedily and with drawn messages as in training: that is the policy which is trained."""
    lm: LanguageModelSettings = field(default_factory=LanguageModelSettings)
    """The model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.entropy:
            raise SettingsError("the entropy bonus is the candidate policy's; for a language model leave it 0")
        if self.mini_batch is not None:
            whole("mini_batch", self.mini_batch, 1)
        whole("warm_up", self.warm_up, 0)
        if not 0 < self.max_norm < math.inf:
            raise SettingsError(
                f"max_norm must be a finite number above 0, got {self.max_norm}; a large one cuts nothing"
            )
        if self.lm.warm_start is None:
            unread = [name for name in WARM if getattr(self.lm, name) != getattr(LanguageModelSettings, name)]
            if unread:
                raise SettingsError(
                    f"{' and '.join(unread)} would not be used without a warm start: say from whom (--warm-start scripted), or "
                    f"leave {' and '.join(unread)} out"
                )
        object.__setattr__(self, "env", replace(self.env, dialect=self.lm.message))

    def _deciding(self) -> dict[str, Any]:
        kept = super()._deciding()
        left_out = {name for name in ADDED if kept["lm"][name] is None}.union(ROUNDING)
        usual = {name for name in STEPS if kept[name] == getattr(TokenTrainSettings, name)}
        return {name: value for name, value in kept.items() if name not in usual} | {
            "lm": {name: value for name, value in kept["lm"].items() if name not in left_out}
        }

    @property
    def together(self) -> int:
        """As many groups as fit into a batch: with one group alone, a batch would be mostly empty."""
        return min(self.streams, max(1, self.lm.batch // self.group_size))
