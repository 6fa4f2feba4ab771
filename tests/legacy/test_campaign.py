"""Runners work all the time while an operator walks there and back; the long run is
scripts/campaign."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from accounts import audit
from campaign import Plan, Result, campaign, main, summary, write_first
from operating import Place, run
from runner import Kind

from metrics_store import MetricsStore, open_tracker
from metrics_store.legacy.control import Phase

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its operators are forked")


@pytest.mark.parametrize("others", [(), ("json", "plain")], ids=["none", "json and plain"])
def test_a_migration_there_and_back_loses_and_doubles_nothing(
    others: tuple[Kind, ...], tmp_path: Path
) -> None:
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    result = campaign(Plan.short(seed, others), tmp_path)
    print(result.line(), *result.log, sep="\n")
    assert not result.wrong
    assert result.accounts.acknowledged["log"] > 0
    assert result.accounts.acknowledged["raise"] > 0
    # There, back by a rollback, and there again.
    assert result.accounts.changes >= 9
    if not others:
        assert not +result.forced, "every gate can be met where all runners know the phases"


# The reckoning itself: it has to notice ----------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A migration in dual-write, with two calls, one of them acknowledged."""
    place = Place(tmp_path, shadow_reads=0)
    write_first(tmp_path / "first.json", Plan.short(1, ()), random.Random(1))
    shutil.copyfile(tmp_path / "first.json", place.json_file)
    for command in ("start", "advance"):
        assert run(command, place).fine
    with open_tracker(place.json_file, place.db, "raise") as tracker:
        tracker.track_invocation("s", "r/0")(error_type="E", duration_seconds=1.5)
        tracker.track_invocation("s", "r/1")(completed=False)
    assert run("backfill", place).fine
    return place


BEGUN: list[dict[str, object]] = [
    {"event": "begun", "token": "r/0", "skill": "s", "completed": True, "error_type": "E",
     "follow_up_actions": None, "duration_seconds": 1.5},
    {"event": "begun", "token": "r/1", "skill": "s", "completed": False, "error_type": None,
     "follow_up_actions": None},
]  # fmt: skip


def ended(token: str, kind: Kind = "raise", phase: str = "dual_write") -> dict[str, object]:
    return {"event": "ended", "token": token, "kind": kind, "phases": [f"2 {phase}"] * 2}


def wrong(
    place: Place, *notes: dict[str, object], with_legacy: bool = False, phase: str = "dual_write"
) -> str:
    found = audit(
        place, list(notes), place.folder / "first.json", with_legacy=with_legacy,
        phase=Phase(phase),
    )  # fmt: skip
    return "\n".join(found.wrong)


def test_the_reckoning_is_content_with_what_is_in_order(place: Place) -> None:
    assert wrong(place, *BEGUN, ended("r/0")) == ""


def test_the_reckoning_notices_a_lost_call(place: Place) -> None:
    lost = {**BEGUN[0], "token": "r/2"}
    assert "r/2 of raise" in wrong(place, *BEGUN, lost, ended("r/2"))
    assert "r/2 of raise" in wrong(place, *BEGUN, lost, ended("r/2"), with_legacy=True)
    erased = ended("r/2", phase="legacy")
    assert wrong(place, *BEGUN, lost, erased, with_legacy=True) == ""
    assert "r/2 of raise" in wrong(place, *BEGUN, lost, erased)
    assert "r/2 of json" in wrong(place, *BEGUN, lost, ended("r/2", "json"))


def test_the_reckoning_notices_a_doubled_call_and_one_that_nobody_made(place: Place) -> None:
    with MetricsStore(place.db) as store:
        store.record_invocation("s", workflow_path="r/1")
    assert "r/1 is there 2 times" in wrong(place, *BEGUN)
    assert "nobody called 'r/1'" in wrong(place, BEGUN[0])


def test_the_reckoning_notices_another_outcome_or_duration(place: Place) -> None:
    assert "r/0 ended as" in wrong(place, {**BEGUN[0], "error_type": None}, BEGUN[1])
    assert "r/0 lasted 2" in wrong(place, {**BEGUN[0], "duration_seconds": 2}, BEGUN[1])


def test_the_reckoning_notices_a_record_of_a_copy_that_is_not_in_the_store(place: Place) -> None:
    copies = sorted(place.copies.glob("*.json"))
    assert copies
    document = json.loads(copies[0].read_text())
    for change in ({"workflow_path": "lost"}, {"completed": None}, {"skill_name": ""}):
        record = {**document["invocations"][0], **change}
        changed = {**document, "invocations": [*document["invocations"], record]}
        copies[0].write_text(json.dumps(changed))
        assert copies[0].name in wrong(place, *BEGUN), change
    copies[0].unlink()
    with pytest.raises(FileNotFoundError):
        wrong(place, *BEGUN)


def test_the_reckoning_notices_the_phase_and_what_runners_complain_of(place: Place) -> None:
    assert "has to be in shadow" in wrong(place, *BEGUN, phase="shadow")
    complaint: dict[str, object] = {"event": "unread", "error": "E", "file": "f"}
    assert "f, unread: E" in wrong(place, *BEGUN, complaint)
    assert wrong(place, *BEGUN, complaint, with_legacy=True) == ""
    assert "f: x" in wrong(place, *BEGUN, {"event": "failed", "text": "x", "file": "f"})


# The program -------------------------------------------------------------------------------------


def test_a_seed_decides_the_same_plan_and_the_same_first_file(tmp_path: Path) -> None:
    texts = set()
    for n in range(2):
        plan = Plan.of(7)
        file = tmp_path / f"{n}.json"
        write_first(file, plan, random.Random(7))
        texts.add((plan, json.dumps(json.loads(file.read_text())["invocations"])))
    assert len(texts) == 1
    assert Plan.of(7) != Plan.of(8)
    assert {Plan.of(seed).with_legacy for seed in range(20)} == {True, False}


def test_the_summary_adds_up_and_names_the_seeds_that_failed() -> None:
    fine, failed = Result(Plan.of(1)), Result(Plan.of(2), wrong=["it was lost"])
    for result in (fine, failed):
        result.accounts.acknowledged["log"] = 600
        result.forced["soak"] = 1
    lines = "\n".join(summary([fine, failed]))
    assert "1,200" in lines
    assert "1 [2]" in lines
    assert fine.line().endswith("fine")
    assert failed.line().endswith("FAILED")


def test_the_program_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    told = capsys.readouterr().out
    for option in ("--seeds", "--first", "--seconds", "--runners"):
        assert option in told
