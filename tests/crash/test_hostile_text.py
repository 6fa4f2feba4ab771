"""Hostile text in every field and every output: no crash, no escape out, inert everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fuzzing
import pytest
from checking import python_path
from fuzzed_commands import judged, run
from hostile import PIECES, json_values, names, texts, unsafe
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_store import MetricsStore, manifest
from metrics_store.errors import InvalidValue
from metrics_store.render.text import json_text, visible

Open = Callable[..., MetricsStore]
#: Those that can be a name.
NAMES = [piece for piece in PIECES if not any("\ud800" <= c <= "\udfff" for c in piece)]
READING = (
    ("skills", "list"),
    ("skills", "show", "{}"),
    ("skills", "timeline", "{}"),
    ("skills", "search", "{}"),
    ("skills", "sessions"),
    ("skills", "sessions", "{}"),
    ("skills", "summary"),
    ("invocations", "--limit", "1000"),
    ("invocations", "--skill", "{}"),
    ("invocations", "--in-flight"),
    ("info",),
    ("health",),
    ("check", "--deep"),
    ("schema", "status"),
)


@pytest.mark.parametrize(
    ("surface", "inputs"),
    [
        ("library", 400),
        ("families", 400),
        ("command line", 150),
        ("legacy files", 300),
        ("files", 150),
        ("imports", 150),
    ],
)
def test_a_campaign_finds_no_traceback_and_no_control_character(surface: str, inputs: int) -> None:
    done = fuzzing.campaign(surface, inputs, seed=4)
    assert done.problems == ()
    assert done.inputs == inputs


# Of the pieces


@given(texts)
def test_what_is_shown_is_safe_and_what_is_safe_is_shown_as_it_is(text: str) -> None:
    shown = visible(text)
    assert unsafe(shown) == ""
    assert "\n" not in shown
    if not unsafe(text) and text.isprintable():
        assert shown == text


@given(json_values)
def test_json_is_safe_and_means_the_same(value: object) -> None:
    try:
        text = json_text(value, indent=None)
    except ValueError:
        return  # it has a NaN, which JSON has not
    assert unsafe(text) == ""
    assert json.loads(text) == json.loads(json.dumps(value))


# Of the store


@settings(max_examples=40)
@given(name=names, path=names, session=names, note=names, action=names)
def test_a_record_is_kept_to_the_letter_and_is_found(
    kept: MetricsStore, name: str, path: str, session: str, note: str, action: str
) -> None:
    done = kept.record_invocation(
        name,
        workflow_path=path,
        session_id=session,
        error_type=note,
        project_path=note,
        follow_up_actions=[action],
        attributes={note: action},
    )
    found = kept.get_invocation(done)
    assert found is not None
    assert (found.skill_name, found.workflow_path, found.session_id) == (name, path, session)
    assert (found.error_type, found.project_path) == (note, note)
    assert list(found.follow_up_actions) == [action]
    assert found.attributes == {note: action}
    metrics = kept.get_skill_metrics(name)
    assert metrics is not None
    assert metrics.follow_up_actions[action] >= 1
    assert name in [skill.skill_name for skill in kept.get_session_skills(session)]
    kept.search_workflow_paths(path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsStore]:
    """A store for all examples."""
    store = MetricsStore(tmp_path_factory.mktemp("kept") / "m.db", durability="normal")
    yield store
    store.close()


def test_a_name_of_a_megabyte_is_refused_and_one_in_attributes_is_kept(store: MetricsStore) -> None:
    long = "\x1b[31m" * 200_000
    with pytest.raises(InvalidValue) as caught:
        store.record_invocation(long)
    assert len(str(caught.value)) < 1000
    for field in ("workflow_path", "session_id", "error_type", "project_path", "invocation_id"):
        with pytest.raises(InvalidValue):
            store.record_invocation("deploy", **{field: long})
    name = store.record_invocation("deploy", attributes={"note": long})
    found = store.get_invocation(name)
    assert found is not None
    assert found.attributes == {"note": long}


# Of the commands


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with every piece in every field."""
    path = tmp_path_factory.mktemp("hostile") / "m.db"
    with MetricsStore(path, durability="normal") as store:
        store.record_invocations(
            {
                "skill_name": piece,
                "workflow_path": piece,
                "session_id": piece,
                "error_type": piece,
                "project_path": piece,
                "follow_up_actions": [piece],
                "attributes": {piece: piece},
                "completed": n % 2 == 0,
            }
            for n, piece in enumerate(NAMES)
        )
        for piece in NAMES[:20]:
            store.track_invocation(piece, piece, piece)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("looked_at", [False, True], ids=["a pipe", "a terminal"])
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_shows_it_and_nothing_of_it_acts(
    hostile: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    looked_at: bool,
    encoding: str,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # else our own escapes would hide others
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("METRICS_STORE_DB", str(hostile))
    several = "{}" in words
    for piece in NAMES[::9] if several else ("",):
        line = [word.replace("{}", piece) for word in words]
        for more in ([], ["--json"]):
            told = [*line[:-1], *more, "--", line[-1]] if several else [*line, *more]
            if "--skill" in words:
                told = [*line, *more]
            done = run(told, encoding=encoding, looked_at=looked_at)
            assert judged(told, *done, looked_at=looked_at) == ""


def test_a_name_takes_one_line_and_markup_is_text(hostile: Path) -> None:
    code, out, _ = run(["skills", "list", "--db", str(hostile)])
    assert code == 0
    assert len(out.splitlines()) == 1 + len(set(NAMES))
    for piece in ("[red]", "[link=x]y[/link]", ":smile:", "<script>alert(1)</script>"):
        assert piece in out
    assert "\\x1b[31m" in out
    told = json.loads(run(["skills", "list", "--json", "--db", str(hostile)])[1])
    assert {skill["skill_name"] for skill in told["skills"]} == set(NAMES)


@pytest.mark.parametrize("variables", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {}])
def test_a_process_of_its_own_shows_it_too(hostile: Path, variables: dict[str, str]) -> None:
    for words in (["skills", "list"], ["invocations", "--json"], ["skills", "show", "[red]"]):
        done = subprocess.run(
            [sys.executable, "-m", "metrics_store.cli", *words, "--db", str(hostile)],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": python_path(), **variables},
            timeout=60,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert judged(words, done.returncode, out, err) == ""
        assert done.returncode == 0
        assert out


def test_what_was_written_out_is_taken_in_again(hostile: Path, tmp_path: Path) -> None:
    with MetricsStore(hostile) as store:
        store.export_legacy(tmp_path / "legacy.json")
    words = ["legacy", "import", str(tmp_path / "legacy.json"), "--db", str(tmp_path / "n.db")]
    done = run(words)
    assert judged(words, *done) == ""
    assert done[0] == 0, done
    with MetricsStore(tmp_path / "n.db") as store:
        assert set(store.get_all_metrics()) == set(NAMES)


@settings(max_examples=15)
@given(name=st.sampled_from([*NAMES, "-x", "--db", "a b"]).filter(lambda n: "/" not in n))
def test_a_store_may_have_any_name(tmp_path: Path, name: str) -> None:
    if "\0" in name or not name.strip(". ") or len(name.encode()) > 200:
        return
    path = tmp_path / f"{name}.db"
    for words in (["record", "x"], ["info"], ["backup", "create"], ["check"]):
        told = [*words, "--db", str(path)]
        done = run(told)
        assert judged(told, *done) == ""
        assert done[0] == 0, (told, done)


def test_what_lies_beside_a_backup_is_shown_and_does_nothing(
    store: MetricsStore, tmp_path: Path
) -> None:
    made = store.back_up(tmp_path / "backups").path
    whole = json.loads(manifest.path_of(made).read_text())
    for n, member in enumerate(whole):
        for value in (*NAMES[n % 9 :: 9], None, -1, [], {}):
            manifest.path_of(made).write_text(json.dumps({**whole, member: value}))
            told = ["backup", "list", str(made.parent), "--db", store.path]
            assert judged(told, *run(told)) == ""
        told = ["backup", "verify", str(made)]
        assert judged(told, *run(told)) == ""
