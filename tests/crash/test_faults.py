"""scripts/faults: its lines, its table, its exit code."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from faults import SECTIONS, Section, main
from lines import Line, Tally, table

_ROOT = Path(__file__).parent.parent.parent


def _sections(monkeypatch: pytest.MonkeyPatch, *lines: Line) -> None:
    def run(rounds: int, seed: int) -> Iterator[Line]:
        yield from lines

    monkeypatch.setattr(faults, "SECTIONS", (Section("mine", "of a test", 3, run),))


def test_every_section_has_its_campaign() -> None:
    names = [section.name for section in SECTIONS]
    assert {"io", "power", "kills", "logs"} <= set(names)
    assert len(set(names)) == len(names)
    for section in SECTIONS:
        assert isinstance(section.run(1, 1), Iterator)  # nothing of it has run yet


def test_the_sections_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == [section.name for section in SECTIONS]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="its workers are forked")
def test_two_rounds_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "kills", "--rounds", "2", "--seed", "7"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("seed 7\n")
    last = told.splitlines()[-1]
    assert last.startswith("kills ")
    assert last.endswith("fine")


@pytest.mark.parametrize(
    "line",
    [
        Line("torn", 2, 1),
        Line("lost", acknowledged=5, lost=1),
        Line("doubled", doubled=1),
        Line("wrong", wrong=("it is not sound",)),
    ],
    ids=lambda line: line.what,
)
def test_what_fails_is_told_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: Line
) -> None:
    _sections(monkeypatch, Line("good"), line)
    assert main([]) == 1
    told = capsys.readouterr().out
    assert "good: 1 of 1: fine" in told
    assert f"{line.what}: " in told
    assert told.splitlines()[-1].endswith("FAILED")
    assert all(f"    {wrong}" in told for wrong in line.wrong)


def test_a_campaign_that_tried_nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    _sections(monkeypatch)
    assert main([]) == 1


def test_what_cannot_be_tried_here_is_told_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _sections(monkeypatch, Line("strace", skipped="there is no strace"))
    assert main([]) == 0
    assert "skipped: there is no strace" in capsys.readouterr().out.splitlines()[-1]


def test_an_interrupt_gives_the_table_of_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(rounds: int, seed: int) -> Iterator[Line]:
        yield Line("first", acknowledged=1234)
        raise KeyboardInterrupt

    sections = (Section("mine", "", 1, run), Section("never", "", 1, run))
    monkeypatch.setattr(faults, "SECTIONS", sections)
    assert main([]) == 130
    told = capsys.readouterr().out
    assert "interrupted" in told
    assert told.splitlines()[-1].startswith("mine ")
    assert "1,234" in told.splitlines()[-1]


def test_the_table_adds_up_and_shows_the_worst() -> None:
    tally = Tally("kills")
    for figure in (12.0, 80.5, 7.0):
        tally.add(Line("round", 3, 3, 1000, figure=figure, unit="ms"))
    head, row = table([tally])
    assert head.split() == [
        "fault", "cases", "passed", "acknowledged", "lost", "doubled", "worst", "seconds",
        "verdict",
    ]  # fmt: skip
    assert row.split() == ["kills", "9", "9", "3,000", "0", "0", "80.5", "ms", "0", "fine"]


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--rounds", "0"]])
def test_wrong_use_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_the_script_is_there_and_can_be_run() -> None:
    script = _ROOT / "scripts" / "faults"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "tests/crash/faults.py" in script.read_text()
