"""What `grpo_step.py` measures: a model, prompts, and one step of ours and of TRL's GRPOTrainer over them.

Both get copies of one random model, prompts with the same beginning, and the same reward, which depends on the tokens drawn alone.
"""

from __future__ import annotations

import copy
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from agents.language_model.model import CausalLM
from agents.language_model.sampling import SamplingSettings, sample
from trainers.slots.choices import Slots
from trainers.tokens.optimiser import adam
from trainers.tokens.rows import TokenRow
from trainers.tokens.update import UpdateSettings, update

RATE = 1e-5
"""Learning rate of both."""


@dataclass(frozen=True)
class Case:
    """Sizes of one comparison."""

    shared: int
    """Tokens with which all prompts begin."""
    distinct: int
    """Tokens of each prompt after them."""
    vocabulary: int = 2048
    group: int = 8
    """Rows of a step."""
    completion: int = 64
    """Tokens drawn per row, exactly: no token ends a completion."""
    hidden: int = 256
    layers: int = 4
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.shared} shared + {self.distinct} distinct, vocabulary {self.vocabulary:,}"


def make_model(case: Case) -> Any:
    """A random Qwen3."""
    torch.manual_seed(0)
    heads = max(4, case.hidden // 64)
    config = Qwen3Config(
        vocab_size=case.vocabulary, hidden_size=case.hidden, intermediate_size=3 * case.hidden, num_hidden_layers=case.layers,
        num_attention_heads=heads, num_key_value_heads=heads // 2, head_dim=64, max_position_embeddings=32_768,
        tie_word_embeddings=True, eos_token_id=None, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return Qwen3ForCausalLM(config).to(getattr(torch, case.dtype))


def make_tokenizer(case: Case) -> Any:
    """Token i is the word "wi". The end token has an id that the model cannot draw, so every completion is of full length."""
    words = {f"w{i}": i for i in range(case.vocabulary)} | {"<end>": case.vocabulary}
    bare = Tokenizer(models.WordLevel(words, unk_token="w0"))
    bare.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token="w0", eos_token="<end>", chat_template="{{ messages }}"
    )


def make_prompts(case: Case) -> list[tuple[int, ...]]:
    """One per row, all different after the shared beginning."""
    rng = random.Random(0)
    drawn = lambda n: tuple(rng.randrange(1, case.vocabulary) for _ in range(n))  # noqa: E731
    begin = drawn(case.shared)
    return [begin + drawn(case.distinct) for _ in range(case.group)]


def reward(completion: Sequence[int]) -> float:
    """Share of even tokens."""
    return sum(token % 2 == 0 for token in completion) / len(completion)


class Ours:
    """One step of memenvs' trainer: sample, advantages, log-probabilities, loss, backward, optimiser."""

    def __init__(self, case: Case, model: Any, device: str = "cpu") -> None:
        self.case, self.prompts = case, make_prompts(case)
        self.lm = CausalLM(copy.deepcopy(model).to(device).eval(), make_tokenizer(case))
        self.optimiser = adam(self.lm.model.parameters(), RATE)
        self._rng = np.random.default_rng(0)
        self._slots = Slots().filled

    def sample(self) -> list[TokenRow]:
        """Generation and the rows that it leaves behind."""
        case = self.case
        settings = SamplingSettings(1.0, 1.0, case.completion)
        uniforms = self._rng.random((case.group, case.completion))
        samples = sample(self.lm, self.prompts, settings, uniforms, [0] * case.group)
        rewards = np.array([reward(one.tokens) for one in samples])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
        return [
            TokenRow(one.prompt, one.tokens, one.log_probs, float(advantage))
            for one, advantage in zip(samples, advantages, strict=True)
        ]

    def update(self, rows: Sequence[TokenRow]) -> None:
        """Log-probabilities, loss, backward, optimiser."""
        case = self.case
        settings = UpdateSettings(max_tokens=case.completion, micro_batch=case.group)
        line = update(self.lm.model, self.optimiser, rows, self._slots, settings)
        if case.dtype == "float32" and line["log_ratio"] > 1e-5:
            raise AssertionError(f"log-probabilities of sampling and update differ by {line['log_ratio']}")

    def step(self, clock: Callable[[], float] = time.process_time) -> dict[str, float]:
        """Seconds of the step's two parts."""
        begin = clock()
        rows = self.sample()
        sampled = clock()
        self.update(rows)
        return {"generation": sampled - begin, "update": clock() - sampled}


def beside_trl(case: Case, model: Any, ours: Ours, repeats: int, warm_up: int = 2) -> list[dict[str, dict[str, float]]]:
    """TRL's trainer as it is, with one of our steps between any two of its own.

    TRL repeats each prompt ``num_generations`` >= 2 times, so that its rows are half of the prompts twice. It pads rows to equal
    length and shares nothing between them; since all prompts have one length, there is no padding and repeated prompts cost what
    different ones would. Gradient checkpointing is off and there is no reference model, which is the fastest it goes.

    Args:
        case: the sizes.
        model: that both copy.
        ours: the steps between TRL's.
        repeats: measured steps of each.
        warm_up: steps of each before them.

    Returns:
        Per repeat, for "ours" and "trl": CPU-seconds of "generation" and "update".
    """
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    steps: list[dict[str, dict[str, float]]] = []

    class Interleaved(TrainerCallback):
        """A step is everything between the two calls: generation, rewards, loss, backward, optimiser."""

        begin = generation = 0.0

        def on_step_begin(self, *args: Any, **settings: Any) -> None:
            self.begin = time.process_time()

        def on_step_end(self, *args: Any, **settings: Any) -> None:
            spent = time.process_time() - self.begin
            own = ours.step()
            steps.append({"ours": own, "trl": {"generation": self.generation, "update": spent - self.generation}})

    watch = Interleaved()

    class Timed(GRPOTrainer):
        """TRL's trainer with a clock around its generation."""

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            begin = time.process_time()
            found = super()._generate_and_score_completions(inputs)
            watch.generation = time.process_time() - begin
            lengths = {int(n) for n in found["completion_mask"].sum(1)} | {int(n) for n in found["prompt_mask"].sum(1)}
            if lengths != {case.completion, case.shared + case.distinct}:
                raise AssertionError(f"TRL's rows should be as long as ours, got lengths {sorted(lengths)}")
            return found

    texts = [" ".join(f"w{token}" for token in prompt) for prompt in ours.prompts]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Timed(
            model=copy.deepcopy(model),
            reward_funcs=[lambda completion_ids, **columns: [reward(own) for own in completion_ids]],
            args=GRPOConfig(
                output_dir=folder, use_cpu=True, bf16=False, per_device_train_batch_size=case.group, num_generations=2,
                max_completion_length=case.completion, max_steps=repeats + warm_up, learning_rate=RATE, beta=0.0,
                gradient_checkpointing=False, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"prompt": texts}),
            processing_class=make_tokenizer(case),
            callbacks=[watch],
        )  # fmt: skip
        trainer.train()
    return steps[warm_up:]
