"""Checkpoints: safetensors for numbers, JSON for the rest, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memenvs.errors import DataError

if TYPE_CHECKING:  # looking for a checkpoint needs no torch
    import torch

_PREFIX = "checkpoint-"


def save(
    folder: Path, update: int, policy: torch.nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]
) -> Path:
    """Write ``checkpoint-<update>`` and drop older ones.

    Args:
        folder: of the run.
        update: number of finished updates.
        policy, optimiser: whose state is kept.
        state: JSON-able facts, among them the settings' fingerprint.

    Returns:
        The checkpoint's folder. It is renamed into place when complete; the older one goes only then.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{_PREFIX}{update:06d}"
    draft = folder / f".{_PREFIX}{update:06d}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_file({k: v.detach().contiguous() for k, v in policy.state_dict().items()}, draft / "policy.safetensors")
    moments = {
        f"{number}.{name}": value.detach().contiguous() if torch.is_tensor(value) else torch.tensor(float(value))
        for number, entry in optimiser.state_dict()["state"].items()
        for name, value in entry.items()
    }
    save_file(moments, draft / "optimiser.safetensors")
    (draft / "state.json").write_text(
        json.dumps({"update": update} | state, indent=1, sort_keys=True), encoding="utf-8"
    )
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    for other in folder.iterdir():
        if other.name.startswith((_PREFIX, f".{_PREFIX}")) and other != target:
            shutil.rmtree(other, ignore_errors=True)
    return target


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    found = sorted(p for p in folder.glob(f"{_PREFIX}*") if (p / "state.json").is_file()) if folder.is_dir() else []
    return found[-1] if found else None


def find(path: Path) -> Path:
    """The checkpoint that ``path`` is, or the newest one of the run that it is.

    Raises:
        DataError: it is neither.
    """
    newest = path if (path / "state.json").is_file() else latest(path)
    if newest is None:
        raise DataError(f"{path} holds no checkpoint; expected the folder of a run (memenvs train --out ...)")
    return newest


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The JSON facts of a checkpoint.

    Raises:
        DataError: there is no checkpoint in this folder.
    """
    try:
        return json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{checkpoint} is not a checkpoint (a folder with state.json and policy.safetensors): {error}"
        ) from error


def load_policy(checkpoint: Path, policy: torch.nn.Module) -> None:
    """Put a checkpoint's weights into a policy of the same settings.

    Raises:
        DataError: the weights do not fit.
    """
    from safetensors.torch import load_file

    try:
        policy.load_state_dict(load_file(checkpoint / "policy.safetensors"))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{checkpoint}: the weights do not fit this policy: {error}") from error


def load_optimiser(checkpoint: Path, optimiser: torch.optim.Optimizer) -> None:
    """Put a checkpoint's moments into an optimiser over the same parameters."""
    from safetensors.torch import load_file

    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(checkpoint / "optimiser.safetensors").items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
