"""Shared test material."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from endpoint_server import EndpointServer

# The caller's terminal, proxies and accounts change no test, nor what it starts; some libraries read these once, on import.
for name in list(os.environ):
    if name.upper().endswith("_PROXY") or name.startswith(("OPENAI_", "TTY_")) or name in ("FORCE_COLOR", "NO_COLOR"):
        del os.environ[name]
os.environ |= {"COLUMNS": "80", "HF_HUB_OFFLINE": "1"}

# A slow machine fails no property, and every run has the same examples. To look for new ones: --hypothesis-profile=search
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("any machine", settings.get_profile("search"), derandomize=True)
settings.load_profile("any machine")

SHARED = Path(os.environ.get("MEMENVS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture
def shared() -> Path:
    """The folder of real data and test vectors beside the project; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder of real data and test vectors at {SHARED} (or MEMENVS_SHARED)")
    return SHARED


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    """An OpenAI-compatible server on loopback with another answer for every prompt."""
    from endpoint_server import EndpointServer

    with EndpointServer() as made:
        yield made


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Keep torch to one thread where a test module has imported it: two jobs on two cores otherwise spin."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
