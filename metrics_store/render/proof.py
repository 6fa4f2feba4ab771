"""The proof of a migration as Markdown, and both of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metrics_store.errors import ExportFailed
from metrics_store.render import figures
from metrics_store.render.text import json_text, visible
from metrics_store.replacing import replace_text

if TYPE_CHECKING:
    from metrics_store.phases.proving import Proof

#: Differences that the Markdown shows; the JSON has all of them.
MOST_DIFFERENCES = 200
#: Characters of each side that the Markdown shows.
MOST_CHARACTERS = 400
_MARKUP = re.compile(r"([\\`*_\[\]<>|#~&])")

Row = Mapping[str, object]


def write_proof(proof: Proof, folder: Path) -> tuple[Path, Path]:
    """Write ``proof-<migration id>.md`` and ``.json``; each is there whole or not at all.

    Raises:
        ExportFailed: the folder or a file cannot be written.
    """
    name = f"proof-{proof.migration_id}"
    files = (folder / f"{name}.md", folder / f"{name}.json")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(files[0], markdown(proof))
        replace_text(files[1], json_text(proof.as_dict() | {"clean": proof.clean}) + "\n")
    except OSError as error:
        raise ExportFailed(f"{folder}: {error.strerror}") from error
    return files


def markdown(proof: Proof) -> str:
    """The proof for people, as a Markdown document; texts of others are literal in it."""
    parts = (_head, _checks, _differences, _passes, _store, _verifies, _reads, _changes, _files)
    return "\n".join(line for part in (*parts, _steps) for line in part(proof))


def _head(proof: Proof) -> Iterator[str]:
    yield f"# Leaving {_code(proof.json_file)}"
    yield ""
    if proof.clean:
        yield "**Clean: nothing was lost, nothing counted twice, nothing is unexplained.**"
    else:
        unmet = ", ".join(check.name for check in proof.checks if not check.holds)
        yield f"**Not clean: {unmet}.** See below."
    yield ""
    yield from _table(
        ("", ""),
        [
            ("migration", _code(proof.migration_id)),
            ("made", proof.made_at),
            ("begun", proof.started_at),
            ("phase", f"{_text(proof.phase)}, epoch {proof.epoch}"),
            ("JSON file", _code(proof.json_file)),
            ("store", _code(proof.database)),
            ("zone", _code(proof.zone)),
        ],
    )


def _checks(proof: Proof) -> Iterator[str]:
    yield from _heading("What has to be so")
    rows = [
        (check.name, "yes" if check.holds else "**no**", check.detail) for check in proof.checks
    ]
    yield from _table(("", "holds", "found"), [(a, b, _text(c)) for a, b, c in rows])


def _differences(proof: Proof) -> Iterator[str]:
    found = proof.differences
    yield from _heading("Differences, open ones first")
    if not found:
        yield "None was ever found."
        return
    n = figures.number
    still_open = sum(bool(difference["open"]) for difference in found)
    yield f"{n(len(found))} in all, {n(still_open)} that nobody has explained."
    if len(found) > MOST_DIFFERENCES:
        yield f"The first {n(MOST_DIFFERENCES)} are shown; the JSON document has all of them."
    yield f"Each side is cut after {MOST_CHARACTERS} characters; the JSON document has all of it."
    yield ""
    yield from _table(
        ("id", "kind", "of", "found", "in the JSON file", "in the store", "explanation"),
        [_difference(difference) for difference in found[:MOST_DIFFERENCES]],
    )


def _difference(row: Row) -> tuple[str, ...]:
    verify = row["verify_id"]
    by = f"verify {verify}" if verify is not None else "a compared read"
    said = "**open**" if row["open"] else "a later verify took its verify's place"
    if row["explanation"] is not None:
        said = f"{_code(row['explanation'])} by {_code(row['explained_by'])}, {row['explained_at']}"
    sides = (_code(row["in_json"], MOST_CHARACTERS), _code(row["in_store"], MOST_CHARACTERS))
    found = f"{row['found_at']} by {by}, epoch {row['epoch']}"
    return (str(row["id"]), _text(row["kind"]), _code(row["subject"]), found, *sides, said)


def _passes(proof: Proof) -> Iterator[str]:
    yield from _heading("What went in")
    yield "Of every pass: read = inserted + matched + upgraded + quarantined."
    yield ""
    names = ("read", "inserted", "matched", "upgraded", "quarantined")
    rows = []
    for line in proof.passes:
        ended = line.finished_at if line.read is not None else "cut short; another went on"
        if line.part:
            ended = f"{ended}, over what had changed alone"
        counts = [_count(line[name]) for name in names]
        known = (_code(line.source), _code(line.sha256), _count(line.size))
        rows.append((str(line.pass_id), line.started_at, str(ended), *counts, *known))
    yield from _table(("pass", "began", "ended", *names, "file", "SHA-256", "bytes"), rows)


def _store(proof: Proof) -> Iterator[str]:
    store = proof.store
    yield from _heading("What is in the store")
    rows = [(f"rows, {_text(origin)}", _count(n)) for origin, n in sorted(store.rows.items())]
    rows += [
        ("rows in all", _count(store.total)),
        ("in flight", _count(store.in_flight)),
        ("given to the JSON file by an export", _count(store.exported)),
        ("SHA-256 over the rows' digests, in order", _code(store.log_sha256)),
    ]
    yield from _table(("", ""), rows)
    if store.quarantined:
        yield from _heading("Kept apart as text", 3)
        kept = [(_code(r["source"]), _code(r["reason"]), _count(r["n"])) for r in store.quarantined]
        yield from _table(("file", "reason", "texts"), kept)
    if store.baseline:
        yield from _heading("Totals that no record explains", 3)
        names = ("skill_name", "total_invocations", "completed_invocations")
        yield from _table(
            ("skill", "runs", "completed", "seconds"),
            [
                (_code(r[names[0]]), *(_count(r[name]) for name in names[1:]), _seconds(r))
                for r in store.baseline
            ],
        )


def _seconds(row: Row) -> str:
    return f"{row['total_duration_seconds']:.6f}"


def _verifies(proof: Proof) -> Iterator[str]:
    yield from _heading("Full verifies")
    names = ("compared", "equal", "explained", "unexplained")
    yield from _table(
        ("verify", "epoch", "began", "ended", *names, "SHA-256 of the file"),
        [
            (
                str(row["id"]),
                str(row["epoch"]),
                str(row["started_at"]),
                str(row["finished_at"]) if row["whole"] else "given up",
                *(_count(row[name]) for name in names),
                _code(row["sha256"]),
            )
            for row in proof.verifies
        ],
    )


def _reads(proof: Proof) -> Iterator[str]:
    yield from _heading("Compared reads")
    rows = []
    for row in proof.reads:
        sides = []
        for side in ("json", "store"):
            n, us, most = (int(str(row[key])) for key in ("n", f"{side}_us", f"{side}_us_max"))
            sides += [figures.duration(us / n / 1e6), figures.duration(most / 1e6)]
        reason = _code(row["reason"]) if row["reason"] else ""
        named = (str(row["epoch"]), _code(row["method"]), _text(row["outcome"]), reason)
        rows.append((*named, _count(row["n"]), *sides, str(row["first_at"]), str(row["last_at"])))
    latencies = ("JSON, mean", "JSON, most", "store, mean", "store, most")
    yield from _table(
        ("epoch", "method", "outcome", "why", "reads", *latencies, "first", "last"), rows
    )


def _changes(proof: Proof) -> Iterator[str]:
    yield from _heading("Phases")
    yield from _table(
        ("epoch", "from", "to", "at", "by", "forced"),
        [
            (
                str(row["epoch"]),
                _text(row["from"]),
                _text(row["to"]),
                str(row["at"]),
                _code(row["by"]),
                _code(row["forced"]) if row["forced"] else "",
            )
            for row in proof.changes
        ],
    )


def _files(proof: Proof) -> Iterator[str]:
    yield from _heading("Files")
    yield from _table(
        ("", "file", "bytes", "SHA-256"),
        [
            (
                _text(row["what"]),
                _code(row["path"]),
                _count(row["size"]),
                _code(row["sha256"]) if row["sha256"] else _text(row["missing"]),
            )
            for row in proof.files
        ],
    )


def _steps(proof: Proof) -> Iterator[str]:
    yield from _heading("Every step")
    yield from _table(
        ("epoch", "command", "step", "done", "with"),
        [
            (
                str(row["epoch"]),
                _text(row["command"]),
                _text(row["step"]),
                str(row["done_at"]),
                _code(json.dumps(row["detail"], ensure_ascii=False)) if row["detail"] else "",
            )
            for row in proof.steps
        ],
    )
    yield ""


def _heading(text: str, level: int = 2) -> Iterator[str]:
    yield from ("", f"{'#' * level} {text}", "")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "None."
        return
    for cells in (titles, ["---"] * len(titles), *rows):
        yield f"| {' | '.join(cells)} |"


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else figures.NONE


def _text(value: object) -> str:
    """Our own words, which may hold a name; nothing in it is markup."""
    return _MARKUP.sub(r"\\\1", visible(str(value)))


def _code(value: object, most: int = 0) -> str:
    """Somebody's text as literal code, in a cell of a table too."""
    if value is None:
        return figures.NONE
    shown = visible(str(value))
    if most and len(shown) > most:
        shown = f"{shown[:most]}…"
    if not shown.strip(" "):
        return f"*{len(shown)} spaces*" if shown else "*empty*"
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", r"\|")
