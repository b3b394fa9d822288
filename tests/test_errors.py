"""Errors: one root, and the nearest name."""

from __future__ import annotations

import pytest

from memenvs import errors
from memenvs.errors import did_you_mean


@pytest.mark.parametrize(
    ("word", "hint"),
    [("finmem", "finemem"), ("evidence-cite", "evidence-cited"), ("zzz", None), ("", None)],
)
def test_the_nearest_name_is_suggested_where_one_is_near(word, hint):
    known = iter(["finemem", "evidence", "evidence-cited"])
    assert did_you_mean(word, known) == (f" Did you mean {hint!r}?" if hint else "")


def test_nothing_is_suggested_where_nothing_is_known():
    assert did_you_mean("x", []) == ""


@pytest.mark.parametrize(
    ("kind", "also"), [("SettingsError", ValueError), ("EpisodeError", RuntimeError), ("DataError", Exception)]
)
def test_errors_can_be_caught_together_and_as_what_they_are(kind, also):
    error = getattr(errors, kind)
    for base in (errors.MemenvsError, also):
        with pytest.raises(base, match="why"):
            raise error("why")
