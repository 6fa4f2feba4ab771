"""The shape of the package, read from its source: DESIGN's floor plan and the rules beside it."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "metrics_store"

# From the ground up. A module imports only from floors below its own; those on one floor do not
# know each other. A package is one entry: inside, its modules may import each other, without
# circles. A new module goes on the lowest floor that is above everything it imports.
FLOORS = [
    ["errors", "semaphore", "file_locks", "appending", "replacing", "closing"],
    ["clock", "settings", "sql", "location", "liveness", "windows", "asked", "gate"],
    ["sqlite", "families", "percentiles", "results", "write_ahead_log", "wakeups"],
    ["pragmas", "rows", "forking", "waiting", "slow_calls", "foreign"],
    ["checkpoints", "records", "readers", "opening", "logs"],
    ["writer"],
    ["connection"],
    ["yoyo_backend", "tracking", "buffer", "retrying"],
    ["schema"],
    ["reaping", "totals", "timeline", "listing", "bulk", "manifest"],
    ["reports", "integrity"],
    ["legacy_format", "backup", "health", "maintenance"],
    ["operations", "services", "snapshots", "executions", "agents", "retention"],
    ["alerts"],
    ["telemetry"],
    ["store"],
    ["live"],
    ["legacy"],
    ["trackers"],
    ["phases"],
    ["classic"],
    ["render"],
    ["cli"],
    ["__init__", "__main__"],
]
# `import metrics_store` must not load these: `__init__` may only import them inside a function.
LAZY_IN_INIT = {"legacy"}

BINDINGS = {"sqlite3", "pysqlite3"}
HEAVY = {"typer", "rich", "yoyo", "sqlite_utils"}
MAY_LOAD_HEAVY = {"cli", "render", "yoyo_backend", "schema"}
CLOCKS = {
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    *("datetime.date.today", "time.time", "time.time_ns", "time.gmtime", "time.localtime"),
    *(f"uuid.uuid{version}" for version in (1, 4, 6, 7)),
}
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers"}
DDL = ("CREATE ", "ALTER ", "DROP ")
LONGEST = 350


class Source:
    """One file of the package, parsed."""

    def __init__(self, path: Path, package: Path) -> None:
        self.path = path
        self.package = package
        self.parts = path.relative_to(package).with_suffix("").parts
        self.entry = self.parts[0]
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, str(path))

    @property
    def module(self) -> str:
        """The dotted name below the package: `legacy.backfill`, `legacy` for its `__init__`."""
        parts = self.parts[:-1] if self.parts[-1] == "__init__" else self.parts
        return ".".join(parts) or "__init__"

    def at(self, node: ast.AST | int) -> str:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.package.name}/{self.path.relative_to(self.package).as_posix()}:{line}"

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Every import, wherever it stands, as an absolute dotted name."""
        for node in ast.walk(self.tree):
            for name in imported_names(node, (self.package.name, *self.parts[:-1])):
                yield node, name

    def own_imports(self) -> Iterator[tuple[ast.AST, str]]:
        """The imports of this package's modules, as dotted names below the package."""
        for node, name in self.imports():
            top, _, below = name.partition(".")
            if top == self.package.name:
                yield node, module_at(self.package, below.split("."))


