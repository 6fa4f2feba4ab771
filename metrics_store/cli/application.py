"""All commands in one application, and how it is run."""

from __future__ import annotations

import sys
from functools import cache
from typing import Annotated

import typer
from typer.core import TyperGroup

from metrics_store.cli.lazily import Lazily
from metrics_store.cli.options import PROGRAM, Database
from metrics_store.errors import UsageError

#: typer shows BadParameter only; the class above it is that of every wrong command line.
_WrongUse: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name=PROGRAM,
    cls=Lazily,
    help="What your skills do, how often, how long and how well, kept in one SQLite file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: it is read in pipes and by tests, and starts in half the time.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="The store is --db, else METRICS_STORE_DB, else .session-buddy/skill_metrics.db here. "
    "Exit codes: 0 fine, 1 found a problem, 2 usage or gate not met, 3 error.",
)


def version() -> str:
    """The version of the installed package."""
    from importlib import metadata  # few ask, and it takes 18 ms

    try:
        return metadata.version("metrics-store")
    except metadata.PackageNotFoundError:
        # A checkout that was not installed; the package itself is loaded, for we are inside it.
        return str(getattr(sys.modules["metrics_store"], "__version__", "unknown"))


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{PROGRAM} {version()}\n")
        raise typer.Exit


@app.callback()
def root(
    db: Database = None,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What your skills do, how often, how long and how well, kept in one SQLite file."""


@cache
def _application() -> TyperGroup:
    # Made once: a host, or a test, that runs many commands in its process pays for each but once.
    return typer.main.get_group(app)


def run(arguments: list[str]) -> int:
    """Run one command and give its exit code.

    Not through typer's own main, which turns a closed pipe, Ctrl-C and errors into its own words.

    Raises:
        UsageError: the command line cannot be understood.
        MetricsStoreError: as the command.
    """
    command = _application()
    try:
        # A dry run tells how to type it again, to be done.
        with command.make_context(PROGRAM, arguments, obj=tuple(arguments)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return int(done.exit_code)
    except _WrongUse as error:
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        sys.stderr.write(context.get_help() + "\n")
        return UsageError.exit_code
    path = context.command_path if context is not None else PROGRAM
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    raise UsageError(message.rstrip("."), hint=f"See {path} --help.") from error
