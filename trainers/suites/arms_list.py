"""What is compared in every suite: agents, controls, baselines and upper anchors.

* `Arm`, `ARMS` - one thing that is compared; all by name.
* `find_arm` - an arm by name, with a parameter (``"long_context:8000"``), of a run's folder, or shuffled (``"shuffled:rag"``).
* `ArmUnavailable` - the data lacks what an arm needs.

Sources of the baselines: wangyu-ustc/Mem-alpha@9c0e1f6:long_context_eval.py (the two best chunks; the last 30k tokens),
HUST-AI-HYZ/MemoryAgentBench@455306d:agent.py (the ten best chunks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from agents.base import MODEL_AGENTS, Agent, make_agent
from agents.evidence import EvidenceKeeper
from agents.whole_chunks import WholeChunks
from memenvs.episode_settings import EpisodeSettings
from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.architectures import FLAT, check_memory
from memenvs.memory.bank import MemoryLimits
from memenvs.memory.operations import MEMALPHA
from memenvs.memory.retrieval_profiles import EVERYTHING, EVIDENCE
from memenvs.memory.token_counters import token_counter
from trainers import checkpoint
from trainers.comparison import EXACT
from trainers.suites.arms_memory import check_trained, check_written, trained_memory

Make = Callable[[EpisodeSettings, int | None], Agent]
"""(settings of the episode, tokens of a memory or None) -> the agent."""
LONG_CONTEXT_TOKENS = 30_000
"""Of the published long-context baseline, there in tokens of Qwen3."""
_BASELINE: dict[str, Any] = {"memory": "flat", "limits": MemoryLimits()}
"""No memory manager: limits of memories are not for them."""


class ArmUnavailable(SettingsError):  # noqa: N818 - a state of the data, no fault
    """The data or the caller lacks what an arm needs: there is nothing to play, and nothing is made up instead."""


@dataclass(frozen=True)
class Arm:
    """One thing that is compared."""

    name: str
    """In tables and file names."""
    kind: Literal["agent", "control", "baseline", "oracle"]
    """"agent": what is under test; "control": what it must beat; "baseline": manages no memory; "oracle": knows the questions."""
    note: str
    """One sentence for help and tables."""
    make: Make | None = None
    """Makes its agent; None where only a given one is played."""
    takes_agent: bool = False
    """Whether a given agent is played in place of its own."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `EpisodeSettings` that are the arm's own."""
    needs_budget: bool = False
    """Whether it needs the memory size of an agent on the stream."""
    needs_evidence: bool = False
    """Whether it needs the evidence of the questions."""
    shuffled: bool = False
    """Whether its memory is that of another stream."""
    by_rule: bool = True
    """Whether its own agent writes by rule, so that a message which cannot be read is a fault of ours."""
    together: bool = False
    """Whether its own agent decides for several streams with one call."""

    def __post_init__(self) -> None:
        if self.make is None and not self.takes_agent:
            raise SettingsError(f"the arm {self.name!r} needs an agent: make=... or takes_agent=True")

    def settings_for(self, settings: EpisodeSettings) -> EpisodeSettings:
        """The settings of its episodes. Agents of ours write the dialect "json", whatever a given agent writes."""
        own = {} if self.make is None else {"dialect": "json"}
        return replace(settings, chunk_questions=0, **own | dict(self.settings))


def _control(name: str, **more: Any) -> Make:
    def make(settings: EpisodeSettings, budget: int | None) -> Agent:
        limits = settings.limits
        tokens = [n for n in (limits.max_tokens, None if budget is None else max(1, budget)) if n is not None]
        return make_agent(
            name,
            max_operations=limits.max_operations,
            max_item_tokens=limits.max_item_tokens,
            memory_budget=min(tokens, default=None),
            **more,
        )

    return make


