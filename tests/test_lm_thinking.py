"""Models that think, and chat templates of several kinds: what the model reads, and what of its text is the message."""

import gymnasium as gym
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import small_model, small_tokenizer  # noqa: E402

import memenvs  # noqa: E402, F401
from agents.base import View, make_agent  # noqa: E402
from agents.language_model import CausalLM, LanguageModelPolicy, PromptSettings, SamplingSettings, make_prompt  # noqa: E402
from agents.language_model.spoken import spoken  # noqa: E402
from trainers.tokens.teacher import teacher_rows  # noqa: E402

VIEW = View("Ann has a cat. It is called Tom.", (), 1, 5)
SKIP = '[{"op": "SKIP"}]'
HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
TOOLS = "{% if tools %}<|im_start|>tools\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
MAY_THINK = HEAD + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
"""Thoughts are the model's choice, or closed before they begin: as Qwen3's template has it."""
MUST_THINK = HEAD + "<think>\n"
"""The template opens them, whatever it is told."""


def lm_of(template, special=None, **settings):
    """``special``: whether the tags around thoughts are tokens of their own, and special ones (True); None: ordinary text."""
    tokenizer = small_tokenizer()
    if special is not None:
        tokenizer.add_tokens(["<think>", "</think>"], special_tokens=special)
    return CausalLM(small_model(vocab_size=len(tokenizer)), tokenizer, template, **settings)


def taught(lm, says, dialect="json"):
    """What a policy makes of a model that has learnt to write one text; and the same cut off after a few tokens."""
    policies = [
        LanguageModelPolicy(lm, PromptSettings(dialect, task=""), SamplingSettings(0.0, max_tokens=n)) for n in (64, 12)
    ]
    prompt = list(policies[0].tokens(VIEW))
    reply = lm.tokenizer(f"{says}<|im_end|>", add_special_tokens=False)["input_ids"]
    tokens, labels = torch.tensor([prompt + reply]), torch.tensor([[-100] * len(prompt) + reply])
    optimiser = torch.optim.Adam(lm.model.parameters(), lr=3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        lm.model(tokens, labels=labels).loss.backward()
        optimiser.step()
    whole, cut = (policy.act([VIEW])[0] for policy in policies)
    assert whole.sample.tokens == tuple(reply)
    assert (whole.truncated, cut.truncated) == (False, True)
    return whole.message, cut.message


@pytest.mark.parametrize("special", [None, True])
def test_thoughts_are_not_carried_out(special):
    lm = lm_of(MAY_THINK, special, thinking=True)
    assert taught(lm, f'<think>\nAnn: [{{"op": "DELETE", "id": "0.0"}}]?\n</think>\n\n{SKIP}') == (SKIP, "")


@pytest.mark.parametrize("special", [False, True])
def test_thoughts_that_the_template_begins_are_not_carried_out(special):
    lm = lm_of(MUST_THINK, special)
    assert taught(lm, f'[{{"op": "DELETE", "id": "0.0"}}]? No.\n</think>\n\n{SKIP}') == (SKIP, "")


def test_a_model_that_is_told_not_to_think_is_heard_at_once():
    say = '[{"op": "INSERT", "content": "The cat of Ann is called Tom."}]'
    whole, cut = taught(lm_of(MAY_THINK, False), say)
    assert whole == say
    assert len(cut) > 5
    assert say.startswith(cut)


def test_the_template_is_told_whether_to_think():
    prompt = make_prompt(VIEW)
    plain = f"<|im_start|>user\n{prompt.request}<|im_end|>\n<|im_start|>assistant\n"
    assert lm_of(MAY_THINK, thinking=True).text(prompt).endswith(plain)
    assert lm_of(MAY_THINK).text(prompt).endswith(plain + "<think>\n\n</think>\n\n")
    assert lm_of(HEAD).text(prompt) == lm_of(HEAD, thinking=True).text(prompt)  # a template that knows of no thoughts
    thinks = {
        template: (lm := lm_of(template, False)).thinks(lm.tokens(prompt)) for template in (HEAD, MAY_THINK, MUST_THINK)
    }
    assert thinks == {HEAD: False, MAY_THINK: False, MUST_THINK: True}


@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize("native", [True, False])
def test_tools_are_told_once_with_and_without_a_system_role(native, system):
    lm = lm_of(TOOLS + HEAD if native else HEAD, system=system)
    prompt = make_prompt(VIEW, PromptSettings("function_calls"))
    text = lm.text(prompt)
    assert text.count('"name": "insert"') == 1
    assert text.startswith(
        "<|im_start|>tools\n{" if native else "<|im_start|>system\n" if system else "<|im_start|>user\n"
    )
    assert ("<|im_start|>system\n" in text) == system
    assert ("Write each call as" in text) != native
    assert text.count(prompt.instructions) == text.count(prompt.request) == 1
    assert "tools" not in lm.text(make_prompt(VIEW)).split("\n")[0]  # a dialect without tools hands over none


def test_a_teacher_ends_the_thoughts_that_the_template_begins():
    def written(template):
        env = gym.make("FineMem-Memalpha-v0", chunk_questions=0, data_settings={"T": 4})
        policy = LanguageModelPolicy(lm_of(template, True), PromptSettings(task=""))
        rows = teacher_rows(env, make_agent("keep_everything"), policy, [1])
        return [policy.lm.decode(row.completion) for row in rows]

    messages = written(HEAD)
    assert len(set(messages)) == 4
    assert [spoken(text, begun=True) for text in written(MUST_THINK)] == messages


def test_what_is_said_of_thoughts_alone():
    assert spoken("never ended", begun=True) == ""
    assert spoken(f"so</think>\n{SKIP}", begun=True) == SKIP
    assert spoken(SKIP) == SKIP
