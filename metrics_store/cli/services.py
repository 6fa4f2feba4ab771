"""`services list | history | uptime | outages | trend`: what services say of themselves."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from metrics_store.cli import missing, services_writing
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, moment, open_store, say
from metrics_store.render import services as render
from metrics_store.render.screen import Screen
from metrics_store.store import MetricsStore

app = typer.Typer(
    help="Which services live, and how well.", no_args_is_help=True, rich_markup_mode=None
)
Last = Annotated[
    str, typer.Option("--last", metavar="SPAN", help="How far back, such as '24 hours' or 30d.")
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="The end: a moment, or a span ago. By default now.",
        show_default=False,
    ),
]
_COURSE, _PARTS = "24 hours", 24


@app.callback()
def services(db: Database = None) -> None:
    """Which services live, and how well."""


app.command("beat")(services_writing.beat)


@app.command("list")
def list_services(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="By default all.", show_default=False),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if one of them is not up.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show what each service said last.

    And whether it is up, down or silent.

    \b
    metrics-store services list
    metrics-store services list librarian indexer --check
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.service_status()
        if names:
            known = {one.service_name: one for one in found}
            for name in names:
                if name not in known:
                    _unknown(store, name)
            found = [known[name] for name in dict.fromkeys(names)]
        courses = {
            one.service_name: store.uptime_course(one.service_name, _COURSE, _PARTS)
            for one in found
        }
    if json:
        screen.json(
            {"services": [{**s.as_dict(), "uptime_course": courses[s.service_name]} for s in found]}
        )
    elif found:
        screen.table(render.services_table(found, courses, f"last {_COURSE}"))
        for line in render.doubts(found):
            say(line)
    else:
        say("No service was heard of yet.", "hint: metrics-store services beat NAME STATUS is one.")
    if check and any(one.state != "up" for one in found):
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command()
def history(
    name: services_writing.Service,
    last: Last = "24 hours",
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show the newest N.")] = 50,
    json: Json = False,
    db: Database = None,
) -> None:
    """List the heartbeats of a service, newest first.

    \b
    metrics-store services history librarian --last "2 hours"
    """
    screen = Screen()
    with open_store(db) as store:
        _require(store, name)
        found = store.service_history(name, last, until=_end(store, until), limit=limit)
    if json:
        screen.json({"service_name": name, "heartbeats": [beat.as_dict() for beat in found]})
    elif found:
        screen.table(render.history_table(found))
    else:
        say(f"No heartbeat of {name} in {last}.")


@app.command()
def uptime(
    name: services_writing.Service,
    last: Last = "30 days",
    until: Until = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show how much of a time a service was up, down or silent.

    \b
    metrics-store services uptime librarian --last 30d
    """
    screen = Screen()
    with open_store(db) as store:
        _require(store, name)
        end = _end(store, until)
        found = store.uptime(name, last, until=end)
        if found is None:
            message = f"nothing was heard of {name!r} by then"
            missing.not_found(message, "A later --until, or none.")
        course = store.uptime_course(name, found.seconds or 1, 30, until=end)
    if json:
        screen.json({**found.as_dict(), "uptime_course": course})
    else:
        render.show_uptime(screen, found, course)


@app.command()
def outages(
    name: services_writing.Service,
    last: Last = "30 days",
    until: Until = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """List the times in which a service was not up, oldest first.

    Each with its cause.

    \b
    metrics-store services outages librarian --last 7d
    """
    screen = Screen()
    with open_store(db) as store:
        _require(store, name)
        found = store.outages(name, last, until=_end(store, until))
    if json:
        screen.json({"service_name": name, "outages": [outage.as_dict() for outage in found]})
    elif found:
        screen.table(render.outages_table(found))
    else:
        say(f"{name} had no outage in {last}.")


@app.command()
def trend(
    name: services_writing.Service,
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Days that are recent.")] = 7,
    before: Annotated[
        int, typer.Option(min=1, metavar="N", help="Days they are compared with.")
    ] = 28,
    json: Json = False,
    db: Database = None,
) -> None:
    """Tell whether a service is getting slower.

    \b
    metrics-store services trend librarian --days 3 --before 14
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.trend(name, days=days, before=before)
        if found is None:
            _unknown(store, name)
    if json:
        screen.json(found.as_dict())
    else:
        render.show_trend(screen, found)


app.command("set")(services_writing.set_service)
app.command("import")(services_writing.import_)


def _end(store: MetricsStore, until: str | None) -> str | None:
    return moment("--until", until, store.database.clock.now_us(), end=True)


def _require(store: MetricsStore, name: str) -> None:
    if store.service_status(name) is None:
        _unknown(store, name)


def _unknown(store: MetricsStore, name: str) -> NoReturn:
    known = [one.service_name for one in store.service_status()]
    hint = missing.meant(name, known, "metrics-store services list shows all.")
    missing.not_found(f"nothing was ever heard of {name!r}", hint)
