"""Fine-Mem on TRL's GRPOTrainer, so that accelerate, FSDP, DeepSpeed, vLLM and LoRA come from there.

A prompt of TRL's data set is a stream. It is played once per generation; every step of every rollout becomes a row with a fresh
context of its own (instructions, chunk, memory), and the advantage of a row compares the rollouts of its stream at its step. Rows
= rollouts x steps; TRL's batch sizes count rollouts.

    trainer = MemoryGRPOTrainer(settings, GRPOConfig(output_dir="runs/trl", num_generations=8, per_device_train_batch_size=8))
    trainer.train()

Under accelerate: ``accelerate launch --num_processes 2 my_script.py``. See docs/scaling.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import Trainer
from trl import GRPOConfig, GRPOTrainer

from agents.base import View
from agents.language_model.policy import LanguageModelPolicy
from agents.language_model.sampling import SamplingSettings
from agents.language_model.spoken import spoken
from memenvs.errors import MemenvsError, SettingsError
from trainers.evaluation import EpisodeScore, mean_r_global, memory_share
from trainers.slots.choices import resolve
from trainers.slots.sampling import seed_pool
from trainers.tokens.loading import adapted, load_lm
from trainers.tokens.rows import TokenRow
from trainers.tokens.settings import TokenTrainSettings
from trainers.trl_batch import make_batch, micro_batches
from trainers.trl_environments import Environments, on_one_machine
from trainers.trl_episodes import Written, in_lock_step
from trainers.trl_played import PerStep, Played, advantages, measures, rewards_of, weights
from trainers.trl_settings import apply_to, check_settings


class MemoryGRPOTrainer(GRPOTrainer):
    """GRPOTrainer whose batches are episodes.

    Args:
        settings: what is learnt and how the loss is made; `trainers.trl_settings` says what becomes of each field.
        args: how it is run. ``per_device_train_batch_size`` and ``num_generations`` count rollouts. Written to: where both know a
            setting, it is ours that counts. Its ``output_dir`` receives the replies of a reader at an address that was given no
            file, where all processes are on one machine.
        settings_of_trainer: further arguments of GRPOTrainer, such as ``peft_config`` and ``callbacks``.

    Raises:
        SettingsError: settings, or settings of TRL, that this adapter cannot serve.
        DataError: there is no such model, or no such data.
    """

    def __init__(self, settings: TokenTrainSettings, args: GRPOConfig, **settings_of_trainer: Any) -> None:
        self._slots = check_settings(settings)
        apply_to(args, settings, self._slots)
        if unread := [
            name for name in ("train_dataset", "eval_dataset", "reward_funcs") if name in settings_of_trainer
        ]:
            raise SettingsError(
                f"{' and '.join(unread)} would not be read: settings.env and settings.reward say what is played"
            )
        # Before the model, which takes long to load.
        replies = Path(str(args.output_dir)) if on_one_machine(args.world_size) else None
        rollouts = settings.streams * settings.group_size // args.world_size
        self.memory_envs = Environments(settings, rollouts, args.per_device_eval_batch_size, replies)
        """What is played in; `Environments.reader` answers."""
        if evaluated := args.eval_strategy != "no":
            self.memory_envs.held_out()
        own = settings.lm
        lm = load_lm(own, "cpu")
        if own.lora_rank is not None:
            if "peft_config" in settings_of_trainer:
                raise SettingsError("lora_rank and peft_config are both given; leave one out")
            torch.manual_seed(settings.seed)  # adapters begin at random
            lm.model = adapted(lm.model, own.lora_rank)
        sampling = SamplingSettings(own.temperature, own.top_p, own.max_tokens)
        self.memory_settings = settings
        self.policy = LanguageModelPolicy(lm, own.prompt(settings.env), sampling, own.batch)
        self._group, self._parts = settings.group_size, args.gradient_accumulation_steps
        pool = None if settings.pool is None else seed_pool(settings.seed, settings.pool)
        sampler = resolve("sampler", str(self._slots.sampler))(seed=settings.seed, pool=pool)
        seeds = [seed for update in range(settings.updates) for seed in sampler.streams(update, settings.streams)]
        super().__init__(
            model=lm.model,
            reward_funcs=[_paid_elsewhere],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": [f"stream {seed}" for seed in seeds], "seed": seeds}),
            # Only its presence is looked at; see `evaluate`.
            eval_dataset=Dataset.from_dict({"prompt": ["held-out streams"]}) if evaluated else None,
            processing_class=lm.tokenizer,
            **settings_of_trainer,
        )
        self.joint = bool(self.use_vllm or self.is_fsdp_enabled or self._dist.is_zero3) and args.world_size > 1
        """Whether the processes generate together, so that each has to call as often as the others, with as many prompts."""

    def _generate_and_score_completions(self, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """In place of TRL's: episodes instead of completions, a row per step. Returns what TRL's loss reads."""
        first = self.accelerator.process_index * len(inputs)
        rows, played = self.play([int(entry["seed"]) for entry in inputs], first)
        every: list[Played] = gather_object(played)
        table = self.advantages(every)
        counted = weights(every, self._slots, self._group, self.memory_settings.lm.max_tokens)
        weighted = {
            one.number: [
                (row, table[one.number][step] * counted[one.number][step])
                for step, row in enumerate(own)
                if table[one.number][step]  # without a penalty a row of advantage 0 adds nothing
            ]
            for one, own in zip(played, rows, strict=True)
            if not one.failed
        }
        self._log(every)
        # The rows of each process, of which all get as many: a gradient step is a joint one, too.
        most = max(gather_object([sum(map(len, weighted.values()))]))
        parts = self._parts
        size = parts * max(1, -(-most // parts))
        mine = [pair for own in weighted.values() for pair in own]
        return make_batch(mine, size, self.policy.lm.tokenizer.pad_token_id, self.accelerator.device)

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
        envs = self.memory_envs.training[: len(seeds)]
        starts = [env.reset(seed=seed) for env, seed in zip(envs, seeds, strict=True)]
        episodes = in_lock_step(envs, starts, self._write, self._most)
        return [one.rows for one in episodes], [
            Played(
                seed,
                first + i,
                *rewards_of(env, one.info, len(one.rows)),
                tuple(one.states),
                tuple(len(row.completion) for row in one.rows),
            )
            for i, (seed, env, one) in enumerate(zip(seeds, envs, episodes, strict=True))
        ]

    def _most(self, active: int) -> int:
        """How many prompts are generated for now: as many as in the process that has most, where they generate together."""
        return max(gather_object([active])) if self.joint else active

    def _write(self, views: Sequence[View], count: int) -> list[Written]:
        """A message for each view."""
        prompts = [self.policy.tokens(view) for view in views]
        drawn = self._sample(prompts, count)
        return [
            Written(prompt, tuple(completion), spoken(self.policy.lm.decode(completion)))
            for prompt, completion in zip(prompts, drawn, strict=True)
        ]

    def _sample(self, prompts: Sequence[tuple[int, ...]], count: int) -> list[list[int]]:
        """A message for each prompt, in token ids; short prompts whose messages nobody reads make them ``count``."""
        padding = [[self.policy.lm.tokenizer.pad_token_id]] * (count - len(prompts))
        every = [list(prompt) for prompt in prompts] + padding
        found: list[list[int]] = []
        for start in range(0, count, self.policy.batch):
            found += self._generate_single_turn(every[start : start + self.policy.batch], None, {}, 1)[0]
        return found[: len(prompts)]

    def advantages(self, played: Sequence[Played]) -> PerStep:
        """Advantage per step of each rollout of all processes."""
        return advantages(played, self._slots, self._group)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward over micro-batches, which add up to TRL's step; memory is that of one of them."""
        *before, last = micro_batches(self._prepare_inputs(inputs), self.memory_settings.lm.micro_batch)
        loss = torch.zeros((), device=self.accelerator.device)
        for part in before:
            with self._going_on(model):
                loss = loss + Trainer.training_step(self, model, part, num_items_in_batch)
        return loss + super().training_step(model, last, num_items_in_batch)

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """TRL's, but for what is prepared already: a micro-batch."""
        return generation_batch if isinstance(generation_batch, dict) else super()._prepare_inputs(generation_batch)

    @contextmanager
    def _going_on(self, model: Any) -> Iterator[None]:
        """A backward pass after which others come: DeepSpeed takes no step, and plain data parallelism exchanges no gradient."""
        state, sharded = self.accelerator.gradient_state, self.is_fsdp_enabled or self.is_deepspeed_enabled
        ends = state.sync_gradients
        state._set_sync_gradients(False)
        try:
            # Where gradients are sharded, leaving out the exchange would keep whole ones in memory.
            with nullcontext() if sharded else self.accelerator.no_sync(model):
                yield
        finally:
            state._set_sync_gradients(ends)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Play held-out streams, once each, sampled as in training: settings.eval_streams of settings.eval_data.

        Args:
            eval_dataset: must be None.
            ignore_keys: not read.
            metric_key_prefix: of the names.

        Returns:
            ``eval_r_global`` (mean over streams whose reader did not fail), ``eval_memory_share``, ``eval_failures``. The log gets
            what the reader was asked so far as well.

        Raises:
            SettingsError: a data set is given, or no held-out data is known.
        """
        if eval_dataset is not None:
            raise SettingsError("held-out streams are those of settings.eval_data; set eval_data and eval_streams")
        envs, world = self.memory_envs.held_out(), self.accelerator.num_processes
        known = len(envs[0].unwrapped.dataset)  # type: ignore[attr-defined]
        streams = list(range(min(self.memory_settings.eval_streams, known)))
        model = self.policy.lm.model
        training = model.training
        model.eval()
        scores: list[EpisodeScore] = []
        for start in range(0, len(streams), world * len(envs)):
            # The processes go through as many rounds, in the last of them perhaps without a stream.
            mine = streams[start : start + world * len(envs)][self.accelerator.process_index :: world]
            playing = envs[: len(mine)]
            starts = [env.reset(seed=0, options={"stream": i}) for env, i in zip(playing, mine, strict=True)]
            in_lock_step(playing, starts, self._write, self._most)
            scores += [EpisodeScore.of(env.unwrapped.record) for env in playing]  # type: ignore[attr-defined]
        scores = gather_object(scores)
        metrics = {
            f"{metric_key_prefix}_r_global": mean_r_global(scores),
            f"{metric_key_prefix}_memory_share": memory_share(scores),
            f"{metric_key_prefix}_failures": float(sum(score.failure is not None for score in scores)),
        }
        self.log(metrics | self.memory_envs.costs())
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        model.train(training)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """TRL's checkpoint, and how the model is asked, so that ``lm:FOLDER`` asks it as it was trained."""
        super()._save(output_dir, state_dict)
        self.policy.save_prompt(output_dir or str(self.args.output_dir))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """TRL's, with the readers' name and costs so far in its trainer_state.json."""
        kept: Any = self.state.stateful_callbacks  # a dict, whatever its annotation says
        kept |= self.memory_envs.state()
        super()._save_checkpoint(model, trial)

    def _load_callback_state(self) -> None:
        """TRL's, of a checkpoint whose state is loaded: the readers' costs go on from it; another reader is refused."""
        kept: Any = self.state.stateful_callbacks
        self.memory_envs.restore(kept)
        super()._load_callback_state()

    def _log(self, played: Sequence[Played]) -> None:
        metrics = self._metrics["train"]
        for name, value in measures(played).items():
            metrics[name].append(value)
        # Sums over the run: TRL logs the mean of a list, so the newest alone is left in it.
        metrics.update({name: [value] for name, value in self.memory_envs.costs().items()})


def _paid_elsewhere(prompts: list[Any], **columns: Any) -> list[float | None]:
    """TRL wants a reward function; rewards come from the environment, and this one is never called."""
    raise MemenvsError("rewards come from the environment")
