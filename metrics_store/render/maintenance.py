"""How it looks what a store is, and what keeping it in shape did."""

from __future__ import annotations

import json

from metrics_store.maintenance import Checkpointed, Info, Vacuumed
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table


def show_vacuumed(screen: Screen, done: Vacuumed) -> None:
    """Write what became of giving space back."""
    freed = done.bytes_before - done.bytes_after
    if done.kind == "none" or (not done.free_before and done.kind == "incremental"):
        screen.line(
            "Nothing to give back."
            if not done.free_before
            else f"{figures.plural(done.free_before, 'page')} of the file are free."
        )
        return
    gave = f"Gave {figures.size(freed)} back" if freed > 0 else "The file is as large as before"
    screen.line(
        Cell(gave, "bold"),
        f" in {figures.duration(done.seconds)}; it has {figures.size(done.bytes_after)} now.",
    )
    if done.kind == "incremental":
        screen.line(
            f"  {figures.plural(done.steps, 'step')}, the longest of them "
            f"{figures.duration(done.longest_step)}: so long a writer waited at most"
        )
        if done.free_after:
            screen.line(f"  {figures.plural(done.free_after, 'page')} left for the next time")


def show_checkpointed(screen: Screen, done: Checkpointed) -> None:
    """Write what became of folding the log."""
    if not done.frames:
        screen.line("The log is empty.")
        return
    screen.line(
        Cell(f"Folded {done.folded:,} of {figures.plural(done.frames, 'page')}", "bold"),
        " of the log back into the store.",
    )
    shrunk = "" if done.bytes_after == done.bytes_before else ", it had "
    before = figures.size(done.bytes_before) if shrunk else ""
    screen.line(f"  The log's file has {figures.size(done.bytes_after)}{shrunk}{before}.")


def show_info(screen: Screen, known: Info) -> None:
    """Write what a store is."""
    screen.line(Cell(figures.path(known.path), "bold"))
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    free = f", {known.free_pages:,} of them free" if known.free_pages else ""
    table.add("size", f"{figures.size(known.bytes)}, log {figures.size(known.log_bytes)}")
    table.add("pages", f"{known.pages:,} of {known.page_size:,} bytes{free}")
    table.add("schema", f"{known.schema_version}")
    table.add("store", known.store_id or figures.NONE)
    table.add("generation", known.generation or figures.NONE)
    if known.restored:
        table.add("restored", _restored(known.restored))
    for log in known.logs:
        if not log.last_seq:
            continue  # nobody uses that family here
        table.add(log.table, f"{figures.plural(log.rows, 'row')}, the last is {log.last_seq:,}")
    table.add("in flight", f"{known.in_flight:,}")
    fix = "" if known.has_wal_reset_fix else ", without the WAL-reset fix"
    table.add("SQLite", f"{known.sqlite_version} ({known.sqlite_binding}{fix})")
    table.add("journal", f"{known.journal_mode}, durability {known.durability}")
    table.add("space", "given back beside writers" if known.gives_space_back else "vacuum --full")
    table.add("backups in", figures.path(known.backups))
    screen.table(table)


def _restored(text: str) -> str:
    try:
        note = json.loads(text)
        return f"{figures.moment(str(note['at']))} UTC from {note['from']}"
    except (ValueError, TypeError, KeyError):
        return text
