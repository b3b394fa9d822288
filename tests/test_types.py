"""Streams as data: what the fingerprint sees."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from memenvs.streams import Chunk, Evidence, Question, Stream

QUESTION = Question("Wer?", ("Zoë \ud800",), "builtin-fact", (Evidence(0, "Zoë"),))
STREAM = Stream("a", "builtin", (Chunk("Zoë \u2028", None, (QUESTION,)), Chunk("b", "Monday")), (QUESTION,), {"T": 2})


@pytest.mark.parametrize(
    "changed",
    [
        replace(STREAM, chunks=STREAM.chunks[::-1]),
        replace(STREAM, chunks=(replace(STREAM.chunks[0], text="Zoe \u2028"), STREAM.chunks[1])),
        replace(STREAM, chunks=(STREAM.chunks[0], replace(STREAM.chunks[1], timestamp=None))),
        replace(STREAM, chunks=(replace(STREAM.chunks[0], questions=()), STREAM.chunks[1])),
        replace(STREAM, chunks=(Chunk("Zoë \u2028b", None, (QUESTION,)),)),
        replace(STREAM, questions=(QUESTION, QUESTION)),
        replace(STREAM, questions=(replace(QUESTION, text="Wen?"),)),
        replace(STREAM, questions=(replace(QUESTION, references=("Zoë \ud801",)),)),
        replace(STREAM, questions=(replace(QUESTION, source="builtin-count"),)),
        replace(STREAM, questions=(replace(QUESTION, evidence=(Evidence(1, "Zoë"),)),)),
    ],
)
def test_other_content_other_fingerprint(changed):
    assert changed.fingerprint != STREAM.fingerprint


def test_the_name_is_no_content():
    assert replace(STREAM, id="b", metadata={}).fingerprint == STREAM.fingerprint


def test_the_number_of_steps_is_that_of_the_chunks():
    assert STREAM.T == 2
    assert replace(STREAM, chunks=STREAM.chunks * 3).T == 6


def test_the_fingerprint_does_not_depend_on_the_process_or_its_hash_seed():
    code = f"from memenvs.streams import *\nprint(({STREAM!r}).fingerprint)"
    env = {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True, check=True)
    assert run.stdout.strip() == STREAM.fingerprint
