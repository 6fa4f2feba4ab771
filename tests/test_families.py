"""Every family's declaration is what its migration has."""

from __future__ import annotations

import itertools

import pytest

from metrics_store import schema
from metrics_store.families import FAMILIES, Family, Measures
from metrics_store.integrity import expected

each = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def migrations() -> str:
    folder = schema.migrations_directory()
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql")))


@each
def test_the_migrations_have_its_triggers_to_the_letter(family: Family, migrations: str) -> None:
    assert family.triggers() in migrations
    assert family.guards() in migrations


@each
def test_its_columns_are_those_of_its_table(family: Family) -> None:
    due = expected.objects(expected.newest())
    assert family.columns == due.content(family.table)
    assert due.columns[family.table][0] == "seq"
    assert due.columns[family.table][-1] == "digest"
    assert all(due.has(table.table) for table in family.derived)


@each
def test_what_ages_is_counted_by_day_or_hour(family: Family) -> None:
    by_period = set()
    for dimension in family.dimensions:
        if isinstance(dimension, Measures):
            if any(period != "''" for period in dimension.periods):
                by_period |= {kind for kind, _ in dimension.kinds}
        elif dimension.period != "''":
            by_period.add(dimension.kind)
    by_period |= {f"{h.kind}value" for h in (family.histogram, *family.histograms) if h}
    for aged in family.keep.aged:
        assert set(aged.kinds) <= by_period
        assert family.keep.days is not None
        assert aged.days >= family.keep.days


def test_no_two_share_a_name_a_table_or_a_scope() -> None:
    for one, other in itertools.combinations(FAMILIES, 2):
        assert one.name != other.name
        assert one.table != other.table
        assert not set(one.scopes()) & set(other.scopes())
