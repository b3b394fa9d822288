"""Fine-Mem on TRL's GRPOTrainer, so that accelerate, FSDP, DeepSpeed, vLLM and LoRA come from there.

A prompt of TRL's data set is a stream. It is played once per generation; every step of every rollout becomes a row with a fresh
context of its own (instructions, chunk, memory), and the advantage of a row compares the rollouts of its stream at its step. Rows
= rollouts x steps; TRL's batch sizes count rollouts.

    trainer = MemoryGRPOTrainer(settings, GRPOConfig(output_dir="runs/trl", num_generations=8, per_device_train_batch_size=8))
    trainer.train()

Under accelerate: ``accelerate launch --num_processes 2 my_script.py``. See docs/scaling.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import pad

from agents.base import View
from agents.language_model.model import CausalLM
from agents.language_model.policy import LanguageModelPolicy
from agents.language_model.sampling import SamplingSettings
from agents.language_model.spoken import spoken
from memenvs.errors import MemenvsError, SettingsError
from trainers.slots.choices import resolve
from trainers.slots.types import Scored
from trainers.tokens.rows import TokenRow
from trainers.tokens.settings import TokenTrainSettings
from trainers.update import advantage_settings

GROUPS = ("step", "trajectory", "pooled", "state")
"""Values of the group slot that need rewards and states alone, which are what the processes tell each other."""


@dataclass(frozen=True, slots=True)
class Played:
    """One rollout, without what training does not read."""

    stream: int
    """Seed of the stream."""
    number: int
    """Of the rollout among all rows of all processes."""
    rewards: tuple[float, ...]
    """Per step; NaN in each where a reading failed."""
    outcome: float
    """r_global; NaN where a reading failed."""
    states: tuple[str, ...]
    """Digest before each step."""


class MemoryGRPOTrainer(GRPOTrainer):
    """GRPOTrainer whose batches are episodes.

    Args:
        settings: model, environment, reward, and the slots group and advantage; the loss is TRL's (``args.loss_type``).
        args: TRL's. ``per_device_train_batch_size`` and ``num_generations`` count rollouts, and ``max_completion_length`` is the
            longest message. A gradient step forwards ``per_device_train_batch_size`` x T rows.
        settings_of_trainer: further arguments of GRPOTrainer, such as ``peft_config`` and ``callbacks``.

    Every process must play streams of the same number of steps where generation is a joint one (FSDP, ZeRO-3, a vLLM server);
    under plain data parallelism it need not.

    Raises:
        SettingsError: slots, or settings of TRL, that this adapter cannot serve.
        DataError: there is no such model.
    """

    def __init__(self, settings: TokenTrainSettings, args: GRPOConfig, **settings_of_trainer: Any) -> None:
        self._slots = settings.slots.filled
        if self._slots.group not in GROUPS or self._slots.mix != "sum" or self._slots.judge != "scorer":
            raise SettingsError(
                f"TRL's trainer takes the groups {', '.join(GROUPS)}, the mix sum and the judge scorer; got "
                f"{self._slots.group!r}, {self._slots.mix!r} and {self._slots.judge!r}"
            )
        _check(settings, args)
        own = settings.lm
        lm = CausalLM.from_pretrained(own.model, own.dtype, "cpu")
        sampling = SamplingSettings(own.temperature, own.top_p, own.max_tokens)
        self.memory_settings = settings
        self.policy = LanguageModelPolicy(lm, own.prompt(settings.env), sampling, own.batch)
        self.config = args
        self._envs: list[gym.Env[Any, Any]] = []
        args.remove_unused_columns = False
        args.temperature, args.top_p, args.max_completion_length = own.temperature, own.top_p, own.max_tokens
        args.seed, args.num_train_epochs = settings.seed, 1  # every stream once
        streams = settings.updates * settings.streams
        seeds = np.random.default_rng([settings.seed, 0]).choice(2**31, streams, replace=False).tolist()
        super().__init__(
            model=lm.model,
            reward_funcs=[_paid_elsewhere],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": [f"stream {seed}" for seed in seeds], "seed": seeds}),
            processing_class=lm.tokenizer,
            **settings_of_trainer,
        )

    def _generate_and_score_completions(self, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """In place of TRL's: episodes instead of completions, a row per step. Returns what TRL's loss reads."""
        first = self.accelerator.process_index * len(inputs)
        rows, played = self.play([int(entry["seed"]) for entry in inputs], first)
        every = [Played(*fields) for fields in gather_object([_fields(one) for one in played])]
        table = self.advantages(every)
        weighted = [
            [(row, table[one.number][step]) for step, row in enumerate(own)]
            for one, own in zip(played, rows, strict=True)
            if not np.isnan(one.outcome)  # a failed rollout teaches nothing
        ]
        self._log(every, rows)
        return self.batch([pair for own in weighted for pair in own])

    def play(self, seeds: Sequence[int], first: int) -> tuple[list[list[TokenRow]], list[Played]]:
        """Play one rollout per seed, all in lock-step.

        Args:
            seeds: of the streams, one per rollout of this process.
            first: number of the first rollout among those of all processes.

        Returns:
            Rows [rollout][T], and what the other processes are told.

        Raises:
            MemenvsError: a rollout did not give one reward per step.
        """
        while len(self._envs) < len(seeds):
            self._envs += self.memory_settings.make_envs()
        envs = self._envs[: len(seeds)]
        views = [View.of(*env.reset(seed=seed)) for env, seed in zip(envs, seeds, strict=True)]
        rows: list[list[TokenRow]] = [[] for _ in seeds]
        states: list[list[str]] = [[] for _ in seeds]
        infos: list[dict[str, Any]] = [{} for _ in seeds]
        active = list(range(len(seeds)))
        while active:
            prompts = [self.policy.tokens(views[i]) for i in active]
            found, _ = self._generate_single_turn([list(prompt) for prompt in prompts], None, {}, 1)
            going = []
            for i, prompt, completion in zip(active, prompts, found, strict=True):
                rows[i].append(TokenRow(prompt, tuple(completion), (), 0.0, seeds[i], len(rows[i])))
                states[i].append(envs[i].unwrapped.digest())  # type: ignore[attr-defined]
                message = spoken(self.policy.lm.decode(completion))
                observation, _, done, _, infos[i] = envs[i].step(message)
                views[i] = View.of(observation, infos[i])
                if not done:
                    going.append(i)
            active = going
        return rows, [
            Played(seed, first + i, *_rewards(env, info, len(own)), tuple(before))
            for i, (seed, env, info, own, before) in enumerate(zip(seeds, envs, infos, rows, states, strict=True))
        ]

    def advantages(self, played: Sequence[Played]) -> dict[int, tuple[float, ...]]:
        """Advantage per step of each rollout, by its number; the rollouts of a stream are its group."""
        by_stream: dict[int, list[Played]] = {}
        for one in sorted(played, key=lambda one: one.number):
            by_stream.setdefault(one.stream, []).append(one)
        groups = list(by_stream.values())
        scored = [
            Scored(
                np.array([one.rewards for one in group]),
                np.array([one.outcome for one in group]),
                tuple(one.states for one in group),
            )
            for group in groups
        ]
        numbers = advantage_settings(self._slots)
        baselines = [resolve("group", str(self._slots.group))(table, numbers) for table in scored]
        tables = resolve("advantage", str(self._slots.advantage))(scored, baselines, numbers)
        return {
            one.number: tuple(map(float, row))
            for group, table in zip(groups, tables, strict=True)
            for one, row in zip(group, table, strict=True)
        }

    def batch(self, weighted: Sequence[tuple[TokenRow, float]]) -> dict[str, Any]:
        """Rows as TRL's loss reads them: prompts padded on the left, completions on the right, one advantage per row."""
        # TRL cuts the rows into equal parts and drops what is left; empty rows fill the last part up.
        missing = -len(weighted) % int(self.config.steps_per_generation or 1)
        device, fill = self.accelerator.device, self.policy.lm.tokenizer.pad_token_id
        prompts = [torch.tensor(row.prompt) for row, _ in weighted] + [torch.tensor([fill])] * missing
        completions = [torch.tensor(row.completion) for row, _ in weighted] + [torch.tensor([fill])] * missing
        written = [torch.ones_like(tokens) for tokens in completions[: len(weighted)]]
        written += [torch.zeros_like(tokens) for tokens in completions[len(weighted) :]]
        count = torch.tensor(float(sum(int(tokens.sum()) for tokens in written)), device=device)
        return {
            "prompt_ids": pad(prompts, fill, "left").to(device),
            "prompt_mask": pad([torch.ones_like(tokens) for tokens in prompts], 0, "left").to(device),
            "completion_ids": pad(completions, fill, "right").to(device),
            "completion_mask": pad(written, 0, "right").to(device),
            "advantages": torch.tensor([weight for _, weight in weighted] + [0.0] * missing, device=device),
            "num_items_in_batch": self.accelerator.gather(count).sum(),
        }

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """TRL's checkpoint, and how the model is asked, so that ``lm:FOLDER`` asks it as it was trained."""
        super()._save(output_dir, state_dict)
        self.policy.save_prompt(output_dir or str(self.args.output_dir))

    def _log(self, played: Sequence[Played], rows: Sequence[Sequence[TokenRow]]) -> None:
        metrics = self._metrics["train" if self.policy.lm.model.training else "eval"]
        whole = [one for one in played if not np.isnan(one.outcome)]
        metrics["failures"].append(float(len(played) - len(whole)))
        if whole:
            metrics["r_global"].append(float(np.mean([one.outcome for one in whole])))
            metrics["step_reward"].append(float(np.mean([np.mean(one.rewards) for one in whole])))
        metrics["completions/mean_length"].append(float(np.mean([len(row.completion) for own in rows for row in own])))


