"""Commits as `git log` tells them: one process, read while it writes, whatever a commit holds."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from metrics_store import clock
from metrics_store.errors import CommandFailed, SourceError

#: What tells git where a repository is; within a hook it would win over the one that is named.
_LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)  # fmt: skip
#: Nothing that a repository's own settings name is run, and nothing is fetched.
_HARMLESS = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false",
    "-c", "diff.external=", "-c", "diff.relative=false", "-c", "protocol.allow=never",
)  # fmt: skip
_FIELDS = ("H", "h", "an", "ae", "ct", "S", "D", "B")
_HEAD = "\x01"
_NUMSTAT = re.compile(r"(\d+|-)\t(\d+|-)\t(.*)", re.DOTALL)
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Logged:
    """A commit as git tells it.

    Args:
        author, address: as the commit has them.
        committed_us: microseconds since 1970; None if it is no moment of the years 1 to 9999.
        branch: a branch it was reached from; None if none was.
        files, added, deleted: of its own changes; None where its parents are not there to compare
            it with (a shallow clone's oldest).
    """

    commit_hash: str
    short_hash: str
    author: str
    address: str
    committed_us: int | None
    branch: str | None
    message: str
    files: int | None
    added: int | None
    deleted: int | None


def environment() -> dict[str, str]:
    """For git: its messages in English, no question asked, no lock taken, nothing fetched."""
    kept = {name: value for name, value in os.environ.items() if name not in _LOCAL}
    return {
        **kept,
        "LC_ALL": "C",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        # A commit is what its hash says, whatever somebody put in its place.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PAGER": "",
    }


def command(repository: Path, *arguments: str) -> list[str]:
    """The words of a git command that does nothing of what a repository's settings would add."""
    return ["git", "--no-pager", "-C", str(repository), *_HARMLESS, *arguments]


def log(
    repository: Path, *, since_us: int | None, branch: str | None, seconds: float
) -> Iterator[Logged]:
    """The commits of a repository's branches and of what is checked out, the newest last.

    Args:
        repository: within it, bare or not.
        since_us: only those committed since then.
        branch: those of this one alone.
        seconds: the time it may take.

    Raises:
        SourceError: it is no repository, or git may not or cannot read it.
        CommandFailed: git is not there, failed, or took longer.
    """
    wanted = ["HEAD", "--branches"] if branch is None else [f"refs/heads/{branch}"]
    try:
        yield from _log(repository, wanted, since_us, seconds)
    except _Unborn:
        # Nothing is committed on what is checked out; other branches may have something.
        if branch is not None:
            raise SourceError(f"{repository} has no branch {branch!r}") from None
        yield from _log(repository, ["--branches"], since_us, seconds)


class _Unborn(Exception):
    """A revision that was named is not there."""


def _log(
    repository: Path, wanted: list[str], since_us: int | None, seconds: float
) -> Iterator[Logged]:
    form = "%x00".join(f"%{field}" for field in _FIELDS)
    since = [] if since_us is None else [f"--since={clock.text(since_us)[:19]}Z"]
    words = command(
        repository, "log", "-z", "--numstat", "-M", "--decorate=full", "--source", "--no-color",
        "--reverse", "--no-show-signature", "--no-ext-diff", "--no-textconv", "--no-notes",
        "--encoding=UTF-8", f"--format=%x01{form}%x00", *since, *wanted, "--",
    )  # fmt: skip
    last = None
    with _running(words, repository, seconds) as stream:
        for commit in _commits(_tokens(stream)):
            if last is not None:
                yield last
            last = commit
    # Only now is it known that git told all of it, and was not ended in its midst.
    if last is not None:
        yield last


@contextmanager
def _running(words: list[str], repository: Path, seconds: float) -> Iterator[IO[bytes]]:
    """What a command writes, while it runs; it is ended when the time is over, or the block."""
    late = threading.Event()
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
            )
        except FileNotFoundError as error:
            raise CommandFailed("git is not installed", hint="Install git.") from error
        except ValueError as error:  # half a character or NUL, as in the name of a branch
            raise SourceError(f"git cannot be asked for {words[-2]!r:.60}: {error}") from error

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdout is not None
            yield process.stdout
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if late.is_set():
            raise CommandFailed(
                f"git log took longer than {seconds:g} s",
                hint="Give it longer with --timeout, or take in less with --since.",
            )
        if code:
            errors.seek(0)
            raise failure(errors.read().decode("utf-8", "replace"), code, repository)


