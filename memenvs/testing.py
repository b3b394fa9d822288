"""The contract of a memenvs environment, as a test that anybody can run.

* `check` - all checks on an id or an environment, wrapped or not.
* `check_spaces`, `check_seeding`, `check_other_process`, `check_length`, `check_rewards`, `check_snapshot`,
  `check_reader_failure` - one each.
* `EnvContract` - the checks as methods for a pytest class.
* `FailingReader` - a reader that never answers.

    memenvs.testing.check("FineMem-Memalpha-v0")
    memenvs.testing.check(MyWrapper(gymnasium.make("FineMem-Memalpha-v0")))
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain, repeat
from typing import Any
from unittest import SkipTest

import gymnasium as gym
from gymnasium.spaces import Text
from gymnasium.utils.env_checker import check_env, data_equivalence

from memenvs.env import MemoryEnv
from memenvs.errors import ReaderError
from memenvs.reading import Answer, Reading

Env = gym.Env[Any, Any]

NOT_MEMENVS = "expected an id, or an environment with a memenvs.env.MemoryEnv inside; got {}"
OUT_OF_SPACE = "the observation at step {} is not in the observation space"
SEED_IGNORED = "reset(seed={}) gave two different starts (stream {} and stream {}): a group must share its stream"
SEED_USELESS = "20 different seeds all gave stream {}, though the data set has {} streams"
PROCESS_DIFFERS = "reset(seed={}) gives another start in a fresh process with another PYTHONHASHSEED: {} here, {} there"
PROCESS_FAILED = "the environment could not be made from its spec in a fresh process:\n{}"
WRONG_LENGTH = "the episode ended after {} steps with the actions {!r}; the stream has T = {}"
TRUNCATED = "truncated must be the bool False at every step, got {!r}"
RAISED = "step {} raised {} for the action {!r}; a message must be reported, never raised"
T_CHANGED = 'info["T"] was {} at reset and {} at step {}'
RETURN_DIFFERS = "the rewards paid sum to {}, {} is {}"
WRONG_COUNT = "{} has {} values; expected one per step, T = {}"
TERMS_DIFFER = 'info["step_reward_terms"] sum to {} at step {}, info["step_rewards"] has {}'
DIGEST_DIFFERS = "after restore() the digest is {}, at snapshot() it was {}"
REPLAY_DIFFERS = "the same messages after restore() led to {} instead of {}"
SKIPPED = "memenvs.testing.{} was skipped: {}"
FAILURE_HIDDEN = 'the reader failed and info["failure"] is None at the end of the episode'
FAILURE_SCORED = "the reader failed and the episode paid {}; a failure must not look like a score (expected NaN)"

NONSENSE: tuple[Any, ...] = (
    "",
    " \n",
    "no operations here, see [1] and {x}",
    "[" * 60_000,
    "[" * 5_000 + "]" * 5_000,
    "x" * (1 << 20),
    '[{"op": "INSERT"}, {"op": "UPDATE", "content": "x"}, {"op": "DELETE"}, 7, null, "SKIP"]',
    '[{"op": "UPDATE", "id": "99.9", "content": "x"}, {"op": "DELETE", "id": "-1.0"}]',
    '[{"op": "EXPLODE", "content": 7}]',
    '[{"op": "INSERT", "content": "\\ud800 \\u0000 \U0001f600"}]',
    "\ud800",
    7,
    None,
)
"""Messages that no environment may raise for."""
_INSERT = '[{{"op": "INSERT", "content": "note {0} {1}"}}]'


class FailingReader:
    """Raises ReaderError for every reading."""

    name = "failing"

    def read(self, readings: Sequence[Reading]) -> list[Answer]:
        """Raises ReaderError."""
        raise ReaderError(f"this reader fails on purpose ({len(readings)} readings)")


def check(env: str | Env, seed: int = 0, **kwargs: Any) -> list[str]:
    """Run every check.

    Args:
        env: an id for `gymnasium.make`, or an environment; it is reset many times and left at an arbitrary point.
        seed: first seed used.
        kwargs: for `gymnasium.make`, with an id.

    Returns:
        Names of the checks that ran.

    Warns:
        UserWarning: a check was skipped; says which and why. `check_other_process` needs what another process can make.

    Raises:
        AssertionError: a promise is broken; the message says which, and what was expected.
    """
    made = gym.make(env, **kwargs) if isinstance(env, str) else env
    _core(made)
    done = []
    for one in CHECKS:
        try:
            one(made, seed)
        except SkipTest as reason:
            warnings.warn(SKIPPED.format(one.__name__, reason), stacklevel=2)
        else:
            done.append(one.__name__)
    return done


def check_spaces(env: Env, seed: int = 0) -> None:
    """Gymnasium's own `check_env`, and every observation of an episode is in the space."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env, skip_render_check=True)
    observation, info = env.reset(seed=seed)
    assert observation in env.observation_space, OUT_OF_SPACE.format("reset")
    for step, action in enumerate(_valid_actions(env, seed, info["T"])):
        observation = env.step(action)[0]
        assert observation in env.observation_space, OUT_OF_SPACE.format(step)


