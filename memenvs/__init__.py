"""memenvs: Gymnasium environments for long-horizon memory tasks.

Importing registers the ids, so that ``gymnasium.make("FineMem-Memalpha-v0")`` works (``envs()`` lists them).
``memenvs.testing``, ``memenvs.streams`` and the other public modules are imported when they are first asked for.
"""

from importlib import import_module
from types import ModuleType

from memenvs.episode import Episode, EpisodeSettings
from memenvs.record import EpisodeRecord
from memenvs.registration import EnvInfo, envs, register_all
from memenvs.version import __version__

__all__ = ["EnvInfo", "Episode", "EpisodeRecord", "EpisodeSettings", "__version__", "envs"]

_MODULES = ("memory", "reading", "scoring", "streams", "testing", "together", "two_agent", "vector", "wrappers")

register_all()


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"memenvs.{name}")
    raise AttributeError(f"module 'memenvs' has no attribute {name!r}")
