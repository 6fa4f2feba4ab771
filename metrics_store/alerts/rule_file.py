"""Rules and hooks from YAML, strictly: whatever is not understood is refused, with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import urlsplit

from metrics_store.alerts import nodes
from metrics_store.alerts.metric import Metric
from metrics_store.alerts.metrics import METRICS
from metrics_store.alerts.nodes import Place
from metrics_store.alerts.rules import RANKS, Comparison, Hook, Rule, RuleSet
from metrics_store.errors import InvalidRules, InvalidValue
from metrics_store.families.alerts import EVENTS, SEVERITIES, TYPES

T = TypeVar("T", Rule, Hook)

_RULE = (
    "name", "metric", "subject", "window", "compare", *SEVERITIES,
    "for", "clear_for", "at_least", "type", "title",
)  # fmt: skip
_HOOK = (
    "name", "command", "webhook", "headers", "timeout", "tries", "backoff", "on", "at_least",
)  # fmt: skip
_NAME = re.compile(r"[\w.-]{1,100}")
_LONGEST_TIMEOUT = 600.0
_LONGEST_US = 366 * 86_400_000_000
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SHIPPED = Path(__file__).with_name("shipped.yaml")


def load(path: str | os.PathLike[str]) -> RuleSet:
    """Read a file of rules and hooks.

    Without ``rules`` in it, its hooks are told of the shipped rules' alerts.

    Raises:
        InvalidRules: it cannot be read, or something in it makes no sense.
    """
    try:
        return parse(nodes.read(path))
    except (InvalidRules, InvalidValue) as error:
        raise InvalidRules(f"{path!s:.200}: {error.detail}", hint=error.hint) from error


@cache
def shipped() -> RuleSet:
    """The rules that hold where no file is named."""
    return load(_SHIPPED)


def shipped_text() -> str:
    """The file of the shipped rules, to begin one's own from."""
    return _SHIPPED.read_text(encoding="utf-8")


def parse(text: str) -> RuleSet:
    """Read rules and hooks.

    Raises:
        InvalidRules: something in them makes no sense.
    """
    top = nodes.parse(text).table(("rules", "hooks"))
    if "rules" in top:
        rules = _distinct(top["rules"], [_rule(item) for item in top["rules"].items()])
    else:
        rules = shipped().rules
    hooks: tuple[Hook, ...] = ()
    if "hooks" in top:
        hooks = _distinct(top["hooks"], [_hook(item) for item in top["hooks"].items()])
    return RuleSet(rules, hooks)


def _distinct(place: Place, found: Sequence[T]) -> tuple[T, ...]:
    names: set[str] = set()
    for one, item in zip(found, place.items(), strict=True):
        if one.name in names:
            raise item.refused(f"{one.name} stands there twice")
        names.add(one.name)
    return tuple(found)


def _name(item: Place, known: tuple[str, ...], what: str) -> str:
    parts = Place(item.node, f"a {what}").table(known)
    if "name" not in parts:
        raise item.refused(f"a {what} needs a name")
    name = parts["name"].text()
    if not _NAME.fullmatch(name):
        hint = "It has letters, digits, '_', '-' and '.', at most 100."
        raise parts["name"].refused(f"{name[:40]!r} is no name", hint)
    return name


def _rule(item: Place) -> Rule:
    name = _name(item, _RULE, "rule")
    here = Place(item.node, f"rule {name}")
    parts = here.table(_RULE)
    if "metric" not in parts:
        raise here.refused("it needs a metric", _metrics())
    metric = METRICS.get(parts["metric"].text())
    if metric is None:
        raise parts["metric"].refused(f"there is no {parts['metric'].text()[:60]!r}", _metrics())
    compare = metric.compare
    if "compare" in parts:
        compare = cast(Comparison, parts["compare"].one_of(("above", "below")))
    for_us = _wait(parts["for"]) if "for" in parts else 0
    return Rule(
        name=name,
        metric=metric.name,
        compare=compare,
        levels=_levels(here, parts, compare),
        type=parts["type"].one_of(TYPES) if "type" in parts else metric.type,
        window_us=_window(parts, metric),
        for_us=for_us,
        clear_us=_wait(parts["clear_for"]) if "clear_for" in parts else for_us,
        subject=parts["subject"].text() if "subject" in parts else "*",
        at_least=_at_least(parts, metric),
        title=parts["title"].text()[:200] if "title" in parts else "",
    )


