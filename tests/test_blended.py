"""Blended and careless agents: how often which of the two acts, and that nothing they send is refused."""

from collections import Counter

import pytest

from agents.base import SKIP_MESSAGE, make_agent
from agents.blended import Blended, Careless
from memenvs.errors import SettingsError
from memenvs.memory.bank import MemoryBank, MemoryLimits
from memenvs.memory.operations import parse_operations

CHUNK = "Anna lives in Rome. Ben owns a dog. Cara likes tea. Dan is a baker."


def acts(agent, steps=400, seed=0):
    """Messages at the same step of an empty memory."""
    agent.reset(seed)
    return [agent.act({"chunk": CHUNK, "memory": "", "step": 0}, {"memory": (), "T": 1}) for _ in range(steps)]


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.3, 85, 155), (1.0, 400, 400)])
def test_the_good_agent_acts_with_its_share(share, low, high):
    messages = acts(Blended(share, good="keep_everything", bad="nothing"))
    good = acts(make_agent("keep_everything"), 1)[0]
    counts = Counter(messages)
    assert set(counts) <= {good, SKIP_MESSAGE}
    assert low <= counts[good] <= high  # 400 x .3 = 120, standard deviation 9


def test_the_seed_decides_who_acts_and_what_is_drawn():
    agent = Blended(0.5, good="random", bad="nothing")
    assert acts(agent, seed=1) == acts(agent, seed=1) != acts(agent, seed=2)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_no_chance_is_refused(share):
    with pytest.raises(SettingsError, match="share must be a chance"):
        Blended(share)


def test_an_unknown_agent_is_refused_by_name():
    with pytest.raises(SettingsError, match="Did you mean 'scripted'"):
        Blended(good="scriptd")


@pytest.mark.parametrize("limits", [{}, {"max_operations": 3, "max_item_tokens": 5, "memory_budget": 25}])
def test_careless_writes_of_all_kinds_are_carried_out(limits):
    agent = Careless(**limits)
    bank = MemoryBank(
        MemoryLimits(limits.get("max_operations"), limits.get("max_item_tokens"), limits.get("memory_budget"))
    )
    agent.reset(0)
    kinds = Counter()
    for step in range(200):
        text = agent.act({"chunk": CHUNK, "memory": "", "step": step}, {"memory": bank.items, "T": 200})
        outcomes = bank.apply(parse_operations(text).operations).outcomes
        assert all(outcome.valid for outcome in outcomes), outcomes
        kinds.update(outcome.op for outcome in outcomes)
    assert min(kinds["INSERT"], kinds["UPDATE"], kinds["DELETE"]) > 40


def test_careless_without_harm_only_inserts():
    agent = Careless(harm=0.0, max_operations=2)
    agent.reset(0)
    bank = MemoryBank()
    for step in range(20):
        text = agent.act({"chunk": CHUNK, "memory": "", "step": step}, {"memory": bank.items, "T": 20})
        assert [o.op for o in bank.apply(parse_operations(text).operations).outcomes] == ["INSERT", "INSERT"]
