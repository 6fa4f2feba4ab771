"""A legacy file in memory: its text is what json.dumps gives, and nothing of it is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store.errors import LegacyNotOverwritten
from metrics_store.legacy_format.members import MEMBERS
from metrics_store.trackers import document, file_state
from metrics_store.trackers.document import Document, load, reload, text_of

FILES = Path(__file__).parent / "files"
KNOWN = {"invocations", "skills", "last_updated"}

text = st.text(st.characters(codec=None) | st.sampled_from('"\\\n\t/é🚀\ud800\x00'), max_size=8)
scalar = st.none() | st.booleans() | st.integers() | st.floats() | text
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
)
legacy_record = st.fixed_dictionaries(
    {
        "skill_name": text,
        "invoked_at": text,
        "workflow_path": st.none() | text,
        "completed": st.booleans(),
        "duration_seconds": st.none() | st.floats(),
        "follow_up_actions": st.lists(text, max_size=3),
        "error_type": st.none() | text,
    }
)
odd_record = st.fixed_dictionaries(dict.fromkeys(MEMBERS, value))
record = legacy_record | odd_record | value
documents = st.builds(
    Document,
    st.lists(record, max_size=6),
    st.dictionaries(text, value, max_size=4),
    st.none() | text,
    st.dictionaries(text.filter(lambda name: name not in KNOWN), value, max_size=2),
)


def dumped(found: Document) -> str:
    return json.dumps(found.value(), indent=2)


@given(documents)
def test_the_text_is_byte_for_byte_what_json_dumps_gives(found: Document) -> None:
    assert text_of(found) == dumped(found)


@given(documents, st.lists(st.tuples(st.integers(0, 9), record), max_size=5), text, value)
def test_what_was_changed_is_encoded_anew(
    found: Document, changes: list[tuple[int, object]], name: str, totals: object
) -> None:
    text_of(found)
    for position, one in changes:
        if position < len(found.records):
            found.replace(position, one)
        else:
            assert found.append(one) == len(found.records) - 1
    found.set_totals(name, totals)
    assert text_of(found) == dumped(found)


@given(documents, st.integers(0, 6), st.lists(record, max_size=3), st.integers(0, 3))
def test_a_file_that_begins_as_before_is_read_from_where_it_differs(
    tmp_path_factory: pytest.TempPathFactory,
    before: Document,
    keep: int,
    added: list[object],
    repetitions: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "begins.json"
    path.write_text(text_of(before))
    before.was_written(text_of(before), file_state.look(str(path)))
    for _ in range(repetitions + 1):
        after = Document([*before.records[:keep], *added], before.skills, "now", before.others)
        path.write_text(text_of(after))
        found, kept = reload(path, before)
        assert text_of(found) == text_of(after)
        assert all(found.records[n] is before.records[n] for n in range(kept))
        before, keep = found, keep + len(added)


def test_only_what_follows_the_first_difference_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    before = Document([{"n": n} for n in range(100)], {"a": {}})
    path.write_text(text_of(before))
    before.was_written(text_of(before), file_state.look(str(path)))
    path.write_text(text_of(Document([*before.records, {"n": 100}], {"a": {}})))
    found, kept = reload(path, before)
    assert kept == 99
    assert len(found.records) == 101
    same, kept = reload(path, found)
    assert same is found
    assert kept == 101


@pytest.mark.parametrize(
    "name", [path.name for path in FILES.glob("*.json") if path.name != "torn.json"]
)
def test_the_real_files_come_out_as_they_went_in(name: str) -> None:
    found = load(FILES / name)
    # One of them has its members in another order than the tracker writes, and one has no totals.
    value = json.loads((FILES / name).read_text())
    expected = {"invocations": value.pop("invocations"), "skills": value.pop("skills", {}), **value}
    assert text_of(found) == json.dumps(expected, indent=2)


def test_a_missing_file_is_an_empty_document(tmp_path: Path) -> None:
    found = load(tmp_path / "none.json")
    assert found.value() == {"invocations": [], "skills": {}}
    assert text_of(found) == json.dumps(found.value(), indent=2)


NOT_OVERWRITTEN = {
    "torn": b'{"invocations": [{"skill_name": "x"',
    "empty": b"",
    "blank": b" \n",
    "zero bytes": b"\0" * 100,
    "a list": b"[]",
    "a number": b"1",
    "records in an object": b'{"invocations": {}}',
    "records that are null": b'{"invocations": null}',
    "totals in a list": b'{"invocations": [], "skills": []}',
    "somebody else's": b'{"name": "package", "version": 1}',
    "two of one name": b'{"invocations": [1], "invocations": [2]}',
    "a record with two of one name": b'{"invocations": [{"a": 1, "a": 2}]}',
    "not UTF-8": b'{"invocations": ["\xff"]}',
    "an endless number": b'{"invocations": [' + b"1" * 5000 + b"]}",
    "nested without end": b'{"invocations": ' + b"[" * 200_000,
    "more behind it": b'{"invocations": []} {}',
}


@pytest.mark.parametrize("data", NOT_OVERWRITTEN.values(), ids=NOT_OVERWRITTEN.keys())
def test_what_a_tracker_does_not_write_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(data)
    with pytest.raises(LegacyNotOverwritten, match=r"m\.json") as caught:
        load(path, patience=0)
    assert caught.value.hint
    assert path.read_bytes() == data


def test_neither_a_directory_nor_a_pipe_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(LegacyNotOverwritten):
        load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(LegacyNotOverwritten, match="not a regular file"):
            load(tmp_path / "pipe")


@pytest.mark.parametrize("data", [b"{}", b'\xef\xbb\xbf{"skills": {}}', b'{"invocations":[]}'])
def test_what_holds_nothing_is_an_empty_document(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.json").write_bytes(data)
    assert load(tmp_path / "m.json").value() == {"invocations": [], "skills": {}}


def test_a_file_that_is_being_rewritten_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.json"
    whole = text_of(Document(["a", "b"], {}, "now"))
    states = ["", whole[:7], whole[:-1], whole]
    path.write_text(states.pop(0))
    monkeypatch.setattr(document.time, "sleep", lambda _: path.write_text(states.pop(0)))
    assert load(path, patience=60).records == ["a", "b"]
    assert not states


def test_a_torn_file_that_nobody_is_writing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"invocations": [')
    os.utime(path, (1, 1))
    monkeypatch.setattr(document.time, "sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(LegacyNotOverwritten):
        load(path, patience=60)


def test_a_rewriting_that_leaves_no_trace_in_the_files_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text_of(Document(["a"])))
    status = path.stat()
    before = load(path)
    assert not before.read.settled
    with path.open("r+") as file:
        file.write(text_of(Document(["b"])))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_state.look(str(path)) == before.read.state
    assert reload(path, before)[0].records == ["b"]


def test_a_file_of_long_ago_is_known_by_its_state(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text_of(Document(["a"])))
    os.utime(path, (1, 1))
    before = load(path)
    assert before.read.settled
    path.write_text(text_of(Document(["b"])))
    assert file_state.look(str(path)) != before.read.state


def test_what_is_nested_too_deeply_to_be_written_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(LegacyNotOverwritten, match="deeply"):
        text_of(Document([deep]))
    while deep:
        deep = deep.pop()  # type: ignore[assignment]
