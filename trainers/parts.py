"""The parts of a training run beside its loop: environments, policy, what the slots need, and how they survive a kill."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.candidate import CandidatePolicy, CandidateSettings, Decision
from memenvs.errors import SettingsError
from memenvs.reading import CachedReader, Reader
from memenvs.version import __version__
from trainers import checkpoint, stored
from trainers.critic import CANDIDATE_FEATURES, Critic, Features, candidate_states
from trainers.judges import check_judged, rejudging
from trainers.layers import follow, layers, share_reader
from trainers.local_rollouts import local_rollouts
from trainers.reading_costs import ReadingCosts
from trainers.reward_checks import check_reward
from trainers.rollout import Group, check_played, rollouts, view
from trainers.scaling import learning_rate_for
from trainers.settings import TrainSettings
from trainers.slots.choices import resolve
from trainers.slots.collapse import Collapse
from trainers.slots.difficulty import stream_embeddings
from trainers.slots.regularisers import ReferenceResets, kl_of
from trainers.slots.replay import RolloutReplay
from trainers.slots.sampling import REFERENCE_NUMBER, Sampler, gather, seed_pool
from trainers.slots.sampling import Batch as Drawn
from trainers.slots.types import Array
from trainers.update import Objective, check
from trainers.workers import Play, bundles

POOL = 256
"""Streams that samplers which come back to streams draw from, where the settings do not say."""

USUAL_GROUP = 8
"""Rollouts per stream that the learning rate is meant for; the sampler "many" scales it to its own."""
REPLAYING = ("dots", "compensation")
"""Samplers that train stored groups again."""


class Parts:
    """What one run works with.

    Args:
        settings: the run.

    Raises:
        SettingsError: slots that do not fit the run.
    """

    def __init__(self, settings: TrainSettings) -> None:
        self.settings, self.slots = settings, settings.slots.filled
        check(self.slots)
        self.envs = settings.make_envs(settings.together)
        self.reader: Reader = self.envs[0].unwrapped.reader  # type: ignore[attr-defined]
        self.asked = ReadingCosts(self.reader)
        share_reader(self.envs, self.reader)  # so that what a step asks of all of them goes out together
        self.policy = self._make_policy()  # after the reward, which may be refused: a language model takes long to load
        self.optimiser = self._make_optimiser()
        self.objective = Objective(self.slots)
        self.reference: Any = self._make_reference() if self.slots.regulariser != "none" else None
        self.resets = ReferenceResets(self.slots.reset_above, self.slots.reset_every)
        self.critic = self._make_critic() if self.slots.advantage == "gae" else None
        judge = str(self.slots.judge)
        self.rejudge = rejudging(judge, settings.judge_model)
        if self.rejudge is not None:
            check_judged(self.envs[0], settings.credit, judge)
        check_reward(settings, self.envs[0])
        self.sampler = self._sampler()
        self._episodes = self._calls = 0
        follow(self.envs, self.policy)

    @property
    def identity(self) -> dict[str, Any]:
        """Facts of what settings only name: ``reader``, whose model a server without a name in its address tells."""
        return {"reader": self.reader.name}

    def _make_policy(self) -> Any:
        return CandidatePolicy(policy_settings(self.settings))

    def _forget_texts(self) -> None:
        self.policy.forget_texts()

    def _make_reference(self) -> Any:
        return copy.deepcopy(self.policy)

    def _make_critic(self) -> Critic:
        return Critic(CANDIDATE_FEATURES, self.settings.learning_rate, self.settings.epochs, self.settings.seed)

    def _states(self, group: Group) -> Features:
        return candidate_states(group.decisions)

    def _decisions(self) -> stored.Decisions:
        return stored.CandidateDecisions(self.policy)

    def _make_optimiser(self) -> torch.optim.Optimizer:
        rate = self.settings.learning_rate
        if self.slots.sampler == "many":
            rate = learning_rate_for(self.settings.group_size, rate, USUAL_GROUP)
        return torch.optim.Adam(self.policy.parameters(), lr=rate)

    def _sampler(self) -> Sampler:
        name, settings = str(self.slots.sampler), self.settings
        pooled = name in ("npr", "dots") or settings.pool is not None
        arguments: dict[str, Any] = {"pool": seed_pool(settings.seed, settings.pool or POOL) if pooled else None}
        if name in REPLAYING:
            arguments["replay"] = RolloutReplay(
                keep_solved=name == "compensation",
                encode=lambda group: stored.to_plain(group, self._decisions()),
                decode=lambda data: stored.from_plain(data, self.envs, self._decisions()),
            )
        if name == "dots":
            arguments["embeddings"] = stream_embeddings([self._stream(seed) for seed in arguments["pool"]])
            arguments["references"] = min(16, len(arguments["pool"]))
        if name in ("zero_variance", "npr"):
            arguments["stepwise"] = self.slots.stepwise
        return resolve("sampler", name)(seed=settings.seed, **arguments)

    def _stream(self, seed: int) -> Any:
        self.envs[0].reset(seed=seed)
        return self.envs[0].unwrapped.episode.stream  # type: ignore[attr-defined]

    def draw(self, update: int, play: Play | None = None) -> Drawn[Group]:
        """The rollouts of one update, as the sampler wants them, and re-rollouts of single steps where the group slot wants any.

        Args:
            update: its number, 0-based.
            play: who plays; `play_all` if not given.

        Raises:
            ReaderError: the reader failed in every rollout. The sampler learnt nothing from it, so the update can be drawn again.
        """

        def played(streams: Sequence[int], first: int) -> list[Group]:
            groups = (play or Parts.play_all)(self, update, streams, first)
            if first in (0, REFERENCE_NUMBER):
                check_played(groups, update)
            return groups

        drawn = gather(self.sampler, update, self.settings.streams, played, view)
        self._episodes += (drawn.fresh + drawn.references) * self.settings.group_size
        relived = self._relive(update, drawn.groups[: drawn.fresh])
        # What is summed over texts goes by their numbers: these must not depend on who played, or on what before a kill.
        self._forget_texts()
        masks = [np.ones(group.rewards.shape, bool) for group in relived]
        return replace(drawn, groups=drawn.groups + relived, masks=drawn.masks + masks)

    def play_all(self, update: int, streams: Sequence[int], first: int) -> list[Group]:
        """The groups of several streams; ``first`` is the number of the first one within the update."""
        parts = bundles(streams, first, self.settings.together)
        return [group for part, number in parts for group in self.play_together(update, part, number)]

    def play_together(self, update: int, streams: Sequence[int], first: int) -> list[Group]:
        """The groups of at most ``settings.together`` streams, in lock-step: the same whatever was played before."""
        self._forget_texts()
        G = self.settings.group_size
        return rollouts(
            [self.envs[place * G : (place + 1) * G] for place in range(len(streams))],
            self.policy,
            streams,
            [
                [np.random.default_rng([self.settings.seed, update, first + place, g]) for g in range(G)]
                for place in range(len(streams))
            ],
            self.slots.group == "tree",
            self.rejudge,
        )

    def play(self, update: int, stream: int, number: int) -> Group:
        """G rollouts of one stream by itself."""
        (group,) = self.play_together(update, [stream], number)
        return group

    def _relive(self, update: int, groups: Sequence[Group]) -> list[Group]:
        if self.slots.group != "local":
            return []
        reader = CachedReader(self.reader)
        self._forget_texts()
        found = [
            local_rollouts(group, self.policy, reader, (self.settings.seed, update, number))
            for number, group in enumerate(groups)
        ]
        self._calls += reader.calls
        return [group for group in found if group is not None]

    def count(self, credit_calls: int, asked: Mapping[str, float], seen: Sequence[Collapse]) -> None:
        """Add what rewards asked, what the reader counted and what the judge noted while another process played."""
        self._calls += credit_calls
        self.asked.add(asked)
        if self.rejudge is not None:
            self.rejudge.note(seen)

    def cost(self) -> dict[str, float]:
        """What the run has cost so far: episodes played, readings for credit, and what its reader counted.

        Readings for credit are those of rewards that say how many, and of local re-rollouts.
        """
        calls = [layer.reader_calls for env in self.envs for layer in layers(env) if hasattr(layer, "reader_calls")]
        return {"episodes": float(self._episodes), "credit_calls": float(self._calls + sum(calls))} | self.asked.told()

    def _restore_cost(self, cost: Mapping[str, float]) -> None:
        self._episodes, self._calls = (int(cost[name]) for name in ("episodes", "credit_calls"))
        self.asked.restore(cost)

    def judge_metrics(self) -> dict[str, float]:
        """What the judge says about itself since the last time."""
        return {} if self.rejudge is None else self.rejudge.metrics()

    def states(self, groups: Sequence[Group]) -> list[Features] | None:
        """Per group (G, T, F) what the critic reads, if there is a critic."""
        return None if self.critic is None else [self._states(group) for group in groups]

    def values(self, states: Sequence[Features] | None) -> list[Array] | None:
        """Per group (G, T) the critic's values, if there is a critic."""
        return None if self.critic is None or states is None else [self.critic.values(own) for own in states]

    def fit_critic(
        self,
        groups: Sequence[Group],
        advantages: Sequence[Array],
        states: Sequence[Features] | None,
        values: Sequence[Array] | None,
    ) -> None:
        """Move the critic towards the returns that its advantages imply, A + V, on rollouts that did not fail."""
        if self.critic is None or states is None or values is None:
            return
        sound = [np.flatnonzero(~group.failed) for group in groups]
        if not any(rows.size for rows in sound):
            return
        seen = [own[rows].reshape(-1, own.shape[2]) for own, rows in zip(states, sound, strict=True)]
        returns = [(a + v)[rows].ravel() for a, v, rows in zip(advantages, values, sound, strict=True)]
        self.critic.fit(np.concatenate(seen), np.concatenate(returns))

    def frozen_log_probs(self, decisions: Sequence[Decision]) -> tuple[Tensor | None, Tensor | None]:
        """(N, 1) log-probabilities under the reference, and under the weights before this update; None where no slot reads them."""
        if not decisions:
            return None, None
        with torch.no_grad():
            reference = None if self.reference is None else self.reference.evaluate(decisions)[0][:, None]
            proximal = self.policy.evaluate(decisions)[0][:, None] if self.slots.ratio == "decoupled" else None
        return reference, proximal

    def reset_reference(self, update: int, decisions: Sequence[Decision], reference: Tensor | None) -> None:
        """After an update: the policy becomes its own reference and the optimiser forgets, if it is time.

        Args:
            update: number of finished updates.
            decisions: of this update; one without decisions resets nothing.
            reference: (N, 1) their log-probabilities under the reference; None if there is no reference.
        """
        if self.reference is None or reference is None or not decisions:
            return
        kl = 0.0
        if self.resets.above is not None:
            with torch.no_grad():
                new = self.policy.evaluate(decisions)[0][:, None]
                kl = float(kl_of(new, reference, torch.ones_like(new, dtype=torch.bool)).mean())
        if self.resets.reset_now(update, kl):
            self.reference.load_state_dict(self.policy.state_dict())
            self.optimiser = self._make_optimiser()

    def _kept(self) -> dict[str, torch.nn.Module | torch.optim.Optimizer]:
        kept: dict[str, torch.nn.Module | torch.optim.Optimizer] = {"policy": self.policy, "optimiser": self.optimiser}
        if self.reference is not None:
            kept["reference"] = self.reference
        if self.critic is not None:
            kept |= {"critic": self.critic, "critic_optimiser": self.critic.optimiser}
        return kept

    def save(self, folder: Path, update: int) -> None:
        """A checkpoint after this many updates."""
        state = {
            "fingerprint": self.settings.fingerprint,
            "memenvs": __version__,
            **self.identity,
            "policy": asdict(self.policy.settings),
            "settings": self.settings.to_json(),
            "sampler": self.sampler.state(),
            "cost": self.cost(),
        }
        checkpoint.save(folder, update, self._kept(), state, keep=self.settings.keep)

    def load(self, folder: Path) -> int:
        """Go on from a checkpoint; the number of finished updates.

        Raises:
            DataError: it was made with other settings, or another reader.
        """
        state = checkpoint.read_state(folder)
        checkpoint.check_made_with(folder, state, self.settings.fingerprint, self.reader.name)
        checkpoint.load(folder, self._kept())
        self.sampler.restore(state["sampler"])
        self._restore_cost(state["cost"])
        return int(state["update"])


def policy_settings(settings: TrainSettings) -> CandidateSettings:
    """The candidate policy that fits the environment.

    Raises:
        SettingsError: the quota is none that the policy's exact probability of operation sets can serve.
    """
    quota = settings.env.max_operations
    if quota is None or quota > 6:
        raise SettingsError(f"the candidate policy writes 1 to 6 operations a step: set max_operations so; got {quota}")
    return CandidateSettings(max_operations=quota, max_item_tokens=settings.env.max_item_tokens, seed=settings.seed)