def _once(make: Make) -> Make:
    """Weights are read and servers are found when the arm plays, and once for all streams."""
    made: list[Agent] = []

    def kept(settings: EpisodeSettings, budget: int | None) -> Agent:
        if not made:
            made.append(make(settings, budget))
        return made[0]

    return kept


def _learned(name: str, note: str, make: Make, settings: Mapping[str, str], together: bool = False) -> Arm:
    if (memory := settings.get("memory", FLAT)) != FLAT:
        note += f", in the memory {memory}"
    return Arm(name, "agent", note, make, settings=settings, by_rule=False, together=together)


def _model(name: str, memory: str | None) -> tuple[Make, dict[str, str]]:
    """What makes a language model's agent, and the memory that it writes: its training's, the one asked for, or the flat one."""
    kind, _, found = name.partition(":")
    own: dict[str, str] = {}
    if kind == "lm" and (Path(found) / "state.json").is_file():
        own = trained_memory(Path(found))
        check_trained(name, own, memory)
    elif memory is not None:
        own = {"memory": memory} | ({} if memory == FLAT else {"dialect": MEMALPHA})
        check_memory(memory, own.get("dialect", "json"))
    # A folder that says how its model's messages look is asked what they are; any other model is told.
    told = own.get("dialect") == MEMALPHA and not (kind == "lm" and (Path(found) / "prompt.json").is_file())

    def make(settings: EpisodeSettings, budget: int | None) -> Agent:
        agent = _control(name, **({"dialect": MEMALPHA} if told else {}))(settings, budget)
        if memory is not None:
            check_written(name, agent, memory)
        return agent

    return make, own


def _chunks(settings: EpisodeSettings, budget: int | None) -> Agent:
    return WholeChunks()


def _pieces(tokens: int) -> Make:
    return lambda settings, budget: WholeChunks(piece_tokens=tokens, count=token_counter(settings.tokens))


def _last(tokens: int) -> Make:
    return lambda settings, budget: WholeChunks(most_tokens=tokens, count=token_counter(settings.tokens))


def _long_context(tokens: int, name: str = "long_context") -> Arm:
    note = f"the last {tokens} tokens of what was read, in reading order, without retrieval"
    return Arm(name, "baseline", note, _last(tokens), settings=_BASELINE | {"retrieval": EVERYTHING})


def _rag_mab(tokens: int | None, name: str = "rag_mab") -> Arm:
    what = "chunks" if tokens is None else f"pieces of whole sentences, {tokens} tokens each,"
    note = f"the 10 best {what} by the BM25 of MemoryAgentBench"
    make = _chunks if tokens is None else _pieces(tokens)
    return Arm(name, "baseline", note, make, settings=_BASELINE | {"retrieval": "mab", "k": 10})


_EVERY = (
    Arm("agent", "agent", "the agent under test", takes_agent=True),
    Arm("nothing", "control", "no memory: what the reader knows or guesses", lambda settings, budget: make_agent("nothing")),
    Arm("keep_everything", "control", "every sentence, as far as the limits allow", _control("keep_everything")),
    Arm("random", "control", "sentences at random", _control("random")),
    Arm("first", "control", "the stream's beginning, at the agent's memory size", _control("first"), needs_budget=True),
    Arm("last", "control", "the stream's end, at the agent's memory size", _control("last"), needs_budget=True),
    Arm(
        "random_budget", "control", "sentences at random, at the agent's memory size", _control("random_budget"),
        needs_budget=True,
    ),
    Arm("scripted", "control", "rules of thumb: no small talk, no duplicates, newer replaces older", _control("scripted")),
    Arm(
        "shuffled", "control", "the memory that the agent (or keep_everything) made of another stream",
        _control("keep_everything"), takes_agent=True, shuffled=True,
    ),
    Arm(
        "rag", "baseline", "the 2 best chunks by BM25", _chunks,
        settings=_BASELINE | {"retrieval": "memalpha-longctx", "k": 2},
    ),
    _rag_mab(None),
    _long_context(LONG_CONTEXT_TOKENS),
    Arm("hindsight", "oracle", "a memory of the named evidence, else of sentences with an answer in them", _control("hindsight")),
    Arm(
        "oracle_evidence", "oracle", "each question with its evidence alone, without retrieval",
        lambda settings, budget: EvidenceKeeper(), settings=_BASELINE | {"retrieval": EVIDENCE}, needs_evidence=True,
    ),
)  # fmt: skip
ARMS: dict[str, Arm] = {arm.name: arm for arm in _EVERY}
"""Arms by name."""
_SIZED: dict[str, Callable[[int, str], Arm]] = {"long_context": _long_context, "rag_mab": _rag_mab}
SHUFFLED = "shuffled"


