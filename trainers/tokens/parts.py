"""The parts of a language model's training run: what `trainers.parts.Parts` has, with a model in the policy's place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.language_model.policy import Decision, LanguageModelPolicy
from agents.language_model.sampling import SamplingSettings
from memenvs.errors import DataError, SettingsError
from memenvs.version import __version__
from trainers import checkpoint
from trainers.critic import Critic, Features
from trainers.parts import USUAL_GROUP, Parts
from trainers.rollout import Group
from trainers.scaling import learning_rate_for
from trainers.slots.regularisers import kl_of
from trainers.slots.sampling import generator
from trainers.slots.types import Array
from trainers.tokens.critic import CRITIC_PASSES, CRITIC_RATE, FEATURES, episode_states
from trainers.tokens.identity import model_digest
from trainers.tokens.loading import adapted, load_lm, load_weights
from trainers.tokens.optimiser import adam, rate_at, set_rate
from trainers.tokens.overlong import charged
from trainers.tokens.passes import mini_batches, passes
from trainers.tokens.recompute import checkpointed
from trainers.tokens.reference import Reference
from trainers.tokens.rows import TokenRow
from trainers.tokens.settings import TokenTrainSettings
from trainers.tokens.stored import TokenDecisions
from trainers.tokens.update import UpdateSettings, log_prob_table, padded

_REFERENCE = "reference.safetensors"
"""The reference policy within a checkpoint."""


class TokenParts(Parts):
    """What one run works with.

    Args:
        settings: the run.

    Raises:
        SettingsError: no model was named, or slots that do not fit the run.
        DataError: there is no such model.
    """

    settings: TokenTrainSettings
    policy: LanguageModelPolicy
    reference: Reference | None
    unlogged: Mapping[str, float] | None = None
    """The numbers of the last update, while its evaluation and its line are still to come."""

    def _make_policy(self) -> LanguageModelPolicy:
        own = self.settings.lm
        if not own.model:
            raise SettingsError("which model? Name a folder or an id on a hub: --model Qwen/Qwen3-4B")
        from transformers.utils import logging

        logging.disable_progress_bar()  # one for each checkpoint is noise
        torch.manual_seed(self.settings.seed)  # adapters begin at random
        lm = load_lm(own, own.device)
        if getattr(lm.model, "peft_config", None):
            raise SettingsError(
                f"{own.model} holds adapters, and training would begin without them: merge them first, policy = "
                "agents.language_model.load_policy(folder); policy.lm.model = policy.lm.model.merge_and_unload(); "
                "policy.save(another)"
            )
        self._digest, self._revision = model_digest(lm), getattr(lm.model.config, "_commit_hash", None)
        if own.gradient_checkpointing:
            with checkpointed(lm.model):  # a model that cannot is refused now, and not after the first rollouts
                pass
        if own.lora_rank is not None:
            lm.model = adapted(lm.model, own.lora_rank)
        sampling = SamplingSettings(own.temperature, own.top_p, own.max_tokens)
        return LanguageModelPolicy(lm, own.prompt(self.settings.env), sampling, own.batch)

    def _forget_texts(self) -> None:
        """Nothing is numbered by its text."""

    @property
    def model(self) -> Any:
        """The model of transformers, or of peft around it."""
        return self.policy.lm.model

    @property
    def identity(self) -> dict[str, Any]:
        """Also ``model_digest`` of what was loaded (`trainers.tokens.identity`) and, where a hub told one, ``model_revision``."""
        return super().identity | {"model_digest": self._digest, "model_revision": self._revision}

    def _make_reference(self) -> Any:
        return Reference(self.model)

    def _make_critic(self) -> Critic:
        return Critic(FEATURES, CRITIC_RATE, CRITIC_PASSES, self.settings.seed)

    def _states(self, group: Group) -> Features:
        return episode_states(group.records)

    def _decisions(self) -> TokenDecisions:
        return TokenDecisions(self.policy)

    def play_together(self, update: int, streams: Sequence[int], first: int) -> list[Group]:
        """The groups of at most ``settings.together`` streams, in lock-step; messages have paid for their length, where they do."""
        return self._charged(super().play_together(update, streams, first))

    def _relive(self, update: int, groups: Sequence[Group]) -> list[Group]:
        return self._charged(super()._relive(update, groups))

    def _charged(self, groups: list[Group]) -> list[Group]:
        own = self.settings.lm
        if own.overlong_buffer is None:
            return groups
        return [charged(group, own.max_tokens, own.overlong_buffer) for group in groups]

    def _make_optimiser(self) -> torch.optim.Optimizer:
        return adam(self.model.parameters(), self._rate)

    @property
    def _rate(self) -> float:
        rate = self.settings.learning_rate
        return learning_rate_for(self.settings.group_size, rate, USUAL_GROUP) if self.slots.sampler == "many" else rate

    def rows(
        self,
        groups: Sequence[Group],
        weights: Sequence[Array],
        selected: Sequence[NDArray[np.bool_]],
        fresh: int | None = None,
    ) -> list[TokenRow]:
        """The rows that are trained: the steps of rollouts that did not fail, where the sampler selected them and ``cut_off`` does.

        Args:
            groups: the rollouts.
            weights: (G, T) advantages per group.
            selected: (G, T) per group.
            fresh: how many of the groups were drawn for this update, all if not given. After them come stored ones, and
                re-rollouts of single steps, which were drawn now.
        """
        first = len(groups) if fresh is None else fresh
        whole = self.settings.lm.cut_off == "leave_out"
        return [
            token_row(decision, float(table[g, t]), number, t, replayed=number >= first and not group.local)
            for number, (group, table, chosen) in enumerate(zip(groups, weights, selected, strict=True))
            for g, decisions in enumerate(group.decisions)
            for t, decision in enumerate(decisions)
            if not group.failed[g] and chosen[g, t] and not (whole and decision.truncated)
        ]

    def learn(self, rows: Sequence[TokenRow], update: int = 0) -> dict[str, float]:
        """The passes over one update's rows.

        Args:
            rows: of the update.
            update: number of finished updates; decides the order of the rows and, in a warm-up, the learning rate.

        Returns:
            What the last pass says of itself (see `passes`), but for ``log_ratio``, which is the first one's: a check of sampling
            against training. ``drift`` is how far the policy has moved by then. ``kl_after``, the KL after the last step, is there
            where a reset of the reference goes by it.
        """
        own, run = self.settings.lm, self.settings
        settings = UpdateSettings(
            own.temperature,
            own.max_tokens,
            own.micro_batch,
            run.max_norm,
            gradient_checkpointing=own.gradient_checkpointing,
        )
        reference = proximal = None
        if not rows:
            return {}
        if self.reference is not None:
            with self.reference.instead(self.model):
                reference = log_prob_table(self.model, rows, settings)
        if self.slots.ratio == "decoupled":
            proximal = log_prob_table(self.model, rows, settings)
        plan = [
            mini_batches(rows, run.mini_batch, generator(run.seed, update, f"mini-batches of pass {number}"))
            for number in range(run.epochs)
        ]
        line = passes(
            self.model,
            self.optimiser,
            rows,
            self.slots,
            settings,
            plan,
            reference,
            proximal,
            lambda share: set_rate(self.optimiser, rate_at(self._rate, run.warm_up, update, share)),
        )
        if self.resets.above is not None and reference is not None:
            mask = padded([torch.ones(len(row.completion), dtype=torch.bool) for row in rows])
            new = log_prob_table(self.model, rows, settings)
            line["kl_after"] = float(kl_of(new, reference, mask).sum() / mask.sum())
        return {f"train/{name}": value for name, value in line.items()}

    def renew_reference(self, update: int, rows: Sequence[TokenRow], kl: float) -> None:
        """After an update: the policy becomes its own reference and the optimiser forgets, if it is time.

        Args:
            update: number of finished updates.
            rows: of this update; one without rows resets nothing.
            kl: of the policy to its reference after the update, as `learn` told it.
        """
        if self.reference is not None and rows and self.resets.reset_now(update, kl):
            self.reference = self._make_reference()
            self.optimiser = self._make_optimiser()

    def save(self, folder: Path, update: int, unlogged: Mapping[str, float] | None = None) -> None:
        """A checkpoint after this many updates; transformers loads the model from its folder.

        Args:
            folder: of the run.
            update: number of finished updates.
            unlogged: the numbers of the last one, whose evaluation and line are still to come; None if it has its line.
        """
        self.unlogged = None if unlogged is None else {k: v for k, v in unlogged.items() if math.isfinite(v)}
        checkpoint.save(folder, update, self._kept(), self._state(), self._write, self.settings.keep)

    def save_logged(self, folder: Path, update: int) -> None:
        """Into the checkpoint of `save`: the line is written, and this is what its evaluation cost."""
        self.unlogged = None
        checkpoint.save_state(folder, update, self._state())

    def _state(self) -> dict[str, Any]:
        more = {"cost": self.cost(), "unlogged": self.unlogged}
        return self._facts() | {"sampler": self.sampler.state()} | more

    def save_best(self, folder: Path, update: int, r_global: float) -> None:
        """The model as `agents.language_model.load_policy` reads it, as the best so far on held-out streams."""
        state = self._facts() | {"update": update, "heldout/r_global": r_global}
        checkpoint.save_policy(folder, checkpoint.BEST, state, self.policy.save)

    def save_taught(self, folder: Path) -> None:
        """The same of the model after its warm start, to compare with."""
        checkpoint.save_policy(folder, checkpoint.TAUGHT, self._facts() | {"update": 0}, self.policy.save)

    def _facts(self) -> dict[str, Any]:
        """What an evaluation asks the folder of a model, and a resumed run its checkpoint."""
        return {
            "fingerprint": self.settings.fingerprint,
            "memenvs": __version__,
            "agent": "lm",
            **self.identity,
            "settings": self.settings.to_json(),
        }

    def _kept(self) -> dict[str, torch.nn.Module | torch.optim.Optimizer]:
        kept: dict[str, torch.nn.Module | torch.optim.Optimizer] = {"optimiser": self.optimiser}
        if self.critic is not None:
            kept |= {"critic": self.critic, "critic_optimiser": self.critic.optimiser}
        return kept

    def _write(self, draft: Path) -> None:
        self.policy.save(draft)
        if self.reference is not None:
            self.reference.save(draft / _REFERENCE)

    def load(self, folder: Path) -> int:
        """Go on from a checkpoint; the number of finished updates.

        Raises:
            DataError: it was made with other settings or another reader, or began with another model.
        """
        state = checkpoint.read_state(folder)
        checkpoint.check_made_with(folder, state, self.settings.fingerprint, self.reader.name)
        if (digest := state.get("model_digest")) != self._digest:
            raise DataError(
                f"{folder} began with another model than {self.settings.lm.model!r} holds now: weights, vocabulary, or how "
                f"prompts are written; their digest is {self._digest} and was {digest}. Put that model back, or name another folder"
            )
        load_weights(self.model, folder)
        if self.reference is not None:
            self.reference.load(folder / _REFERENCE)
        checkpoint.load(folder, self._kept())
        self.sampler.restore(state["sampler"])
        # Older checkpoints do not say; that of update 0 came before its evaluation, too.
        self.unlogged = state.get("unlogged", state.get("warm") if state["update"] == 0 else None)
        self._restore_cost(state["cost"])
        return int(state["update"])

    def follow_warm_start(self) -> None:
        """After the warm start: the reference is the model that it made."""
        if self.reference is not None:
            self.reference = self._make_reference()


def token_row(decision: Decision, advantage: float, stream: int, step: int, replayed: bool = False) -> TokenRow:
    """What a decision leaves behind for training; see `TokenRow`."""
    sample = decision.sample
    return TokenRow(
        sample.prompt,
        sample.tokens,
        sample.log_probs,
        advantage,
        stream,
        step,
        replayed,
    )
