"""How a migration ends that was cut short, or complete: `legacy resume | cancel | complete`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from migrating import Migration, legacy_file

from metrics_store.legacy import control


@pytest.fixture
def migration(call, tmp_path: Path) -> Migration:
    """A legacy file of 99 records; no migration has begun."""
    return Migration(call, legacy_file(tmp_path))


@pytest.mark.parametrize(
    ("step", "ending"), [("verify", "resume"), ("verify", "cancel"), ("commit", "resume")]
)
def test_a_cutover_that_was_killed_is_resumed_or_cancelled(
    migration: Migration, run, step: str, ending: str
) -> None:
    migration.begin()
    migration.until("dual_read")
    assert migration("verify").code == migration("rollback", "--rehearse").code == 0
    assert run("legacy", "cutover", "--execute", METRICS_STORE_FAILPOINT=f"cutover.{step}").code < 0
    status = migration("status")
    assert status.code == 1
    assert "A cutover was begun and has not ended." in status.out
    assert status.out.endswith("  metrics-store legacy resume --execute\n")
    cancel = "to give it up: metrics-store legacy cancel --execute"
    assert (cancel in status.out) == (step != "commit")
    assert migration("rollback", "--execute").code == 2
    before = migration.kept()
    dry = migration(ending)
    assert dry.code == 0
    assert ("what is left is little" in dry.out) == (step == "commit")
    assert migration.told(ending)["executed"] is False
    assert migration.kept() == before
    done = migration.told(ending, "--execute")
    assert done["executed"] is True
    assert migration.phase == ("database" if ending == "resume" else "dual_read")
    assert migration("status").code == 0
    assert migration(ending).code == 2, "nothing is unfinished any more"


def test_a_killed_rollback_is_resumed(migration: Migration, run) -> None:
    migration.begin()
    migration.until("database")
    assert run("legacy", "rollback", "--execute", METRICS_STORE_FAILPOINT="rollback.load").code < 0
    assert migration("complete").code == 2
    assert migration.told("resume")["executed"] is False
    assert migration.told("resume", "--execute")["to_phase"] == "dual_write"
    assert migration("status").code == 0


def test_complete_says_where_the_archive_is_and_proof_has_its_hash(migration: Migration) -> None:
    migration.begin()
    migration.until("database")
    content = migration.json_file.read_bytes()
    done = migration("complete", "--execute")
    assert done.code == 0
    archive = next(line for line in done.out.splitlines() if "archived-" in line).split()[-1]
    assert Path(archive).read_bytes() == content
    found = migration.told("proof")
    assert found["clean"] is True
    assert "archive" in {file["what"] for file in found["files"]}


def test_an_old_control_file_is_brought_up_to_what_the_store_knows(migration: Migration) -> None:
    migration.begin()
    migration.until("dual_write")
    path = control.control_path(migration.json_file)
    old = f"{path}.old"
    shutil.copyfile(path, old)
    migration.until("shadow")
    shutil.copyfile(old, path)
    assert migration("status").code == 1
    dry = migration("resume")
    assert dry.code == 0
    assert "Would take the store's word." in dry.out
    assert "The control file said dual_write; the store was told shadow." in dry.out
    assert migration.phase == "dual_write"
    assert migration.told("resume", "--execute")["to_phase"] == "shadow"
    assert migration.phase == "shadow"


def test_a_proof_is_written_to_a_folder_or_printed(migration: Migration, tmp_path: Path) -> None:
    migration.begin()
    migration.until("dual_read")
    unproved = migration("proof")
    assert unproved.code == 1, "no verify yet"
    assert "**Not clean: verified.**" in unproved.out
    assert "Something is unexplained" in unproved.err
    assert migration("verify").code == 0
    printed = migration("proof")
    assert printed.code == 0
    assert printed.out.startswith("# Leaving `")
    written = migration("proof", "--output", "proofs")
    assert written.code == 0
    text, document = (tmp_path / line for line in written.out.splitlines())
    assert text.read_text().startswith("# Leaving `")
    assert document.suffix == ".json"
    assert migration.told("proof", "--output", "proofs")["clean"] is True
    (tmp_path / "file").touch()
    assert migration("proof", "--output", "file").code == 2