def find_arm(name: str, memory: str | None = None) -> Arm:
    """An arm by name.

    Args:
        name: one of `ARMS`; ``"long_context:N"`` with another number of tokens; ``"rag_mab:N"`` over pieces of N tokens;
            ``"shuffled:ARM"``, the memory that another arm makes of another stream; one of `trainers.comparison.EXACT`; a language
            model as `agents.base.MODEL_AGENTS` says; or the folder of a run.
        memory: the architecture that a language model writes, one of `memenvs.memory.architectures.MEMORIES`. A run is played in
            that of its training. None: that, or the settings'.

    Raises:
        SettingsError: there is no such arm, or it does not write that memory.
        DataError: the folder holds no checkpoint of a run.
    """
    first, _, parameter = name.partition(":")
    if first == SHUFFLED and parameter:
        return shuffled(find_arm(parameter, memory))
    model = checkpoint.agent_name(name)
    learned = model != name or (first in MODEL_AGENTS and parameter) or (name not in ARMS and Path(name).is_dir())
    if memory is not None and not learned:
        raise SettingsError(
            f"{name} is no language model and knows of no parts of a memory; --memory is for lm:MODEL and endpoint:ADDRESS"
        )
    if name in ARMS:
        return ARMS[name]
    if first in _SIZED and parameter.isascii() and parameter.isdigit() and int(parameter) > 0:
        return _SIZED[first](int(parameter), name)
    if name in EXACT:
        return Arm(name, "agent", f"the manager by rule {name}, for one kind of data", _control(name))
    if model != name or (first in MODEL_AGENTS and parameter):
        make, own = _model(model, memory)
        return _learned(name, f"the language model {model.partition(':')[2]}", _once(make), own, together=True)
    if Path(name).is_dir():
        return run_arm(Path(name), memory)
    forms = [
        *ARMS,
        *EXACT,
        *(f"{kind}:MODEL" for kind in MODEL_AGENTS),
        "long_context:TOKENS",
        "rag_mab:TOKENS",
        "shuffled:ARM",
    ]
    raise SettingsError(
        f"{name!r} is neither an arm nor the folder of a run; arms: {', '.join(forms)}.{did_you_mean(name, forms)}"
    )


def shuffled(arm: Arm) -> Arm:
    """The control whose memory is the one that ``arm`` makes of another stream.

    Raises:
        SettingsError: the arm is shuffled already, or is about the evidence of its own stream.
    """
    if arm.shuffled or arm.needs_evidence:
        raise SettingsError(f"{arm.name} cannot be shuffled; name an arm that makes a memory, such as keep_everything")
    note = f"the memory that {arm.name} made of another stream"
    return replace(arm, name=f"{SHUFFLED}:{arm.name}", kind="control", note=note, shuffled=True)


def run_arm(folder: Path, memory: str | None = None) -> Arm:
    """The policy of a trained run, in the memory that it was trained with.

    Raises:
        DataError: the folder holds no checkpoint of a run.
        SettingsError: another memory is asked for.
    """
    found = checkpoint.find(folder)
    own = trained_memory(found)
    check_trained(str(folder), own, memory)
    make = _once(lambda *_: make_agent("candidate", policy=found))
    return _learned(str(folder), f"the policy trained in {folder}", make, own)
