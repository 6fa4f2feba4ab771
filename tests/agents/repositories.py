"""Real git repositories, made for a test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

#: One fixed moment, so that hashes are the same everywhere; each commit is a minute later.
FIRST = 1_772_000_000
ANN = ("Ann", "ann@example.com")


class Repository:
    """A git repository in a folder.

    Args:
        path: an empty folder, or none yet.
    """

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        self.commits = 0
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str, given: bytes | None = None, **env: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            capture_output=True,
            input=given,
            env={**clean(), **env},
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "replace")

    def write(self, name: str, content: str | bytes) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(
        self,
        message: str | bytes = "a change",
        *options: str,
        who: tuple[str, str] = ANN,
        at: int | None = None,
    ) -> str:
        """Commit everything, and give the hash."""
        self.commits += 1
        moment = f"@{FIRST + 60 * self.commits if at is None else at} +0000"
        self.git("add", "--all")
        text = message.encode() if isinstance(message, str) else message
        self.git(
            "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim",
            "--file=-", *options, given=text,
            GIT_AUTHOR_NAME=who[0], GIT_AUTHOR_EMAIL=who[1],
            GIT_COMMITTER_NAME=who[0], GIT_COMMITTER_EMAIL=who[1],
            GIT_AUTHOR_DATE=moment, GIT_COMMITTER_DATE=moment,
        )  # fmt: skip
        return self.git("rev-parse", "HEAD").strip()


def clean() -> dict[str, str]:
    """An environment in which no settings of this user count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
        "LC_ALL": "C",
    }