def check_seeding(env: Env, seed: int = 0) -> None:
    """Same seed, same start; different seeds, different streams."""
    core = _core(env)
    first, info = env.reset(seed=seed)
    digest, stream = core.digest(), info["stream"]
    env.reset(seed=seed + 1)
    second, info = env.reset(seed=seed)
    same = data_equivalence(first, second, exact=True) and digest == core.digest()
    assert same, SEED_IGNORED.format(seed, stream, info["stream"])
    streams = {env.reset(seed=seed + i)[1]["stream"] for i in range(20)}
    assert len(streams) > 1 or len(core.dataset) == 1, SEED_USELESS.format(stream, len(core.dataset))


_CHILD = """
import sys, gymnasium, memenvs
env = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(sys.argv[1]))
env.reset(seed=int(sys.argv[2]))
print(env.unwrapped.digest())
"""


def check_other_process(env: Env, seed: int = 0) -> None:
    """A process with another hash seed makes the same environment from the spec's JSON, and the same stream from the seed.

    Raises:
        unittest.SkipTest: there is no spec that another process could use; pytest reports it as a skipped test.
    """
    spec = _portable_spec(env)
    env.reset(seed=seed)
    here = _core(env).digest()
    surroundings = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", _CHILD, spec, str(seed)]
    child = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False)
    assert child.returncode == 0, PROCESS_FAILED.format(child.stderr)
    there = child.stdout.strip()
    assert here == there, PROCESS_DIFFERS.format(seed, here, there)


def check_length(env: Env, seed: int = 0) -> None:
    """T steps whatever the actions, and no action raises."""
    length = env.reset(seed=seed)[1]["T"]
    plans: list[tuple[str, Iterable[Any]]] = [("valid", _valid_actions(env, seed, length))]
    if isinstance(env.action_space, Text):
        plans += [("nonsense", NONSENSE[first : first + length]) for first in range(0, len(NONSENSE), length)]
    for name, actions in plans:
        _, info = env.reset(seed=seed)
        length, steps = info["T"], 0
        for action in chain(actions, repeat("", length) if name == "nonsense" else ()):
            try:
                _, _, terminated, truncated, info = env.step(action)
            except Exception as error:
                raise AssertionError(
                    RAISED.format(steps, f"{type(error).__name__}: {error}", _short(action))
                ) from error
            steps += 1
            assert truncated is False, TRUNCATED.format(truncated)
            assert info["T"] == length, T_CHANGED.format(length, info["T"], steps)
            if terminated:
                break
        assert (steps, terminated) == (length, True), WRONG_LENGTH.format(steps, name, length)


def check_rewards(env: Env, seed: int = 0) -> None:
    """The return is the sum of the per-step rewards where a wrapper gives them, else r_global."""
    paid, info = _episode(env, seed)
    length = info["T"]
    if "step_rewards" not in info:
        assert _close(paid, info["r_global"]), RETURN_DIFFERS.format(paid, "r_global", info["r_global"])
        return
    rewards = info["step_rewards"]
    assert len(rewards) == length, WRONG_COUNT.format('info["step_rewards"]', len(rewards), length)
    total = math.fsum(rewards)
    assert _close(paid, total), RETURN_DIFFERS.format(paid, 'the sum of info["step_rewards"]', total)
    terms = info["step_reward_terms"]
    for name, values in terms.items():
        assert len(values) == length, WRONG_COUNT.format(f"the term {name!r}", len(values), length)
    for step, reward in enumerate(rewards):
        together = math.fsum(values[step] for values in terms.values())
        assert _close(together, reward), TERMS_DIFFER.format(together, step, reward)


