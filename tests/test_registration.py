"""The ids, and what importing costs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import pytest

import memenvs


def python(code: str) -> str:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout


def test_import_brings_no_heavy_package():
    heavy = ("torch", "transformers", "pettingzoo", "datasets", "pyarrow", "stable_baselines3", "pandas", "matplotlib")
    code = f"import sys, memenvs; print([name for name in {heavy!r} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_make_brings_no_heavy_package_either():
    code = (
        "import sys, gymnasium as gym, memenvs\n"
        "for info in memenvs.envs():\n    if info.embedded: gym.make(info.id).reset(seed=1)\n"
        "print([name for name in ('torch', 'transformers', 'pettingzoo', 'pyarrow') if name in sys.modules])"
    )
    assert python(code).strip() == "[]"


def test_the_module_prefix_registers():
    code = "import gymnasium as gym; print(gym.make('memenvs:FineMem-Memalpha-v0').reset(seed=1)[1]['T'])"
    assert python(code).strip() == "20"


def test_importing_twice_warns_about_nothing():
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import memenvs, memenvs as again; import gymnasium; gymnasium.register_envs(memenvs); print('ok')"
    )
    assert python(code).strip() == "ok"


def test_envs_lists_every_registered_id():
    registered = {name for name, spec in gym.registry.items() if str(spec.entry_point).startswith("memenvs.")}
    assert {info.id for info in memenvs.envs()} == registered
    assert len(registered) >= 7


@pytest.mark.parametrize("info", [i for i in memenvs.envs() if i.embedded], ids=lambda info: info.id)
def test_envs_tells_the_truth(info: memenvs.EnvInfo):
    env = gym.make(info.id)
    _, start = env.reset(seed=1)
    core = env.unwrapped
    shorter = gym.make(info.id, data_settings={"T": 5}).unwrapped.dataset.settings
    assert shorter == replace(core.dataset.settings, T=5)
    assert start["data"] == info.data
    assert str(start["T"]) == info.T
    assert core.dataset.licence == info.licence
    assert (info.observation == "array") == isinstance(env.observation_space, gym.spaces.Box)
    families = set(core.episode.stream.metadata["families"])
    assert families == {info.family} if info.family != "mixed" else len(families) > 1


def test_a_misspelt_id_is_refused():
    with pytest.raises(gym.error.UnregisteredEnv, match="FineMem"):
        gym.make("FineMem-Memalfa-v0")


@pytest.mark.parametrize(
    "name", ["memory", "reading", "scoring", "streams", "testing", "two_agent", "vector", "wrappers"]
)
def test_public_modules_are_there_without_an_import_of_their_own(name: str):
    if name == "two_agent":
        pytest.importorskip("pettingzoo")
    assert python(f"import memenvs; print(memenvs.{name}.__name__)").strip() == f"memenvs.{name}"


def test_public_modules_are_imported_when_they_are_asked_for():
    code = "import sys, memenvs; print([n for n in ('env', 'testing', 'vector', 'wrappers') if f'memenvs.{n}' in sys.modules])"
    assert python(code).strip() == "[]"
    with pytest.raises(AttributeError, match="'memenvs' has no attribute 'tseting'"):
        _ = memenvs.tseting
