"""docs/services.md: what it shows is run, and what it says of the defaults is so."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from documents import Document
from follower import Walk, blocks, walking

from metrics_store.families.services import SERVICES
from metrics_store.services.beating import _WAITING
from metrics_store.services.judging import BAD, EVERY_US, Judge

PAGE = Document("docs/services.md")


@pytest.fixture
def person() -> Iterator[Walk]:
    with walking(Walk) as walk:
        yield walk


def test_its_programs_and_commands_do_what_it_shows(person: Walk) -> None:
    person.follow(blocks(PAGE.text))
    assert len(person.ran) > 12


def test_the_defaults_it_names_are_those_of_the_code() -> None:
    judged = PAGE.section("How a service is judged")
    words = " ".join(judged.split())
    assert f"every {EVERY_US // 10**6} seconds" in words
    assert f"2.5 intervals, {Judge().grace() // 10**6} seconds" in words
    named = words.partition("any case of letters: ")[2].partition(". ")[0]
    assert set(re.findall(r"`(\w+)`", named)) == BAD
    kept = PAGE.section("How long it is kept")
    assert f"{SERVICES.keep.days} days, and the newest" in kept
    assert f"{_WAITING:,} heartbeats wait" in PAGE.prose


def test_every_command_is_shown_and_what_is_named_is_there() -> None:
    assert PAGE.not_shown("services") == []
    assert PAGE.astray() == []