def failure(said: str, code: int, repository: Path) -> Exception:
    """The error for a git command that failed, by what it said."""
    line = next((line for line in said.splitlines() if line.startswith("fatal:")), said.strip())
    line = line.removeprefix("fatal: ")
    if "dubious ownership" in said:
        return SourceError(
            f"{repository} belongs to another user, and git refuses to read it",
            hint=f"If you trust it: git config --global --add safe.directory {repository}",
        )
    if "not a git repository" in said:
        return SourceError(f"{repository} is not a git repository", hint="Name one with --repo.")
    if "cannot change to" in said:
        return SourceError(f"{repository} is no directory", hint="Name a repository with --repo.")
    if re.search(r"bad (default )?revision|ambiguous argument|does not have any commits", said):
        return _Unborn(line)
    return CommandFailed(f"git failed with {code}: {line[:500]}")


def _tokens(stream: IO[bytes]) -> Iterator[str]:
    """What stands between NULs; a byte that is not UTF-8 becomes a replacement character."""
    rest = b""
    while piece := stream.read(_PIECE):
        *whole, rest = (rest + piece).split(b"\0") if b"\0" in piece else (rest + piece,)
        for token in whole:
            yield token.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def _commits(tokens: Iterator[str]) -> Iterator[Logged]:
    fields: list[str] = []
    counts = [0, 0, 0]
    for token in tokens:
        if token.startswith(_HEAD):
            if fields:
                yield _commit(fields, counts)
            # The fields are taken by their number: no text in them can be mistaken for a head.
            fields = [token[1:], *islice(tokens, len(_FIELDS) - 1)]
            counts = [0, 0, 0]
            if len(fields) < len(_FIELDS):
                return  # git was ended in the midst of it
        elif found := _NUMSTAT.fullmatch(token.lstrip("\n")):
            added, deleted, path = found.groups()
            counts[0] += 1
            counts[1] += int(added) if added != "-" else 0
            counts[2] += int(deleted) if deleted != "-" else 0
            if not path:  # a rename: its two names follow
                next(tokens, None)
                next(tokens, None)
    if fields:
        yield _commit(fields, counts)


def _commit(fields: list[str], counts: list[int]) -> Logged:
    commit_hash, short, author, address, committed, source, names, message = fields
    us = int(committed) * clock.MICROSECONDS if re.fullmatch(r"-?\d{1,15}", committed) else None
    numbers = (None, None, None) if "grafted" in names.split(", ") else tuple(counts)
    return Logged(
        commit_hash,
        short,
        author,
        address,
        us if us is not None and clock.MIN_US <= us <= clock.MAX_US else None,
        _branch(source, names),
        message.rstrip("\n"),
        *numbers,
    )


def _branch(source: str, names: str) -> str | None:
    own = [name.split(" -> ")[-1] for name in names.split(", ")]
    for name in own:
        if name.startswith("refs/heads/"):
            return name.removeprefix("refs/heads/")
    return None if source in ("", "HEAD") else source.removeprefix("refs/heads/")


@dataclass(frozen=True, slots=True)
class WorkingTree:
    """How a working tree is.

    Args:
        branch: what is checked out; None if that is no branch.
        uncommitted_changes: files that differ from the last commit, new ones too.
    """

    branch: str | None
    uncommitted_changes: int


def working_tree(repository: Path, seconds: float = 30.0) -> WorkingTree:
    """Look at a working tree; nothing in it is changed.

    Raises:
        SourceError, CommandFailed: as :func:`log`.
    """
    words = command(
        repository, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal",
        "--ignore-submodules=none",
    )  # fmt: skip
    branch, changes = None, 0
    with _running(words, repository, seconds) as stream:
        tokens = _tokens(stream)
        for token in tokens:
            if token.startswith("# branch.head "):
                name = token.removeprefix("# branch.head ")
                branch = None if name == "(detached)" else name
            elif token[:2] in ("1 ", "2 ", "u ", "? "):
                changes += 1
                if token[0] == "2":
                    next(tokens, None)  # a rename: its former name follows
    return WorkingTree(branch, changes)
