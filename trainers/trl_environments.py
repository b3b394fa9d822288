"""The environments of one process of `trainers.trl_adapter`, which all ask one reader.

* `Environments` - for training and for evaluations.
* `on_one_machine` - whether all processes of a run can write to one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from accelerate.utils import gather_object
from accelerate.utils.environment import get_int_from_env

from memenvs.reading import Reader
from trainers.checkpoint import check_reader
from trainers.layers import share_reader
from trainers.reading_costs import ReadingCosts, counts_of
from trainers.tokens.settings import TokenTrainSettings

_COSTS, _READER = "memenvs_reader_costs", "memenvs_reader"
"""Keys of a checkpoint's state."""
_PROCESSES_HERE = ("LOCAL_WORLD_SIZE", "MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE")
"""Variables in which torchrun, accelerate's launcher and those of MPI tell how many processes a machine has."""


class Environments:
    """Environments that share a reader, so that what a step asks of all of them goes out with one call.

    Args:
        settings: the run.
        rollouts: of this process in an update, at least 1.
        side_by_side: held-out streams that are played together.
        folder: receives the replies of a reader at an address that was given no file (`trainers.reader_settings.REPLIES`); None
            where none are to be kept.

    Raises:
        SettingsError: settings that no environment can serve.
        DataError: the data cannot be opened.
    """

    def __init__(self, settings: TokenTrainSettings, rollouts: int, side_by_side: int, folder: Path | None) -> None:
        self._settings = settings if folder is None else settings.keeping_replies(folder)
        self._side_by_side = side_by_side
        self._held_out: list[gym.Env[Any, Any]] = []
        self._before: Mapping[str, float] = {}
        self._at_restore: Mapping[str, float] = {}
        self.training = self._settings.make_envs(-(-rollouts // settings.group_size))[:rollouts]
        """One per rollout."""
        self.reader: Reader = self.training[0].unwrapped.reader  # type: ignore[attr-defined]
        """Of all of them."""
        share_reader(self.training, self.reader)

    def held_out(self) -> list[gym.Env[Any, Any]]:
        """Environments for evaluations, opened when they are first asked for.

        Raises:
            SettingsError: no held-out data is known.
        """
        if not self._held_out:
            self._held_out = self._settings.make_heldouts(self._side_by_side)
            share_reader(self._held_out, self.reader)
        return self._held_out

    def costs(self) -> dict[str, float]:
        """What the readers of all processes were asked in the whole run, see `ReadingCosts.told`; each of them must call."""
        every = ReadingCosts(None)
        every.restore(self._before)
        own = {name: value - self._at_restore.get(name, 0.0) for name, value in counts_of(self.reader).items()}
        for counts in gather_object([own]):
            every.add(counts)
        return every.told()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: `costs`, and the reader's name; each process must call."""
        return {_COSTS: self.costs(), _READER: self.reader.name}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint in every process, and take what `state` gave out of its ``state``; later costs do not count.

        Raises:
            DataError: it was made with another reader.
        """
        check_reader("the checkpoint", state.pop(_READER, None), self.reader.name)
        self._before, self._at_restore = state.pop(_COSTS, {}), counts_of(self.reader)


def on_one_machine(processes: int) -> bool:
    """Whether as many processes run on this machine; where the launcher does not say so, several do not."""
    return get_int_from_env(_PROCESSES_HERE, 1) == processes
