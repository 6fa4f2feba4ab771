"""The proof of a migration: what it says, and when it is not clean."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from migrating import FILES
from settable_clock import SettableClock

from metrics_store import open_tracker, sqlite
from metrics_store.errors import ExportFailed, NoMigration
from metrics_store.legacy import differences, spill, verifying
from metrics_store.legacy.control import Gates
from metrics_store.phases import (
    beginning,
    completing,
    cutting_over,
    rolling_back,
)
from metrics_store.phases.operator import Operator
from metrics_store.phases.proving import Proof, prove
from metrics_store.render import proof as looks
from metrics_store.render.proof import markdown, write_proof


@pytest.fixture
def operator(tmp_path: Path, clock: SettableClock) -> Iterator[Operator]:
    """An operator of a legacy file of 99 records."""
    path = tmp_path / "skill_metrics.json"
    shutil.copyfile(FILES / "two_writers.json", path)
    with Operator(path, tmp_path / "m.db", now=clock) as operator:
        yield operator


def advance(operator: Operator, reason: str | None = None) -> None:
    beginning.advance(operator, execute=True, force=reason is not None, reason=reason)


def verify(operator: Operator) -> verifying.VerifyReport:
    there = operator.control()
    path = Path(operator.json_file)
    return verifying.verify(operator.store(), path, zone=there.zone, epoch=there.epoch)


def record(operator: Operator, name: str = "deploy") -> None:
    with open_tracker(operator.json_file, on_error="raise") as tracker:
        tracker.track_invocation(name, "by test")()
        tracker.get_skill_metrics(name)


def until_dual_read(operator: Operator, gates: Gates) -> None:
    beginning.start(operator, zone="UTC", wanted=gates, execute=True)
    advance(operator)
    beginning.backfill(operator)
    advance(operator)
    record(operator)
    advance(operator)


@pytest.fixture
def walked(operator: Operator) -> Operator:
    """The same after the whole way and back."""
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    verify(operator)
    rolling_back.rehearse(operator)
    cutting_over.cutover(operator, execute=True)
    record(operator)
    completing.complete(operator, execute=True, force=False, reason=None)
    rolling_back.rollback(operator, execute=True)
    return operator


def unmet(proof: Proof) -> list[str]:
    return [check.name for check in proof.checks if not check.holds]


def test_the_proof_of_a_whole_way_and_back_is_clean_and_adds_up(walked: Operator) -> None:
    proof = prove(walked)
    assert proof.clean
    assert unmet(proof) == []
    assert [line.read for line in proof.passes] == [99, 99, 100]
    assert all(line.conserved for line in proof.passes)
    inserted = sum(line.inserted or 0 for line in proof.passes)
    assert inserted == 99
    assert proof.store.total + proof.store.in_flight == inserted + 2
    assert proof.store.exported == 1
    assert [change["to"] for change in proof.changes] == [
        "dual_write", "shadow", "dual_read", "database", "complete", "dual_write",
    ]  # fmt: skip
    assert {f"{s['command']}.{s['step']}" for s in proof.steps} >= {
        "cutover.commit",
        "rollback.load",
    }
    assert sum(int(str(row["n"])) for row in proof.reads) == 1
    assert len(proof.verifies) == 2


def test_every_file_is_there_with_its_hash_and_what_is_gone_is_said(walked: Operator) -> None:
    files = {str(file["what"]): file for file in prove(walked).files}
    assert set(files) == {"json", "archive", "backup"}
    for file in prove(walked).files:
        content = Path(str(file["path"])).read_bytes()
        assert (file["size"], file["missing"]) == (len(content), None)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    Path(str(files["archive"]["path"])).unlink()
    gone = next(file for file in prove(walked).files if file["what"] == "archive")
    assert (gone["sha256"], gone["missing"]) == (None, "No such file or directory")
    assert "No such file or directory" in markdown(prove(walked))


def test_the_hash_of_the_log_is_over_its_rows_in_order(walked: Operator) -> None:
    with walked.store().database.read() as connection:
        rows = connection.execute("SELECT digest FROM skill_invocation ORDER BY seq").fetchall()
    wanted = hashlib.sha256("".join(f"{digest}\n" for (digest,) in rows).encode())
    before = prove(walked).store.log_sha256
    assert before == wanted.hexdigest()
    record(walked)
    assert prove(walked).store.log_sha256 != before


def test_a_proof_changes_nothing(walked: Operator, tmp_path: Path) -> None:
    walked.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    prove(walked)
    walked.close()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_both_files_are_written_whole_and_the_json_has_everything(
    walked: Operator, tmp_path: Path
) -> None:
    proof = prove(walked)
    folder = tmp_path / "to" / "proofs"
    text, document = write_proof(proof, folder)
    assert [path.name for path in (text, document)] == [
        f"proof-{proof.migration_id}.md", f"proof-{proof.migration_id}.json",
    ]  # fmt: skip
    assert text.read_text(encoding="utf-8") == markdown(proof)
    read = json.loads(document.read_bytes())
    assert read == json.loads(json.dumps(proof.as_dict() | {"clean": True}))
    assert sorted(path.name for path in folder.iterdir()) == sorted([text.name, document.name])
    (tmp_path / "file").touch()
    with pytest.raises(ExportFailed):
        write_proof(proof, tmp_path / "file")


def test_the_markdown_has_a_table_of_as_many_cells_in_every_row(walked: Operator) -> None:
    lines = markdown(prove(walked)).splitlines()
    assert lines[2].startswith("**Clean: ")
    tables = [list(group) for group in groups(lines) if group[0].startswith("|")]
    assert len(tables) == 9
    for table in tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table}) == 1, table


def groups(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines without an empty one between them."""
    run: list[str] = []
    for line in [*lines, ""]:
        if line:
            run.append(line)
        elif run:
            yield run
            run = []


