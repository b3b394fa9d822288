"""A model within the process as reader: what it says, beside whom, at what length, and how probable it finds answers."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from small_models import saved_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from memenvs.errors import DataError, ReaderError, SettingsError
from memenvs.reading import Answer, LocalReader, ProbabilityReader, Reading, make_reader, read
from memenvs.reading.prompts import conversation

ITEMS = (("3.1", "The key is with Ann."), ("7.2", "Ben left for Oslo."))
READINGS = [
    Reading("Who has the key?", ITEMS, "squad"),
    Reading("Who?", ()),
    Reading("Where did Ben go, and who has the key that he left behind?", ITEMS * 3, "hotpotqa"),
    Reading("Where is Ben?", ITEMS[:1]),
    Reading("play jazz", ITEMS, "icl_nlu_8296shot_balance"),
]
TOKENS = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return saved_model(tmp_path_factory.mktemp("local") / "tiny")


def reader(folder, **settings) -> LocalReader:
    return make_reader(f"local:{folder}", **{"max_tokens": TOKENS, "device": "cpu"} | settings)


def head(folder, reading) -> tuple[str, list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(conversation(reading), tokenize=False, add_generation_prompt=True)
    return text, tokenizer(text, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def test_it_writes_the_most_probable_token_each_time(folder):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    expected, count = [], 0
    for reading in READINGS:
        _, tokens = head(folder, reading)
        count += len(tokens)
        begin = len(tokens)
        while len(tokens) < begin + TOKENS and tokens[-1] != tokenizer.eos_token_id:
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        expected.append(tokenizer.decode(tokens[begin:], skip_special_tokens=True).strip())
    asked = reader(folder)
    assert [answer.text for answer in asked.read(READINGS)] == expected
    assert len(set(expected)) > 1
    assert (asked.name, asked.usage.prompt_tokens, asked.usage.answered) == ("tiny", count, 5)
    assert asked.usage.completion_tokens == 5 * TOKENS
    assert asked.usage.truncated == asked.unstructured == 5
    assert asked.uncited == 4  # one was given nothing that it could cite


def test_an_answer_does_not_depend_on_what_is_read_beside_it(folder):
    alone = [reader(folder, batch=1).read([reading])[0] for reading in READINGS]
    assert len({answer.text for answer in alone}) > 1
    assert reader(folder, batch=2).read(READINGS) == alone
    assert reader(folder, batch=16).read(READINGS[::-1]) == alone[::-1]


def test_padding_is_nothing_that_was_said(tmp_path):
    def penalised(name, **more):
        folder = saved_model(tmp_path / name)
        # No token may come twice. (transformers itself leaves padding out of its penalty on repetition, not out of this one.)
        own = {"eos_token_id": 2, "no_repeat_ngram_size": 1} | more
        (folder / "generation_config.json").write_text(json.dumps(own))
        return folder

    folder = penalised("plain")
    alone = [reader(folder, batch=1).read([reading])[0] for reading in READINGS]
    # Padding with a token of the reply to the shortest prompt would forbid it there.
    reply = AutoTokenizer.from_pretrained(folder)(alone[1].text, add_special_tokens=False)["input_ids"]
    assert reply[0] not in head(folder, READINGS[1])[1]
    assert reader(penalised("padded", pad_token_id=reply[0]), batch=16).read(READINGS) == alone


def test_a_models_own_way_of_sampling_is_left_out(folder, tmp_path):
    saved_model(tmp_path)
    own = {"eos_token_id": 2, "do_sample": True, "temperature": 2.0, "top_p": 0.3, "num_beams": 3, "max_length": 5}
    (tmp_path / "generation_config.json").write_text(json.dumps(own))
    assert reader(tmp_path).read(READINGS) == reader(folder).read(READINGS)


def test_the_same_question_of_the_same_texts_is_read_once(folder):
    asked = reader(folder)
    renamed = Reading(READINGS[0].question, tuple((f"x{i}", text) for i, text in ITEMS), "squad")
    first, again = asked.read([READINGS[0], renamed])
    assert first == again == asked.read([READINGS[0]])[0]
    assert (asked.usage.answered, asked.usage.cached, asked.usage.completion_tokens) == (1, 2, TOKENS)


def test_what_is_too_long_for_the_model_fails_alone(tmp_path):
    folder = saved_model(tmp_path / "short", max_position_embeddings=400)
    asked = reader(folder)
    tokens = len(head(folder, READINGS[0])[1])
    assert tokens + TOKENS < 400
    long = Reading("Who?", (("1.1", "A key. " * 200),))
    good, bad = asked.read([READINGS[0], long])
    assert good.failure is None
    assert (bad.text, bad.evidence_ids) == ("", ())
    assert bad.failure.startswith(f"refused: a prompt of {len(head(folder, long)[1])} tokens and a reply of {TOKENS}")
    assert "context of 400; set a smaller k" in bad.failure
    assert (asked.usage.answered, asked.usage.failed) == (1, {"refused": 1})
    # At the last token that fits, and one beyond.
    assert reader(folder, max_tokens=400 - tokens).read(READINGS[:1])[0].failure is None
    assert "exceed" in reader(folder, max_tokens=401 - tokens).read(READINGS[:1])[0].failure
    with pytest.raises(ReaderError, match="'short' gives no probability: refused: a prompt of .* context of 400"):
        asked.token_log_probs([long], ["Ann"])


@torch.no_grad()
def test_probabilities_are_those_of_a_plain_forward_pass(folder):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    answers = ["Ann", 'Oslo, or "Ann"', "Ben's key is in a town by the sea", "7", "label: 3"]
    asked = reader(folder, batch=2)
    assert isinstance(asked, ProbabilityReader)
    found = asked.token_log_probs(READINGS, answers)
    for reading, answer, values in zip(READINGS, answers, found, strict=True):
        text, _ = head(folder, reading)
        begun = tokenizer(text + '{"answer": "', add_special_tokens=False)["input_ids"]
        own = tokenizer(json.dumps(answer)[1:-1], add_special_tokens=False)["input_ids"]
        log_probs = model(torch.tensor([begun + own])).logits[0].log_softmax(-1)
        expected = [float(log_probs[len(begun) + i - 1, token]) for i, token in enumerate(own)]
        assert values == pytest.approx(expected, abs=1e-5)
    assert asked.usage.completion_tokens == 0
    assert reader(folder, batch=1).token_log_probs(READINGS[2:3], answers[2:3])[0] == pytest.approx(found[2], abs=1e-5)


def test_probabilities_need_an_answer_for_each_reading_and_a_text(folder):
    with pytest.raises(SettingsError, match="expected 2 answers, one per reading, got 1"):
        reader(folder).token_log_probs(READINGS[:2], ["Ann"])
    with pytest.raises(ReaderError, match="the answer '' has no token of its own"):
        reader(folder).token_log_probs(READINGS[:1], [""])


def test_a_model_that_was_taught_to_cite_is_understood(folder, tmp_path):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    _, prompt = head(folder, READINGS[0])
    reply = tokenizer('{"answer": "Ann", "evidence": [1, 9]}<|im_end|>', add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([prompt + reply])
    labels = torch.tensor([[-100] * len(prompt) + reply])
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        model(tokens, labels=labels).loss.backward()
        optimiser.step()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = reader(tmp_path, max_tokens=64)
    assert asked.read(READINGS[:1]) == [Answer("Ann", ("3.1",))]
    assert (asked.uncited, asked.unstructured, asked.usage.truncated) == (0, 0, 0)
    assert asked.usage.completion_tokens == len(reply)
    likely, not_so = asked.token_log_probs(READINGS[:1] * 2, ["Ann", "Oslo"])
    assert sum(likely) > -0.5
    assert sum(not_so) < -5


def test_readers_of_one_model_share_its_weights_and_count_apart(folder):
    first, second = reader(folder), reader(folder, max_tokens=4, batch=2)
    copied = copy.deepcopy(first)
    assert len({id(asked.model._weights) for asked in (first, second, copied)}) == 1
    first.read(READINGS[:2])
    assert (first.usage.answered, second.usage.answered, copied.usage.answered) == (2, 0, 0)
    sent = pickle.dumps(first)
    assert len(sent) < 2000
    assert pickle.loads(sent).read(READINGS[:2]) == first.read(READINGS[:2])


def test_half_a_character_is_read_as_a_question_mark(folder):
    half, mark = (Reading("Who?", (("1.1", f"Ann {text}"),)) for text in ("\ud83d", "?"))
    assert reader(folder).read([half]) == reader(folder).read([mark])


def test_a_template_that_refuses_the_conversation_is_a_failure(folder, tmp_path):
    saved_model(tmp_path)
    refusing = "{{ raise_exception('no system messages') }}"
    (tmp_path / "chat_template.jinja").write_text(refusing)
    (answer,) = reader(tmp_path).read(READINGS[:1])
    assert answer.failure == "refused: the chat template refuses the conversation: no system messages"
    answers, failure = read(reader(tmp_path, templates="mab"), READINGS[:1])
    assert answers is None
    assert "no template for the sub-dataset 'squad'" in failure


@pytest.mark.parametrize(
    ("name", "settings", "error", "told"),
    [
        ("local:", {}, SettingsError, "expected a model after"),
        ("local:no/such-folder-anywhere", {}, DataError, "no causal language model could be loaded"),
        ("local:x", {"dtype": "bfloat"}, SettingsError, "Did you mean 'bfloat16'"),
        ("local:x", {"max_token": 3}, SettingsError, "Did you mean 'max_tokens'"),
        ("local:x", {"batch": 0}, SettingsError, "batch must be at least 1"),
        ("local:x", {"chat_template_kwargs": {"a": {1}}}, SettingsError, "must be JSON-able"),
        ("locale", {}, SettingsError, "local:FOLDER_OR_HUB_ID"),
    ],
)
def test_mistakes_are_explained(name, settings, error, told):
    with pytest.raises(error, match=told):
        make_reader(name, **settings)


def test_what_a_template_is_told_reaches_it(folder):
    plain, thinking = reader(folder), reader(folder, chat_template_kwargs={"enable_thinking": False})
    plain.read(READINGS[:1])
    thinking.read(READINGS[:1])
    added = AutoTokenizer.from_pretrained(folder)("<think></think>", add_special_tokens=False)["input_ids"]
    assert thinking.usage.prompt_tokens == plain.usage.prompt_tokens + len(added)
