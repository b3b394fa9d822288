import json

import gymnasium as gym

from memenvs.version import __version__
from rewards import FineMemReward
from trainers.provenance import COLUMNS, facts
from trainers.settings import EnvSettings


def test_facts_say_what_the_numbers_depend_on():
    env = EnvSettings(T=4, max_operations=2, memory_budget=90, k=3).make("test")
    found = facts(env, seed=7, streams=5)
    assert found["memenvs"] == __version__
    assert found["env"] == "FineMem-Memalpha-v0"
    assert (found["data"], found["split"], found["licence"]) == ("builtin", "test", "MIT (generated)")
    assert found["dataset"] == env.unwrapped.dataset.fingerprint
    assert (found["reader"], found["profile"], found["tokens"], found["k"]) == ("extractive", "corrected", "words", 3)
    assert found["limits"] == {"max_operations": 2, "max_item_tokens": 48, "memory_budget": 90}
    assert (found["retrieval"], found["memory"], found["skipped_rows"]) == ("default", "flat", 0)
    assert (found["seed"], found["streams"]) == (7, 5)
    assert json.loads(json.dumps(found)) == found
    assert set(COLUMNS) <= set(found)


def test_facts_look_through_wrappers():
    env = EnvSettings(T=4).make("train")
    assert facts(FineMemReward(env)) == facts(env)
    flat = gym.make("FineMem-Memalpha-Flat-v0", data_settings={"T": 4})
    assert facts(flat)["data"] == "builtin"


def test_a_fact_that_is_given_replaces_ours():
    assert facts(EnvSettings(T=4).make("test"), data="mine")["data"] == "mine"
