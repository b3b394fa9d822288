"""A memory made once is shuffled as it is: the agent's messages on the other stream are carried out again, and it is not asked.

* `Recorded` - the messages of an episode as an agent.
* `recorded` - an arm that plays them.
* `memory_from` - whose memory a shuffled arm has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from memenvs.memory.operations import MAX_MESSAGE_CHARS
from memenvs.record import EpisodeRecord
from memenvs.streams.types import Stream
from trainers.suites.arms_list import SHUFFLED, Arm


@dataclass(slots=True)
class Recorded:
    """What an agent wrote, step by step."""

    name: str
    """The agent's."""
    dialect: str
    """Of its messages."""
    messages: tuple[str, ...]
    """One per step."""

    @classmethod
    def of(cls, record: EpisodeRecord) -> Recorded:
        """The messages of an episode. One that was too long to be read is kept up to the bound, and stays too long."""
        long = [step.error is not None and len(step.message) == MAX_MESSAGE_CHARS for step in record.steps]
        messages = tuple(step.message + " " * cut for step, cut in zip(record.steps, long, strict=True))
        return cls(str(record.settings["agent"]), str(record.settings["dialect"]), messages)

    def reset(self, seed: int, stream: Stream | None = None) -> None:
        """Nothing is drawn."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> str:
        """See `agents.base.Agent.act`."""
        return self.messages[int(observation["step"])]


def recorded(arm: Arm, told: Recorded) -> Arm:
    """The arm with what was written already in place of its agent."""
    return replace(arm, make=lambda settings, budget: told, takes_agent=False, by_rule=False)


def memory_from(arm: Arm, arms: Iterable[tuple[str, Arm]]) -> str | None:
    """Whose episodes have the memories that a shuffled arm shows.

    Args:
        arm: any arm.
        arms: file names and arms that are played too.

    Returns:
        Their file name; None where the arm is not shuffled, nobody else makes these memories, or their size is the reference's on
        the stream that is asked.
    """
    if not arm.shuffled or arm.needs_budget:
        return None
    source = arm.name.removeprefix(f"{SHUFFLED}:") if arm.name != SHUFFLED else "keep_everything"
    return next((name for name, other in arms if other.name == source), None)
