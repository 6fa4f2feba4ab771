"""`agents sample`: how an agent's process or this machine is, once or again and again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli.options import Database, Json, open_store, say
from metrics_store.errors import MetricsStoreError, UsageError
from metrics_store.render.agents import megabytes, percent, status_cell
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell
from metrics_store.store import MetricsStore

if TYPE_CHECKING:
    from metrics_store.agents.fields import SampleFields
    from metrics_store.agents.sampling import Machine, Process

_LONGEST_INTERVAL = 86_400.0


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set: what runs ends where it can."""
    stop = threading.Event()

    def set_it(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, set_it) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def sample(
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="ID",
            help="Whose sample it is; without, this machine's health.",
            show_default=False,
        ),
    ] = None,
    pid: Annotated[
        int | None,
        typer.Option("--pid", min=1, metavar="PID", help="Its process.", show_default=False),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="WORD",
            show_default=False,
            help="Its status: active, idle, blocked, error, offline; by default its process's.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TEXT", help="What it works on.", show_default=False),
    ] = None,
    repo: Annotated[
        Path | None,
        typer.Option(
            "--repo",
            metavar="PATH",
            readable=False,
            show_default=False,
            help="Its working tree: branch and uncommitted changes.",
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option("--every", min=0.1, metavar="S", help="Again and again.", show_default=False),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, metavar="N", help="So many, then end.", show_default=False),
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Sample an agent's process, or this machine. Needs metrics-store[agents].

    \b
    metrics-store agents sample --agent builder --pid 4711 --repo .
    metrics-store agents sample --every 60
    """  # fmt: skip
    from metrics_store.agents import sampling

    _refuse(agent, pid, status, task, repo, every, count)
    screen = Screen()
    with open_store(db, create=True) as store, until_told() as stop:
        machine = sampling.Machine(sampling.path_of_disk(store.path))
        process = None if pid is None else sampling.Process(pid)

        def take() -> bool:
            try:
                if agent is None:
                    _sample_machine(store, machine, screen, json=json)
                else:
                    _sample_agent(store, agent, process, (status, task, repo), screen, json=json)
            except MetricsStoreError as error:
                if every is None or isinstance(error, UsageError):
                    raise
                # The store is busy, say: the next sample may be taken.
                say(f"warning: {error}", *([f"hint: {error.hint}"] if error.hint else []))
            screen.stream.flush()
            return process is None or not process.ended

        sampling.repeat(
            take,
            lambda seconds: not stop.wait(seconds),
            every=every or 0.0,
            count=1 if every is None else count,
        )


def _refuse(
    agent: str | None,
    pid: int | None,
    status: str | None,
    task: str | None,
    repo: Path | None,
    every: float | None,
    count: int | None,
) -> None:
    given = {"--pid": pid, "--status": status, "--task": task, "--repo": repo}
    named = [option for option, value in given.items() if value is not None]
    if agent is None and named:
        raise UsageError(f"{named[0]} is of an agent", hint="Say whose with --agent ID.")
    if agent is not None and pid is None and status is None:
        raise UsageError(
            f"nothing tells how {agent!r} is", hint="Give its process with --pid, or --status."
        )
    if every is not None and not every <= _LONGEST_INTERVAL:
        raise UsageError(f"--every is {every:g}", hint="It is seconds, at most a day.")
    if count is not None and every is None:
        raise UsageError("--count without --every", hint="Say how often with --every S.")


def _sample_machine(store: MetricsStore, machine: Machine, screen: Screen, *, json: bool) -> None:
    status, fields = machine.sample(store.database.clock.now_us())
    name = store.record_system_health(status, **fields)
    if json:
        found = store.system_health()
        screen.json_line({"id": name, "system": None if found is None else found.as_dict()})
        return
    screen.line(
        "this machine is ", status_cell(status),
        f": cpu {percent(fields['cpu'])}, memory {percent(fields['memory'])}, "
        f"disk {percent(fields['disk'])}",
    )  # fmt: skip


def _sample_agent(
    store: MetricsStore,
    agent: str,
    process: Process | None,
    said: tuple[str | None, str | None, Path | None],
    screen: Screen,
    *,
    json: bool,
) -> None:
    from metrics_store.agents import sampling

    status, task, repo = said
    seen, fields = "active", _of_task(task)
    if process is not None:
        seen, numbers = process.sample(store.database.clock.now_us())
        fields = {**fields, **numbers}
        status = seen if process.ended else status
    if repo is not None:
        fields = {**fields, **sampling.of_tree(repo)}
    name = store.record_agent_sample(agent, status or seen, **fields)
    if json:
        screen.json_line({"id": name, "agent_id": agent, "status": status or seen, **fields})
        return
    screen.line(
        Cell(agent, "bold"), " is ", status_cell(status or seen),
        f": cpu {percent(fields.get('cpu_usage'))}, "
        f"memory {megabytes(fields.get('memory_usage'))}",
    )  # fmt: skip


def _of_task(task: str | None) -> SampleFields:
    return {} if task is None else {"current_task": task}
