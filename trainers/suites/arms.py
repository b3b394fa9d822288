"""Playing one stream with one arm: the memory is made from all chunks, then the questions are asked, and change nothing.

* `play` - the episode of one arm on one stream.
* `Arm`, `ARMS`, `find_arm`, `ArmUnavailable` - see `trainers.suites.arms_list`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agents.base import Agent
from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.reading import Reader
from memenvs.record import NOT_ASKED, EpisodeRecord
from memenvs.streams.types import StreamDataset
from trainers.suites.arms_list import ARMS, Arm, ArmUnavailable, find_arm
from trainers.suites.game import Game

__all__ = ["ARMS", "NOT_ASKED", "Arm", "ArmUnavailable", "find_arm", "play"]


def play(
    arm: Arm | str,
    dataset: StreamDataset,
    index: int,
    settings: EpisodeSettings,
    reader: Reader,
    seed: int = 0,
    budget: int | None = None,
    agent: Agent | None = None,
    *,
    questions: Sequence[int] | None = None,
    streams: Iterable[int] | None = None,
) -> EpisodeRecord:
    """Play stream ``index`` with an arm.

    Args:
        arm: an arm, or a name for `find_arm`.
        dataset: the streams.
        index: of the stream whose questions are asked.
        settings: of the episode; the arm's own come before them, and chunk questions are not asked.
        reader: who answers.
        seed: of the agent's draws, and of who gets whose memory.
        budget: tokens of the memory of the agent that is compared with, on this stream; for arms with ``needs_budget``.
        agent: the agent under test, for arms with ``takes_agent``.
        questions: indices of the questions to ask; None for all.
        streams: indices of the streams that are evaluated, among which memories are shuffled; None for all of the data set.

    Returns:
        The record, with the stream's id and fingerprint. Its settings name the arm, the agent that wrote the memory, ``budget``
        and, where the memory is another stream's, that stream (``memory_of``). Questions that the arm cannot ask are listed
        under `NOT_ASKED`.

    Raises:
        ArmUnavailable: the arm lacks its agent or budget, or no other stream takes part.
        SettingsError: an unknown arm, questions or streams that do not fit, or an agent of ours could not write a chunk.
        ScorerError: the profile has no metric for a question's source.
    """
    arm = find_arm(arm) if isinstance(arm, str) else arm
    given = arm.takes_agent and agent is not None
    chosen = settings if given else arm.settings_for(settings)
    manager = _agent(arm, chosen, budget, agent)
    game = Game(arm, manager, dataset, index, chosen, reader, seed, questions, streams)
    manager.reset(game.draws, game.told)
    while not game.done:
        game.step(manager.act(*game.seen()))
    record = game.record({"budget": budget} if arm.needs_budget else {})
    if arm.by_rule and not given:
        _check(arm, record)
    return record


def _agent(arm: Arm, settings: EpisodeSettings, budget: int | None, agent: Agent | None) -> Agent:
    if arm.takes_agent and agent is not None:
        return agent
    if arm.make is None:
        raise ArmUnavailable(f"the arm {arm.name!r} needs an agent: agent=..., or the name of another arm")
    if arm.needs_budget and budget is None:
        raise ArmUnavailable(f"{arm.name} needs the memory size of an agent on this stream: budget=tokens")
    return arm.make(settings, budget if arm.needs_budget else None)


def _check(arm: Arm, record: EpisodeRecord) -> None:
    """An agent of ours whose message was not read would be scored as one that chose to store nothing."""
    for step in record.steps:
        refused = [outcome.reason for outcome in step.operations if not outcome.valid]
        if step.error is not None or (refused and arm.kind == "baseline"):
            raise SettingsError(
                f"{arm.name} could not write chunk {step.step} of stream {record.stream_id!r} ({len(step.chunk)} characters): "
                f"{step.error or refused[0]}"
            )
