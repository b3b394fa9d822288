"""What is imported when: prompts and servers need neither torch nor transformers, and who lacks them is told."""

import subprocess
import sys

import pytest

BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)


def test_prompts_and_hosted_models_work_without_torch():
    pytest.importorskip("openai")
    code = """
from agents.base import View, make_agent
from agents.language_model import make_prompt
agent = make_agent("endpoint:http://127.0.0.1:1/v1#model", dialect="sentences")
print(len(make_prompt(View("A. B.", (), 0, 1), agent.prompt).messages(tools=False)), "torch" in sys.modules)
"""
    done = run(BLOCK + code)
    assert (done.stdout.split(), done.stderr) == (["2", "False"], "")


def test_a_model_in_the_process_names_what_is_missing():
    code = """
from agents.base import make_agent
from memenvs.errors import SettingsError
try:
    make_agent("lm:somewhere")
except SettingsError as error:
    print(error)
"""
    done = run(BLOCK + code)
    assert "needs torch and transformers: pip install -e '.[train,lm]'" in done.stdout, done.stderr


def test_a_reader_in_the_process_names_what_is_missing():
    code = """
import sys
from memenvs.errors import SettingsError
from memenvs.reading import make_reader
print("torch" in sys.modules)
try:
    make_reader("local:somewhere")
except SettingsError as error:
    print(error)
"""
    done = run(BLOCK + code)
    assert done.stdout.startswith("False\n"), done.stderr
    assert "needs torch and transformers: pip install -e '.[train,lm]'" in done.stdout


def test_other_runs_need_no_transformers(tmp_path):
    """`make demo` installs none."""
    code = """
import sys
from pathlib import Path
from trainers.runs import Run, train_all
from trainers.settings import EnvSettings, TrainSettings
settings = TrainSettings(env=EnvSettings(T=4), updates=1, group_size=2, streams=1, eval_streams=1, final_streams=1)
train_all([Run("a", settings, Path(sys.argv[1]))], workers=1)
print((Path(sys.argv[1]) / "result.json").is_file())
"""
    block = BLOCK.replace('("torch", "transformers")', '("transformers",)')
    done = subprocess.run(
        [sys.executable, "-c", block + code, str(tmp_path)], capture_output=True, text=True, timeout=600
    )
    assert done.stdout.split()[-1:] == ["True"], done.stderr


@pytest.mark.parametrize("command", [["train", "--agent", "lm", "--model", "any"], ["demo-lm"]], ids=str)
def test_commands_name_what_is_missing(command, tmp_path):
    code = "import sys; from trainers.cli import main; main(sys.argv[1:])"
    block = BLOCK.replace('("torch", "transformers")', '("transformers",)')
    given = [*command, "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", block + code, *given], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "SettingsError: training a language model needs torch and transformers: pip install -e '.[train,lm]'"
    )
