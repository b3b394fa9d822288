"""Files that hold no streams: the refusal says what they are, and which command makes streams of them."""

from __future__ import annotations

import json

import pytest

from memenvs.errors import DataError
from memenvs.streams import load


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("squad.json", '{"data": [], "version": "1.1"}', "memalpha --squad PATH` makes streams of it"),
        ("train.csv", "text,category\nhi,a\n", r"some contain blank lines.* --banking77 PATH"),
        ("nlu.csv", "wake me,alarm_set\n", "two columns with no header, .* --nlu PATH"),
        ("trec.label", "DESC:manner How?\n", "--trec PATH"),
        ("rct.txt", "###1\nOBJECTIVE\tWe ask .\n", "PubMed-RCT abstracts, .* --pubmed PATH"),
        ("book.txt", "\ufeff\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\nText.", "a Project Gutenberg book, .* --books PATH"),
        ("categories.json", '["card_arrival", "card_linking"]', "a list of names .*without texts"),
        ("cloze.json", '{"P17": "[X] is in __", "P1308": "[X] holds __"}', "sentence templates by Wikidata relation"),
        ("entity2id.json", '{"<http://dbpedia.org/resource/It_(2017)>": 7}', "give its path as entities"),
        ("labels.json", '{"icl_banking77_5900shot_balance": {"0": "a"}}', "label numbers, without examples"),
        ("notes.txt", "Nothing of note.", r"known here \(docs/data.md lists them\); its first record has: no named fields"),
        ("empty.json", "", "cannot be read as JSON"),
        ("numbers.json", "[1, 2]", "row 0: expected an object with fields, got '1'"),
        ("deep.json", "[" * 100_000, "holds no streams in a published form|cut off"),
    ],
    ids=lambda value: value[:12],
)  # fmt: skip
def test_a_file_without_streams_is_refused_for_what_it_is(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=reason) as refusal:
        load(tmp_path / name)
    assert name in str(refusal.value)


def test_a_list_that_begins_far_into_its_file_is_still_one_of_names(tmp_path):
    (tmp_path / "x.json").write_text("\n  [\n  " + json.dumps(["a"])[1:], encoding="utf-8")
    with pytest.raises(DataError, match="a list of names"):
        load(tmp_path / "x.json")
