"""A suite with everything chosen: data, arms, settings, reader, and its mark in the folder, to go on only as it began."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.memory.architectures import FLAT
from memenvs.memory.bank import MemoryLimits
from memenvs.reading import Reader
from memenvs.streams import StreamDataset, load
from memenvs.streams.sources import GENERATED
from trainers import checkpoint
from trainers.run_env import LIMITS, EnvOptions, env_for, is_run
from trainers.saved import file_names
from trainers.settings import EnvSettings
from trainers.suites.arms import ARMS, Arm, find_arm
from trainers.suites.arms_list import SHUFFLED
from trainers.suites.suite import Suite

MARK = "suite.json"
"""File that says what a folder's records were made with."""
NO_SIZE = ("nothing",)
"""Arms whose memory size nobody wants to be compared at."""
_SHUFFLED_ONE = f"{SHUFFLED}:"
DEFAULT_REFERENCE = "random"
"""Whose memory size the controls of equal size get where no agent is under test: half of what there is."""


@dataclass(frozen=True)
class Plan:
    """What is played, on what, read by whom."""

    suite: Suite
    """The table."""
    dataset: StreamDataset
    """The streams."""
    streams: int
    """The first so many are played."""
    settings: EpisodeSettings
    """Of the episodes."""
    reader: Reader
    """Who answers."""
    arms: dict[str, Arm]
    """Name of the file -> what is compared, in the order of the table."""
    reference: str
    """File name of the arm whose memory size the controls of equal size get."""
    seed: int = 0
    """Of the agents' draws."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """File name of a trained run -> hash of its checkpoint; records of another checkpoint are not mixed with these."""

    @property
    def batch(self) -> int:
        """Questions that are put to the reader at once, as far as there are so many: a server answers several at a time."""
        settings = getattr(getattr(self.reader, "endpoint", None), "settings", None)
        return 1 if settings is None else 4 * settings.concurrency

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the records, as plain data."""
        settings = self.settings
        return {
            "suite": self.suite.name,
            "data": self.dataset.source,
            "split": self.dataset.split,
            "dataset": self.dataset.fingerprint,
            "streams": self.streams,
            "skipped_rows": len(getattr(self.dataset, "skipped", ())),
            "reader": self.reader.name,
            "reader_settings": reader_settings(self.reader),
            "seed": self.seed,
            "k": settings.k,
            "retrieval": settings.retrieval,
            "limits": asdict(settings.limits),
            "tokens": settings.tokens,
            "memory": settings.memory,
            "dialect": settings.dialect,
        }

    def check_mark(self, folder: Path, anew: bool = False) -> None:
        """Leave the plan's mark in the folder, or see that the one there is the same.

        Args:
            folder: of the evaluation.
            anew: drop what an earlier evaluation left there.

        Raises:
            SettingsError: the folder holds an evaluation that was made with something else.
        """
        mark = folder / MARK
        if anew:
            left = [path for name in ("records", "runs", "waiting") for path in (folder / name).glob("*.json*")]
            for path in [*left, mark]:
                path.unlink(missing_ok=True)
        if mark.is_file():
            there = json.loads(mark.read_text(encoding="utf-8"))
            here = json.loads(json.dumps(self.facts))
            differing = [name for name in here if there.get(name) != here[name]]
            if differing:
                told = "; ".join(f"{name} {there.get(name)} there, {here[name]} now" for name in differing)
                raise SettingsError(
                    f"{folder} holds an evaluation that was made differently ({told}): name another folder with --out, or "
                    "drop it with --resume never"
                )
        elif any((folder / "records").glob("*.jsonl")):
            raise SettingsError(
                f"{folder} holds records of another evaluation: name another folder with --out, or drop them with --resume never"
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            mark.write_text(json.dumps(self.facts, indent=1), encoding="utf-8")


def make_plan(
    suite: Suite, agents: Sequence[str], controls: Sequence[str], options: EnvOptions, reader: Reader,
    streams: int | None = None, seed: int = 0, opening: Mapping[str, Any] | None = None, memory: str | None = None,
) -> Plan:  # fmt: skip
    """Choose everything.

    Args:
        suite: the table.
        agents: what is under test: names of arms and folders of runs. Its limits are those that runs were trained with.
        controls: what else is played: names of arms; "all" for every one and the suite's own managers, "none" for none.
        options: what was asked for instead of the suite's own.
        reader: who answers.
        streams: at most this many, from the first on; None for the suite's own number.
        seed: of the agents' draws.
        opening: further settings of the data: ``revision`` of a hub's, ``on_error``.
        memory: that language models under test write, see `find_arm`. The names of their files end with it.

    Raises:
        SettingsError: a name or an option that cannot work.
        DataError: the data cannot be opened, or has nothing of the suite.
    """
    if "env_id" in options:
        raise SettingsError(f"env_id chooses an environment, the suite {suite.name} another one: leave one of them out")
    arms = chosen_arms(agents, controls, suite.managers, memory)
    runs = [name for name in agents if name not in ARMS and Path(name).is_dir()]
    folders_of_agents = [Path(name.removeprefix("lm:")) for name in agents if name not in ARMS]
    trained = [folder for folder in folders_of_agents if is_run(folder)]
    settings = EpisodeSettings(
        k=options.get("k", suite.k),
        chunk_questions=0,
        limits=_limits(suite, trained, options),
        retrieval=suite.retrieval,
    )
    dataset = _open(suite, options, opening or {})
    count = streams or suite.streams or len(dataset)
    files = dict(zip(dict.fromkeys(agents), arms, strict=False))  # agents come first
    with_size = [files[n] for n in agents if n not in NO_SIZE and not find_arm(n).needs_budget]
    reference = with_size[0] if with_size else DEFAULT_REFERENCE
    needing = [name for name, arm in arms.items() if arm.needs_budget]
    if needing and reference not in arms:
        raise SettingsError(
            f"{needing[0]} needs a memory size: name an agent, or {DEFAULT_REFERENCE} among the controls, whose size it gets"
        )
    folders = {name: checkpoint.find(Path(name)) for name in runs}
    models = {name: Path(name[3:]) for name in agents if name.startswith("lm:") and Path(name[3:]).is_dir()}
    folders |= {name: checkpoint.find(path) if is_run(path) else path for name, path in models.items()}
    weights = {files[name]: checkpoint.digest(folder) for name, folder in folders.items()}
    # Their size is part of their name, so that a folder can hold them beside several agents.
    arms = {f"{n}@{reference}" if arm.needs_budget and with_size else n: arm for n, arm in arms.items()}
    return Plan(suite, dataset, min(count, len(dataset)), settings, reader, arms, reference, seed, weights)


def _limits(suite: Suite, runs: Sequence[Path], options: EnvOptions) -> MemoryLimits:
    """The suite's limits, or those that runs were trained with, unless options say otherwise."""
    limits = asdict(suite.limits)
    given: EnvOptions = {name: options[name] for name in LIMITS if name in options}  # type: ignore
    # In all else runs may differ: the suite brings data, k and reader, and each run its own memory.
    plain = {name: value for name, value in asdict(EnvSettings()).items() if name in EnvOptions.__annotations__}
    others: EnvOptions = {name: value for name, value in plain.items() if name not in LIMITS}  # type: ignore
    trained = env_for(runs, others | given) if runs else None
    for option, name in zip(LIMITS, ("max_operations", "max_item_tokens", "max_tokens"), strict=True):
        if trained is not None:
            limits[name] = getattr(trained, option)
        elif option in given:
            limits[name] = given[option]  # type: ignore
    return MemoryLimits(**limits)


def chosen_arms(
    agents: Sequence[str], controls: Sequence[str], managers: Sequence[str] = (), memory: str | None = None
) -> dict[str, Arm]:
    """File name -> arm, each once: agents first, then controls in the order of `ARMS`.

    Args:
        agents: what is under test.
        controls: what else is played; "all" stands for `ARMS` and ``managers``. "shuffled" is the first agent's that makes a memory
            of its own, if there is one.
        managers: the suite's own.
        memory: that language models under test write, see `find_arm`.

    Raises:
        SettingsError: an unknown name, nothing named, or a memory that an agent does not write.
        DataError: a folder holds no checkpoint.
    """
    known = [name for name, arm in ARMS.items() if arm.make is not None]
    if memory is not None and not agents:
        raise SettingsError(
            f"whose memory is {memory}? Name an agent that writes it: --agent endpoint:ADDRESS or lm:MODEL"
        )
    tested = {name: find_arm(name, memory) for name in agents}
    extra: list[str] = []
    for name in controls:
        if name in ("all", "none"):
            extra += [*managers, *known] if name == "all" else []
        else:
            find_arm(name)
            extra.append(name)
    own = next((name for name, arm in tested.items() if name not in NO_SIZE and _remembers(arm)), "keep_everything")
    of_agent = SHUFFLED if own == "keep_everything" else f"{_SHUFFLED_ONE}{own}"
    names = list(dict.fromkeys([*agents, *(of_agent if name == SHUFFLED else name for name in extra)]))
    if not names:
        raise SettingsError("nothing to play: name an agent, or controls")
    for name in names:
        if name in ARMS and name not in known:
            raise SettingsError(
                f"{name!r} is a place for an agent of your own: name a folder of a run, or one of {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )
    own_names = file_names([name.removeprefix(_SHUFFLED_ONE) for name in names])
    found: dict[str, Arm] = {}
    for name in names:
        one = name.removeprefix(_SHUFFLED_ONE)
        arm = find_arm(name, memory if one in tested else None)
        if name == SHUFFLED:
            arm = replace(arm, note=arm.note.replace("the agent (or keep_everything)", "keep_everything"))
        # One model in two memories is two rows of a folder.
        ending = f"-{memory}" if memory not in (None, FLAT) and one in tested and not Path(one).is_dir() else ""
        found[("shuffled-" if name.startswith(_SHUFFLED_ONE) else "") + own_names[one] + ending] = arm
    return found


def _remembers(arm: Arm) -> bool:
    """Whether its memory is its own and of nothing but the stream, so that another stream can be answered from it."""
    return not (arm.make is None or arm.shuffled or arm.needs_evidence or arm.needs_budget)


def reader_settings(reader: Any) -> Mapping[str, Any]:
    """What a reader's answers depend on beside its name, if it says so; plain data."""
    settings = getattr(getattr(reader, "endpoint", None), "settings", None)
    return dict(settings.parameters) if settings is not None else {}


def _open(suite: Suite, options: EnvOptions, opening: Mapping[str, Any]) -> StreamDataset:
    source = options.get("data") or suite.data
    settings: dict[str, Any] = dict(opening) | dict(suite.file_settings)
    if source == suite.data or not Path(source).is_file():
        settings |= suite.settings
    if options.get("T") is not None:
        if source not in GENERATED:
            raise SettingsError(f"T is a setting of {' and '.join(GENERATED)} data; the data is {source!r}")
        settings["T"] = options["T"]
    dataset = load(source, suite.split, **settings)
    known = getattr(dataset, "known_families", None) or sorted({q.source for q in dataset[0].questions})
    if not any(suite.is_published(suite.column(name).name) for name in known):
        raise DataError(
            f"{dataset.source} has none of the sub-tasks of the suite {suite.name} "
            f"({', '.join(column.name for column in suite.columns)}); its questions are of {', '.join(known)}"
        )
    return dataset