def change_a_record(operator: Operator, n: int = 1, error: str = "E") -> None:
    path = Path(operator.json_file)
    document = json.loads(path.read_bytes())
    for changed in [r for r in document["invocations"] if r["completed"]][:n]:
        changed["error_type"] = error
    path.write_text(json.dumps(document, indent=2))


def test_it_is_not_clean_until_every_difference_is_explained(operator: Operator) -> None:
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    change_a_record(operator)
    verify(operator)
    proof = prove(operator)
    assert not proof.clean
    assert unmet(proof) == ["differences"]
    [found] = [difference for difference in proof.differences if difference["open"]]
    assert "**Not clean: differences.**" in markdown(proof)
    assert "| **open** |" in markdown(proof)
    differences.explain(operator.store(), int(str(found["id"])), "by hand", "somebody")
    proof = prove(operator)
    assert proof.clean
    assert "`by hand` by `somebody`" in markdown(proof)


def test_a_later_verify_takes_the_place_of_an_earlier_one(operator: Operator) -> None:
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    before = Path(operator.json_file).read_bytes()
    change_a_record(operator)
    verify(operator)
    Path(operator.json_file).write_bytes(before)
    verify(operator)
    proof = prove(operator)
    assert proof.clean
    [old] = [difference for difference in proof.differences if difference["superseded"]]
    assert (old["open"], old["explanation"]) == (False, None)
    assert "a later verify took its verify's place" in markdown(proof)


def test_a_compared_read_that_differs_is_open_whatever_the_epoch(operator: Operator) -> None:
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    verify(operator)
    path = Path(operator.json_file)
    document = json.loads(path.read_bytes())
    name = next(iter(document["skills"]))
    document["skills"][name]["total_invocations"] += 5
    path.write_text(json.dumps(document, indent=2))
    with open_tracker(path, on_error="raise") as tracker:
        tracker.get_skill_metrics(name)
    beginning.step_back(operator, execute=True)
    proof = prove(operator)
    assert unmet(proof) == ["differences"]
    [found] = [difference for difference in proof.differences if difference["open"]]
    assert (found["kind"], found["verify_id"]) == ("read", None)
    assert "mismatched" in {row["outcome"] for row in proof.reads}


def test_what_is_not_in_order_is_named(
    operator: Operator, hold_lock: Callable[..., Callable[[], None]]
) -> None:
    beginning.start(operator, zone="UTC", wanted=Gates(shadow_reads=0, soak=0), execute=True)
    assert unmet(prove(operator)) == ["verified"]
    advance(operator)
    advance(operator, "in a | test\n# not a heading")
    verified = verify(operator)
    assert not verified.clean, "nothing was taken in"
    Path(spill.spill_path(operator.json_file)).write_text("damaged\n")
    proof = prove(operator)
    assert unmet(proof) == ["differences", "spill"]
    assert r"`in a \| test\n# not a heading`" in markdown(proof)


def test_a_zombie_and_an_unfinished_cutover_are_named(operator: Operator) -> None:
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    verify(operator)
    operator.intend(operator.control(), "cutover", None)
    assert unmet(prove(operator)) == ["finished"]
    rolling = operator.control()
    beginning.cancel(operator, execute=True)
    assert rolling.intent is not None
    rolling_back.rehearse(operator)
    cutting_over.cutover(operator, execute=True)
    assert prove(operator).clean
    change_a_record(operator)
    assert unmet(prove(operator)) == ["zombies"]


def test_the_markdown_shows_so_many_differences_and_says_so(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    change_a_record(operator, 20, "x" * 5000)
    verify(operator)
    monkeypatch.setattr(looks, "MOST_DIFFERENCES", 5)
    proof = prove(operator)
    assert len(proof.differences) >= 20
    text = markdown(proof)
    assert "The first 5 are shown; the JSON document has all of them." in text
    assert text.count("| **open** |") == 5
    assert "x" * 500 not in text


@pytest.mark.parametrize(
    "harmful",
    ["a | b", "`code`", "``", "[x](javascript:1)", "<script>", "\x1b[31m\u202e", "x\n# y", " ", ""],
)
def test_texts_of_others_are_literal_in_the_markdown(operator: Operator, harmful: str) -> None:
    until_dual_read(operator, Gates(shadow_reads=1, soak=0))
    path = Path(operator.json_file)
    document = json.loads(path.read_bytes())
    changed = next(r for r in document["invocations"] if r["completed"])
    changed["skill_name"], changed["error_type"] = f"n{harmful}", harmful
    path.write_text(json.dumps(document, indent=2))
    verify(operator)
    lines = markdown(prove(operator)).splitlines()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", "".join(lines))
    assert [line for line in lines if line.startswith("# ")] == lines[:1]
    table = next(t for t in groups(lines) if t[0].startswith("| id | kind"))
    assert len({len(re.split(r"(?<!\\)\|", line)) for line in table}) == 1
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", "\n".join(table))
    assert "<" not in outside
    assert "](" not in outside


def test_without_a_migration_there_is_nothing_to_prove(operator: Operator) -> None:
    with pytest.raises(NoMigration):
        prove(operator)


def test_a_pass_that_does_not_add_up_is_named(walked: Operator, tmp_path: Path) -> None:
    walked.close()
    connection = sqlite.connect(str(tmp_path / "m.db"))
    connection.execute(
        "UPDATE legacy_pass SET report = json_set(report, '$.read', 100) WHERE id = 1"
    )
    connection.close()
    proof = prove(walked)
    assert unmet(proof) == ["conserved"]
    assert "passes that do not add up: 1" in markdown(proof)
