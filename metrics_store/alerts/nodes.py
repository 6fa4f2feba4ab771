"""A small part of YAML, strictly: tables, lists and words, each knowing the line it stands in.

No alias, no anchor, no tag; nothing is built but text.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metrics_store import location, windows
from metrics_store.errors import InvalidQuery, InvalidRules

if TYPE_CHECKING:
    import yaml

_LARGEST = 256 * 1024
_DEEPEST = 20
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_NULL = ("", "null", "Null", "NULL", "~")


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the file, and the words by which it is called in errors."""

    node: yaml.Node
    called: str

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    def refused(self, why: str, hint: str = "") -> InvalidRules:
        """The error for this place."""
        called = f"{self.called}: " if self.called else ""
        return InvalidRules(f"line {self.line}: {called}{why}", hint=hint)

    def table(self, known: tuple[str, ...]) -> dict[str, Place]:
        """What stands under each name of a table.

        Args:
            known: the names that it may have.
        """
        found: dict[str, Place] = {}
        for key, value in self._pairs():
            if key not in known:
                raise Place(value, self.called).refused(
                    f"there is no {_short(key)} here", f"There are {', '.join(known)}."
                )
            if key in found:
                raise Place(value, self.called).refused(f"{key} stands there twice")
            found[key] = Place(value, f"{self.called}: {key}" if self.called else key)
        return found

    def pairs(self) -> tuple[tuple[str, Place], ...]:
        """A table of any names."""
        return tuple((key, Place(value, f"{self.called}: {key}")) for key, value in self._pairs())

    def items(self) -> list[Place]:
        """What stands in a list."""
        if _kind(self.node) != "sequence":
            raise self.refused("it is not a list")
        return [Place(item, self.called) for item in self.node.value]

    def text(self) -> str:
        """A word that is not empty."""
        if _kind(self.node) != "scalar" or (not self._quoted and self.node.value in _NULL):
            raise self.refused("it needs a text")
        value = str(self.node.value)
        if not value or "\x00" in value:
            raise self.refused("it needs a text")
        return value

    def one_of(self, known: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text()
        if value not in known:
            raise self.refused(f"it is {_short(value)}", f"It is {' or '.join(known)}.")
        return value

    def number(self) -> float:
        """A finite number."""
        value = self.text()
        if self._quoted or not _NUMBER.fullmatch(value) or not math.isfinite(float(value)):
            raise self.refused(f"it is {_short(value)}", "It is a number such as 85 or 0.5.")
        return float(value)

    def count(self, most: int) -> int:
        """A whole number from 1 on."""
        value = self.number()
        if not value.is_integer() or not 1 <= value <= most:
            raise self.refused(f"it is {value:g}", f"It is a whole number, 1 to {most:,}.")
        return int(value)

    def span_us(self) -> int:
        """A span of time, in microseconds; ``0`` is none."""
        value = self.text()
        if value == "0":
            return 0
        try:
            return round(windows.seconds(value) * 1e6)
        except InvalidQuery as error:
            hint = "Such as 5 min, 1 hour or 2 days."
            raise self.refused(f"{_short(value)} is no span of time", hint) from error

    @property
    def _quoted(self) -> bool:
        return bool(getattr(self.node, "style", None))

    def _pairs(self) -> Iterator[tuple[str, yaml.Node]]:
        if _kind(self.node) != "mapping":
            raise self.refused("it is not a table of names and values")
        for key, value in self.node.value:
            if _kind(key) != "scalar":
                raise Place(key, self.called).refused("a name is a word")
            yield str(key.value), value


def read(path: str | os.PathLike[str]) -> str:
    """The text of a file of rules.

    Raises:
        InvalidRules: it cannot be read, is no file, too large, or no UTF-8.
    """
    try:
        # A pipe would be waited for; whatever else is no file is refused too.
        handle = os.open(location.named(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise InvalidRules("it is not a regular file")
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidRules(error.strerror or str(error), hint="Name a YAML file.") from error
    if len(raw) > _LARGEST:
        raise InvalidRules(f"it is larger than {_LARGEST:,} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRules(f"it is not UTF-8: {error.reason}") from error


def parse(text: str) -> Place:
    """The one document of a YAML text.

    Raises:
        InvalidRules: it is no YAML, empty, or has what is not taken.
    """
    import yaml  # 15 ms, for those who evaluate

    try:
        _refuse_the_fancy(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "it has a character that YAML does not allow"
        raise InvalidRules(f"{line}{problem}") from error
    if node is None:
        raise InvalidRules("it is empty")
    return Place(node, "")


def _refuse_the_fancy(text: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        kind = type(event).__name__.removesuffix("Event")
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if kind == "Alias" or getattr(event, "anchor", None) is not None:
            raise InvalidRules(f"line {line}: anchors and aliases are not taken")
        if getattr(event, "tag", None) is not None:
            raise InvalidRules(f"line {line}: tags are not taken")
        depth += kind.endswith("Start") - kind.endswith("End")
        if depth > _DEEPEST:
            raise InvalidRules(f"line {line}: it is nested too deeply")


def _kind(node: yaml.Node) -> str:
    """``mapping``, ``sequence`` or ``scalar``."""
    return str(getattr(node, "id", ""))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
