"""Checkpoints: safetensors for numbers, JSON for the rest, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memenvs.errors import DataError, MemenvsError

if TYPE_CHECKING:  # looking for a checkpoint needs no torch
    import torch

_PREFIX = "checkpoint-"
BEST = "best"
"""Within a run's folder: the policy that was best on held-out streams."""
TAUGHT = "taught"
"""Within a run's folder: the policy after its warm start, with which GRPO began."""


def save(
    folder: Path,
    update: int,
    parts: Mapping[str, torch.nn.Module | torch.optim.Optimizer],
    state: dict[str, Any],
    write: Callable[[Path], None] = lambda draft: None,
    keep: int = 1,
) -> Path:
    """Write ``checkpoint-<update>`` and drop the oldest ones.

    Args:
        folder: of the run.
        update: number of finished updates.
        parts: what is kept as ``<name>.safetensors``: weights of modules, moments of optimisers.
        state: JSON-able facts, among them the settings' fingerprint.
        write: puts further files into the folder before it is renamed.
        keep: the newest that stay, this one among them.

    Returns:
        The checkpoint's folder. It is renamed into place when complete; an older one goes only then.

    Raises:
        MemenvsError: it cannot be written, for instance because the disk is full.
    """
    from safetensors.torch import save_file

    for left in folder.glob(f".{_PREFIX}*"):  # of processes that were killed: this one has the folder to itself
        shutil.rmtree(left, ignore_errors=True)
    target = folder / f"{_PREFIX}{update:06d}"
    with _drafted(folder / f".{_PREFIX}{update:06d}.{os.getpid()}") as draft:
        for name, part in parts.items():
            save_file(_tensors(part), draft / f"{name}.safetensors")
        write(draft)
        (draft / "state.json").write_text(_state_text(update, state), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    older = sorted(other for other in _complete(folder) if other.name < target.name)
    kept = [target, *older[len(older) - min(keep - 1, len(older)) :]]
    for other in folder.glob(f"{_PREFIX}*"):
        if other not in kept:
            shutil.rmtree(other, ignore_errors=True)
    return target


def save_state(folder: Path, update: int, state: dict[str, Any]) -> None:
    """Replace the JSON facts of ``checkpoint-<update>`` at once, and nothing else of it."""
    target = folder / f"{_PREFIX}{update:06d}" / "state.json"
    draft = target.with_suffix(".new")
    draft.write_text(_state_text(update, state), encoding="utf-8")
    draft.replace(target)


def save_policy(folder: Path, name: str, state: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Put a policy into a run's folder, in place of the one that is there under this name.

    Args:
        folder: of the run.
        name: `BEST` or `TAUGHT`.
        state: JSON-able facts.
        write: puts the policy's files into the folder before it is renamed.

    Raises:
        MemenvsError: it cannot be written, for instance because the disk is full.
    """
    target, gone = folder / name, folder / f".{name}.old"
    shutil.rmtree(gone, ignore_errors=True)
    with _drafted(folder / f".{name}.new") as draft:
        write(draft)
        (draft / "state.json").write_text(json.dumps(state, indent=1, sort_keys=True), encoding="utf-8")
    if target.is_dir():
        target.rename(gone)
    draft.rename(target)
    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _drafted(draft: Path) -> Iterator[Path]:
    """A new folder to write to, which goes again if it cannot be filled."""
    from safetensors import SafetensorError

    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        yield draft
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        # What tokenizers raise has no type of its own.
        if isinstance(error, OSError | SafetensorError) or type(error) is Exception:
            raise MemenvsError(
                f"{draft} could not be written: {error}. May you write there, and is the disk neither full nor read-only? What the "
                "run's folder had before is there: make room, and go on with --resume auto"
            ) from error
        raise


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    return max(_complete(folder), default=None)


def _complete(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{_PREFIX}*") if (path / "state.json").is_file()] if folder.is_dir() else []


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


def check_made_with(checkpoint: Path, state: Mapping[str, Any], fingerprint: str, reader: str) -> None:
    """See that a run may go on from a checkpoint.

    Args:
        checkpoint: its folder.
        state: its facts.
        fingerprint: of the run's settings.
        reader: name of the run's reader.

    Raises:
        DataError: it was made with other settings, or another reader.
    """
    if state["fingerprint"] != fingerprint:
        raise DataError(f"{checkpoint} was trained with other settings (see its state.json); name another folder")
    check_reader(checkpoint, state.get("reader"), reader)


def check_reader(checkpoint: Path | str, was: str | None, now: str) -> None:
    """See that a checkpoint's reader is the one that answers now: settings may leave to a server which model that is.

    Args:
        checkpoint: its folder, or another name.
        was: name of its reader; None in checkpoints of older versions, which do not say, and go on with any.
        now: name of the reader.

    Raises:
        DataError: it is another one.
    """
    if was is not None and was != now:
        raise DataError(
            f"{checkpoint} was trained with the reader {was!r}, and {now!r} would answer now: serve that model again, or name "
            "another folder"
        )


def agent_name(name: str) -> str:
    """An agent's name, in which the run of a language model becomes its newest checkpoint: ``lm:CHECKPOINT``.

    Args:
        name: the folder of a run, ``lm:`` with one, or anything else, which stays as it is.
    """
    path = Path(name.removeprefix("lm:"))
    newest = path if (path / "state.json").is_file() else latest(path)
    if newest is None or read_state(newest).get("agent") != "lm":
        return name
    return f"lm:{newest}"


def digest(folder: Path) -> str:
    """SHA-256 (16 hex digits) of the numbers and facts of a checkpoint, or of a saved model."""
    found = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json")):
        with file.open("rb") as content:
            found.update(f"{file.relative_to(folder)}\0".encode() + hashlib.file_digest(content, "sha256").digest())
    return found.hexdigest()[:16]


def load(checkpoint: Path, parts: Mapping[str, torch.nn.Module | torch.optim.Optimizer]) -> None:
    """Put what `save` kept into parts of the same settings: weights into modules, moments into optimisers.

    Raises:
        DataError: a file is missing or does not fit.
    """
    import torch
    from safetensors.torch import load_file

    for name, part in parts.items():
        try:
            tensors = load_file(checkpoint / f"{name}.safetensors")
            if isinstance(part, torch.nn.Module):
                part.load_state_dict(tensors)
                continue
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in tensors.items():
                number, moment = key.split(".", 1)
                moments.setdefault(int(number), {})[moment] = value
            part.load_state_dict({"state": moments, "param_groups": part.state_dict()["param_groups"]})
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(f"{checkpoint}: the weights of {name} do not fit: {error}") from error


def _state_text(update: int, state: dict[str, Any]) -> str:
    return json.dumps({"update": update} | state, indent=1, sort_keys=True)


def _tensors(part: torch.nn.Module | torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    import torch

    if isinstance(part, torch.nn.Module):
        return {name: value.detach().contiguous() for name, value in part.state_dict().items()}
    return {
        f"{number}.{name}": value.detach().contiguous() if torch.is_tensor(value) else torch.tensor(float(value))
        for number, entry in part.state_dict()["state"].items()
        for name, value in entry.items()
    }
