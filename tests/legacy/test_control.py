"""The control file: the one authority for the phase, never guessed at."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaving import refused

from metrics_store.errors import (
    ControlError,
    ControlForeign,
    ControlNewer,
    ControlUnreadable,
    LegacyNotWritable,
)
from metrics_store.legacy import control
from metrics_store.legacy.control import (
    PHASES,
    Change,
    Control,
    ControlReader,
    Fingerprint,
    Gates,
    Intent,
    Phase,
)

NOON = "2026-03-10T12:00:00.000000Z"


@pytest.fixture
def json_file(tmp_path: Path) -> Path:
    return tmp_path / "m.json"


@pytest.fixture
def there(json_file: Path) -> Control:
    return _control(json_file)


def _control(json_file: Path, **more: object) -> Control:
    start = Control(
        "an-id", 1, Phase.LEGACY, str(json_file), "/m.db", "Europe/Berlin", Gates(), NOON, NOON
    )
    return replace(start, **more)  # type: ignore[arg-type]


def file_of(json_file: Path) -> Path:
    return Path(control.control_path(json_file))


def test_without_a_control_file_there_is_no_migration(json_file: Path) -> None:
    assert control.read(json_file) is None
    assert ControlReader(json_file).current() is None


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    phase=st.sampled_from(PHASES),
    epoch=st.integers(1, 10**6),
    rate=st.floats(0, 1),
    reason=st.none() | texts,
    committed=st.booleans(),
    size=st.none() | st.integers(0, 10**12),
    rehearsed=st.none() | st.integers(1, 99),
    archived=st.none() | texts,
)
def test_what_was_written_is_what_is_read(
    tmp_path: Path,
    phase: Phase,
    epoch: int,
    rate: float,
    reason: str | None,
    committed: bool,
    size: int | None,
    rehearsed: int | None,
    archived: str | None,
) -> None:
    json_file = tmp_path / "given.json"
    there = _control(
        json_file,
        phase=phase,
        epoch=epoch,
        gates=Gates(7, 60.5, 0.0, rate),
        intent=Intent("cutover", NOON, "me", committed, reason) if committed else None,
        json_seen=None if size is None else Fingerprint(size, 12345678901234567, "ab"),
        rehearsed=rehearsed,
        archived=archived,
        changes=(Change(epoch, "legacy", phase, NOON, "me", reason),),
    )
    control.write(there)
    assert control.read(json_file) == there
    assert ControlReader(json_file).current() == there


def test_the_one_before_is_kept(json_file: Path, there: Control) -> None:
    control.write(there)
    control.write(there.entering(Phase.DUAL_WRITE, NOON, "me", "a reason"))
    before = json.loads(Path(f"{file_of(json_file)}.previous").read_text())
    assert (before["epoch"], before["phase"]) == (1, "legacy")
    now = control.read(json_file)
    assert now is not None
    assert (now.epoch, now.phase) == (2, Phase.DUAL_WRITE)
    assert now.changes == (Change(2, "legacy", "dual_write", NOON, "me", "a reason"),)


def test_runners_of_other_users_may_read_it(json_file: Path, there: Control) -> None:
    control.write(there)
    assert file_of(json_file).stat().st_mode & 0o777 == 0o644


def test_through_a_symlink_it_is_the_same_one(
    json_file: Path, there: Control, tmp_path: Path
) -> None:
    json_file.touch()
    control.write(there)
    link = tmp_path / "link.json"
    link.symlink_to(json_file)
    assert control.read(link) == there
    assert ControlReader(link).current() == there


def _members(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    return edit


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "torn": lambda path: path.write_text(path.read_text()[:100]),
    "no object": lambda path: path.write_text("[1]"),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "nested beyond reason": lambda path: path.write_text("[" * 100_000),
    "no format": _members(lambda values: values.pop("format")),
    "an odd format": _members(lambda values: values.update(format="one")),
    "an unknown phase": _members(lambda values: values.update(phase="almost")),
    "a phase of another type": _members(lambda values: values.update(phase=3)),
    "an epoch of another type": _members(lambda values: values.update(epoch="2")),
    "no zone": _members(lambda values: values.pop("zone")),
    "gates that are none": _members(lambda values: values.update(gates=[])),
    "an unknown gate": _members(lambda values: values.update(gates={"speed": 1})),
    "an odd gate": _members(lambda values: values.update(gates={"sample_rate": "often"})),
    "an unknown member": _members(lambda values: values.update(more=1)),
    "an odd intent": _members(lambda values: values.update(intent={"command": "fly"})),
    "changes that are none": _members(lambda values: values.update(changes={})),
    "a true epoch": _members(lambda values: values.update(epoch=True)),
}


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_no_phase_at_all(
    json_file: Path, there: Control, damage: Callable[[Path], object]
) -> None:
    control.write(there)
    damage(file_of(json_file))
    for look in (lambda: control.read(json_file), ControlReader(json_file).current):
        assert isinstance(refused(look), ControlUnreadable)


def _it_hangs(*_: object) -> None:
    raise AssertionError("it hangs")


@pytest.mark.parametrize("in_its_place", ["directory", "pipe", "dangling link"])
def test_what_is_no_file_is_unreadable_and_hangs_nobody(json_file: Path, in_its_place: str) -> None:
    path = file_of(json_file)
    match in_its_place:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to("nowhere")
    # Whoever opens the pipe without care waits for ever.
    before = signal.signal(signal.SIGALRM, _it_hangs)
    signal.alarm(20)
    try:
        for look in (lambda: control.read(json_file), ControlReader(json_file).current):
            assert isinstance(refused(look), ControlUnreadable)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_one_of_a_newer_version_is_refused(json_file: Path, there: Control) -> None:
    control.write(there)
    _members(lambda values: values.update(format=2, phase="seventh"))(file_of(json_file))
    assert isinstance(refused(lambda: control.read(json_file)), ControlNewer)


def test_one_of_another_file_is_refused(json_file: Path, there: Control, tmp_path: Path) -> None:
    control.write(there)
    other = tmp_path / "other.json"
    file_of(json_file).rename(file_of(other))
    assert isinstance(refused(lambda: control.read(other)), ControlForeign)


def test_one_that_was_there_and_is_gone_is_unreadable(json_file: Path, there: Control) -> None:
    control.write(there)
    reader = ControlReader(json_file)
    reader.current()
    file_of(json_file).unlink()
    for _ in range(2):
        assert isinstance(refused(reader.current), ControlUnreadable)
    control.write(there)
    assert reader.current() == there


def test_one_that_is_gone_and_left_its_previous_is_unreadable_to_everybody(
    json_file: Path, there: Control
) -> None:
    control.write(there)
    control.write(there.entering(Phase.DUAL_WRITE, NOON, "me"))
    file_of(json_file).unlink()
    for look in (lambda: control.read(json_file), ControlReader(json_file).current):
        assert isinstance(refused(look), ControlUnreadable)


def test_a_reader_sees_every_change_also_within_one_tick_of_the_clock(
    json_file: Path, there: Control
) -> None:
    reader = ControlReader(json_file)
    for epoch in range(1, 60):
        control.write(replace(there, epoch=epoch))
        found = reader.current()
        assert found is not None
        assert found.epoch == epoch


def test_a_full_disk_leaves_the_old_one(
    json_file: Path, there: Control, python: Callable[..., object]
) -> None:
    control.write(there)
    code = """
import resource, sys
from dataclasses import replace
from metrics_store.errors import LegacyNotWritable
from metrics_store.legacy import control
there = control.read(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
try:
    control.write(replace(there, epoch=2))
except LegacyNotWritable:
    sys.exit(0)
sys.exit(1)
"""
    python(code, json_file)
    assert control.read(json_file) == there
    assert not list(json_file.parent.glob("*.tmp"))


def test_a_folder_that_is_gone_is_said(json_file: Path, tmp_path: Path) -> None:
    there = _control(tmp_path / "gone" / "m.json")
    assert isinstance(refused(lambda: control.write(there)), LegacyNotWritable)
    assert control.read(tmp_path / "gone" / "m.json") is None


def test_every_word_of_a_control_file_is_a_field(json_file: Path, there: Control) -> None:
    control.write(there)
    members = set(json.loads(file_of(json_file).read_text()))
    assert members == {"format", *(field.name for field in dataclasses.fields(Control))}
    assert issubclass(ControlUnreadable, ControlError)