def imported_names(node: ast.AST, inside: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = inside[: len(inside) - node.level + 1] if node.level else ()
        origin = [*above, *([node.module] if node.module else [])]
        yield from (".".join([*origin, alias.name]) for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        match node.args:
            case [ast.Constant(value=str(name)), *_]:
                yield ".".join([*inside, name.lstrip(".")]) if name.startswith(".") else name


def module_at(package: Path, parts: list[str]) -> str:
    """The longest beginning of `parts` that is a module; the rest is a name inside it."""
    for length in range(len(parts), 0, -1):
        path = package.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file() or path.is_dir():
            return ".".join(parts[:length])
    return "__init__"


def at_load(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: not function bodies, not `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield from (other, *at_load(other))
            continue
        yield node
        yield from at_load(node)


def floor_of(entry: str) -> int | None:
    return next((level for level, floor in enumerate(FLOORS) if entry in floor), None)


def imports_upwards(source: Source) -> Iterator[str]:
    level = floor_of(source.entry)
    if level is None:
        yield (
            f"{source.at(1)}: `{source.entry}` is on no floor. Add it to FLOORS in "
            f"tests/{Path(__file__).name}, above everything it imports, and to the floor plan."
        )
        return
    for node, target in source.own_imports():
        entry = target.partition(".")[0]
        below = floor_of(entry)
        if entry == source.entry and len(source.parts) > 1:
            continue
        if below is None or below >= level:
            yield f"{source.at(node)}: `{source.entry}` imports `{target}`, not from a lower floor"


def loads_legacy(source: Source) -> Iterator[str]:
    if source.parts == ("__init__",):
        early = set(map(id, at_load(source.tree)))
        for node, target in source.own_imports():
            if target.partition(".")[0] in LAZY_IN_INIT and id(node) in early:
                yield f"{source.at(node)}: `{target}` is imported by `import metrics_store`"


def imports_a_binding(source: Source) -> Iterator[str]:
    if source.parts != ("sqlite",):
        for node, name in source.imports():
            if name.partition(".")[0] in BINDINGS:
                yield f"{source.at(node)}: imports `{name}`; take it from metrics_store/sqlite.py"


def reads_the_clock(source: Source) -> Iterator[str]:
    if source.parts == ("clock",):
        return
    origins: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            origins |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = ast.unparse(node).partition(".")
            name = f"{origins[first]}.{rest}".rstrip(".") if first in origins else ""
            if name in CLOCKS:
                yield f"{source.at(node)}: uses `{name}`; clock.py is the source of time and ids"


def holds_ddl(source: Source) -> Iterator[str]:
    if source.parts == ("families", "declaration"):
        return  # it writes out what a migration is to hold, and a test compares; it runs none
    for node in ast.walk(source.tree):
        match node:
            case ast.Constant(value=str(text)) if text.lstrip().startswith(DDL):
                yield f"{source.at(node)}: DDL belongs in migrations/: {text.strip()[:50]!r}"


def is_too_long(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > LONGEST:
        yield f"{source.at(LONGEST)}: {lines} lines; past {LONGEST} it is two things"


def has_a_vague_name(source: Source) -> Iterator[str]:
    for part in source.parts:
        if VAGUE & set(part.lower().split("_")):
            yield f"{source.at(1)}: `{part}` says nothing; a module is a noun"


def loads_a_heavy_library(source: Source) -> Iterator[str]:
    if source.entry not in MAY_LOAD_HEAVY:
        for node in at_load(source.tree):
            for name in imported_names(node, ()):
                if name.partition(".")[0] in HEAVY:
                    yield f"{source.at(node)}: loads `{name}` at import; do it where it is used"


def circles(sources: list[Source]) -> str | None:
    """The first circle of imports, if there is one, anywhere in the package."""
    graph = {s.module: {t for _, t in s.own_imports() if t != s.module} for s in sources}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return " -> ".join(error.args[1])
    return None


def sources_of(package: Path) -> list[Source]:
    return [Source(path, package) for path in sorted(package.rglob("*.py"))]


@cache
def ours() -> list[Source]:
    """The package's own files, parsed once for all rules."""
    return sources_of(PACKAGE)


def assert_none(rule: Callable[[Source], Iterator[str]]) -> None:
    sources = ours()
    assert sources, f"no Python file in {PACKAGE}"
    offences = [offence for source in sources for offence in rule(source)]
    assert not offences, "\n" + "\n".join(offences)


def test_a_module_imports_only_from_lower_floors() -> None:
    assert_none(imports_upwards)


def test_no_modules_import_each_other_in_a_circle() -> None:
    circle = circles(ours())
    assert circle is None, circle


def test_importing_the_package_does_not_load_the_legacy_side() -> None:
    assert_none(loads_legacy)


def test_only_sqlite_py_imports_an_sqlite_binding() -> None:
    assert_none(imports_a_binding)


def test_only_clock_py_reads_the_clock_or_makes_random_ids() -> None:
    assert_none(reads_the_clock)


def test_ddl_stands_only_in_the_migrations() -> None:
    assert_none(holds_ddl)


def test_a_file_fits_in_a_head() -> None:
    assert_none(is_too_long)


def test_a_module_is_named_for_what_it_holds() -> None:
    assert_none(has_a_vague_name)


def test_heavy_libraries_are_loaded_only_where_they_are_used() -> None:
    assert_none(loads_a_heavy_library)


PLANTED = [
    (imports_upwards, "errors.py", "from metrics_store import clock"),
    (imports_upwards, "settings.py", "from .clock import now"),
    (imports_upwards, "store.py", "def f():\n    from metrics_store.cli import main"),
    (imports_upwards, "clock.py", "if TYPE_CHECKING:\n    from . import store"),
    (imports_upwards, "families/skills.py", "from ..store import Store"),
    (imports_upwards, "cli/__init__.py", "from metrics_store import __version__"),
    (imports_upwards, "cli.py", "importlib.import_module('metrics_store.unheard_of')"),
    (imports_upwards, "unheard_of.py", ""),
    (loads_legacy, "__init__.py", "from metrics_store.legacy import a"),
    (imports_a_binding, "store.py", "def f():\n    import sqlite3.dbapi2"),
    (imports_a_binding, "legacy/sqlite.py", "from pysqlite3 import connect"),
    (reads_the_clock, "store.py", "import datetime as dt\ndt.datetime.now(dt.UTC)"),
    (reads_the_clock, "store.py", "from datetime import datetime\nf(default=datetime.now)"),
    (reads_the_clock, "store.py", "from time import time\ntime()"),
    (reads_the_clock, "store.py", "from uuid import uuid4 as new\nnew()"),
    (holds_ddl, "store.py", "f('''\n  CREATE TABLE {name}''')"),
    (is_too_long, "store.py", "pass\n" * (LONGEST + 1)),
    (has_a_vague_name, "legacy/time_helpers.py", ""),
    (loads_a_heavy_library, "store.py", "try:\n    import rich.table\nexcept E:\n    pass"),
]
INNOCENT = [
    (imports_upwards, "store.py", "from metrics_store.errors import Broken\nfrom .sql import load"),
    (imports_upwards, "families/skills.py", "from . import declaration"),
    (imports_upwards, "__init__.py", "def __getattr__(name):\n    from . import legacy"),
    (loads_legacy, "__init__.py", "def __getattr__(name):\n    from . import legacy"),
    (imports_a_binding, "sqlite.py", "import sqlite3"),
    (reads_the_clock, "store.py", "from time import monotonic\nmonotonic()\nself.time.time()"),
    (holds_ddl, "store.py", "'Create a store'"),
    (loads_a_heavy_library, "store.py", "if TYPE_CHECKING:\n    import typer"),
    (loads_a_heavy_library, "store.py", "def f():\n    import yoyo"),
]


def planted(tmp_path: Path, name: str, text: str) -> Source:
    package = tmp_path / "metrics_store"
    for neighbour in ("errors.py", "clock.py", "store.py", "cli.py", "sql/x.sql", "legacy/a.py"):
        (package / neighbour).parent.mkdir(parents=True, exist_ok=True)
        (package / neighbour).touch()
    path = package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Source(path, package)


@pytest.mark.parametrize(("rule", "name", "text"), PLANTED)
def test_each_rule_notices_what_breaks_it(
    rule: Callable[[Source], Iterator[str]], name: str, text: str, tmp_path: Path
) -> None:
    assert list(rule(planted(tmp_path, name, text)))


@pytest.mark.parametrize(("rule", "name", "text"), INNOCENT)
def test_each_rule_leaves_alone_what_keeps_it(
    rule: Callable[[Source], Iterator[str]], name: str, text: str, tmp_path: Path
) -> None:
    assert not list(rule(planted(tmp_path, name, text)))


def test_a_circle_is_noticed(tmp_path: Path) -> None:
    source = planted(tmp_path, "families/a.py", "from . import b")
    assert circles(sources_of(source.package)) is None
    planted(tmp_path, "families/b.py", "def f():\n    from .a import x")
    assert circles(sources_of(source.package)) == "families.a -> families.b -> families.a"