def _check(settings: TokenTrainSettings, args: GRPOConfig) -> None:
    """Refuse what would be ignored, or what TRL's loss would look for in vain."""
    own = settings.lm
    wrong = {
        "name a model": not own.model,
        "lora_rank is TRL's here: pass peft_config": own.lora_rank is not None,
        "there is no warm start here: run memenvs train --agent lm --updates 1 first, or load a warm model": own.warm_start
        is not None,
        f"group_size {settings.group_size} and num_generations {args.num_generations} must be equal": settings.group_size
        != args.num_generations,
        "beta must be 0: the rows carry no log-probabilities of a reference": args.beta != 0,
        "num_iterations must be 1 and steps_per_generation at most gradient_accumulation_steps: the rows carry no old "
        "log-probabilities, so a second pass would have no ratio": args.num_iterations != 1
        or int(args.steps_per_generation or 1) > args.gradient_accumulation_steps,
        "with vLLM set vllm_importance_sampling_correction=False: the rows carry no ratios for it": args.use_vllm
        and args.vllm_importance_sampling_correction,
    }
    if found := [told for told, is_wrong in wrong.items() if is_wrong]:
        raise SettingsError(f"TRL's trainer cannot be used so: {'; '.join(found)}")


def _rewards(env: gym.Env[Any, Any], info: Mapping[str, Any], T: int) -> tuple[tuple[float, ...], float]:
    """Per-step rewards and r_global of a finished episode, NaN where a reading failed."""
    record = env.unwrapped.record  # type: ignore[attr-defined]
    rewards = tuple(map(float, info.get("step_rewards", ())))
    if len(rewards) != T:
        raise MemenvsError(f"expected a reward wrapper that tells {T} per-step rewards, got {len(rewards)}")
    if record.failure is not None or np.isnan(rewards).any():
        return (float("nan"),) * T, float("nan")
    return rewards, float(record.r_global)


def _fields(one: Played) -> tuple[Any, ...]:
    return one.stream, one.number, one.rewards, one.outcome, one.states


def _paid_elsewhere(prompts: list[Any], **columns: Any) -> list[float | None]:
    """TRL wants a reward function; rewards come from the environment, and this one is never called."""
    raise MemenvsError("rewards come from the environment")