def check_snapshot(env: Env, seed: int = 0) -> None:
    """restore() brings back the state of snapshot(), and the same messages lead to the same states."""
    core = _core(env)
    _, info = core.reset(seed=seed)
    messages = [_INSERT.format(seed, step) for step in range(info["T"])]
    half = len(messages) // 2
    for message in messages[:half]:
        core.step(message)
    snapshot, before = core.snapshot(), core.digest()
    for message in messages[half:]:
        core.step(message)
    end, record = core.digest(), core.record
    core.restore(snapshot)
    assert core.digest() == before, DIGEST_DIFFERS.format(core.digest(), before)
    for message in messages[half:]:
        core.step(message)
    assert core.digest() == end, REPLAY_DIFFERS.format(core.digest(), end)
    assert core.record == record, REPLAY_DIFFERS.format("another record", "the first one")


def check_reader_failure(env: Env, seed: int = 0) -> None:
    """A reader that fails is reported and pays no score."""
    core = _core(env)
    reader = core.reader
    core.reader = FailingReader()
    try:
        paid, info = _episode(env, seed)
    finally:
        core.reader = reader
    assert info["failure"] is not None, FAILURE_HIDDEN
    assert math.isnan(paid), FAILURE_SCORED.format(paid)


CHECKS: tuple[Callable[[Env, int], None], ...] = (
    check_spaces,
    check_seeding,
    check_other_process,
    check_length,
    check_rewards,
    check_snapshot,
    check_reader_failure,
)
"""What `check` runs, in this order."""


class EnvContract:
    """The checks as test methods: ``class TestMine(EnvContract)`` with a method ``make``."""

    def make(self) -> Env:
        """A new environment."""
        raise NotImplementedError("define make() so that it returns the environment to test")  # abstract

    def test_spaces(self) -> None:
        """See `check_spaces`."""
        check_spaces(self.make())

    def test_seeding(self) -> None:
        """See `check_seeding`."""
        check_seeding(self.make())

    def test_other_process(self) -> None:
        """See `check_other_process`."""
        check_other_process(self.make())

    def test_length(self) -> None:
        """See `check_length`."""
        check_length(self.make())

    def test_rewards(self) -> None:
        """See `check_rewards`."""
        check_rewards(self.make())

    def test_snapshot(self) -> None:
        """See `check_snapshot`."""
        check_snapshot(self.make())

    def test_reader_failure(self) -> None:
        """See `check_reader_failure`."""
        check_reader_failure(self.make())


def _core(env: Env) -> MemoryEnv:
    core = getattr(env, "unwrapped", None)
    assert isinstance(core, MemoryEnv), NOT_MEMENVS.format(type(core or env).__name__)
    return core


def _portable_spec(env: Env) -> str:
    """The spec as JSON. SkipTest where there is none, or nothing that another process could use."""
    if env.spec is None:
        raise SkipTest("the environment has no spec; make it with gymnasium.make")
    try:
        text = env.spec.to_json()
    except (TypeError, ValueError) as error:
        raise SkipTest(f"its spec cannot be written as JSON (data must be a str for that): {error}") from error
    for entry_point in (env.spec.entry_point, *(wrapper.entry_point for wrapper in env.spec.additional_wrappers)):
        module, _, name = str(entry_point).partition(":")
        if module == "__main__" or not hasattr(import_module(module), name):
            raise SkipTest(f"another process cannot import {entry_point}; define it at the top level of a module")
    return text


def _episode(env: Env, seed: int) -> tuple[float, dict[str, Any]]:
    """Return and last info of an episode of valid actions."""
    _, info = env.reset(seed=seed)
    rewards = []
    for action in _valid_actions(env, seed, info["T"]):
        _, reward, _, _, info = env.step(action)
        rewards.append(float(reward))
    return math.fsum(rewards), info


def _valid_actions(env: Env, seed: int, length: int) -> Iterator[Any]:
    """Inserts, updates and deletes for text environments, samples for others."""
    env.action_space.seed(seed)
    core = _core(env)
    for step in range(length):
        if not isinstance(env.action_space, Text):
            yield env.action_space.sample()
            continue
        operations = [{"op": "INSERT", "content": core.episode.observe().chunk[:400] or "-"}]
        if items := core.episode.bank.items:
            operations.append({"op": "UPDATE", "id": items[-1].id, "content": f"changed at step {step}"})
            operations.append({"op": "DELETE", "id": items[0].id})
        yield json.dumps(operations)


def _short(action: Any) -> str:
    return repr(action)[:80]


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
