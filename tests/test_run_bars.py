"""What a person sees of runs under way."""

from trainers.progress import bars, told_times
from trainers.run_bars import RunBars, Told


def test_every_run_under_way_has_a_bar_and_stages_have_times():
    shown = RunBars(bars(), ["outcome, seed 0", "outcome, seed 1", "chunk, seed 0"], finished=1)

    def seen():
        return [(task.description, task.completed, task.total) for task in shown.bars.tasks]

    shown.hear(Told(1, "teacher", 1, 4, 2.0))
    shown.hear(Told(2, "updates", 3, 5, 1.5, ", held-out 0.500"))
    assert seen() == [
        ("runs", 1, 3), ("outcome, seed 1: teacher", 1, 4), ("chunk, seed 0: updates, held-out 0.500", 3, 5)
    ]  # fmt: skip
    shown.hear(Told(1, "teacher", 4, 4, 6.0))
    shown.hear(Told(1, "held-out", 0.5, 2, 70.0))
    shown.end(2)
    assert seen() == [("runs", 2, 3), ("outcome, seed 1: held-out", 0.5, 2)]
    shown.end(1)
    assert seen() == [("runs", 3, 3)]
    assert shown.seconds == {1: {"teacher": 8.0, "held-out": 70.0}, 2: {"updates": 1.5}}
    assert told_times({"opening": 0.2} | shown.seconds[1]) == "teacher 8 s, held-out 1 min 10 s"
    assert (told_times({"opening": 0.2, "updates": 0.3}), told_times({})) == ("under a second", "")
