"""Text metrics: prediction and references in, a score in [0, 1] out.

The normalisation is SQuAD's (Rajpurkar et al. 2016, official evaluation script): lower-case, drop ASCII punctuation, drop
a/an/the, fold white space.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# 12, -3, 1,234; not the halves of 12.5 and 2024-05, nor more figures than any sum has.
_INTEGER = re.compile(r"(?<![\w.,])(?<!\d[-−])([-−+]?)(\d{1,3}(?:,\d{3})+|\d{1,15})(?![\w%]|[.,:−-]\d)")
_BOXED = re.compile(r"\\boxed\{([^}]*)\}")


@lru_cache(maxsize=16384)
def normalize(text: str) -> str:
    """SQuAD's normal form of an answer."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction equals a reference after `normalize`."""
    return float(any(normalize(prediction) == normalize(reference) for reference in references))


def substring_match(prediction: str, references: Sequence[str]) -> float:
    """1 if a reference's words stand in the prediction, one after the other, after `normalize`.

    The published metric looks for characters, so that "no" is right in "Norway" and a reference that normalises to "" always.
    Here whole words must match, and "" never does.
    """
    words = f" {normalize(prediction)} "
    return float(any(normalize(reference) and f" {normalize(reference)} " in words for reference in references))


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """Best F1 of the word bags after `normalize` (SQuAD)."""
    return max(_f1(normalize(prediction).split(), normalize(reference).split()) for reference in references)


def _f1(predicted: list[str], gold: list[str]) -> float:
    common = sum((Counter(predicted) & Counter(gold)).values())
    if not common:
        return float(predicted == gold)
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def keyword_share(prediction: str, references: Sequence[str], separator: str = ",") -> float:
    """Share of a reference's keywords that occur in the prediction (lower-cased); best over the references."""
    text = prediction.lower()
    shares = []
    for reference in references:
        keywords = [word.strip().lower() for word in reference.split(separator) if word.strip()]
        shares.append(sum(word in text for word in keywords) / len(keywords) if keywords else 0.0)
    return max(shares)


def keyword_list_share(prediction: str, references: Sequence[str]) -> float:
    """`keyword_share` where the keywords are the references themselves or ";" lists of them (PerLTQA)."""
    return keyword_share(prediction, [";".join(references)], separator=";")


def label_match(prediction: str, references: Sequence[str]) -> float:
    r"""1 if the label equals a reference: the content of ``\boxed{}``, else the text after "label:", else the whole text."""
    boxed = _BOXED.search(prediction)
    text = boxed.group(1) if boxed else re.sub(r"(?i)^\s*labels?\s*:\s*", "", prediction)
    label = text.strip().strip("\"'").strip().lower()
    return float(any(label == reference.strip().lower() for reference in references))


def option_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the option is named: its text as in `substring_match`, or its letter alone or before the text ("B", "B. the butler").

    Args:
        prediction: the answer.
        references: the letter, then the option's text; with one reference alone, that.
    """
    if len(references) < 2:
        return substring_match(prediction, references)
    letter, words = references[0].strip(" ().").upper(), references[1:]
    said = re.match(r"\s*(?i:answer\s*:)?\s*\(?([A-Za-z])(?:[).:]|\s*$)", prediction)
    return float((said is not None and said.group(1).upper() == letter) or substring_match(prediction, words) == 1)


def last_integer(text: str) -> int | None:
    """The last whole number in ``text``, with its sign; None where there is none."""
    found = _INTEGER.findall(text)
    if not found:
        return None
    sign, digits = found[-1]
    return int(digits.replace(",", "")) * (-1 if sign in ("-", "−") else 1)


def integer_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction's last whole number equals that of a reference, sign included (`normalize` would drop it)."""
    number = last_integer(prediction)
    return float(number is not None and any(number == last_integer(reference) for reference in references))
