"""Trained policies from their checkpoints."""

from __future__ import annotations

from pathlib import Path

from agents.candidate import CandidatePolicy, CandidateSettings
from memenvs.errors import DataError
from trainers import checkpoint


def load_candidate(path: Path) -> CandidatePolicy:
    """The candidate policy of a checkpoint, or of a run's newest one.

    Raises:
        DataError: there is no checkpoint, or it does not fit this version.
    """
    newest = path if (path / "state.json").is_file() else checkpoint.latest(path)
    if newest is None:
        raise DataError(f"{path} holds no checkpoint; expected the folder of a run (memenvs train --out ...)")
    state = checkpoint.read_state(newest)
    try:
        policy = CandidatePolicy(CandidateSettings(**state["policy"]))
    except TypeError as error:
        raise DataError(f"{newest}: its settings do not fit this version: {error}") from error
    checkpoint.load_policy(newest, policy)
    return policy
