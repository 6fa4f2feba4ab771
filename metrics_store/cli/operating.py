"""What the commands of a migration share: their options, the operator, and how commands are told.

Whatever names a command to type names it so that it can be typed: with the program as it is called
here, and with the JSON file if it is not the default one.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli.options import PROGRAM, say
from metrics_store.errors import (
    InvalidValue,
    LegacyFileError,
    LegacyFileNotFound,
    MetricsStoreError,
    NotLegacyFile,
    UsageError,
)
from metrics_store.render import figures

if TYPE_CHECKING:
    from metrics_store.phases.operator import Operator

DEFAULT = Path(".session-buddy/skill_metrics.json")
#: An unmet gate, a wrong word: nothing was done.
NOT_DONE = 2
_COMMAND = re.compile(
    rf"{PROGRAM} legacy (diff (?:list|show|explain)|(?!import\b)[a-z]+)(?=[ .,;:]|$)"
)

JsonFile = Annotated[
    Path,
    typer.Option("--json-file", metavar="FILE", readable=False, help="The legacy JSON file."),
]
Execute = Annotated[
    bool, typer.Option("--execute", help="Do it; else only say what would be done.")
]
Habit = Annotated[
    bool, typer.Option("--execute", help="Makes no difference: this only adds, and runs at once.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Pass a gate that is not met; needs --reason.")
]
Reason = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Why; it is kept for good.", show_default=False),
]


@contextmanager
def operating(json_file: Path, db: Path | None) -> Iterator[Operator]:
    """An operator for the file that the command line names.

    Raises:
        LegacyFileNotFound: there is neither the file nor a migration of it.
        NotLegacyFile: it is a directory.
        LegacyFileError: it cannot be looked at.
        UsageError: a word of the command line makes no sense.
    """
    from metrics_store.phases.operator import Operator

    with _warnings_told():
        try:
            _refuse(json_file)
            with Operator(json_file, db) as operator:
                yield operator
        except InvalidValue as error:
            # Of the command line, not of a record.
            hint = Typed(json_file, db)(error.hint) or "See the command with --help."
            raise UsageError(error.detail, hint=hint) from error
        except MetricsStoreError as error:
            error.hint = Typed(json_file, db)(error.hint)
            raise


def _refuse(json_file: Path) -> None:
    from metrics_store.legacy import control

    try:
        if json_file.is_dir():
            raise NotLegacyFile(f"{json_file} is a directory", hint="Name the JSON file in it.")
        os.stat(json_file)
    except FileNotFoundError:
        if not os.path.lexists(control.control_path(json_file)):
            raise LegacyFileNotFound(
                str(json_file), hint="Name the tracker's JSON file with --json-file."
            ) from None
    except OSError as error:
        hint = "Look at the owner and mode of the file and of the folders above it."
        raise LegacyFileError(f"{json_file}: {error.strerror}", hint=hint) from error


class _Told(logging.Handler):
    """Says a warning of the library on standard error, made safe to show."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"warning: {record.getMessage()}")


@contextmanager
def _warnings_told() -> Iterator[None]:
    log, handler = logging.getLogger("metrics_store"), _Told(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@dataclass(frozen=True, slots=True)
class Typed:
    """Texts with the commands in them as they are to be typed here.

    Args:
        json_file, db: as they were named on the command line.
    """

    json_file: Path
    db: Path | None = None

    def __call__(self, text: str) -> str:
        """The same text, its commands with the program and the options that they need."""
        called, options = program(), self._options()
        return _COMMAND.sub(lambda match: f"{called} legacy {match[1]}{options}", text)

    def _options(self) -> str:
        from metrics_store.legacy import control

        options = ""
        if os.path.realpath(self.json_file) != os.path.realpath(DEFAULT):
            options = f" --json-file {shlex.quote(str(self.json_file))}"
        # Once there is a control file, it names the store.
        if self.db is not None and not os.path.lexists(control.control_path(self.json_file)):
            options += f" --db {shlex.quote(str(self.db))}"
        return options


def to_execute(context: typer.Context) -> str:
    """The command that was typed, with ``--execute``."""
    arguments = [word for word in context.obj or () if word not in ("--json", "--execute")]
    return f"{program()} {shlex.join([*arguments, '--execute'])}"


def program() -> str:
    """How this program is called from here."""
    called = sys.argv[0]
    if not os.path.basename(called).startswith(PROGRAM):
        return PROGRAM
    found = shutil.which(PROGRAM)
    if found is not None and os.path.realpath(found) == os.path.realpath(called):
        return PROGRAM
    return shlex.quote(figures.path(os.path.abspath(called)))
