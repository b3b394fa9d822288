"""Every vector of the published functions through our public calls.

MEMENVS_VECTORS names another folder of vectors; without it those beside the project are run, and without these the test is skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from peer_tables import TABLES, counts, main, row_of, verdict
from peer_vectors import Vector, read


@pytest.fixture
def vectors(request: pytest.FixtureRequest) -> Path:
    """The folder of vectors."""
    if own := os.environ.get("MEMENVS_VECTORS"):
        return Path(own)
    return Path(request.getfixturevalue("shared")) / "oracles/peers"


def test_every_vector_is_equal_or_has_a_reason(vectors: Path):
    found = [(vector, verdict(vector)) for vector in read(vectors)]
    different = [f"{vector}: {said}" for vector, said in found if said.startswith("different")]
    assert not different, "\n".join(different[:20])
    equal = sum(said == "equal" for _, said in found)
    assert equal > 0, f"no vector in {vectors} was run"


def vector(function: str, inputs: dict[str, Any], owner: str = "wangyu-ustc/Mem-alpha", **result: Any) -> Vector:
    return Vector(Path("typed.jsonl"), 1, {"function": function, "source": f"{owner}@0", "inputs": inputs, **result})


def test_a_wrong_output_is_seen():
    right = vector("normalize_answer", {"answer_text": "The cat!"}, output="cat")
    assert verdict(right) == "equal"
    wrong = vector("normalize_answer", {"answer_text": "The cat!"}, output="the cat")
    assert verdict(wrong).startswith("different: ours 'cat'")
    near = {"prediction": "cat", "ground_truth": "cat"}
    assert verdict(vector("f1_score", near, output=[1.0 + 5e-10, 1, True])) == "equal"
    assert verdict(vector("f1_score", near, output=[1.0 + 2e-9, 1, 1])).startswith("different")


def test_an_error_must_be_an_error_on_both_sides():
    given = {"output": {"output": "x"}, "answer": [], "sub_dataset_name": "ruler_qa1_197K"}
    assert verdict(vector("evaluate_wrt_source", given, raises="ValueError")) == "equal"
    assert verdict(vector("evaluate_wrt_source", given, output=0.0)).startswith("different: ours raises")
    fine = given | {"answer": ["x"]}
    assert "published raises ValueError" in verdict(vector("evaluate_wrt_source", fine, raises="ValueError"))


def test_a_function_without_a_row_is_no_silence():
    with pytest.raises(LookupError, match="no row of the table stands for 'unheard_of'"):
        verdict(vector("unheard_of", {}, output=1))
    with pytest.raises(LookupError, match="of 'someone/else@0'"):
        verdict(vector("normalize_answer", {"answer_text": ""}, owner="someone/else", output=""))


def test_the_longest_name_decides():
    assert row_of(vector("create_chunks_with_titles (random.seed)", {})).function == "create_chunks_with_titles"
    assert row_of(vector("create_chunks (random.seed)", {})).function == "create_chunks"
    names = [row.function for table in TABLES.values() for row in table]
    assert all(
        names.count(name) == len([t for t in TABLES.values() if name in [r.function for r in t]]) for name in names
    )


def test_a_folder_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = [
        {
            "function": "normalize_answer",
            "source": "wangyu-ustc/Mem-alpha@0",
            "inputs": {"answer_text": "A b"},
            "output": out,
        }
        for out in ("b", "b", "a b")
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert counts(tmp_path) == {("mine.jsonl", "normalize_answer"): {"equal": 2, "different": 1}}
    assert main(tmp_path) == 1
    assert "3 vectors, 3 run, 2 equal, 1 different" in capsys.readouterr().out
    assert main(tmp_path / "none") == 2
