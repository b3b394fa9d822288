"""The base of reward wrappers: terms over an episode record, put on a Gymnasium environment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import NormalizeReward

from memenvs.env import MemoryEnv
from memenvs.errors import SettingsError
from memenvs.record import EpisodeRecord, StepRecord
from rewards import terms
from rewards.terms import Terms


class RewardWrapper(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays named terms per step. Subclasses give `terms`, and `known` for what can be paid before the end.

    At each step the wrapper pays what is known then; at the last step it pays the rest, so that the return equals the sum of
    ``info["step_rewards"]``, T floats. ``info["step_reward_terms"]`` has one such tuple per term, weights included.

    The raw environment's outcome is the term ``"outcome"``. Wrappers add their terms to those of the wrappers inside; one that
    redistributes the outcome (`distributes_outcome`) takes its place. The order of wrappers changes nothing.

    Rewards are worked out from the record, not from what comes from inside. So Gymnasium's own reward wrappers (`TransformReward`,
    `NormalizeReward` and the like) belong outside: inside they would do nothing, which is refused.

    Raises:
        SettingsError: the environment is not one of memenvs, its outcome or a term would be paid twice, or a wrapper inside changes
            rewards in a way that would be lost.

    Example:
        >>> class Brevity(RewardWrapper):
        ...     def terms(self, record):
        ...         return {"brevity": tuple(-0.01 * len(step.operations) for step in record.steps)}
    """

    distributes_outcome: ClassVar[bool] = False
    """Whether the terms stand for the outcome reward, spread over the steps in another way."""

    def __init__(self, env: gym.Env[Any, Any], **arguments: Any) -> None:
        RecordConstructorArgs.__init__(self, **arguments)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, MemoryEnv):
            raise SettingsError(
                f"{type(self).__name__} needs a memenvs environment inside, got {type(env.unwrapped).__name__}"
            )
        if lost := next((w for w in _layers(env) if isinstance(w, (gym.RewardWrapper, NormalizeReward))), None):
            raise SettingsError(
                f"{type(lost).__name__} inside {type(self).__name__}: the rewards it changes would be lost; put it outside"
            )
        for inner in _inner(env):
            if type(inner) is type(self):
                raise SettingsError(
                    f"{type(self).__name__} is on this environment already; its terms would be paid twice"
                )
            if self.distributes_outcome and inner.distributes_outcome:
                raise SettingsError(
                    f"{type(inner).__name__} inside {type(self).__name__}: both distribute the outcome; keep one of them"
                )
            if twice := set(self.names()) & set(inner.names()):
                raise SettingsError(
                    f"{type(inner).__name__} inside {type(self).__name__}: both pay {', '.join(sorted(twice))}; keep one of them"
                )

    def names(self) -> tuple[str, ...]:
        """Names of the terms, where they are known before an episode: a clash is then refused when wrappers are stacked."""
        return ()

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """The wrapper's own terms over a finished episode: name -> T floats, weights included."""
        raise NotImplementedError(f"{type(self).__name__} must define terms(record)")  # abstract

    def known(self, step: StepRecord) -> float:
        """What of this step's reward is known when the step ends; 0 if nothing."""
        return 0.0

    def weights_of_terms(self) -> dict[str, float]:
        """Weights that are in the terms already, by name, for reward mixes that normalise terms first; 1 for those left out."""
        return {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step, with the reward known now or, at the last step, the rest."""
        base = self.env.unwrapped
        assert isinstance(base, MemoryEnv)
        before = base.episode.step
        observation, _, terminated, truncated, info = self.env.step(action)
        stack = [self, *_inner(self.env)]
        finished = base.episode.steps
        if not base.episode.done:
            return observation, _known(stack, finished[before:]), terminated, truncated, info
        paid = stack_terms(stack, base.record)
        rewards = terms.total(paid)
        info = info | {"step_rewards": rewards, "step_reward_terms": paid}
        return observation, math.fsum(rewards) - _known(stack, finished[:before]), terminated, truncated, info


def work_out(env: gym.Env[Any, Any], record: EpisodeRecord) -> dict[str, Terms]:
    """All terms that the reward wrappers of an environment pay for a record, for instance for one that was judged anew."""
    return stack_terms(_inner(env), record)


def term_weights(env: gym.Env[Any, Any]) -> dict[str, float]:
    """Weight of each term that the reward wrappers of an environment pay, where they tell it."""
    return {name: weight for wrapper in _inner(env) for name, weight in wrapper.weights_of_terms().items()}


def _known(stack: list[RewardWrapper], steps: tuple[StepRecord, ...]) -> float:
    return math.fsum(wrapper.known(step) for wrapper in stack for step in steps)


def _inner(env: Any) -> list[RewardWrapper]:
    """Reward wrappers from ``env`` inwards."""
    return [layer for layer in _layers(env) if isinstance(layer, RewardWrapper)]


def _layers(env: Any) -> Iterator[gym.Wrapper[Any, Any, Any, Any]]:
    """All wrappers from ``env`` inwards."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def stack_terms(stack: list[RewardWrapper], record: EpisodeRecord) -> dict[str, Terms]:
    """All terms that a stack of wrappers pays for a record, by name in sorted order.

    Raises:
        SettingsError: two wrappers use the same name.
    """
    named: dict[str, Terms] = {}
    if not any(wrapper.distributes_outcome for wrapper in stack):
        named["outcome"] = terms.outcome(record)
    for wrapper in stack:
        for name, values in wrapper.terms(record).items():
            if name in named:
                raise SettingsError(f"two reward wrappers pay a term named {name!r}; rename one")
            if len(values) != record.T:
                raise SettingsError(f"the term {name!r} has {len(values)} values; expected one per step, {record.T}")
            named[name] = tuple(values)
    return dict(sorted(named.items()))
