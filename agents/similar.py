"""Finding the most similar of many texts without comparing with each of them."""

from __future__ import annotations

from collections.abc import Mapping

from agents.overlap import overlap, weights


class SimilarTexts:
    """Texts by key, searched by `agents.overlap.overlap`.

    `nearest` gives exactly what comparing with each text would give. It looks only at those that share a rare word with the query:
    texts as alike as is asked for cannot have nothing but the common ones in common.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._holding: dict[str, set[str]] = {}
        """Word -> keys of the texts that have it."""
        self._place: dict[str, int] = {}
        """Key -> its place among the texts; those of dropped texts stay."""

    def hold(self, texts: Mapping[str, str]) -> None:
        """Hold these texts and no others; costs the difference to those held before.

        Args:
            texts: key -> text. Of equally similar texts the first one is found.
        """
        for key in [key for key, text in self._texts.items() if texts.get(key) != text]:
            self.drop(key)
        for key, text in texts.items():
            if key not in self._texts:
                self.add(key, text)
        self._place = {key: place for place, key in enumerate(texts)}

    def add(self, key: str, text: str) -> None:
        """Hold one text more, under a new key."""
        self._texts[key] = text
        self._place[key] = len(self._place)
        for word in weights(text):
            self._holding.setdefault(word, set()).add(key)

    def drop(self, key: str) -> None:
        """Hold one text less."""
        for word in weights(self._texts.pop(key)):
            self._holding[word].remove(key)

    def nearest(self, text: str, least: float) -> tuple[str, float] | None:
        """Key of the most similar text and its overlap in [0, 1]; None where none has an overlap of at least ``least``."""
        found: tuple[str, float] | None = None
        for key in sorted(self._candidates(text, least), key=self._place.__getitem__):
            likeness = overlap(text, self._texts[key])
            if likeness >= least and (found is None or likeness > found[1]):
                found = key, likeness
        return found

    def _candidates(self, text: str, least: float) -> set[str]:
        if least <= 0:
            return set(self._texts)
        own = weights(text)
        left = sum(own.values())
        # overlap = 2 c / (a + b) with a common weight c <= b, so c >= least a / (2 - least); rounding must not lose one.
        needed = least * left / (2 - least) - 1e-6
        found: set[str] = set()
        for word in sorted(own, key=lambda word: len(self._holding.get(word, ()))):
            if left < needed:
                break
            found.update(self._holding.get(word, ()))
            left -= own[word]
        return found
