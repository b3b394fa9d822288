"""From results of single parts to one row per method and scope."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rewards.credit.fidelity import advantage_fidelity
from trainers.reward_bench.attribution import METRICS
from trainers.reward_bench.cells import Cell
from trainers.reward_bench.methods import Method
from trainers.statistics import Interval, bootstrap, bootstrap_pearson

Results = Sequence[tuple[Cell, Mapping[str, Any]]]
Row = dict[str, Any]
WHOLE = "builtin"
"""Scope of the main table."""


def scopes(results: Results) -> dict[str, Callable[[Cell], bool]]:
    """Name -> which attribution cells belong to it: all builtin ones, each behaviour, each family, each other source, each k."""
    cells = [cell for cell, _ in results]
    found: dict[str, Callable[[Cell], bool]] = {WHOLE: lambda c: c.kind == "attribution" and c.data == "builtin"}
    for name in dict.fromkeys(c.behaviour for c in cells if c.kind == "attribution"):
        found[f"behaviour {name}"] = lambda c, name=name: found[WHOLE](c) and c.behaviour == name  # type: ignore[misc]
    for name in dict.fromkeys(c.family for c in cells if found[WHOLE](c)):
        found[f"family {name}"] = lambda c, name=name: found[WHOLE](c) and c.family == name  # type: ignore[misc]
    for name in dict.fromkeys(c.data for c in cells if c.data != "builtin"):
        found[f"data {name}"] = lambda c, name=name: c.kind == "attribution" and c.data == name  # type: ignore[misc]
    for k in dict.fromkeys(c.k for c in cells if c.kind == "sweep"):
        found[f"k = {k}"] = lambda c, k=k: c.kind == "sweep" and c.k == k  # type: ignore[misc]
    return found


def rows(methods: Sequence[Method], results: Results) -> list[Row]:
    """One row per scope and method, the main scope first, each scope from the best to the worst.

    Returns:
        ``method``, ``kind``, ``scope``; ``episodes`` that it served, ``unserved`` ones and the first ``reason``; ``flat`` (episodes
        whose true credit is constant: they rank nothing and are left out), ``failures`` of the reader; ``degenerate`` (episodes
        with constant credit); the mean of each metric with ``_low`` and ``_high`` (95 %, bootstrap over streams); ``calls`` and
        ``seconds`` per episode (per rollout where there are groups alone); in the main scope ``advantage`` with its interval
        (bootstrap over groups) and ``groups``.
    """
    found = []
    for scope, belongs in scopes(results).items():
        inside = [(cell, result) for cell, result in results if belongs(cell)]
        groups = [result for cell, result in results if cell.kind == "advantage"] if scope == WHOLE else []
        some = [_row(method, scope, inside, groups) for method in methods]
        found += sorted((row for row in some if row is not None), key=_worst_last)
    return found


def _worst_last(row: Row) -> tuple[bool, float]:
    first = float(row["advantage"] if "advantage" in row else row.get("spearman", math.nan))
    return (math.isnan(first), -first)


def _row(method: Method, scope: str, inside: Results, groups: Sequence[Mapping[str, Any]]) -> Row | None:
    """None where the scope does not ask for the method."""
    whole = [(cell, result) for cell, result in inside if "failure" not in result]
    told = [(c, r["methods"][method.name]) for c, r in whole if not r["flat"] and method.name in r["methods"]]
    trained = [group for group in groups if "failure" not in group]
    if not told and not trained:
        return None
    served = [(cell, entry) for cell, entry in told if "reason" not in entry]
    reasons = [entry["reason"] for _, entry in told if "reason" in entry]
    reasons += [g["methods"][method.name]["reason"] for g in trained if "reason" in g["methods"][method.name]]
    row: Row = {
        "method": method.name,
        "kind": method.kind,
        "scope": scope,
        "episodes": len(served),
        "unserved": len(told) - len(served),
        "reason": next(iter(reasons), ""),
        "flat": sum(result["flat"] for _, result in whole),
        "failures": len(inside) - len(whole) + len(groups) - len(trained),
    }
    if served:
        row["degenerate"] = sum(entry["degenerate"] for _, entry in served)
        for metric in METRICS:
            row |= _with_interval(metric, over_streams((cell, entry[metric]) for cell, entry in served))
        for name in ("calls", "seconds"):
            row[name] = float(np.mean([entry[name] for _, entry in served]))
    return _advantage(method, trained) | row


def over_streams(values: Iterable[tuple[Cell, float | None]]) -> Interval:
    """Mean over episodes, bootstrapped over streams: episodes on one stream depend on each other."""
    by_stream: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for cell, value in values:
        if value is not None:
            by_stream[cell.data, cell.family, cell.stream].append(value)
    if not by_stream:
        return Interval(math.nan, math.nan, math.nan)
    return bootstrap([float(np.mean(of_stream)) for of_stream in by_stream.values()])


def _advantage(method: Method, groups: Sequence[Mapping[str, Any]]) -> Row:
    served = [(g["methods"][method.name], g) for g in groups if "reason" not in g["methods"][method.name]]
    if not served:
        return {}
    pairs = [advantage_fidelity(entry["credit"], np.mean(group["halves"], axis=0)) for entry, group in served]
    rollouts = sum(len(entry["credit"]) for entry, _ in served)
    costs = {name: sum(entry[name] for entry, _ in served) / rollouts for name in ("calls", "seconds")}
    return {"groups": len(served)} | costs | _with_interval("advantage", bootstrap_pearson(pairs))


def _with_interval(name: str, interval: Interval) -> Row:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def noise_ceiling(results: Results) -> dict[str, float]:
    """How much of the true advantages is noise of their continuations.

    Returns:
        ``split_half``: correlation r of the centred advantages from two halves of the continuations; ``ceiling``: what a perfect
        estimate would correlate with their mean, sqrt(2 r / (1 + r)). Nothing where there are no groups.

    Source: Spearman's correction for attenuation with the Spearman-Brown formula for two halves.
    """
    halves = [result["halves"] for cell, result in results if cell.kind == "advantage" and "failure" not in result]
    if not halves:
        return {}
    pairs = []
    for one, other in halves:
        centred = [np.asarray(half) - np.mean(half, axis=0) for half in (one, other)]
        pairs.append(np.stack([part.ravel() for part in centred], axis=1))
    r = bootstrap_pearson(pairs).mean
    return {"split_half": r, "ceiling": math.sqrt(max(0.0, 2 * r / (1 + r)))}


def episode_lines(results: Results) -> list[Row]:
    """One line per episode and method, for a CSV."""
    lines = []
    for cell, result in results:
        if cell.kind == "advantage":
            continue
        where: Row = {"measure": cell.kind, "data": cell.data, "family": cell.family, "behaviour": cell.behaviour}
        where |= {"k": cell.k, "stream": cell.stream, "failure": result.get("failure", "")}
        shared = {name: result.get(name) for name in ("r_global", "flat", "truth_calls", "shapley_error")}
        for name, entry in result.get("methods", {"": {}}).items():
            told = {key: value for key, value in entry.items() if key != "credit"}
            lines.append(where | shared | {"method": name} | told)
    return lines
