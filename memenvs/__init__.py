"""memenvs: Gymnasium environments for long-horizon memory tasks.

Importing registers the ids, so that ``gymnasium.make("FineMem-Memalpha-v0")`` works (``envs()`` lists them).
"""

from memenvs.episode import Episode, EpisodeSettings
from memenvs.record import EpisodeRecord
from memenvs.registration import EnvInfo, envs, register_all
from memenvs.version import __version__

__all__ = ["EnvInfo", "Episode", "EpisodeRecord", "EpisodeSettings", "__version__", "envs"]

register_all()
