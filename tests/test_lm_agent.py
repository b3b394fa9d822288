"""Language models as agents: loading, batching, whole episodes, what is refused."""

import json

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from small_models import lm, saved_model, small_lm, small_model, small_tokenizer  # noqa: E402, F401

import memenvs  # noqa: E402, F401
from agents.base import Agent, View, make_agent  # noqa: E402
from agents.language_model import (  # noqa: E402
    CausalLM,
    LanguageModelAgent,
    LanguageModelPolicy,
    PromptSettings,
    SamplingSettings,
    load_policy,
    make_prompt,
)
from agents.language_model.formats import PROMPTED  # noqa: E402
from agents.language_model.prefill import plan  # noqa: E402
from agents.language_model.spoken import spoken  # noqa: E402
from memenvs.errors import DataError, SettingsError  # noqa: E402
from memenvs.memory import MemoryItem  # noqa: E402
from rewards.terms import fmt  # noqa: E402
from trainers.rollout import rollout  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("models") / "tiny")


def views(n, chunk="Ann has a cat. It is called Tom.", T=5):
    """Rollouts of one stream at one step, with memories of their own."""
    return [
        View(chunk, tuple(MemoryItem(f"0.{i}", f"Note {i} of rollout {g}.", 0, 0, 6) for i in range(g)), 1, T)
        for g in range(n)
    ]


def rngs(n, first=0):
    return [np.random.default_rng([7, first + i]) for i in range(n)]


def test_a_saved_model_is_loaded_and_plays_a_whole_episode(folder):
    agent = make_agent(f"lm:{folder}", max_tokens=12, device="cpu", temperature=1.0)
    assert isinstance(agent, Agent)
    assert agent.name == "lm:tiny"
    env = gym.make("FineMem-Memalpha-v0", chunk_questions=0, data_settings={"T": 4})
    messages = []
    for _ in range(2):
        observation, info = env.reset(seed=1)
        agent.reset(11, env.unwrapped.episode.stream)
        done = False
        while not done:
            observation, _, done, _, info = env.step(agent.act(observation, info))
        messages.append([step.message for step in env.unwrapped.record.steps])
    assert messages[0] == messages[1]
    assert len(set(messages[0])) == 4
    assert agent.counts["messages"] == 8
    assert agent.counts["prompt_tokens"] > agent.counts["completion_tokens"] > 0


def test_a_loaded_model_says_what_the_same_weights_in_memory_say(folder):
    ours = LanguageModelAgent(small_lm(), max_tokens=16)
    loaded = LanguageModelAgent(folder, max_tokens=16, device="cpu")
    found = [agent.act_batch(views(2)) for agent in (ours, loaded)]
    assert [d.sample.tokens for d in found[0]] == [d.sample.tokens for d in found[1]]


def test_bfloat16_where_it_is_asked_for(folder):
    policy = load_policy(folder, max_tokens=6, dtype="bfloat16", device="cpu")
    assert {p.dtype for p in policy.lm.model.parameters()} == {torch.bfloat16}
    (decision,) = policy.act(views(1), rngs(1))
    # The softmax is single precision whatever the weights are.
    assert np.float32(decision.sample.log_probs[0]) == decision.sample.log_probs[0] < 0


def test_one_and_many_decide_alike_and_rows_do_not_hang_on_their_batch(lm):  # noqa: F811
    policy = LanguageModelPolicy(lm, sampling=SamplingSettings(max_tokens=16))
    seen = [*views(4), *views(3, "Bob went to Rome. Rain fell.")]
    together = policy.act(seen, rngs(7))
    small = LanguageModelPolicy(lm, sampling=policy.sampling, batch=2).act(seen, rngs(7))
    alone = [policy.act([view], rngs(1, i))[0] for i, view in enumerate(seen)]
    texts = [decision.message for decision in together]
    assert texts == [decision.message for decision in small] == [decision.message for decision in alone]
    assert len(set(texts)) == 7
    for one, other in zip(together, alone, strict=True):
        assert one.sample.log_probs == pytest.approx(other.sample.log_probs, abs=1e-5)
        assert one.log_prob == pytest.approx(sum(one.sample.log_probs))


