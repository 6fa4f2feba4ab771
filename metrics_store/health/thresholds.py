"""Where each level begins: the defaults of the rules, and a YAML file that overrides some.

    wal_mb:
      warning: 32
      error: 128
    backup_age_hours:
      critical: 336
      warning: null

A level that is not named keeps its default; null switches it off. Of YAML only this much is taken:
no alias, no tag, no list, nothing deeper. It is refused as it is read, before anything is built.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from metrics_store import location
from metrics_store.errors import InvalidThresholds, InvalidValue
from metrics_store.health.rules import BY_METRIC, LEVELS, RULES, Limits, Rule
from metrics_store.health.wording import spoken

if TYPE_CHECKING:
    from yaml import Event

_LARGEST = 64 * 1024
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_NULL = ("null", "Null", "NULL", "~")
_LEVELS = tuple(level.lower() for level in LEVELS)
_SHAPE = "It looks like `wal_mb: {warning: 64, error: 256}`, each metric on a line of its own."


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where each level of each metric begins.

    Args:
        changed: the limits that are not the defaults, by metric.
    """

    changed: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, metric: str) -> Limits:
        """The limits of a metric."""
        return self.changed.get(metric, BY_METRIC[metric].limits)

    def as_dict(self) -> dict[str, object]:
        """For JSON: every metric that has a bad side."""
        return {
            rule.metric: {
                "bad": rule.bad,
                **{level: getattr(self.of(rule.metric), level) for level in _LEVELS},
            }
            for rule in RULES
            if rule.bad is not None
        }


DEFAULTS = Thresholds()


def load(path: str | os.PathLike[str]) -> Thresholds:
    """Read a file of thresholds.

    Raises:
        InvalidThresholds: it cannot be read, or something in it makes no sense.
    """
    try:
        return parse(_text(location.named(path)))
    except (InvalidThresholds, InvalidValue) as error:
        raise InvalidThresholds(f"{path!s:.200}: {error.detail}", hint=error.hint) from error
    except OSError as error:
        raise InvalidThresholds(
            f"{path!s:.200}: {error.strerror or error}", hint="Name a YAML file with --thresholds."
        ) from error


def parse(text: str) -> Thresholds:
    """Read thresholds.

    Raises:
        InvalidThresholds: something in them makes no sense.
    """
    changed = {}
    for metric, levels in _tables(text).items():
        rule = BY_METRIC[metric]
        limits = replace(rule.limits, **levels)
        _require_order(rule, limits, levels)
        changed[metric] = limits
    if not changed:
        raise InvalidThresholds("it is empty", hint=_SHAPE)
    return Thresholds(changed)


def _text(path: str) -> str:
    # A pipe would be waited for; whatever else is no file is refused too.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InvalidThresholds("it is not a regular file")
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise InvalidThresholds(f"it is larger than {_LARGEST:,} bytes", hint=_SHAPE)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidThresholds(f"it is not UTF-8: {error.reason}") from error


def _tables(text: str) -> dict[str, dict[str, float | None]]:
    import yaml  # 15 ms, for those who have a file

    events = _Events(yaml.parse(text, Loader=yaml.SafeLoader))
    try:
        return _document(events)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "it has a character that YAML does not allow"
        raise InvalidThresholds(f"{line}{problem}", hint=_SHAPE) from error


class _Events:
    """What a YAML parser comes upon, one after the other; nothing fancy gets past here."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self.line = 0

    def next(self) -> tuple[str, str, bool]:
        """The kind of the next one, its text, and whether that stood in quotes."""
        event = next(self._events)
        self.line = event.start_mark.line + 1 if event.start_mark is not None else self.line
        kind = type(event).__name__.removesuffix("Event")
        if kind == "Alias" or getattr(event, "anchor", None) is not None:
            raise self.refused("anchors and aliases are not taken")
        if getattr(event, "tag", None) is not None:
            raise self.refused("tags are not taken")
        if kind.startswith("Sequence"):
            raise self.refused("a list has no place here")
        return kind, str(getattr(event, "value", "")), bool(getattr(event, "style", None))

    def refused(self, why: str) -> InvalidThresholds:
        return InvalidThresholds(f"line {self.line}: {why}", hint=_SHAPE)


def _document(events: _Events) -> dict[str, dict[str, float | None]]:
    events.next()  # StreamStart
    if events.next()[0] == "StreamEnd":
        raise InvalidThresholds("it is empty", hint=_SHAPE)
    kind, text, _ = events.next()
    if kind != "MappingStart":
        if kind == "Scalar" and text in ("", *_NULL):
            raise InvalidThresholds("it is empty", hint=_SHAPE)
        raise events.refused("it is not a table of metrics")
    tables: dict[str, dict[str, float | None]] = {}
    while (key := events.next())[0] != "MappingEnd":
        metric = _known_metric(events, *key[:2])
        if metric in tables:
            raise events.refused(f"{metric} stands there twice")
        tables[metric] = _levels(events, metric)
    events.next()  # DocumentEnd
    if events.next()[0] != "StreamEnd":
        raise events.refused("a second document begins")
    return tables


def _known_metric(events: _Events, kind: str, name: str) -> str:
    if kind != "Scalar":
        raise events.refused("the name of a metric is a word")
    rule = BY_METRIC.get(name)
    if rule is None:
        raise InvalidThresholds(f"line {events.line}: there is no metric {_short(name)}")
    if rule.bad is None:
        raise InvalidThresholds(f"line {events.line}: {name} is no number that could be too much")
    return name


def _levels(events: _Events, metric: str) -> dict[str, float | None]:
    if events.next()[0] != "MappingStart":
        raise events.refused(f"{metric} needs levels: {', '.join(_LEVELS)}")
    levels: dict[str, float | None] = {}
    while (key := events.next())[0] != "MappingEnd":
        kind, level, _ = key
        if kind != "Scalar" or level not in _LEVELS:
            hint = f"The levels are {', '.join(_LEVELS)}."
            raise InvalidThresholds(
                f"line {events.line}: {metric} has no level {_short(level)}", hint=hint
            )
        if level in levels:
            raise events.refused(f"{metric} has {level} twice")
        levels[level] = _number(events, metric, level)
    if not levels:
        raise events.refused(f"{metric} needs levels: {', '.join(_LEVELS)}")
    return levels


def _number(events: _Events, metric: str, level: str) -> float | None:
    kind, text, quoted = events.next()
    if kind == "Scalar" and not quoted and text in _NULL:
        return None
    if kind == "Scalar" and not quoted and _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return int(value) if value.is_integer() else value
    shown = _short(text) if kind == "Scalar" else "a table"
    raise InvalidThresholds(
        f"line {events.line}: {metric}: {level} is {shown}",
        hint="It is a number such as 36 or 0.5, or null to switch the level off.",
    )


def _require_order(rule: Rule, limits: Limits, given: Mapping[str, float | None]) -> None:
    known = [(level, value) for level in _LEVELS if (value := getattr(limits, level)) is not None]
    for (first, low), (second, high) in pairwise(known):
        if (low > high) if rule.bad == "above" else (low < high):
            shown = [
                f"{name} {spoken(value, rule.unit)}{'' if name in given else ' (the default)'}"
                for name, value in ((first, low), (second, high))
            ]
            order = "at or above" if rule.bad == "above" else "at or below"
            raise InvalidThresholds(
                f"{rule.metric}: {shown[0]}, {shown[1]}",
                hint=f"{second} begins {order} {first}; set both, or {second}: null.",
            )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
