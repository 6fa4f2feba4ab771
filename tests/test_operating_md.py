"""docs/operating.md: what it shows is run in its order, with the damage really done.

Its tables are held against the code: every finding of a check, every metric of health and its
thresholds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from documents import ROOT, Document, environment
from follower import Block, Shown, Walk, blocks, named, walking

from metrics_store import write_ahead_log
from metrics_store.health.metrics import NAMES
from metrics_store.health.rules import LEVELS, RULES, Rule
from metrics_store.health.wording import spoken

GUIDE = Document("docs/operating.md")
FULL = "The disk is full"
#: What differs from run to run besides what :mod:`follower` knows of.
CHANGING = (
    (r"just now|\bA WHILE (old|ago)\b|\b\d+ days? \d+h ago", "SOME TIME AGO"),
    (r"\b[0-9a-f]{8}\b", "SHORT ID"),
)
_STAMP = r"\d{8}T\d{12}"
#: Digits of a moment in a file's name, for as long as it is to be told from others.
_LETTERS = str.maketrans("0123456789", "abcdefghij")
_MASKED = r"[a-j]{8}T[a-j]{12}"


class Operator(Walk):
    """Somebody who follows the page, and types the names of files as they were printed to them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._names: dict[str, str] = {}
        #: Whether health finds an old SQLite, a full disk or a wrong clock on this machine.
        self._of_this_machine: bool | None = None

    def take(self, block: Block) -> None:
        super().take(block._replace(text=self._named(block.text)))

    def _named(self, text: str) -> str:
        for shown, real in self._names.items():
            text = text.replace(shown, real)
        return text

    def _type(self, command: Shown) -> None:
        # Names may have become known by the command before it in the same block.
        super()._type(Shown(self._named(command.typed), command.code, self._named(command.output)))

    def check(self, command: Shown, code: int, real: str) -> None:
        if " health" in command.typed and self._is_noisy():
            assert code in (0, 1), real
            return
        super().check(command, code, real)

    def _is_noisy(self) -> bool:
        if self._of_this_machine is None:
            command = [sys.executable, "-m", "metrics_store.cli", "health", "--json"]
            done = subprocess.run(
                command, cwd=self.folder, env=environment(), capture_output=True, check=False
            )
            found = {finding["kind"] for finding in json.loads(done.stdout)["findings"]}
            self._of_this_machine = bool(found & {"sqlite", "disk", "clock"})
        return self._of_this_machine

    def _has(self, output: str, real: str) -> bool:
        """As is, but for what is left out at `...`; names that are new are learnt."""
        text = self.plain(real.replace(str(self.folder), "/srv/app"))
        pieces = [self.plain(piece) for piece in re.split(r"^\.\.\.$", output, flags=re.MULTILINE)]
        names = re.findall(_MASKED, " ".join(pieces))
        middle = "(?:.*)".join(
            re.sub(_MASKED, f"({_MASKED})", re.escape(piece)) for piece in pieces
        )
        found = re.fullmatch(middle, text, re.DOTALL)
        if found is None:
            return False
        for shown, there in zip(names, found.groups(), strict=True):
            self._names[_unmasked(shown)] = _unmasked(there)
        return True

    def plain(self, text: str) -> str:
        text = super().plain(re.sub(_STAMP, lambda stamp: stamp[0].translate(_LETTERS), text))
        return named(text, CHANGING)

    def close(self) -> None:
        super().close()
        small = self.folder / "small"
        if os.path.ismount(small):
            subprocess.run(["umount", small], check=True)

    def unsound(self) -> dict[str, object]:
        # The page leaves two damaged on purpose: copies of a store that was, and say so themselves.
        found = super().unsound()
        return {path: what for path, what in found.items() if ".backups/" not in path}


def _unmasked(name: str) -> str:
    return name.translate(str.maketrans("abcdefghij", "0123456789"))


@pytest.fixture
def operator() -> Iterator[Operator]:
    with walking(Operator) as operator:
        yield operator


def chapters(*, full_disk: bool) -> Iterator[Block]:
    """What the page shows, with or without the drill that needs a disk of its own."""
    before, title, rest = GUIDE.text.partition(f"\n### {FULL}\n")
    assert title
    drill, title, after = rest.partition("\n## ")
    assert title
    text = f"## {FULL}\n{drill}" if full_disk else f"{before}\n## {after}"
    return blocks(text)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no log is known to be lost")
def test_every_day_and_every_drill_run_as_they_are_shown(operator: Operator) -> None:
    operator.follow(chapters(full_disk=False))
    assert len(operator.ran) >= 50
    assert unlisted(operator.folder / ".session-buddy") == []


@pytest.mark.skipif(sys.platform != "linux", reason="it needs a small disk of its own")
def test_the_drill_of_the_full_disk_runs_as_it_is_shown(operator: Operator) -> None:
    if os.geteuid() != 0 or not can_mount(operator.folder):
        pytest.skip("this user may not mount a file system")
    operator.follow(chapters(full_disk=True))
    assert len(operator.ran) >= 10


def can_mount(folder: Path) -> bool:
    """Whether a file system can be mounted here."""
    place = folder / "probe"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        return False
    subprocess.run(["umount", place], check=True)
    return True


