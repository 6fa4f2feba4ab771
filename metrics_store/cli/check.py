"""`check`: whether the store is sound, and making anew what follows from its logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli.operating import program
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, open_database, say
from metrics_store.cli.stages import stages
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError, UsageError
from metrics_store.render import check as page
from metrics_store.render.screen import Screen
from metrics_store.settings import Settings

if TYPE_CHECKING:
    from metrics_store.integrity.findings import CheckReport, Level
    from metrics_store.integrity.repairing import RepairReport
    from metrics_store.manifest import Manifest


def check(
    context: typer.Context,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Pages, schema, backups' marks and the log's state alone."),
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Every row of the log against its digest, too.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Make anew what follows from the log: triggers, views, indexes, rollups, search.",
        ),
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Let a store whose write-ahead log was lost be used again, with what is left.",
        ),
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Look for damage. Nothing is written, unless --repair or --accept-loss says so.

    Exit code 1 if there is an error; warnings alone give 0. A check beside writers keeps the
    write-ahead log from being folded back while it lasts.

    --repair checks in full, takes a copy, makes anew in one transaction what follows from the log
    and the migrations, and checks in full again. The log itself is never touched.

    \b
    metrics-store check --deep
    metrics-store check --repair
    """
    from metrics_store.integrity import access

    if quick and (deep or repair):
        other = "--deep" if deep else "--repair"
        raise UsageError(f"--quick and {other}", hint=f"{other} looks at everything.")
    screen = Screen()
    settings = Settings.load(db)
    path = access.resolved(settings.database)
    accepted = _accepted(path, settings) if accept_loss else ()
    level: Level = "quick" if quick else "deep" if deep or repair else "standard"
    report = _checked(path, settings, level)
    repaired, copy = None, ""
    if repair and any(finding.repairable for finding in report.findings):
        if not json:
            page.show_check(screen, report)
        repaired, copy = _repaired(db, report)
        report = _checked(path, settings, level)
    if json:
        _print_json(screen, report, repaired, copy, accepted)
    else:
        say(*accepted)
        if repaired is not None:
            page.show_repaired(screen, repaired, copy)
            screen.line()
        page.show_check(screen, report)
        if not repair:
            page.show_next(screen, report, _repair_command(db))
    if not report.ok:
        raise typer.Exit(FOUND_A_PROBLEM)


def _checked(path: str, settings: Settings, level: Level) -> CheckReport:
    from metrics_store.integrity.checking import check_file

    with stages() as progress:
        return check_file(
            path,
            level=level,
            manifests=_manifests(settings),
            now_us=Clock().now_us(),
            progress=progress,
        )


def _manifests(settings: Settings) -> tuple[Manifest, ...]:
    """The manifests of all backups that can be found."""
    from metrics_store import manifest
    from metrics_store.backup import catalogue

    try:
        directories = catalogue.asked(settings).directories
    except MetricsStoreError:
        # What is the matter with the store is for the check to say.
        directories = manifest.directories(settings)
    return tuple(manifest.whole(directories))


def _repaired(db: Path | None, report: CheckReport) -> tuple[RepairReport, str]:
    """Take a copy of the store as it is, and repair it."""
    from metrics_store.backup import creating
    from metrics_store.integrity.repairing import repair

    with open_database(db) as database:
        with stages() as progress:
            copy = creating.create(database, reason="before repair", progress=progress)
        with stages() as progress:
            return repair(database, report, progress=progress), str(copy.path)


def _accepted(path: str, settings: Settings) -> tuple[str, ...]:
    from metrics_store.integrity import accepting

    return accepting.accept(path, settings, Clock(), _manifests(settings))


def _print_json(
    screen: Screen,
    report: CheckReport,
    repaired: RepairReport | None,
    copy: str,
    accepted: tuple[str, ...],
) -> None:
    document = report.as_dict()
    if accepted:
        document["accepted"] = list(accepted)
    if repaired is not None:
        told = repaired.as_dict()
        document["repair"] = {
            "copy": copy,
            "done": told["done"],
            "left": told["left"],
            "before": repaired.before.as_dict(),
        }
    screen.json(document)


def _repair_command(db: Path | None) -> str:
    import shlex

    where = "" if db is None else f" --db {shlex.quote(str(db))}"
    return f"{program()} check --repair{where}"
