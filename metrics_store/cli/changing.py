"""What the commands have in common that change something: a dry run first, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from metrics_store.cli.migration_reading import as_typed
from metrics_store.cli.operating import NOT_DONE, Typed, to_execute
from metrics_store.errors import GateNotMet
from metrics_store.render import changes
from metrics_store.render.changes import Page
from metrics_store.render.screen import Screen

if TYPE_CHECKING:
    from metrics_store.phases.beginning import Changed
    from metrics_store.phases.cutting_over import CutOver
    from metrics_store.phases.operator import Operator
    from metrics_store.phases.rolling_back import RolledBack

Moved = TypeVar("Moved", "Changed", "CutOver")


class Changing:
    """One command that changes something: how it is told, whatever it comes to."""

    def __init__(
        self, context: typer.Context, json_file: Path, db: Path | None, *, json: bool
    ) -> None:
        self._typed = Typed(json_file, db)
        self._json = json
        self._screen = Screen()
        self._to_execute = to_execute(context)

    def tell(
        self,
        operator: Operator,
        values: dict[str, object],
        show: Callable[[Page], None],
        *,
        executed: bool,
        todo: str | None = None,
    ) -> None:
        """Write what was done, or would be, and what to type next.

        Args:
            values: of the JSON document.
            show: writes it for people.
            todo: what an unmet gate asks for first; None if nothing is in the way.
        """
        from metrics_store.phases.status import status

        if not executed:
            if self._json:
                self._screen.json(values | {"to_execute": self._to_execute})
                return
            page = self._page()
            show(page)
            changes.show_dry_end(page, self._to_execute, todo)
            return
        now = status(operator)
        if self._json:
            told = as_typed(now, self._typed)
            self._screen.json(values | {name: told[name] for name in ("next_command", "advice")})
            return
        page = self._page()
        show(page)
        changes.show_where(page, now)

    def moved(
        self,
        operator: Operator,
        moved: Moved,
        values: dict[str, object],
        show: Callable[[Page], None],
        *,
        execute: bool,
    ) -> None:
        """The same of a command with a gate; an unmet one is refused by the exit code.

        Raises:
            GateNotMet: it was to be passed.
            typer.Exit: it was only looked at.
        """
        unmet = [requirement for requirement in moved.requirements if not requirement.met]
        refused = bool(unmet) and not moved.executed and moved.forced is None
        self.tell(
            operator,
            values | {"met": not unmet},
            show,
            executed=moved.executed,
            todo=unmet[0].todo if refused else None,
        )
        if refused and execute:
            todo = unmet[0].todo if unmet[0].todo.startswith("metrics-store") else ""
            raise GateNotMet(", ".join(requirement.name for requirement in unmet), hint=todo)
        if refused:
            raise typer.Exit(NOT_DONE)

    def _page(self) -> Page:
        return Page(self._screen, self._typed)

    @staticmethod
    def through_gate(do: Callable[[bool], Moved], *, execute: bool) -> Moved:
        """Do it, or look; what an unmet gate asks for is shown before it is refused."""
        if not execute:
            return do(False)
        try:
            return do(True)
        except GateNotMet:
            looked = do(False)
            if all(requirement.met for requirement in looked.requirements):
                raise  # something else of the command's own
            return looked


def tell_cut_over(command: Changing, operator: Operator, done: CutOver, *, execute: bool) -> None:
    """Write what a cutover came to.

    Raises:
        GateNotMet, typer.Exit: its gate is not met.
    """
    committed = _is_committed(operator)
    command.moved(
        operator,
        done,
        {"command": "cutover", **done.as_dict()},
        lambda page: changes.show_cut_over(page, done, committed=committed),
        execute=execute,
    )


def tell_changed(command: Changing, operator: Operator, changed: Changed, *, execute: bool) -> None:
    """Write what a step to another phase came to.

    Raises:
        GateNotMet, typer.Exit: its gate is not met.
    """
    command.moved(
        operator,
        changed,
        changed.as_dict(),
        lambda page: changes.show_changed(page, changed),
        execute=execute,
    )


def tell_rolled_back(command: Changing, operator: Operator, done: RolledBack) -> None:
    """Write what a rollback came to."""
    committed = _is_committed(operator)
    command.tell(
        operator,
        {"command": "rollback", **done.as_dict()},
        lambda page: changes.show_rolled_back(page, done, committed=committed),
        executed=done.executed,
    )


def _is_committed(operator: Operator) -> bool:
    """Whether a command that is unfinished has passed its commit point."""
    intent = operator.control().intent
    return intent is not None and intent.committed
