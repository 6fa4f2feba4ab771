"""Writing the legacy format: the very same records and totals, by the legacy loader's rules."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import ExportFailed, InvalidQuery
from metrics_store.legacy.importing import take_in
from metrics_store.legacy_format import exporting
from metrics_store.legacy_format.record import MEMBERS

FILES = Path(__file__).parent / "files"
NUMBER = count()


@dataclass
class Invocation:
    """As the legacy loader makes it: a member it does not know is an error."""

    skill_name: str
    invoked_at: str
    workflow_path: str | None = None
    completed: bool = False
    duration_seconds: float | None = None
    follow_up_actions: list[str] = field(default_factory=list)
    error_type: str | None = None


@dataclass
class Metrics:
    skill_name: str
    total_invocations: int = 0
    completed_invocations: int = 0
    abandoned_invocations: int = 0
    total_duration_seconds: float = 0.0
    workflow_paths: dict[str, int] = field(default_factory=dict)
    common_errors: dict[str, int] = field(default_factory=dict)
    follow_up_actions: dict[str, int] = field(default_factory=dict)
    first_invoked: str | None = None
    last_invoked: str | None = None


def loaded(text: str) -> tuple[list[Invocation], dict[str, Metrics]]:
    """What the legacy loader has after reading a file."""
    data = json.loads(text)
    assert set(data) == {"invocations", "skills", "last_updated"}
    skills = {}
    for name, members in data["skills"].items():
        derived = {"completion_rate", "avg_duration_seconds"}
        skills[name] = Metrics(**{k: v for k, v in members.items() if k not in derived})
    return [Invocation(**members) for members in data["invocations"]], skills


def exported(store: MetricsStore, **kwargs: str) -> str:
    target = io.StringIO()
    store.export_legacy(target, **kwargs)
    return target.getvalue()


def canonical(records: list[object]) -> Counter[str]:
    """Records as a multiset, by the members the legacy format has."""
    return Counter(
        json.dumps(vars(Invocation(**{k: v for k, v in r.items() if k in MEMBERS})), sort_keys=True)
        for r in records
        if isinstance(r, dict)
    )


@pytest.mark.parametrize(
    "name",
    ["berlin_dst", "double_completed", "pruned", "session_buddy_export", "two_writers", "typical"],
)
def test_a_real_file_is_given_back_record_by_record(name: str, store: MetricsStore) -> None:
    zone = "Europe/Berlin" if name == "berlin_dst" else "UTC"
    take_in(store, FILES / f"{name}.json", zone=zone)
    original = json.loads((FILES / f"{name}.json").read_text())
    text = exported(store)
    assert json.loads(text)["invocations"] == [
        {member: record[member] for member in MEMBERS} for record in original["invocations"]
    ]
    _, skills = loaded(text)
    for skill, stated in original.get("skills", {}).items():
        ours = vars(skills[skill])
        for member, value in ours.items():
            if isinstance(value, float):
                assert value == pytest.approx(stated[member], abs=1e-3)
            else:
                assert value == stated[member], (skill, member)
    assert set(skills) == set(original.get("skills", skills))


@pytest.mark.parametrize("name", ["typical", "pruned", "berlin_dst", "hand_edited"])
def test_what_is_exported_is_taken_in_as_the_same(
    name: str, open_store: Callable[..., MetricsStore], tmp_path: Path
) -> None:
    first, second = open_store("a.db"), open_store("b.db")
    zone = "Europe/Berlin" if name == "berlin_dst" else "UTC"
    take_in(first, FILES / f"{name}.json", zone=zone)
    first.export_legacy(tmp_path / "out.json")
    report = take_in(second, tmp_path / "out.json", zone=zone)
    assert report.fine
    assert report.quarantined == 0
    assert second.get_all_metrics() == first.get_all_metrics()
    assert exported(second) == exported(first)


texts = st.text(max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
plausible = st.fixed_dictionaries(
    {
        "skill_name": st.sampled_from(["s", "t", "a\0b", "é\u2028"]),
        "invoked_at": st.sampled_from(
            ["2025-02-10T12:00:00", "2025-02-10T12:00:00.5", "2025-02-11"]
        ),
    },
    optional={
        "workflow_path": st.none() | texts,
        "completed": st.booleans(),
        "duration_seconds": st.none() | st.floats(0, 1e9),
        "follow_up_actions": st.none() | st.lists(texts, max_size=2),
        "error_type": st.none() | texts,
        "extra": json_values,
    },
)


@given(records=st.lists(plausible | json_values, max_size=8), twice=st.booleans())
def test_every_record_of_any_file_is_exported_or_quarantined(
    records: list[object], twice: bool, open_store: Callable[..., MetricsStore], tmp_path: Path
) -> None:
    records = records * (1 + twice)
    file = tmp_path / "f.json"
    file.write_text(json.dumps({"invocations": records}))
    with open_store(f"{next(NUMBER)}.db") as store:
        report = take_in(store, file, zone="UTC")
        assert report.conserved
        assert report.comparison.clean
        raws = [json.loads(row["raw"]) for row in store.query("SELECT raw FROM legacy_quarantine")]
        kept = json.loads(exported(store))["invocations"]
    left = list(records)
    assert len(raws) + len(kept) == len(left)
    for raw in raws:
        left.remove(next(r for r in left if json.dumps(r) == json.dumps(raw)))
    assert canonical(kept) == canonical(left)


def test_live_records_are_written_in_the_zone_of_the_file(store: MetricsStore) -> None:
    store.record_invocation(
        "s", invoked_at="2026-01-05T12:00:00Z", duration_seconds=1.25, session_id="x",
        workflow_path="p", follow_up_actions=["a"], attributes={"b": 1}, project_path="/p",
    )  # fmt: skip
    store.record_invocation("s", False, invoked_at="2026-07-05T12:00:00Z", error_type="E")
    store.track_invocation("s")
    invocations, skills = loaded(exported(store, zone="Europe/Berlin"))
    assert invocations == [
        Invocation("s", "2026-01-05T13:00:00", "p", True, 1.25, ["a"], None),
        Invocation("s", "2026-03-10T13:00:00"),
        Invocation("s", "2026-07-05T14:00:00", None, False, None, [], "E"),
    ]
    assert (skills["s"].total_invocations, skills["s"].abandoned_invocations) == (2, 1)
    assert skills["s"].first_invoked == "2026-01-05T13:00:00"


def test_the_zone_is_that_of_the_first_file(store: MetricsStore) -> None:
    take_in(store, FILES / "berlin_dst.json", zone="Europe/Berlin")
    take_in(store, FILES / "two_writers.json", zone="Asia/Tokyo")
    store.record_invocation("live", invoked_at="2026-01-05T12:00:00Z")
    report = store.export_legacy(io.StringIO())
    assert (report.zone, report.records, report.pending) == ("Europe/Berlin", 700, 2)
    assert loaded(exported(store))[1]["live"].last_invoked == "2026-01-05T13:00:00"
    with pytest.raises(InvalidQuery):
        exported(store, zone="Mars/Olympus")


def test_an_empty_store_gives_an_empty_history(store: MetricsStore) -> None:
    assert loaded(exported(store, zone="UTC")) == ([], {})


@pytest.mark.parametrize(
    ("moment", "zone"),
    [("0001-01-01T00:00:00+00:00", "America/New_York"), ("9999-12-31T23:59:59Z", "Asia/Tokyo")],
)
def test_moments_at_the_ends_of_the_calendar_are_no_obstacle(
    moment: str, zone: str, store: MetricsStore
) -> None:
    store.record_invocation("s", invoked_at=moment)
    invocations, skills = loaded(exported(store, zone=zone))
    assert (len(invocations), len(skills)) == (1, 1)


def test_half_a_file_is_never_left(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.json"
    target.write_text("before")
    take_in(store, FILES / "two_writers.json", zone="UTC")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_write_totals", full)
    with pytest.raises(ExportFailed, match="No space"):
        store.export_legacy(target)
    assert (target.read_text(), sorted(p.name for p in tmp_path.glob("out*"))) == (
        "before",
        ["out.json"],
    )
    with pytest.raises(ExportFailed):
        store.export_legacy(tmp_path / "nowhere" / "out.json")


def test_a_new_file_is_private_and_an_old_one_keeps_its_mode_and_its_link(
    store: MetricsStore, tmp_path: Path
) -> None:
    store.export_legacy(tmp_path / "new.json", zone="UTC")
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "new.json").chmod(0o664)
    (tmp_path / "link.json").symlink_to("new.json")
    store.record_invocation("s")
    store.export_legacy(tmp_path / "link.json", zone="UTC")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o664
    assert len(loaded((tmp_path / "new.json").read_text())[0]) == 1
    assert sorted(os.listdir(tmp_path)) == ["link.json", "m.db", "m.db-shm", "m.db-wal", "new.json"]


def test_it_looks_as_the_tracker_writes_it(store: MetricsStore) -> None:
    take_in(store, FILES / "two_writers.json", zone="UTC")
    text = exported(store)
    assert text == json.dumps(json.loads(text), indent=2)
    original = (FILES / "two_writers.json").read_text()
    assert text[: text.index('"skills"')] == original[: original.index('"skills"')]
