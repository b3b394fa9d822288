"""`transformers serve` over a small Qwen3 model: the text is nonsense; loading, template, sampling and server are the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from endpoint_server import wait_for
from small_models import saved_model as make_model

__all__ = ["make_model", "serve"]


def serve(model: Path, port: int, home: Path) -> subprocess.Popen[bytes]:
    """`transformers serve` on loopback, once it answers; without network."""
    (home / "hub").mkdir(parents=True, exist_ok=True)  # it lists the models of this cache and fails where there is none
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [Path(sys.executable).with_name("transformers"), "serve", model]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--log-level", "error"]
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen([*map(str, command), *options], env=environment, stdout=log, stderr=log)
    wait_for(f"http://127.0.0.1:{port}/v1/models", process)
    return process
