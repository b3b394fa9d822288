"""The digest of a memory is the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

from memenvs.memory import MemoryBank, Operation, parse_operations

DIGEST = """
from memenvs.memory import MemoryBank, parse_operations
bank = MemoryBank()
bank.apply(parse_operations('[{"op": "INSERT", "content": "caf\\u00e9 \\ud800"}, {"op": "INSERT", "content": "b"}]').operations)
bank.apply(parse_operations('[{"op": "UPDATE", "id": "0.0", "content": "x"}]').operations)
print(bank.digest())
"""


def test_the_digest_does_not_depend_on_the_process_or_its_hash_seed():
    def run(seed):
        command = [sys.executable, "-c", DIGEST]
        return subprocess.run(command, env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}, text=True,
                              capture_output=True, check=True).stdout.strip()  # fmt: skip

    bank = MemoryBank()
    bank.apply([Operation("INSERT", "café \ud800"), Operation("INSERT", "b")])
    bank.apply(parse_operations('[{"op": "UPDATE", "id": "0.0", "content": "x"}]').operations)
    assert run("1") == run("2") == bank.digest()
