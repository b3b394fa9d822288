import pytest

from trainers.runlog import RunLog, read_curve, read_metrics


def write(folder, resumed_at, updates):
    log = RunLog(folder, ("a", "b"), resumed_at, tensorboard=False)
    for update in updates:
        log.write(update, {"a": update / 3} | ({"b": 1.0} if update % 2 else {}))
    log.close()


def test_numbers_come_back_exactly_and_empty_cells_stay_out(tmp_path):
    write(tmp_path, None, range(3))
    assert read_metrics(tmp_path / "metrics.csv") == [
        {"update": 0.0, "a": 0.0},
        {"update": 1.0, "a": 1 / 3, "b": 1.0},
        {"update": 2.0, "a": 2 / 3},
    ]


def test_a_resumed_log_equals_an_uninterrupted_one(tmp_path):
    write(tmp_path / "whole", None, range(6))
    # Killed after update 4; the last checkpoint was after update 2.
    write(tmp_path / "killed", None, range(5))
    write(tmp_path / "killed", 2, range(3, 6))
    assert (tmp_path / "killed" / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()


@pytest.mark.parametrize("left", ["1", "11,0.3333333333", "12,-", "12,3.6666666666666665,1\r"])
def test_what_a_kill_left_of_the_last_line_is_no_line(tmp_path, left):
    write(tmp_path / "whole", None, range(14))
    write(tmp_path / "killed", None, range(11))
    with (tmp_path / "killed" / "metrics.csv").open("a", newline="") as file:
        file.write(left)
    assert [line["update"] for line in read_metrics(tmp_path / "killed" / "metrics.csv")] == list(range(11))
    write(tmp_path / "killed", 10, range(11, 14))
    assert (tmp_path / "killed" / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()


def test_a_new_run_does_not_keep_the_lines_of_an_old_one(tmp_path):
    write(tmp_path, None, range(6))
    write(tmp_path, None, range(2))
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.csv")] == [0, 1]


def test_the_curve_has_the_evaluated_lines(tmp_path):
    log = RunLog(tmp_path, ("episodes", "heldout/r_global"), tensorboard=False)
    for update, value in enumerate([0.25, None, 0.5]):
        log.write(update, {"episodes": update * 8} | ({} if value is None else {"heldout/r_global": value}))
    log.close()
    assert read_curve(tmp_path) == [(0, 0.25), (16, 0.5)]


def test_tensorboard_events_are_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path, ("a",), tensorboard=True)
    log.write(0, {"a": 0.5})
    log.write(1, {"a": 0.25})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("a")] == [(0, 0.5), (1, 0.25)]


def test_a_kill_before_the_first_new_line_leaves_the_old_ones(tmp_path):
    write(tmp_path, None, range(3))
    RunLog(tmp_path, ("a", "b"), 1, tensorboard=False)  # and nothing is ever written
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.csv")] == [0, 1]
