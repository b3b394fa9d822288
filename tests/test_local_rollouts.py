"""Re-rollouts of single steps: where they start, what they earn, and what they cost."""

from dataclasses import replace

import pytest

from memenvs.errors import MemenvsError
from memenvs.reading import CachedReader
from trainers.local_rollouts import local_rollouts
from trainers.parts import Parts
from trainers.settings import EnvSettings, TrainSettings
from trainers.slots.choices import Slots
from trainers.update import advantages

SMALL = TrainSettings(env=EnvSettings(T=4), group_size=4, pool=8, reward="outcome")


def test_local_re_rollouts_start_from_the_rollouts_own_memory():
    parts = Parts(SMALL)
    group = parts.play(0, 3, 0)
    reader = parts.envs[0].unwrapped.reader
    again = local_rollouts(group, parts.policy, reader, (0, 0, 0), share=1.0, count=3)
    assert again.local
    assert again.rewards.shape == (3, 4)
    assert all(len({row[t] for row in again.states}) == 1 for t in range(4))
    # The recorded decision itself, played from the same memory, would get the value of the recorded memory: r_global at the end.
    env = parts.envs[0]
    env.reset(seed=3)
    for t in range(3):
        env.step(group.decisions[0][t].message)
    for k in range(3):
        fresh = Parts(SMALL).envs[0]
        fresh.reset(seed=3)
        for t in range(3):
            fresh.step(group.decisions[0][t].message)
        _, _, _, _, info = fresh.step(again.decisions[k][3].message)
        assert again.rewards[k, 3] == pytest.approx(info["r_global"])


def test_unequal_states_in_a_local_group_raise():
    parts = Parts(replace(SMALL, slots=Slots(group="local")))
    whole = replace(parts.play(0, 3, 0), local=True)  # rollouts with memories of their own
    with pytest.raises(MemenvsError, match="snapshot"):
        advantages([whole], parts.slots)


def test_readings_of_re_rollouts_are_counted():
    parts = Parts(replace(SMALL, slots=Slots(group="local")))
    assert parts.cost()["credit_calls"] == 0
    drawn = parts.draw(0)
    whole, again = drawn.groups
    assert not whole.local
    assert again.local
    reader = CachedReader(parts.envs[0].unwrapped.reader)
    local_rollouts(whole, parts.policy, reader, (SMALL.seed, 0, 0))
    # At least one memory had to be read anew: v(M_t) is asked of the memories that the re-rollouts lead to.
    assert parts.cost()["credit_calls"] == reader.calls > 0


def test_no_two_groups_draw_alike():
    """One stream that comes back, in another update or run, is drawn again with other numbers; the same numbers repeat."""
    parts = Parts(SMALL)
    group = parts.play(0, 3, 0)
    reader = parts.envs[0].unwrapped.reader

    def drawn(*seeds):
        again = local_rollouts(group, parts.policy, reader, seeds, share=1.0, count=3)
        return [[decision.log_prob for decision in row] for row in again.decisions]

    found = [drawn(*seeds) for seeds in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert all(one != other for place, one in enumerate(found) for other in found[:place])
    assert drawn(0, 1, 0) == found[2]


def test_a_run_draws_with_its_seed_and_its_update():
    def drawn(seed, update):
        parts = Parts(replace(SMALL, slots=Slots(group="local")))
        group = parts.play(0, 3, 0)
        parts.settings = replace(parts.settings, seed=seed)
        (again,) = parts._relive(update, [group])
        return [[decision.log_prob for decision in row] for row in again.decisions]

    first = drawn(0, 0)
    assert first == drawn(0, 0)
    assert drawn(1, 0) != first != drawn(0, 1)
