"""Fuzzed files: stores, their logs, manifests, settings, thresholds and control files, broken."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

from fuzzing import untyped
from hostile import Texts, unsafe

from metrics_store import MetricsStore, Settings, integrity, manifest
from metrics_store.alerts import rule_file
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError
from metrics_store.health import thresholds
from metrics_store.integrity.findings import Level
from metrics_store.legacy import control
from metrics_store.legacy.control import Gates
from metrics_store.phases import beginning
from metrics_store.phases.operator import Operator
from metrics_store.render.text import visible

_TOML = b"""[metrics_store]
database = "m.db"
durability = "full"
busy_timeout = 3.5
checkpoint_mb = 4
slow_ms = 100
allow_network_filesystem = false
backup_directory = "backups"
"""
_YAML = b"""# limits
wal_mb: {warning: 32, error: 128}
backup_age_hours:
  critical: 336
  warning: null
disk_free_mb:
  warning: 2e3
"""


def begin(folder: Path, chance: Random) -> Files:
    """A folder of files that are whole, to be broken."""
    return Files(folder, chance)


class Files:
    """Files that may hold anything."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self._folder = folder
        self._chance = chance
        self._texts = Texts(chance, longest=100_000)
        self._whole = folder / "whole"
        self._whole.mkdir()
        self._image = _crash_image(self._whole)
        with MetricsStore(self._whole / "m.db", durability="normal") as store:
            store.record_invocations(
                {"skill_name": f"s{n % 7}", "workflow_path": f"p{n}", "session_id": f"x{n % 3}",
                 "follow_up_actions": ["a"], "attributes": {"a": {"b": n}}, "duration_seconds": n}
                for n in range(100)
            )  # fmt: skip
            store.track_invocation("flying", attributes={"a": 1})
            _record_families(store)
            self._backup = store.back_up(self._whole / "backups").path
        self._store_bytes = (self._whole / "m.db").read_bytes()
        self._manifest = manifest.path_of(self._backup).read_bytes()
        self._control = _control(self._whole)

    def one(self) -> Iterator[str]:
        works: tuple[Callable[[], str | None], ...] = (
            self._settings, self._thresholds, self._rules, self._manifests, self._controls,
            self._store, self._log,
        )  # fmt: skip
        work = self._chance.choices(works, (20, 15, 15, 15, 15, 12, 8))[0]
        try:
            wrong = work()
        except MetricsStoreError as error:
            if not str(error):
                yield f"{type(error).__name__} says nothing"
        except Exception as error:
            yield untyped(error, work.__name__)
        else:
            if wrong:
                yield f"{work.__name__}: {wrong}"

    def end(self) -> Iterator[str]:
        yield from ()

    def _content(self, data: bytes) -> bytes:
        if self._chance.random() < 0.2:
            return self._texts.text().encode("utf-8", "surrogatepass")
        return self._texts.broken(data)

    # Text files

    def _settings(self) -> None:
        path = self._folder / "config.toml"
        data = self._content(_TOML)
        if self._chance.random() < 0.5:
            name = self._chance.choice(["busy_timeout", "database", "durability", "x", "cache_mb"])
            value = json.dumps(self._texts.text(), ensure_ascii=False)
            data = f"{name} = {value}\n".encode("utf-8", "surrogatepass")
        path.write_bytes(data)
        Settings.load(None, config=path, environ={})

    def _thresholds(self) -> None:
        path = self._folder / "thresholds.yaml"
        data = self._content(_YAML)
        if self._chance.random() < 0.5:
            metric = self._chance.choice(["wal_mb", "disk_free_mb", self._texts.text()])
            level = self._chance.choice(["warning", "error", "x", self._texts.text()])
            data = f"{metric}: {{{level}: {self._texts.text()}}}\n".encode("utf-8", "surrogatepass")
        path.write_bytes(data)
        thresholds.load(path)

    def _rules(self) -> None:
        path = self._folder / "rules.yaml"
        data = self._content(rule_file.shipped_text().encode())
        if self._chance.random() < 0.5:
            name = self._chance.choice(["metric", "above", "for", "severity", self._texts.text()])
            rule = f"rules:\n- name: x\n  metric: disk_free_mb\n  {name}: {self._texts.text()}\n"
            data = rule.encode("utf-8", "surrogatepass")
        path.write_bytes(data)
        rule_file.load(path)

    def _manifests(self) -> str:
        folder = self._folder / "backups"
        folder.mkdir(exist_ok=True)
        backup = folder / self._backup.name
        if not backup.exists():
            os.link(self._backup, backup)
        data = self._content(self._manifest)
        if self._chance.random() < 0.6:
            document = json.loads(self._manifest)
            name = self._chance.choice([*document])
            document[name] = self._chance.choice(
                [self._texts.text(), None, -1, 10**400, 1.5, [], {}, [{}], [document["logs"]]]
            )
            data = json.dumps(document).encode("utf-8", "surrogatepass")
        manifest.path_of(backup).write_bytes(data)
        told = [entry.problem for entry in manifest.of_directory(folder)]
        for text in told:
            visible(text)
        tuple(manifest.whole([folder]))
        manifest.read(backup)
        return ""

    def _controls(self) -> None:
        path, data = self._control
        control_file = self._folder / "c" / Path(control.control_path(path)).name
        control_file.parent.mkdir(exist_ok=True)
        if self._chance.random() < 0.6:
            document = json.loads(data)
            document[self._chance.choice([*document])] = self._chance.choice(
                [self._texts.text(), None, -1, 10**400, 1.5, [], {}, [{}], True]
            )
            control_file.write_bytes(json.dumps(document).encode("utf-8", "surrogatepass"))
        else:
            control_file.write_bytes(self._content(data))
        control.read(control_file.parent / path.name)

    # Stores

    def _store(self) -> str:
        path = self._folder / "broken.db"
        self._clear(path)
        path.write_bytes(self._texts.broken(self._store_bytes))
        return self._looked_at(path)

    def _log(self) -> str:
        """What a crash left, with one of its three files broken or gone."""
        path = self._folder / "broken.db"
        self._clear(path)
        for ending, data in self._image.items():
            Path(f"{path}{ending}").write_bytes(data)
        ending = self._chance.choice(["-wal", "-wal", "-shm", ""])
        if self._chance.random() < 0.2 and ending:
            Path(f"{path}{ending}").unlink()
        else:
            broken = self._texts.broken(self._image[ending])
            Path(f"{path}{ending}").write_bytes(broken)
        return self._looked_at(path)

    def _clear(self, path: Path) -> None:
        for file in self._folder.glob(f"{path.name}*"):
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()

    def _looked_at(self, path: Path) -> str:
        """Check it, open it, read it, write it: each ends well or says why not."""
        levels: tuple[Level, ...] = ("quick", "standard", "deep")
        with suppress(MetricsStoreError):
            report = integrity.check_file(path, level=self._chance.choice(levels))
            told = " ".join(f"{f.kind} {f.table} {f.row} {f.action}" for f in report.findings)
            if found := unsafe(visible(told)):
                return f"a finding holds {found}"
        uses: tuple[Callable[[MetricsStore], object], ...] = (
            lambda store: store.get_all_metrics(),
            lambda store: store.get_summary(),
            lambda store: store.invocations(limit=1000),
            lambda store: store.in_flight(),
            lambda store: store.get_skill_timeline("s1", "30 days"),
            lambda store: store.search_workflow_paths("p1"),
            lambda store: store.record_invocation("s1", workflow_path="p1"),
            lambda store: store.record_invocations([{"skill_name": "s2"}]),
            lambda store: store.reap(),
            lambda store: store.health(),
            lambda store: store.info(),
            lambda store: store.service_status(),
            lambda store: store.uptime("importer"),
            lambda store: store.heartbeat("importer", "running"),
            lambda store: store.list_executions(),
            lambda store: store.execution_statistics("90d"),
            lambda store: store.performance_metrics("90d"),
            lambda store: store.find_similar_solutions([0.5] * 384),
            lambda store: store.record_execution(success=True),
            lambda store: store.snapshots(),
            lambda store: store.snapshot_trend("files_indexed"),
            lambda store: store.record_snapshot({"files_indexed": 2}),
            lambda store: store.agent_status(),
            lambda store: store.agent_daily(),
            lambda store: store.tasks(),
            lambda store: store.task_velocity(),
            lambda store: store.commit_daily(),
            lambda store: store.record_agent_sample("tester"),
            lambda store: store.alerts("all"),
            lambda store: store.evaluate_alerts(),
            lambda store: store.retention_plan(),
            lambda store: store.retain({"skill": "1 day"}),
        )
        with MetricsStore(settings=Settings(path, busy_timeout=0.2)) as store:
            for use in self._chance.sample(uses, 10):
                with suppress(MetricsStoreError):
                    use(store)
        return ""