def unlisted(folder: Path) -> list[str]:
    """What lies beside the store, and is not in the table of the files."""
    listed = [
        re.escape(name.rstrip("/")).replace("NAME", "skill_metrics.db").replace("MOMENT", _STAMP)
        for row in GUIDE.rows("Where things lie")
        for name in re.findall(r"`([^`]+)`", row[0])
    ]
    there = {path.name for path in folder.iterdir()} - {"skill_metrics.json"}
    assert {"skill_metrics.db", "skill_metrics.db.backups"} <= there
    return sorted(name for name in there if not any(re.fullmatch(p, name) for p in listed))


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a shell")
def test_the_lines_for_cron_are_silent_when_all_is_well(operator: Operator) -> None:
    operator.python("from metrics_store import MetricsStore; MetricsStore().record_invocation('x')")
    [table] = [text for kind, text in GUIDE.blocks if kind == "sh"]
    thresholds = next(block for block in blocks(GUIDE.text) if block.kind == "yaml")
    assert thresholds.file == "health-thresholds.yaml"
    path = f"{operator.folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    noisy = operator._is_noisy()
    operator.take(thresholds)
    for line in table.splitlines():
        when, line = line[:14].split(), line[14:].replace("/srv/app", str(operator.folder))
        assert len(when) == 5, line
        done = subprocess.run(
            ["sh", "-c", line], env=environment(PATH=path), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        if not (noisy and " health " in line):
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), line


# What is said to be there is there ------------------------------------------------------------


def test_every_finding_of_a_check_is_in_its_table_with_its_severity() -> None:
    folder = ROOT / "metrics_store" / "integrity"
    code = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
    found = re.findall(r"\.(error|warning|derived)\(\s*f?\"([\w{}.]+)\"", code)
    found += [("derived", kind) for kind in re.findall(r"\bkind(?:, \w+)? = \"(\w+)\"", code)]
    found += re.findall(r"Finding\(\s*\"(error)\",\s*\"(\w+)\"", code)
    errors = {kind for how, kinds in found if how != "warning" for kind in expanded(kinds)}
    warnings = {kind for how, kinds in found if how == "warning" for kind in expanded(kinds)}
    shown = {
        kind: "(warning)" in row[0]
        for row in GUIDE.rows("What `check` finds")
        for kind in re.findall(r"`(\w+)`", row[0])
    }
    assert set(shown) == errors | warnings
    # Of what is made up of a name with a hole the code does not tell which are warnings.
    certain = {kind for kind in shown if not kind.startswith(("extra_", "log_"))}
    assert {kind for kind in certain if shown[kind]} == warnings & certain - errors


def expanded(kind: str) -> list[str]:
    """The kinds that a name with a hole stands for."""
    what, hole, _ = kind.partition("{")
    if not hole:
        return [kind]
    if what == "log_":
        states = get_args(write_ahead_log.Kind)
        return [f"log_{state}" for state in states if write_ahead_log.State(state).is_lost]
    return [f"{what}{part}" for part in ("table", "index", "trigger", "view")]


def test_every_metric_of_health_is_in_its_table_with_its_thresholds() -> None:
    rows = GUIDE.rows("What `health` finds")
    limited = {row[0].strip("`"): row[1] for row in rows if len(row) == 3}
    limited = {name: shown for name, shown in limited.items() if name in BY_NAME}
    assert set(limited) == {rule.metric for rule in RULES if has_limits(rule)}
    for metric, shown in limited.items():
        rule = BY_NAME[metric]
        limits = [
            f"{level} {rule.bad} {spoken(limit, rule.unit)}"
            for level in LEVELS
            if (limit := rule.limits.of(level)) is not None
        ]
        more = "" if rule.only_if is None else f", from {rule.only_if[1]:,}"
        assert re.sub(r" runs( a day)? on$", "", shown) == f"{', '.join(limits)}{more}", metric
    told = [
        name
        for row in rows
        if len(row) == 2
        for name in re.findall(r"`(\w+)`", row[1])
    ]  # fmt: skip
    assert sorted(told) == sorted(set(NAMES) - set(limited))


BY_NAME = {rule.metric: rule for rule in RULES}


def has_limits(rule: Rule) -> bool:
    return any(rule.limits.of(level) is not None for level in LEVELS)


def test_every_trouble_of_health_is_in_its_table() -> None:
    code = (ROOT / "metrics_store" / "health" / "observation.py").read_text(encoding="utf-8")
    code += (ROOT / "metrics_store" / "health" / "measuring.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r"_trouble\(\s*(?:\"\w+\"|level), \"(\w+)\"", code))
    kinds |= set(re.findall(r"_trouble\(\s*\"\w+\",\s+\"(\w+)\"", code))
    kinds |= set(re.findall(r"Finding\(\"\w+\", \"(\w+)\"", code))
    [(first, second)] = re.findall(r"kind = \"(\w+)\" if .* else \"(\w+)\"", code)
    shown = {
        name
        for row in GUIDE.rows("What `health` finds")
        if row[1] in ("CRITICAL", "ERROR", "WARNING")
        for name in re.findall(r"`(\w+)`", row[0])
    }
    assert shown == kinds | {first, second}


def test_what_is_named_is_there() -> None:
    kinds = {kind for row in GUIDE.rows("What `check` finds") for kind in row[0].split("`")}
    assert GUIDE.astray(*kinds) == []
    assert {"scripts/backup.sh", "examples/health-thresholds.yaml"} <= GUIDE.files()
