"""Fuzzed command lines: every command, every option, anything as a value; run in this process."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import typer
from fuzzing import untyped
from hostile import Texts, unsafe

from metrics_store import MetricsStore
from metrics_store.cli import application, main

#: Those that end by themselves. (``--watch`` does not.)
_NEVER = frozenset(["--watch", "--help", "--version", "--every"])
#: What it runs are commands of others.
_RUNS_OTHERS = ["snapshots", "collect"]
CODES = frozenset([0, 1, 2, 3, 130, 141])
#: How a bar of progress moves about in its line, on standard error of a terminal.
_PROGRESS = re.compile("\x1b\\[(\\?25[lh]|2K|1A)|\r")
_DB, _LEGACY = "m.db", "skill_metrics.json"
#: What an option makes sense with; whatever is not here gets any text.
_GOOD: dict[str, tuple[str, ...]] = {
    "--db": (_DB, _DB, _DB, "other.db", "backups", "config.toml"),
    "--json-file": (_LEGACY, _LEGACY, _DB),
    "--limit": ("1", "5", "1000"),
    "--to": ("1", "4", "json", "database"),
    "--sort": ("runs", "name", "p95", "last"),
    "--outcome": ("completed", "failed", "abandoned"),
    "--bucket": ("hour", "day", "week"),
    "--window": ("1 hour", "7 days", "8 weeks", "300 years"),
    "--zone": ("UTC", "Europe/Berlin"),
    "--since": ("2 days", "2026-03-01"),
    "--until": ("2 days", "2026-03-01", "last"),
    "--at": ("2 days", "2026-03-01T12:00"),
    "--duration": ("1.5", "0"),
    "--attribute": ("a=b",),
    "--older-than": ("1 hour", "1 second"),
    "--keep-last": ("1", "0"),
    "--keep-daily": ("1", "0"),
    "--keep-weekly": ("1", "0"),
    "--format": ("legacy", "json"),
    "--thresholds": ("thresholds.yaml",),
    "--metric": ("wal_mb", "disk_free_mb"),
    "--fail-on": ("warning", "critical"),
    "--interval": ("1",),
    "--seconds": ("0.01",),
    "--shadow-reads": ("0", "1"),
    "--soak": ("0", "1 hour"),
    "--max-verify-age": ("1 hour",),
    "--sample-rate": ("0.5", "1"),
    "name": ("deploy", "docs"),
    "file": (_LEGACY, _DB, "out.json", "backups/first.db", "-"),
    "directory": ("backups", "elsewhere/backups"),
    "id_": ("1", "2"),
    "session_id": ("s",),
    "text": ("full",),
}


@cache
def _commands() -> tuple[tuple[tuple[str, ...], Any], ...]:
    """Every command with the words that call it."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        inner = getattr(command, "commands", None)
        if not inner:
            yield words, command
            return
        for name, one in inner.items():
            yield from below(one, (*words, name))

    return tuple(below(_built(application.app), ()))


#: Making the commands anew for each call takes ten times as long as running most of them.
_built = cache(typer.main.get_command)


class _Stream(io.TextIOWrapper):
    """A standard stream of a process, and whether somebody looks at it."""

    looked_at = False

    def isatty(self) -> bool:
        return self.looked_at

    def said(self) -> str:
        """All that was written."""
        self.flush()
        return self.buffer.getvalue().decode(self.encoding, "strict")  # type: ignore[attr-defined]


@contextmanager
def _streams(encoding: str, looked_at: bool, given: bytes) -> Iterator[tuple[_Stream, _Stream]]:
    kept = sys.stdin, sys.stdout, sys.stderr
    out, err = (_Stream(io.BytesIO(), encoding=encoding, newline="\n") for _ in range(2))
    out.looked_at = err.looked_at = looked_at
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding=encoding)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept


def run(
    words: list[str], *, given: bytes = b"", encoding: str = "utf-8", looked_at: bool = False
) -> tuple[int, str, str]:
    """Run a command in this process: its exit code, and what it wrote to which stream.

    Args:
        given: on standard input.
        encoding: of the streams.
        looked_at: the streams are a terminal.
    """
    get_command = typer.main.get_command
    typer.main.get_command = _built
    try:
        with _streams(encoding, looked_at, given) as (out, err):
            code = main(words)
            return code, out.said(), err.said()
    finally:
        typer.main.get_command = get_command


def judged(words: list[str], code: int, out: str, err: str, *, looked_at: bool = False) -> str:
    """What is wrong with what a command came to; empty if nothing is."""
    if looked_at:
        err = _PROGRESS.sub("", err)
    if code not in CODES:
        return f"exit code {code}: {words!a:.300}"
    if "this is a bug in" in err or "Traceback" in err:
        return f"a bug: {err[:300]!a}: {words!a:.300}"
    for name, text in (("stdout", out), ("stderr", err)):
        if found := unsafe(text):
            return f"{name} of {' '.join(words)[:30]!a}: {found}: {words!a:.300}"
    if code == 2 and out and "--help" not in words:
        return f"refused with something on stdout ({words[:2]!a}): {words!a:.300}"
    if code in (0, 1) and _asks_for_json(words) and out:
        try:
            json.loads(out)
        except ValueError as error:
            return f"no JSON ({words[:2]!a}): {error}: {words!a:.300}"
    return ""


def _asks_for_json(words: list[str]) -> bool:
    """Whether ``--json`` is an option among some words, and not what another one is given."""
    found = (c for path, c in _commands() if words[: len(path)] == [*path])
    command = next(found, None)
    if command is None:
        return False
    valued = {
        option
        for param in command.params
        if not getattr(param, "is_flag", False)
        for option in param.opts
        if option.startswith("-")
    }
    remaining = iter(words)
    for word in remaining:
        if word in ("--json", "--"):
            return word == "--json"
        if word in valued:
            next(remaining, None)
    return False


