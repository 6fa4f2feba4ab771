"""docs/retention.md: what it shows is run, and its table is what the families declare."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from documents import Document
from follower import Walk, blocks, named, walking

from metrics_store.families import FAMILIES, Keep
from metrics_store.retention.policy import policies

PAGE = Document("docs/retention.md")


class Operator(Walk):
    """Follows the page on another day than the one it was written on."""

    def plain(self, text: str) -> str:
        return named(super().plain(text), [(r"\b\d{4}-\d\d-\d\d\b", "DAY")])


@pytest.fixture
def person() -> Iterator[Operator]:
    with walking(Operator) as walk:
        yield walk


def test_its_commands_do_what_it_shows(person: Operator) -> None:
    person.follow(blocks(PAGE.text))
    assert len(person.ran) > 4


def _time(keep: Keep) -> str:
    return "ever" if keep.days is None else f"{keep.days} days"


def test_its_table_is_what_the_families_declare() -> None:
    rows = PAGE.rows("What is kept for how long")
    assert [[family.strip("`"), table.strip("`"), time] for family, table, time, _ in rows] == [
        [family.name, family.table, _time(family.keep)] for family in FAMILIES
    ]
    for family, row in zip(FAMILIES, rows, strict=True):
        days = [str(aged.days) for aged in family.keep.aged]
        assert re.findall(r"after (\d+) days", row[3]) == days
        stays = bool(family.keep.newest_of or family.keep.always)
        assert ("stay" in row[3]) == (stays and family.keep.days is not None)


def test_its_settings_are_understood() -> None:
    [toml] = [text for language, text in PAGE.blocks if language == "toml"]
    policies(dict(re.findall(r'^(\w+) = "(.+)"$', toml, re.MULTILINE)))


def test_its_names_options_and_links_lead_somewhere() -> None:
    assert PAGE.astray() == []
