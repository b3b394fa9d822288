"""Shared test material."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("MEMENVS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture
def shared() -> Path:
    """The folder of real data and test vectors beside the project; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder of real data and test vectors at {SHARED} (or MEMENVS_SHARED)")
    return SHARED


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Keep torch to one thread where a test module has imported it: two jobs on two cores otherwise spin."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