def _wait(place: Place) -> int:
    us = place.span_us()
    if us > _LONGEST_US:
        raise place.refused("it is more than a year")
    return us


def _window(parts: dict[str, Place], metric: Metric) -> int | None:
    if "window" not in parts:
        return metric.window_us
    if metric.window_us is None:
        raise parts["window"].refused(f"{metric.name} is of the moment: it has no window")
    window = parts["window"].span_us()
    if not 60_000_000 <= window <= _LONGEST_US:
        raise parts["window"].refused("it is not within a minute and a year")
    return window


def _at_least(parts: dict[str, Place], metric: Metric) -> int:
    if "at_least" not in parts:
        return metric.at_least or 1
    if metric.at_least is None:
        raise parts["at_least"].refused(f"{metric.name} counts no runs")
    return parts["at_least"].count(1_000_000_000)


def _levels(
    here: Place, parts: dict[str, Place], compare: Comparison
) -> tuple[tuple[str, float], ...]:
    levels = tuple((name, parts[name].number()) for name in SEVERITIES if name in parts)
    if not levels:
        raise here.refused("it needs a level", f"Such as warning: 85. {', '.join(SEVERITIES)}.")
    for (mild, low), (grave, high) in pairwise(levels):
        if (low > high) if compare == "above" else (low < high):
            side = "at or above" if compare == "above" else "at or below"
            raise parts[grave].refused(
                f"it is {high:g}, and {mild} is {low:g}", f"{grave} begins {side} {mild}."
            )
    return levels


def _hook(item: Place) -> Hook:
    name = _name(item, _HOOK, "hook")
    here = Place(item.node, f"hook {name}")
    parts = here.table(_HOOK)
    if ("command" in parts) == ("webhook" in parts):
        raise here.refused("it needs a command or a webhook, one of them")
    if "headers" in parts and "webhook" not in parts:
        raise parts["headers"].refused("a command has none")
    default = Hook(name)
    on = default.on
    if "on" in parts:
        on = tuple(event.one_of(EVENTS) for event in parts["on"].items())
    return Hook(
        name=name,
        command=tuple(word.text() for word in parts["command"].items())
        if "command" in parts
        else (),
        webhook=_address(parts["webhook"]) if "webhook" in parts else "",
        headers=_headers(parts["headers"]) if "headers" in parts else (),
        timeout=_seconds(parts["timeout"]) if "timeout" in parts else default.timeout,
        tries=parts["tries"].count(10) if "tries" in parts else default.tries,
        backoff=_seconds(parts["backoff"]) if "backoff" in parts else default.backoff,
        on=on,
        at_least=parts["at_least"].one_of(tuple(RANKS)) if "at_least" in parts else "info",
    )


def _seconds(place: Place) -> float:
    seconds = place.span_us() / 1e6
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise place.refused("it is not within 0 and 10 minutes")
    return seconds


def _address(place: Place) -> str:
    address = place.text()
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, fine = urlsplit(""), False
    if not fine or not address.isascii() or not address.isprintable() or " " in address:
        raise place.refused("it is no address", "Such as https://chat.example.org/hooks/1.")
    if "@" in parts.netloc:
        raise place.refused("a name and a password have no place in it", "Use headers.")
    return address


def _headers(place: Place) -> tuple[tuple[str, str], ...]:
    found = []
    for name, value in place.pairs():
        text = value.text()
        if not _HEADER.fullmatch(name) or not text.isascii() or not text.isprintable():
            raise value.refused("it is no header")
        found.append((name, text))
    return tuple(found)


def _metrics() -> str:
    return f"There are {', '.join(METRICS)}."
