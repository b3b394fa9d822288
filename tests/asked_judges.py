"""Callables for the judges that ask somebody."""

import pytest

ASKED = {"model": "judge_by:yes", "copeland": "judge_by:first", "self_prm": "judge_by:length"}


@pytest.fixture
def judge_by(tmp_path, monkeypatch):
    """The module that `ASKED` names."""
    (tmp_path / "judge_by.py").write_text(
        "def yes(prompts):\n    return ['yes' if len(p) % 2 else 'no' for p in prompts]\n"
        "def first(question, a, b):\n    return '1' if len(a) >= len(b) else '2'\n"
        "def length(question, answer):\n    return float(len(answer))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
