from dataclasses import replace

from trainers import arms


def test_arms_differ_in_the_reward_alone():
    settings = arms.DemoSettings(arms="all")
    base = arms.run_settings(arms.ARMS[0], 3, settings)
    for arm in arms.arms(settings):
        other = arms.run_settings(arm, 3, settings)
        same_reward = replace(other, reward=base.reward, scale=base.scale)
        assert replace(same_reward, env=replace(other.env, relevance=1.0)) == base
        # What is told and asked in the end is the same too, whatever the chunk questions are about.
        for split in ("train", "test"):
            mine, theirs = other.env.open(split)[7], base.env.open(split)[7]
            assert [c.text for c in mine.chunks] == [c.text for c in theirs.chunks]
            assert mine.questions == theirs.questions


def test_every_run_has_its_own_folder():
    settings = arms.DemoSettings(arms="all")
    folders = [arms.run_folder(arm, seed, settings) for arm in arms.arms(settings) for seed in range(3)]
    assert len(set(folders)) == len(folders)