def test_greedy_needs_no_chance_and_ignores_it(lm):  # noqa: F811
    policy = LanguageModelPolicy(lm, sampling=SamplingSettings(temperature=1.0, top_p=0.5, max_tokens=8))
    greedy = [decision.sample.tokens for decision in policy.act(views(2), greedy=True)]
    agent = LanguageModelAgent(lm, max_tokens=8)
    agent.reset(5)
    assert [decision.sample.tokens for decision in agent.act_batch(views(2), rngs(2))] == greedy
    with pytest.raises(SettingsError, match="one generator per view: 2 views"):
        policy.act(views(2), rngs(1))
    assert policy.act([], []) == []


def test_a_generator_gives_as_many_numbers_whatever_is_said(lm):  # noqa: F811
    """So that what an episode draws at a later step does not hang on how long its messages were."""
    policy = LanguageModelPolicy(lm, sampling=SamplingSettings(max_tokens=10))
    own = np.random.default_rng(3)
    policy.act(views(1), [own])
    other = np.random.default_rng(3)
    other.random(10)
    assert own.random() == other.random()


@pytest.mark.parametrize("dialect", PROMPTED)
def test_the_model_reads_the_prompt_and_nothing_else(lm, dialect):  # noqa: F811
    policy = LanguageModelPolicy(lm, PromptSettings(dialect), SamplingSettings(max_tokens=2))
    (decision,) = policy.act(views(1), greedy=True)
    prompt = make_prompt(views(1)[0], policy.prompt)
    text = lm.text(prompt)
    assert lm.tokenizer.decode(decision.sample.prompt) == text
    assert text.startswith(f"<|im_start|>system\n{prompt.instructions}")
    assert text.endswith(f"<|im_start|>user\n{prompt.request}<|im_end|>\n<|im_start|>assistant\n<think></think>")
    for tool in prompt.tools:
        assert f'"name": "{tool["function"]["name"]}"' in text


def test_the_rollouts_of_a_group_share_all_up_to_their_memories(lm):  # noqa: F811
    policy = LanguageModelPolicy(lm)
    prompts = [policy.tokens(view) for view in views(4)[1:]]
    first, rest = plan(prompts, [0] * 3)
    shared = lm.tokenizer.decode(first.stretches[0])
    assert shared.endswith("# Memory\n[0.0] Note 0 of rollout")
    assert max(map(len, rest.stretches)) < len(first.stretches[0]) / 3


