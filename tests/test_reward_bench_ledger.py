"""What a measurement keeps, and when it is worked out again."""

import pytest

from memenvs.errors import DataError
from trainers.reward_bench.ledger import Ledger
from trainers.reward_bench.run import code_hash


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    path = tmp_path / "cells.jsonl"
    path.write_text("not json\n")
    with pytest.raises(DataError, match="no file of results"):
        Ledger(path, {})


def test_code_that_only_shows_results_may_change(tmp_path):
    folder = tmp_path / "reward_bench"
    folder.mkdir()
    for name in ("cells.py", "figure.py"):
        (folder / name).write_text("1\n")
    (tmp_path / "figure.py").write_text("1\n")
    before = code_hash([tmp_path])
    (folder / "figure.py").write_text("2\n")
    assert code_hash([tmp_path]) == before
    (tmp_path / "figure.py").write_text("2\n")
    elsewhere = code_hash([tmp_path])
    assert elsewhere != before
    (folder / "cells.py").write_text("2\n")
    assert code_hash([tmp_path]) not in (before, elsewhere)
