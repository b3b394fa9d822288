"""Any credit estimator as a reward wrapper."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym

from memenvs.env import MemoryEnv
from memenvs.errors import ReaderError, SettingsError
from memenvs.reading import CachedReader
from memenvs.record import EpisodeRecord
from rewards.credit.monte_carlo import Policy
from rewards.credit.redistribution import ReturnPredictor
from rewards.credit.registry import NEEDS, estimate, find
from rewards.terms import NAN, SCALES, Terms, check_choice
from rewards.wrapper import RewardWrapper
from rewards.wrappers import needs_chunk_questions


class CreditReward(RewardWrapper):
    """weight * c_t, the outcome distributed by a credit estimator; known at the end only. Its one term is ``"credit"``.

    The environment's own reader answers the counterfactual questions. Where it fails on one of them all steps get NaN: a failure is
    no credit of 0.

    Args:
        env: a memenvs environment.
        estimator: a name in `rewards.credit.ESTIMATORS`.
        weight: of the term.
        scale: ``"sum"``: what the estimator says; ``"mean"``: times T, so that shares of one outcome are not swamped by terms of
            size 1 per step. Estimators that give every step a score of its own (``Estimator.shares`` is False: trajectory, chunk,
            operation-tags) are the same under both.
        predictor: file of a `ReturnPredictor`, for ``"redistribution"``.
        settings: keyword arguments of the estimator, such as ``permutations=8``.

    Raises:
        SettingsError: an unknown name, setting or scale, a predictor that is missing or that nobody asked for, or an environment
            that reads no chunk questions where the estimator looks at them. When an episode ends: a setting out of range.
        DataError: the predictor cannot be read.

    Example:
        >>> env = CreditReward(gym.make("FineMem-Memalpha-v0"), "monte-carlo", continuations=2)
        >>> env.follow(policy)

    Change log:
        * v0.1.0 - added
    """

    distributes_outcome: ClassVar[bool] = True

    def __init__(
        self,
        env: gym.Env[Any, Any],
        estimator: str = "loo-step",
        weight: float = 1.0,
        scale: str = "sum",
        predictor: str | None = None,
        **settings: Any,
    ) -> None:
        chosen = find(estimator)
        chosen.check(settings)
        check_choice("scale", scale, SCALES)
        if predictor is not None and "predictor" not in chosen.needs:
            raise SettingsError(f"the credit estimator {estimator!r} takes no predictor, got {predictor!r}")
        if predictor is None and "predictor" in chosen.needs:
            raise SettingsError(
                f"the credit estimator {estimator!r} needs a predictor: give predictor=PATH, a file of ReturnPredictor.save"
            )
        super().__init__(env, estimator=estimator, weight=weight, scale=scale, predictor=predictor, **settings)
        if chosen.reads_chunks:
            needs_chunk_questions(env, f"the credit estimator {estimator!r}")
        self.estimator, self.weight, self.scale, self.settings = chosen, weight, scale, settings
        self.predictor = None if predictor is None else ReturnPredictor.load(predictor)
        self.policy: Policy | None = None
        self.reader_calls = 0
        """Readings that the reader had to answer for credit, over all episodes; those of the episodes themselves not counted."""
        self._latest: tuple[EpisodeRecord, Terms] | None = None

    def follow(self, policy: Policy) -> None:
        """Set the policy that plays on from the memories of an episode; ``"monte-carlo"`` needs it before `reset`.

        Below other wrappers: ``env.get_wrapper_attr("follow")(policy)``.
        """
        self.policy, self._latest = policy, None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment.

        Raises:
            SettingsError: the estimator needs a policy and has none: said here, not when an episode has been played.
        """
        if "policy" in self.estimator.needs and self.policy is None:
            raise SettingsError(
                f"the credit estimator {self.estimator.name!r} needs a policy: call follow(policy) before reset, with "
                + NEEDS["policy"]
            )
        return self.env.reset(seed=seed, options=options)

    def names(self) -> tuple[str, ...]:
        """The one term."""
        return ("credit",)

    def weights_of_terms(self) -> dict[str, float]:
        """The one weight."""
        return {"credit": self.weight}

    def terms(self, record: EpisodeRecord) -> dict[str, Terms]:
        """``{"credit": ...}``."""
        # Each wrapper of a stack asks for the terms inside it; the readings are made for the first alone.
        if self._latest is None or self._latest[0] is not record:
            self._latest = record, self._credit(record)
        return {"credit": self._latest[1]}

    def _credit(self, record: EpisodeRecord) -> Terms:
        base = self.env.unwrapped
        assert isinstance(base, MemoryEnv)
        reader = CachedReader(base.reader)
        try:
            credit = estimate(
                self.estimator.name,
                record,
                reader=reader,
                policy=self.policy,
                predictor=self.predictor,
                **self.settings,
            )
        except ReaderError as error:
            gym.logger.warn(f"no credit for the steps of stream {record.stream_id!r}: {error}")
            credit = (NAN,) * record.T
        finally:
            self.reader_calls += reader.calls
        factor = self.weight * (record.T if self.scale == "mean" and self.estimator.shares else 1)
        return tuple(factor * value for value in credit)
