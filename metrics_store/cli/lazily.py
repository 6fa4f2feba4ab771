"""Commands that are imported when they are called: `record` does not wait for the others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_Command = TyperCommand | TyperGroup

#: Every command, in the order of the help: the module in this package that has it.
PLACES = {
    "skills": "skills",
    "record": "recording",
    "reap": "recording",
    "invocations": "invocations",
    "export": "exporting",
    "executions": "executions",
    "services": "services",
    "agents": "agents",
    "snapshots": "snapshots",
    "alerts": "alerts",
    "backup": "backup",
    "restore": "restore",
    "check": "check",
    "health": "health",
    "vacuum": "maintenance",
    "analyze": "maintenance",
    "checkpoint": "maintenance",
    "info": "maintenance",
    "retain": "retain",
    "schema": "schema",
    "legacy": "legacy",
}


class _Commands(MutableMapping[str, _Command]):
    """The commands by name; one that is asked for is imported."""

    def __init__(self) -> None:
        self._loaded: dict[str, _Command] = {}

    def __getitem__(self, name: str) -> _Command:
        if name not in self._loaded:
            self._loaded[name] = _command(name, PLACES[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: _Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


def _command(name: str, place: str) -> _Command:
    module = import_module(f"metrics_store.cli.{place}")
    # A module has commands of its own name in a group, or functions named like the commands.
    alone: typer.Typer | None = getattr(module, "app", None)
    if alone is not None:
        group = typer.main.get_group(alone)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name)(getattr(module, name))
    return typer.main.get_command(alone)  # type: ignore[return-value]


class Lazily(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]