def _record_families(store: MetricsStore) -> None:
    for n in range(20):
        store.heartbeat("importer", "running" if n % 5 else "error", latency=n / 10)
        store.record_execution(f"t{n}", success=n % 3 > 0, actual_cost=0.1, embedding=[n / 9] * 384)
        store.record_snapshot({"files_indexed": n, "projects": {"x": {"file_count": n}}})
        store.record_agent_sample(f"a{n % 3}", cpu_usage=n, memory_usage=n * 10)
        store.record_task_event(f"t{n % 4}", "completed" if n > 15 else "created")
        store.record_commit(f"{n:040x}", lines_added=n, agent_id=f"a{n % 3}")
        store.record_system_health(cpu=n, details={"a": n})
        store.record_rag_metrics(total_queries=n, hit_rate=0.5)
    store.raise_alert("agent", "error", "it is slow", source="a1")


def _crash_image(folder: Path) -> dict[str, bytes]:
    """The three files of a store that a process left by dying."""
    path = folder / "crash.db"
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store = MetricsStore(path, durability="normal")
            for n in range(20):
                store.record_invocation(f"s{n % 3}", workflow_path=f"p{n}")
            os.write(sending, b"done")
        finally:
            os._exit(0)
    assert os.read(receiving, 4) == b"done"
    os.waitpid(child, 0)
    os.close(receiving)
    os.close(sending)
    return {ending: Path(f"{path}{ending}").read_bytes() for ending in ("", "-wal", "-shm")}


def _control(folder: Path) -> tuple[Path, bytes]:
    """A legacy file whose migration has begun, and its control file."""
    path = folder / "skill_metrics.json"
    path.write_text('{"invocations": [], "skills": {}, "last_updated": "2026-03-01T00:00:00"}')
    operator = Operator(path, folder / "l.db", now=Clock())
    beginning.start(operator, zone="UTC", wanted=Gates(), execute=True)
    operator.close()
    return path, Path(control.control_path(path)).read_bytes()
