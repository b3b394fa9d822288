"""Managers of lists of numbered facts, as FactConsolidation has them.

* `EveryFact` - one item per fact, contradictions and all: what a reader gets that has everything.
* `NewestFact` - one item per relation and subject, kept up to date.

Both keep the serial number in the item ("34. Acme was founded by Ann Lee."), because it tells which fact is newer, and both
work from the chunk and the memory alone. A fact that a chunk ends within is completed by the next chunk. Of text that is no list
of facts they keep the sentences, as `agents.controls.KeepEverything`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from agents.base import View
from agents.controls import Control
from memenvs.memory.operations import Operation
from memenvs.memory.tokens import count_tokens
from memenvs.streams.facts import Fact, FactList, fact_list, parse_fact


class EveryFact(Control):
    """Stores every fact as one item.

    Args:
        limits: see `Control`. A fact longer than an item may be is left out, since half a fact is none. Under a quota or a
            budget the items that must change come first, then the chunk's new facts in their order; an item whose newer fact
            does not fit is deleted.
    """

    name = "every_fact"

    def slot(self, fact: Fact) -> tuple[Any, ...]:
        """Facts with equal slots share an item, the one of the largest number stays."""
        return (fact.serial,)

    def operations(self, view: View, texts: tuple[str, ...]) -> list[Operation]:
        """See `Control.operations`."""
        listed = fact_list(view.chunk)
        if not listed.sound:
            return self.inserts(view, list(texts))
        items = {item.id: (fact, item) for item in view.memory if (fact := _stored(item.content)) is not None}
        found: list[Operation] = []
        told = list(listed.facts)
        if (tail := self._completed(listed, [fact for fact, _ in items.values()])) is not None:
            begun, whole = tail
            told.insert(0, whole)
            for item_id, (fact, item) in list(items.items()):
                if fact is begun and self.slot(fact) != self.slot(whole):
                    found.append(Operation("DELETE", None, item.id))
                    del items[item_id]
        held = {self.slot(fact): (fact, item) for fact, item in items.values()}
        best: dict[tuple[Any, ...], Fact] = {}
        for fact in told:
            if (slot := self.slot(fact)) not in best or (fact.serial or 0) > (best[slot].serial or 0):
                best[slot] = fact
        updates, inserts = [], []
        for slot, fact in best.items():
            if slot not in held:
                inserts.append(Operation("INSERT", fact.numbered))
            elif (fact.serial or 0) >= (held[slot][0].serial or 0) and fact.numbered != held[slot][1].content:
                updates.append(Operation("UPDATE", fact.numbered, held[slot][1].id))
        return self._allowed(view, [*found, *updates, *inserts])

    def _completed(self, listed: FactList, stored: list[Fact]) -> tuple[Fact | None, Fact] | None:
        """The fact that the chunk's head is the end of, as it was begun (None if only its number was) and as it is; or None."""
        first = listed.facts[0].serial or 0
        if not listed.head or listed.head.endswith(":") or first == 0:
            return None
        begun = next((fact for fact in stored if fact.serial == first - 1), None)
        whole = parse_fact(listed.head if begun is None else f"{begun.text} {listed.head}", first - 1)
        limited = (self.max_operations, self.max_item_tokens, self.memory_budget) != (None, None, None)
        # A limit may have kept the beginning out: then this may be half a fact.
        return None if begun is None and whole.relation is None and limited else (begun, whole)

    def _allowed(self, view: View, wanted: list[Operation]) -> list[Operation]:
        """The operations that the limits leave, in their order."""
        sizes = {item.id: item.tokens for item in view.memory}
        total = sum(sizes.values())
        found: list[Operation] = []
        for operation in wanted:
            if self.max_operations is not None and len(found) >= self.max_operations:
                break
            tokens = 0 if operation.content is None else count_tokens(operation.content)
            held = 0 if operation.id is None else sizes[operation.id]
            too_long = self.max_item_tokens is not None and tokens > self.max_item_tokens
            too_much = self.memory_budget is not None and total + tokens - held > self.memory_budget
            if tokens and (too_long or too_much):
                if operation.id is None:
                    continue
                operation, tokens = Operation("DELETE", None, operation.id), 0
            found.append(operation)
            total += tokens - held
        return found


class NewestFact(EveryFact):
    """Keeps of each relation and subject the newest fact: a newer number UPDATEs the item.

    Facts whose phrase `memenvs.streams.facts` does not know contradict nothing and are kept one by one.
    """

    name = "newest_fact"

    def slot(self, fact: Fact) -> tuple[Any, ...]:
        """Relation and subject."""
        return fact.key


@lru_cache(maxsize=65536)
def _stored(content: str) -> Fact | None:
    """The numbered fact that an item holds, if it holds exactly one."""
    facts = fact_list(content).facts
    return facts[0] if len(facts) == 1 else None