def prepared(folder: Path, texts: Texts) -> None:
    """Put a store, a backup of it, a legacy file and settings into a folder; hostile, all of it."""
    with MetricsStore(folder / _DB, durability="normal") as store:
        for number in range(60):
            store.record_invocations(
                {
                    "skill_name": _name(texts),
                    "workflow_path": _name(texts),
                    "session_id": _name(texts),
                    "error_type": _name(texts) if number % 3 == 0 else None,
                    "completed": number % 3 != 0,
                    "follow_up_actions": [_name(texts)],
                    "attributes": {_name(texts): _name(texts)},
                    "duration_seconds": number,
                }
                for _ in range(1)
            )
        store.record_invocation("deploy", session_id="s", workflow_path="full")
        store.track_invocation(_name(texts), _name(texts))
        made = store.back_up(folder / "backups")
    shutil.copyfile(made.path, folder / "backups" / "first.db")
    shutil.copyfile(folder / _DB, folder / "other.db")
    records = [
        {
            "skill_name": _name(texts),
            "invoked_at": f"2025-11-01T10:00:{number:02d}",
            "workflow_path": _name(texts),
            "completed": True,
            "duration_seconds": 1.0,
            "follow_up_actions": [_name(texts)],
            "error_type": None,
        }
        for number in range(20)
    ]
    document = {"invocations": records, "skills": {}, "last_updated": _name(texts)}
    (folder / _LEGACY).write_text(json.dumps(document))
    (folder / "config.toml").write_text("busy_timeout = 1\n")
    (folder / "thresholds.yaml").write_text("wal_mb: {warning: 1}\n")


def _name(texts: Texts) -> str:
    return texts.text().encode("utf-8", "replace").decode()[:200] or "x"


def begin(folder: Path, chance: Random) -> Commands:
    """A folder with everything in it, and commands on that."""
    return Commands(folder, chance)


class Commands:
    """Commands that get anything."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self._folder = folder
        self._chance = chance
        self._texts = Texts(chance, longest=100_000)
        self._pristine = folder.with_name("pristine")
        self._pristine.mkdir()
        prepared(self._pristine, Texts(Random(chance.random()), 1000))
        self._left = 0
        self._environment = {**os.environ}

    def one(self) -> Iterator[str]:
        if self._left == 0:
            self._renew()
        self._left -= 1
        chance = self._chance
        words = self._words()
        given = self._lines() if "--stdin" in words else b""
        encoding = chance.choice(["utf-8", "utf-8", "ascii", "latin-1"])
        looked_at = chance.random() < 0.4
        try:
            done = run(words, given=given, encoding=encoding, looked_at=looked_at)
        except Exception as error:
            yield untyped(error, words)
            return
        if wrong := judged(words, *done, looked_at=looked_at):
            yield wrong

    def end(self) -> Iterator[str]:
        os.environ.clear()
        os.environ.update(self._environment)
        yield from ()

    def _renew(self) -> None:
        """What commands did to the files is undone now and then, for the next to find something."""
        os.chdir(self._folder.parent)
        shutil.rmtree(self._folder)
        shutil.copytree(self._pristine, self._folder)
        os.chdir(self._folder)
        self._left = 50
        os.environ.clear()
        os.environ.update(self._environment)
        os.environ["NO_COLOR"] = "1"  # with colours our own escapes would hide others
        os.environ["TERM"] = "xterm"
        os.environ["COLUMNS"] = self._chance.choice(["20", "80", "300"])
        os.environ["METRICS_STORE_DB"] = _DB
        os.environ["METRICS_STORE_BUSY_TIMEOUT"] = "1"
        os.environ["METRICS_STORE_DURABILITY"] = "normal"

    def _words(self) -> list[str]:
        chance = self._chance
        words, command = chance.choice(_commands())
        if chance.random() < 0.03:
            return [self._value("") for _ in range(chance.randrange(5))]
        line = [*words]
        for param in command.params:
            name = param.opts[0]
            if name in _NEVER:
                continue
            argument = not name.startswith("-")
            if chance.random() > (0.9 if argument else 0.3 if name == "--json" else 0.2):
                continue
            for _ in range(2 if getattr(param, "multiple", False) else 1):
                line += [] if argument else [name]
                if not getattr(param, "is_flag", False):
                    line.append(self._value(name))
        if chance.random() < 0.02:
            line.insert(chance.randrange(len(line) + 1), self._value(""))
        if line[:2] == ["agents", "watch"]:
            line.append("--once")
        if line[:2] == _RUNS_OTHERS:
            return _RUNS_OTHERS
        return [word for word in line if word not in _NEVER]

    def _value(self, name: str) -> str:
        chance = self._chance
        if name in _GOOD and chance.random() < 0.75:
            return chance.choice(_GOOD[name])
        # An argument of a process holds no NUL; what is no text comes as surrogates. No path that
        # leads out of the folder: it is at the depth of the alphabet.
        text = self._texts.text().replace("\0", "")
        return text.lstrip("/~") if name not in ("name", "text") else text

    def _lines(self) -> bytes:
        """Records for standard input, or what is none."""
        texts = self._texts
        lines = []
        for _ in range(self._chance.randrange(4)):
            if self._chance.random() < 0.3:
                lines.append(texts.text())
                continue
            record = {"skill_name": texts.text(), "attributes": {texts.text(): texts.text()}}
            lines.append(json.dumps(record, ensure_ascii=self._chance.random() < 0.5))
        return "\n".join(lines).encode("utf-8", "surrogatepass")
