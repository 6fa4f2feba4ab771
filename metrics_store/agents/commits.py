"""Taking a repository's commits in: each once, and whose agent made it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from metrics_store import clock, rows
from metrics_store.agents import git, recording, values
from metrics_store.agents.git import Logged
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue, SourceError
from metrics_store.families.activity import COMMITS
from metrics_store.logs import Content
from metrics_store.results import Result

#: Commits of one transaction.
_BATCH = 1000
#: Longest time that git is given, in seconds.
_LONGEST = 7 * 86_400
_TRAILER = re.compile(r"^co-authored-by:\s*(.*?)\s*<([^<>]*)>\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CommitsTaken(Result):
    """What taking a repository in came to.

    Args:
        repository: its path.
        read: commits that git told.
        inserted: those that are new.
        already_there: those that were there.
        skipped: those that cannot be recorded: nobody can tell when they were committed.
    """

    repository: str
    read: int
    inserted: int
    already_there: int
    skipped: int


class AgentMap:
    """Which agent makes whose commits.

    Args:
        patterns: of a name or an address, as ``*@bots.example.com``, with the agent's id; the
            first that matches the author counts, else the first that matches a co-author.
    """

    def __init__(self, patterns: Mapping[str, str] | None = None) -> None:
        self._patterns = [(key.casefold(), agent) for key, agent in (patterns or {}).items()]

    @classmethod
    def load(cls, path: Path) -> AgentMap:
        """Read a YAML or JSON file: a mapping of patterns to agents' ids.

        Raises:
            SourceError: it cannot be read, or is something else.
        """
        import yaml

        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise SourceError(f"{path}: {error}") from error
        if not isinstance(found, dict) or not all(
            isinstance(key, str) and isinstance(agent, str) and agent
            for key, agent in found.items()
        ):
            raise SourceError(
                f"{path} is no map of agents",
                hint="It is lines such as '*@bots.example.com': builder",
            )
        return cls(found)

    def agent_of(self, commit: Logged) -> str | None:
        """The agent that made a commit; None if no pattern matches."""
        if not self._patterns:
            return None
        people = [(commit.author, commit.address), *_TRAILER.findall(commit.message)]
        for person in people:
            names = [name.casefold() for name in person]
            for pattern, agent in self._patterns:
                if any(fnmatchcase(name, pattern) for name in names):
                    return agent
        return None


def take_in(
    database: Database,
    repository: Path,
    *,
    since_us: int | None = None,
    branch: str | None = None,
    agents: AgentMap | None = None,
    seconds: float = 600.0,
) -> CommitsTaken:
    """Take in the commits of a repository; those that are there are passed over.

    Raises:
        InvalidValue: the time is none.
        SourceError, CommandFailed: see :func:`metrics_store.agents.git.log`; what was taken in
            until then stays.
    """
    if not 0 < seconds <= _LONGEST:
        raise InvalidValue(f"timeout is {seconds:g}", hint=f"It is seconds, at most {_LONGEST:,}.")
    where = repository.resolve()
    place = str(where)
    whose = agents or AgentMap()
    told = git.log(where, since_us=since_us, branch=branch, seconds=seconds)
    read = inserted = skipped = 0
    while some := list(islice(told, _BATCH)):
        now = database.clock.now_us()
        contents = [
            _content(now, commit, whose, place)
            for commit in some
            if commit.committed_us is not None
        ]
        inserted += recording.write_all(database, COMMITS, contents) if contents else 0
        read += len(some)
        skipped += len(some) - len(contents)
    return CommitsTaken(place, read, inserted, read - inserted - skipped, skipped)


def _content(now_us: int, commit: Logged, whose: AgentMap, place: str) -> Content:
    assert commit.committed_us is not None
    message = commit.message
    if len(message) > values.MAX_MESSAGE:
        # A data dump, not a message: what is too long for a row is left out, and it is said.
        message = f"{message[: values.MAX_MESSAGE - 1]}…"
    author = f"{commit.author} <{commit.address}>"[: rows.MAX_LABEL]
    return recording.commit(
        now_us,
        commit.commit_hash,
        {
            "short_hash": commit.short_hash,
            "agent_id": whose.agent_of(commit),
            "author": author,
            "message": message,
            "branch": commit.branch,
            "files_changed": commit.files,
            "lines_added": commit.added,
            "lines_deleted": commit.deleted,
            "commit_timestamp": clock.text(commit.committed_us),
            "repository": place,
        },
    )
