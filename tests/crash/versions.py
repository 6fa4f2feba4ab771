"""Versions of the package side by side: each a source tree with migrations of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import metrics_store
from metrics_store import schema

NEWEST = schema.latest(schema.migrations_directory())
#: Answers each line of standard input with ``ok …`` or the name of the error it ended with.
_WORKER = """
import sys
from metrics_store import MetricsStore
from metrics_store.errors import MetricsStoreError
path = sys.argv[1]
store = started = buffer = None
def answer(word, *rest):
    global store, started, buffer
    match word:
        case "open":
            store = MetricsStore(path, durability="normal", busy_timeout=20)
        case "read only":
            MetricsStore(path, read_only=True).close()
        case "record":
            return store.record_invocation("deploy", invocation_id=rest[0])
        case "batch":
            return store.record_invocations([{"skill_name": "deploy", "invocation_id": name}
                                             for name in rest]).inserted
        case "start":
            started = store.track_invocation("flying")
            return started.invocation_id
        case "heartbeat":
            started.heartbeat()
        case "end":
            started.complete()
        case "buffer":
            buffer = buffer or store.buffered(max_delay=3600)
            return buffer.record_invocation("deploy", invocation_id=rest[0])
        case "flush":
            buffer.flush()
        case "reap":
            return len(store.reap("1 second"))
        case "count":
            return len(store.query("SELECT 1 FROM skill_invocation"))
        case "summary":
            return store.get_summary().total_invocations
        case "many":
            done = 0
            try:
                for n in range(int(rest[1])):
                    store.record_invocation("deploy", invocation_id=f"{rest[0]}-{n}")
                    done += 1
            except MetricsStoreError as error:
                return f"{done} {type(error).__name__}"
            return f"{done} all"
        case "close":
            store.close()
    return "done"
print("ready", flush=True)
for line in sys.stdin:
    try:
        said = f"ok {answer(*line.rstrip().split(chr(9)))}"
    except MetricsStoreError as error:
        said = f"{type(error).__name__}{'' if error.hint else ' without a hint'}"
    except BaseException as error:
        said = f"not ours: {error!r}"
    print(said, flush=True)
"""


class Version:
    """A source tree.

    Args:
        tree: where it is made.
        newest: its newest migration: fewer than ours make an old version; one more, that is made
            up, one of the future.
    """

    def __init__(self, tree: Path, newest: int) -> None:
        self.tree = tree
        self.newest = newest
        source = Path(metrics_store.__file__).parent
        ignore = shutil.ignore_patterns("__pycache__", "migrations")
        shutil.copytree(source, tree / "metrics_store", ignore=ignore)
        migrations = Path(shutil.copytree(schema.migrations_directory(), tree / "migrations"))
        for file in migrations.glob("*.sql"):
            if int(file.name[:4]) > newest:
                file.unlink()
        for number in range(NEWEST + 1, newest + 1):
            (migrations / f"{number:04d}_future.sql").write_text(
                f"CREATE TABLE future{number} (x TEXT NOT NULL) STRICT;\n"
                "ALTER TABLE skill_inflight ADD COLUMN colour TEXT;\n"
            )
            (migrations / f"{number:04d}_future.rollback.sql").write_text(
                f"ALTER TABLE skill_inflight DROP COLUMN colour;\nDROP TABLE future{number};\n"
            )

    @property
    def environment(self) -> dict[str, str]:
        """Of a process of this version."""
        return {**os.environ, "PYTHONPATH": str(self.tree), "PYTHONIOENCODING": "utf-8"}

    def process(self, path: Path) -> Process:
        """A process of this version that works on a store when it is told to."""
        return Process(self, path)

    def command(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command of this version."""
        return subprocess.run(
            [sys.executable, "-m", "metrics_store.cli", *map(str, words)],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.tree,
            timeout=120,
            check=False,
        )


class Process:
    """A process of a version."""

    def __init__(self, version: Version, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=version.environment,
            cwd=version.tree,
        )

    def wait(self) -> str:
        """Its next answer."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def tell(self, *words: object) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def __call__(self, *words: object) -> str:
        """Tell it to do something; its answer."""
        self.tell(*words)
        return self.wait()

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()
