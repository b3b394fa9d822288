"""Models on a device that is not the CPU: every tensor is where it belongs, nothing needs float64 there, little is fetched."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
backends = pytest.importorskip("torch.utils.backend_registration")
if not hasattr(backends, "_setup_privateuseone_for_python_backend"):
    pytest.skip("this PyTorch cannot have a device written in Python", allow_module_level=True)

from small_models import saved_model  # noqa: E402

TOKENS = 8


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = saved_model(tmp_path_factory.mktemp("device") / "tiny")
    program = Path(__file__).with_name("other_device_program.py")
    done = subprocess.run([sys.executable, program, folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", ["drawn", "top-p"])
def test_messages_are_those_of_the_cpu_with_and_without_double_precision(told, way):
    expected = told["cpu"][way]
    assert len({tuple(tokens) for tokens in expected["tokens"]}) == 4
    for place in ("far", "double"):
        assert told[place][way]["tokens"] == expected["tokens"]
        for found, known in zip(told[place][way]["log_probs"], expected["log_probs"], strict=True):
            assert found == pytest.approx(known, abs=1e-5)


def test_drawing_fetches_the_tokens_at_each_step_and_the_rest_once(told):
    assert told["double"]["drawn"]["fetched"] == TOKENS + 1


@pytest.mark.parametrize("which", ["update", "adapters"])
def test_training_gives_the_numbers_of_the_cpu(told, which):
    expected, found = told["cpu"][which], told["far"][which]
    for name in ("old", "new"):
        for one, other in zip(found[name], expected[name], strict=True):
            assert one == pytest.approx(other, abs=2e-5)
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
    assert found["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-4)
    assert found["log_ratio"] > 0.01  # something was learnt


def test_the_reader_answers_and_judges_as_on_the_cpu(told):
    expected, found = told["cpu"]["reader"], told["far"]["reader"]
    assert found["answers"] == expected["answers"]
    for one, other in zip(found["values"], expected["values"], strict=True):
        assert one == pytest.approx(other, abs=1e-5)
