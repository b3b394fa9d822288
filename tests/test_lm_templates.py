"""Models whose chat template knows no role "system", or that have no template, from the command line."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import small_model, small_tokenizer

from agents.base import View
from agents.language_model.model import CausalLM
from agents.language_model.policy import LanguageModelPolicy, load_policy
from agents.language_model.prompt import PromptSettings
from memenvs.errors import DataError
from trainers.cli import main
from trainers.settings import EnvSettings
from trainers.tokens.loading import load_lm
from trainers.tokens.parts import TokenParts
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings

VIEW = View("Ann has a cat. It is called Tom.", (), 1, 5)
TURNS = "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}<start_of_turn>model\n"
GEMMA = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURNS
"""As Gemma's templates have it."""
THINKING = TURNS + "{% if enable_thinking %}<think>{% endif %}"
SHORT = [
    "--T", "4", "--reward", "outcome", "--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "1",
]  # fmt: skip
ASKED = ["--message", "sentences", "--task", "", "--memory-tokens", "0", "--max-tokens", "4"]


def saved(folder, template):
    """A model with this chat template; None for one that has none."""
    tokenizer = small_tokenizer()
    tokenizer.chat_template = template
    small_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("gemma"), GEMMA)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("bare"), None)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A file of Jinja text."""
    file = tmp_path_factory.mktemp("template") / "turns.jinja"
    file.write_text(TURNS)
    return str(file)


def trained(model, out, *options):
    main(["train", "--agent", "lm", "--model", model, *ASKED, *SHORT, "--out", str(out), *options])
    return json.loads((out / "settings.json").read_text())["lm"]


def evaluated(agent, out, *options):
    main(["evaluate", "--agents", f"lm:{agent}", "--T", "4", "--streams", "1", "--out", str(out), *options])
    (row,) = json.loads((out / "table.json").read_text())["rows"]
    assert row["failures"] == 0


def test_a_template_without_a_system_role(gemma, tmp_path):
    with pytest.raises(SystemExit, match="System role not supported.* --system off"):
        trained(gemma, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert trained(gemma, tmp_path / "run", "--system", "off")["system"] == "off"
    evaluated(tmp_path / "run", tmp_path / "table")  # its checkpoint says how it is asked
    with pytest.raises(SystemExit, match=r"System role not supported.*--manager-system off"):
        evaluated(gemma, tmp_path / "first")
    evaluated(gemma, tmp_path / "first", "--manager-system", "off")
    # So does a run that begins with it.
    (best,) = (tmp_path / "run").glob("best")
    assert trained(str(best), tmp_path / "next")["system"] is None
    told = json.loads((tmp_path / "next" / "best" / "prompt.json").read_text())
    assert told["system"] is False


def test_a_model_without_a_template(bare, text, tmp_path):
    with pytest.raises(SystemExit, match="no chat template.*--chat-template"):
        trained(bare, tmp_path / "run")
    assert trained(bare, tmp_path / "run", "--chat-template", text)["chat_template"] == text
    evaluated(tmp_path / "run", tmp_path / "table")
    with pytest.raises(SystemExit, match="no chat template.*--manager-chat-template"):
        evaluated(bare, tmp_path / "first")
    evaluated(bare, tmp_path / "first", "--manager-chat-template", text)
    for wrong in ("missing.jinja", "empty.jinja"):
        (tmp_path / "empty.jinja").write_text("\n")
        with pytest.raises(SystemExit, match=f"chat template.*{wrong}|{wrong} should hold"):
            trained(bare, tmp_path / "other", "--chat-template", str(tmp_path / wrong))


def test_what_a_models_folder_says_holds_until_something_else_is_asked_for(bare, text, tmp_path):
    lm = CausalLM(small_model(), small_tokenizer(), THINKING, thinking=True, system=False)
    LanguageModelPolicy(lm, PromptSettings(task="")).save(tmp_path / "saved")
    own = LanguageModelSettings(model=str(tmp_path / "saved"))
    as_told = load_lm(own, "cpu")
    assert (as_told.template, as_told.system, as_told.thinking) == (THINKING, False, True)
    other = load_lm(replace(own, chat_template=text, system="on", thinking="off"), "cpu")
    assert (other.template, other.system, other.thinking) == (TURNS, True, False)
    plain = load_lm(replace(own, model=bare, chat_template=text), "cpu")
    assert (plain.template, plain.system, plain.thinking) == (TURNS, True, False)


def test_thinking_reaches_the_prompts_of_training_and_of_evaluation(tmp_path):
    env = EnvSettings(T=4)
    own = LanguageModelSettings(model=saved(tmp_path / "model", THINKING), task="", max_tokens=4, thinking="on")
    parts = TokenParts(TokenTrainSettings(env=env, lm=own, group_size=2))
    assert parts.policy.lm.thinks(parts.policy.tokens(VIEW))
    parts.policy.save(tmp_path / "saved")
    assert load_policy(tmp_path / "saved").tokens(VIEW) == parts.policy.tokens(VIEW)
    silent = TokenParts(TokenTrainSettings(env=env, lm=replace(own, thinking=None), group_size=2))
    assert not silent.policy.lm.thinks(silent.policy.tokens(VIEW))


def test_a_run_does_not_go_on_where_the_folder_says_something_else_by_now(gemma, tmp_path):
    LanguageModelPolicy(CausalLM.from_pretrained(gemma, system=False)).save(tmp_path / "model")
    model = str(tmp_path / "model")
    trained(model, tmp_path / "run")
    file = tmp_path / "model" / "prompt.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"thinking": True}))
    with pytest.raises(SystemExit, match="how prompts are written"):
        trained(model, tmp_path / "run", "--resume", "auto", "--updates", "2")


def test_options_for_nobody_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="--manager-chat-template, --manager-thinking: only agents lm:"):
        main(["evaluate", "--agents", "nothing", "--manager-chat-template", "x", "--manager-thinking", "on"])
    with pytest.raises(SystemExit, match=r"--manager-system: only agents lm:\.\.\. and endpoint:"):
        main(["evaluate", "--agents", "nothing", "--manager-system", "off"])
    (tmp_path / "prompt.json").write_text(json.dumps({"system": False}))
    with pytest.raises(DataError, match=r"prompt\.json should hold"):
        load_lm(LanguageModelSettings(model=str(tmp_path)), "cpu")


def test_a_server_whose_template_knows_no_system_role_is_asked_without(server, tmp_path):
    pytest.importorskip("openai")
    main([
        "evaluate", "--agents", f"endpoint:{server.address}#rules", "--T", "4", "--streams", "1", "--out", str(tmp_path),
        "--manager-system", "off",
    ])  # fmt: skip
    assert {message["role"] for request in server.requests for message in request["messages"]} == {"user"}


def test_the_fingerprint_of_a_run_that_knows_nothing_of_these_settings_is_what_it_was():
    """Computed by commit d5edc6c, before there were any of them."""
    settings = TokenTrainSettings(lm=LanguageModelSettings(model="any", max_tokens=33))
    assert settings.fingerprint == "17d50fef42ffcce9"
    for given in ({"system": "off"}, {"thinking": "off"}, {"chat_template": "x"}, {"overlong_buffer": 3}):
        assert replace(settings, lm=replace(settings.lm, **given)).fingerprint != settings.fingerprint


def test_trls_trainer_asks_as_ours_does(bare, text, tmp_path):
    pytest.importorskip("trl")
    from trl_program import arguments

    from trainers.trl_adapter import MemoryGRPOTrainer

    own = LanguageModelSettings(model=bare, task="", max_tokens=4, chat_template=text, system="off", thinking="on")
    settings = TokenTrainSettings(env=EnvSettings(T=4), updates=1, group_size=4, lm=own)
    trainer = MemoryGRPOTrainer(settings, arguments(tmp_path, save_strategy="steps", save_steps=1))
    assert trainer.policy.tokens(VIEW) == TokenParts(settings).policy.tokens(VIEW)
    trainer.train()
    again = load_policy(tmp_path / "checkpoint-1", device="cpu")
    assert again.tokens(VIEW) == trainer.policy.tokens(VIEW)
