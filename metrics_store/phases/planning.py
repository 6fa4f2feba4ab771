"""The way from here to the end, laid out before it is gone: what each phase is, asks and takes."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass

from metrics_store.legacy import control
from metrics_store.legacy.control import PHASES, Gates, Phase
from metrics_store.phases import doctor
from metrics_store.phases.gates import span
from metrics_store.phases.operator import Operator
from metrics_store.phases.status import SIDES
from metrics_store.results import Result

#: Records that a pass over the file takes in, in a second; measured with 1,000,000 of them.
RECORDS_PER_SECOND = 16_000
#: Bytes of a store per byte of the JSON file; measured with files of several sizes.
_STORE = 1.4


@dataclass(frozen=True, slots=True)
class Leg(Result):
    """One phase of the way.

    Args:
        reads, writes: which side answers and which is written.
        means: what it is.
        commands: what is typed in it, in this order.
        gate: what has to be so before the next phase may begin.
        back: how one gets back from it.
        seconds: about how long its commands run together.
    """

    phase: str
    reads: str
    writes: str
    means: str
    commands: tuple[str, ...]
    gate: tuple[str, ...]
    back: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Space(Result):
    """What is needed of a disk, about.

    Args:
        bytes: how much.
        stays: whether it is there for good, or only while a command runs.
    """

    what: str
    bytes: int
    stays: bool


@dataclass(frozen=True, slots=True)
class Plan(Result):
    """The way from here to the end.

    Args:
        begun: whether the migration has begun.
        phase: the present one.
        records, size: of the JSON file.
        healthy: whether the doctor found nothing that keeps it from beginning.
        space: what is needed where the store lies.
        free: bytes that are free there.
        legs: the phases from the present one on.
    """

    json_file: str
    database: str
    begun: bool
    phase: str
    zone: str
    records: int
    size: int
    healthy: bool
    space: tuple[Space, ...]
    free: int
    legs: tuple[Leg, ...]


def plan_of(operator: Operator, zone: str | None = None) -> Plan:
    """Lay out the way; nothing is changed.

    Args:
        zone: of the naive moments, as long as ``start`` has not settled it.

    Raises:
        ControlError: the control file cannot be read.
    """
    there = None if control.read(operator.json_file) is None else operator.control()
    phase = Phase.LEGACY if there is None else there.phase
    found = doctor.examine(operator, zone if there is None else there.zone)
    gates = Gates() if there is None else there.gates
    begun = there is not None
    legs = tuple(_leg(each, gates, found.records, zone, begun=begun) for each in PHASES)
    return Plan(
        found.json_file,
        found.database,
        begun,
        phase,
        found.zone,
        found.records,
        found.size,
        found.healthy,
        _space(found.size),
        _free(found.database),
        legs[PHASES.index(phase) :],
    )


def _space(size: int) -> tuple[Space, ...]:
    store = int(size * _STORE)
    return (
        Space("the store", store, True),
        Space("backups of both sides, made by the cutover", store + size, True),
        Space("copies of both sides and an export, while a command runs", store + 2 * size, False),
    )


def _free(path: str) -> int:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free


def _leg(phase: Phase, gates: Gates, records: int, zone: str | None, *, begun: bool) -> Leg:
    what = _WHAT[phase]
    commands = what.commands
    if phase is Phase.LEGACY and not begun:
        named = "" if zone is None else f" --zone {shlex.quote(zone)}"
        commands = (f"doctor{named}", f"start{named} --execute", *commands)
    sizes = {
        "reads": f"{gates.shadow_reads:,}",
        "rate": f"{100 * gates.sample_rate:g} %",
        "age": span(gates.max_verify_age),
        "soak": span(gates.soak),
    }
    return Leg(
        phase,
        *SIDES[phase],
        what.means.format(**sizes),
        tuple(f"metrics-store legacy {command}" for command in commands),
        tuple(sentence.format(**sizes) for sentence in what.gate),
        what.back,
        round(what.passes * records / RECORDS_PER_SECOND, 1),
    )


@dataclass(frozen=True, slots=True)
class _What:
    """A phase in words, and how many passes over the file its commands make."""

    means: str
    commands: tuple[str, ...]
    gate: tuple[str, ...]
    back: str
    passes: int


_SPILL_EMPTY = "no record waits in the spill"
_WHAT = {
    Phase.LEGACY: _What(
        "As before. Let every runner use open_tracker in the place of its tracker.",
        ("advance --execute",),
        ("no error found by the doctor: it parses, can be written, has space, the zone is known",),
        "Nothing to go back from.",
        1,
    ),
    Phase.DUAL_WRITE: _What(
        "Runners write the JSON file and then the store; the backfill brings what was before.",
        ("backfill", "advance --execute"),
        (
            _SPILL_EMPTY,
            "a backfill in this phase with read = inserted + matched + upgraded + quarantined",
            "its second pass inserts 0",
        ),
        "rollback: the phase before; nothing is copied, for JSON has everything.",
        2,
    ),
    Phase.SHADOW: _What(
        "Reads are answered by JSON and compared with the store ({rate} of them).",
        ("status --watch", "advance --execute"),
        (
            _SPILL_EMPTY,
            "{reads} compared reads in this phase without an unexplained difference",
        ),
        "rollback: the phase before.",
        0,
    ),
    Phase.DUAL_READ: _What(
        "Reads are answered by the store and compared with JSON; JSON is still written first.",
        ("verify", "rollback --rehearse", "cutover", "cutover --execute"),
        (
            _SPILL_EMPTY,
            "a full verify without an unexplained difference, not older than {age}",
            "the way back rehearsed in this phase",
            "no compared read that nobody has explained",
        ),
        "rollback: the phase before.",
        6,
    ),
    Phase.DATABASE: _What(
        "The store serves alone. Whoever still writes the JSON file is noticed and harvested.",
        ("status", "harvest", "complete --execute"),
        (
            _SPILL_EMPTY,
            "{soak} in this phase",
            "nobody writes to the JSON file any more",
        ),
        "rollback: to dual_write, with everything recorded meanwhile in the JSON file.",
        0,
    ),
    Phase.COMPLETE: _What(
        "The JSON file lies in the archive, beside its old place. The legacy tracker can go.",
        ("proof --output DIR",),
        (),
        "rollback: still possible, to dual_write.",
        0,
    ),
}
