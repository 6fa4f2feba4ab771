"""The schema's objects and its ledger, held against what the migrations make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from metrics_store.integrity import expected
from metrics_store.integrity.expected import Expected, Object, is_derived
from metrics_store.integrity.faults import FAULTS
from metrics_store.integrity.looking import REPAIR, RESTORE, Looking
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_AROUND = 40


def ledger(looking: Looking, version: int) -> int:
    """Compare the ledger with the migrations, and give the schema version that it tells of.

    Args:
        version: the database's ``user_version``.
    """
    known = expected.newest()
    try:
        rows = looking.connection.execute(query("integrity.ledger")).fetchall()
    except FAULTS as error:
        looking.not_examined("the ledger", error, table="schema_migrations")
        return version
    last = max((row[0] for row in rows), default=0)
    if version != last:
        detail = f"user_version is {version}, and the ledger ends at {last}"
        if 0 < last <= known:
            looking.derived("ledger_drift", detail, table="schema_migrations")
        else:
            looking.error("ledger_drift", detail, table="schema_migrations")
    if last > known:
        looking.error(
            "schema_newer",
            f"the schema is version {last}, and this version of metrics_store knows {known}: "
            "only what SQLite itself can tell was looked at",
            action="Check it with the version of metrics_store that made it, or a newer one.",
        )
        return last
    if 0 < last < known:
        looking.warning(
            "schema_older",
            f"the schema is version {last}; this version of metrics_store makes it {known}",
            action="It is brought up when the store is next opened, or by: "
            "metrics-store schema apply.",
        )
    if last:
        _compare_ledger(looking, expected.objects(last), rows)
    return last


def known_version(connection: Connection) -> int:
    """The schema version that the ledger tells of; 0 if it is empty."""
    rows = connection.execute(query("integrity.ledger")).fetchall()
    return max((row[0] for row in rows), default=0)


def _compare_ledger(
    looking: Looking, due: Expected, rows: Sequence[tuple[int, str, str, str]]
) -> None:
    there = {row[0]: row for row in rows}
    for number, description, checksum in due.ledger:
        row = there.pop(number, None)
        if row is None:
            problem = "it is not in the ledger"
        elif row[3] != checksum:
            problem = f"its file was changed after it had been applied ({row[1]})"
        elif row[2] != description:
            problem = f"the ledger calls it {row[2]!r}"
        else:
            continue
        looking.error(
            "ledger_drift",
            f"migration {number:04d} {description}: {problem}",
            table="schema_migrations",
            row=number,
            action="Use the migrations that the store was made with (the package as it was "
            "installed); if somebody edited the ledger, restore the newest backup.",
        )
    for number in there:
        looking.error(
            "ledger_drift",
            f"no migration {number} is known",
            table="schema_migrations",
            row=number,
        )


def compare(looking: Looking, due: Expected) -> int:
    """Compare the objects with what the migrations make, and give how many there are."""
    there = expected.read(looking.connection)
    shadows = due.shadows | set(expected.shadows(list(there.values())))
    for key, wanted in due.objects.items():
        found = there.get(key)
        if found is None and wanted.name in due.shadows:
            _missing_shadow(looking, wanted, there)
        elif found is None:
            _missing(looking, wanted)
        elif found != wanted:
            _altered(looking, wanted, found, due)
    for key, found in there.items():
        if key not in due.objects and found.name not in shadows:
            _extra(looking, found)
    return len(there)


def _missing_shadow(
    looking: Looking, wanted: Object, there: Mapping[tuple[str, str], Object]
) -> None:
    """Say that a part of a virtual table is missing, unless all of it is."""
    virtual = [o.name for o in there.values() if expected.is_virtual(o.sql)]
    if any(wanted.name.startswith(f"{name}_") for name in virtual):
        looking.derived("missing_table", "a part of the search index is missing", table=wanted.name)


def _missing(looking: Looking, wanted: Object) -> None:
    effect = _EFFECTS[wanted.type].format(table=wanted.table)
    if is_repairable(wanted):
        looking.derived(f"missing_{wanted.type}", f"it is missing{effect}", table=wanted.name)
    else:
        detail = f"the table is missing, and what was in it{effect}"
        looking.error(f"missing_{wanted.type}", detail, table=wanted.name)


_EFFECTS = {
    "table": "",
    "index": ": reading {table} is slow",
    "view": "",
    "trigger": ": {table} is not kept as it should be",
}


def _altered(looking: Looking, wanted: Object, found: Object, due: Expected) -> None:
    if found.table != wanted.table:
        detail = f"it belongs to {found.table}, not to {wanted.table}"
    else:
        detail = f"it is not what the migrations make: {difference(wanted.sql, found.sql)}"
    if is_repairable(wanted) or wanted.name in due.shadows:
        looking.derived(f"altered_{wanted.type}", detail, table=wanted.name)
    else:
        looking.error(
            f"altered_{wanted.type}",
            detail,
            table=wanted.name,
            action=f"Somebody altered the table by hand: take it back, or: {RESTORE}",
        )


def _extra(looking: Looking, found: Object) -> None:
    detail = f"no migration makes this {found.type}"
    if found.type in ("trigger", "view"):
        on = f" on {found.table}" if found.type == "trigger" else ""
        looking.error(
            f"extra_{found.type}",
            f"{detail}{on}: {_short(found.sql)}",
            table=found.name,
            action=f"If it is yours, keep it in a database of its own; it is dropped by {REPAIR}.",
            repairable=True,
        )
    else:
        looking.warning(
            f"extra_{found.type}",
            f"{detail}: {_short(found.sql)}",
            table=found.name,
            action="If it is yours, keep it in a database of its own.",
        )


def is_repairable(wanted: Object) -> bool:
    """Whether it can be made anew without losing anything."""
    if wanted.name.startswith("sqlite_"):
        return False  # an index that is part of its table
    return wanted.type != "table" or is_derived(wanted.name)


def is_replaceable(due: Expected, name: str) -> bool:
    """Whether what bears a name can be made anew without reading what is there."""
    if name in due.shadows:
        return True
    found = [due.objects.get((type, name)) for type in ("table", "index")]
    return any(wanted is not None and is_repairable(wanted) for wanted in found)


def difference(wanted: str, found: str) -> str:
    """The first place where two texts differ, in words."""
    pairs = enumerate(zip_longest(wanted, found))
    at = next((n for n, (one, other) in pairs if one != other), 0)
    here, there = _short(wanted[at:], _AROUND), _short(found[at:], _AROUND)
    return f"{there!r} stands where {here!r} should"


def _short(text: str, limit: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[:limit]} …"