def test_a_template_without_tools_gets_them_in_words():
    plain = CausalLM(
        small_model(), small_tokenizer(), chat_template="{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    text = plain.text(make_prompt(views(1)[0], PromptSettings("memalpha")))
    assert '{"name": "memory_update"' in text
    assert "<tool_call>" in text


def test_a_template_that_refuses_the_system_role():
    refuse = "{{ raise_exception('no system role') }}"
    template = "{% if messages[0].role == 'system' %}" + refuse + "{% endif %}{{ messages[0].content }}"
    prompt = make_prompt(views(1)[0])
    with pytest.raises(SettingsError, match="no system role.*system=False"):
        CausalLM(small_model(), small_tokenizer(), template).text(prompt)
    text = CausalLM(small_model(), small_tokenizer(), template, system=False).text(prompt)
    assert text == f"{prompt.instructions}\n\n{prompt.request}"


def test_a_policy_is_asked_again_as_it_was_trained(tmp_path, lm):  # noqa: F811
    prompt = PromptSettings("sentences", memory_tokens=99, show="newest", max_operations=2)
    trained = LanguageModelPolicy(
        CausalLM(lm.model, lm.tokenizer, thinking=True), prompt, SamplingSettings(max_tokens=7, stop=("!",))
    )
    trained.save(tmp_path)
    again = load_policy(tmp_path, device="cpu")
    assert again.prompt == prompt
    assert again.sampling == trained.sampling
    assert again.tokens(views(2)[1]) == trained.tokens(views(2)[1])
    assert load_policy(tmp_path, device="cpu", memory_tokens=5).prompt.memory_tokens == 5
    agent = LanguageModelAgent(tmp_path, device="cpu", stop=())
    assert agent.dialect == "sentences"
    assert agent.policy.sampling == SamplingSettings(temperature=0.0, max_tokens=7)
    (tmp_path / "prompt.json").write_text(json.dumps({"prompt": {"colour": 3}, "sampling": {}}))
    with pytest.raises(DataError, match=r"prompt\.json should hold what.*colour"):
        load_policy(tmp_path)


@pytest.mark.parametrize("dialect", PROMPTED)
def test_noise_is_reported_and_never_raises(lm, dialect):  # noqa: F811
    """A random model writes nothing valid: episodes end, every step says why, the format term is 0."""
    memory = "memalpha" if dialect == "memalpha" else "flat"
    env = gym.make("FineMem-Memalpha-v0", chunk_questions=0, data_settings={"T": 4}, dialect=dialect, memory=memory)
    agent = LanguageModelAgent(lm, temperature=1.5, max_tokens=24, dialect=dialect)
    observation, info = env.reset(seed=1)
    agent.reset(0)
    done = False
    while not done:
        observation, _, done, _, info = env.step(agent.act(observation, info))
    record = env.unwrapped.record
    assert all(step.error for step in record.steps)
    assert record.memory == ()
    assert fmt(record) == (0.0, 0.0, 0.0, 0.0)


def test_groups_are_played_as_with_any_policy(lm):  # noqa: F811
    envs = [gym.make("FineMem-Memalpha-v0", chunk_questions=0, data_settings={"T": 4}) for _ in range(3)]
    policy = LanguageModelPolicy(lm, sampling=SamplingSettings(max_tokens=8))
    group = rollout(envs, policy, 5, rngs(3))
    assert [len(row) for row in group.decisions] == [4, 4, 4]
    first = [row[0].sample for row in group.decisions]
    assert first[0].prompt == first[1].prompt == first[2].prompt
    assert len({sample.tokens for sample in first}) == 3
    assert [[d.message for d in row] for row in group.decisions] == [
        [s.message for s in r.steps] for r in group.records
    ]
    assert rollout(envs[:2], policy, 5, rngs(2)).decisions == group.decisions[:2]


def test_thoughts_are_not_part_of_the_message():
    assert (
        spoken('<think>\n[{"op": "SKIP"}]?\n</think>\n\n[{"op": "DELETE", "id": "0.0"}]')
        == '[{"op": "DELETE", "id": "0.0"}]'
    )
    assert spoken('and so on</think>[{"op": "SKIP"}]') == '[{"op": "SKIP"}]'
    assert spoken('<think>\n[{"op": "SKIP"}] would be') == ""
    assert spoken('[{"op": "SKIP"}]') == '[{"op": "SKIP"}]'


def test_what_cannot_be_loaded_is_refused_with_a_way_out(folder, tmp_path):
    with pytest.raises(SettingsError, match="lm:MODEL, or model="):
        make_agent("lm")
    with pytest.raises(SettingsError, match="does not take these settings.*speed"):
        make_agent(f"lm:{folder}", speed=3)
    with pytest.raises(SettingsError, match="Did you mean 'bfloat16'"):
        make_agent(f"lm:{folder}", dtype="bfloat")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no causal language model could be loaded"):
        make_agent(f"lm:{tmp_path / 'empty'}")
    tokenizer = small_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(SettingsError, match="no chat template"):
        CausalLM(small_model(), tokenizer)
    config = transformers.MambaConfig(vocab_size=600, hidden_size=16, state_size=4, num_hidden_layers=1)
    with pytest.raises(SettingsError, match="recurrent state"):
        CausalLM(transformers.MambaForCausalLM(config), small_tokenizer())
    with pytest.raises(SettingsError, match="not taken: dialect"):
        LanguageModelAgent(LanguageModelPolicy(small_lm()), dialect="json")
