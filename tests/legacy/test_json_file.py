"""Reading legacy files: everything in them, nothing else, in bounded memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_reading import FILES, Event, read_all, write

from metrics_store.errors import (
    InvalidValue,
    LegacyFileError,
    LegacyFileNotFound,
    NotLegacyFile,
    TornFile,
)
from metrics_store.legacy.json_file import JsonValue, Member, Record, Totals, read


def assert_is_what_json_loads_gives(events: list[Event], text: str) -> None:
    """Compared by repr: NaN is NaN, 1 is not 1.0, and keys have their order."""
    others = json.loads(text)
    log = others.pop("invocations") if isinstance(others.get("invocations"), list) else []
    totals = others.pop("skills") if isinstance(others.get("skills"), dict) else {}
    seen_log = [e.value for e in events if isinstance(e, Record) and not e.superseded]
    seen_totals = [e for e in events if isinstance(e, Totals) and not e.superseded]
    seen_others = {e.key: e.value for e in events if isinstance(e, Member)}

    assert repr(seen_log) == repr(log)
    assert len(seen_totals) == len(totals)
    for total in seen_totals:
        assert repr(total.value) == repr(totals[total.skill_name])
    for key, value in others.items():
        assert repr(seen_others[key]) == repr(value)
    # What a later array or object of the same key took the place of.
    assert seen_others.keys() - others.keys() <= {"invocations", "skills"}


def repeated_keys(raw: str) -> set[str]:
    found: set[str] = set()

    def note(pairs: list[tuple[str, JsonValue]]) -> None:
        names = [name for name, _ in pairs]
        found.update(name for name in names if names.count(name) > 1)

    json.loads(raw, object_pairs_hook=note)
    return found


# Documents of any kind, as text, so that spellings which no serialiser makes are there too --------

blanks = st.text(" \t\n\r", max_size=2)
strings = st.one_of(
    st.text(max_size=8).map(json.dumps),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(
        lambda s: json.dumps(s, ensure_ascii=False)
    ),
    st.text(st.characters(categories=["Cs"]), max_size=3).map(json.dumps),
    st.sampled_from([r'"\/"', r'"\u00E9\u00e9"', '"}"', '"],"', '"\\\\"', r'"\"invocations\":"']),
)
numbers = st.one_of(
    st.integers().map(str),
    st.floats().map(json.dumps),
    st.sampled_from(["1e5", "-0", "1E+3", "0.10", "-1.5e-7", "1e400", "NaN", "-Infinity"]),
)
scalars = st.one_of(numbers, strings, st.sampled_from(["true", "false", "null"]))
keys = st.one_of(strings, st.sampled_from(['"a"', '"b"', r'"\u0061"', '"skill_name"']))


def array_of(elements: st.SearchStrategy[str], size: int = 4) -> st.SearchStrategy[str]:
    padded = st.tuples(blanks, elements, blanks).map("".join)
    return st.tuples(blanks, st.lists(padded, max_size=size)).map(
        lambda drawn: "[" + (",".join(drawn[1]) or drawn[0]) + "]"
    )


def object_of(
    names: st.SearchStrategy[str], values: st.SearchStrategy[str], size: int = 4
) -> st.SearchStrategy[str]:
    member = st.tuples(blanks, names, blanks, st.just(":"), blanks, values, blanks).map("".join)
    return st.tuples(blanks, st.lists(member, max_size=size)).map(
        lambda drawn: "{" + (",".join(drawn[1]) or drawn[0]) + "}"
    )


values = st.recursive(scalars, lambda v: array_of(v) | object_of(keys, v), max_leaves=8)
records = object_of(keys, values) | values
logs = st.sampled_from(['"invocations"', r'"\u0069nvocations"', r'"invocation\u0073"'])
totals = st.sampled_from(['"skills"', r'"skill\u0073"', r'"\u0073\u006B\u0069ll\u0073"'])
members = st.one_of(
    st.tuples(logs, blanks, st.just(":"), blanks, array_of(records, 6)),
    st.tuples(totals, blanks, st.just(":"), blanks, object_of(keys, values)),
    st.tuples(logs | totals | keys, blanks, st.just(":"), blanks, values),
).map("".join)
documents = st.tuples(
    blanks,
    st.lists(st.tuples(blanks, members, blanks).map("".join), min_size=1, max_size=5),
    blanks,
).map(lambda drawn: drawn[0] + "{" + ",".join(drawn[1]) + "}" + drawn[2])
EXAMPLES = settings(max_examples=100, deadline=None)
chunk_sizes = st.integers(1, 40) | st.just(1 << 18)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents") / "legacy.json"


@EXAMPLES
@given(document=documents, chunk_size=chunk_sizes)
def test_any_document_reads_as_json_loads_has_it(
    scratch: Path, document: str, chunk_size: int
) -> None:
    events, error = read_all(write(scratch, document), chunk_size)
    if json.loads(document).keys().isdisjoint({"invocations", "skills"}):
        assert type(error) is NotLegacyFile
    else:
        assert error is None
    assert_is_what_json_loads_gives(events, document)


@EXAMPLES
@given(document=documents, chunk_size=chunk_sizes)
def test_every_record_has_its_own_source_text_in_reading_order(
    scratch: Path, document: str, chunk_size: int
) -> None:
    events, _ = read_all(write(scratch, document), chunk_size)
    begin = 0
    for event in events:
        begin = document.index(event.raw, begin) + len(event.raw)
        assert repr(json.loads(event.raw)) == repr(event.value)
    log = [event for event in events if isinstance(event, Record)]
    assert [record.position for record in log] == list(range(len(log)))
    for record in log:
        assert len(set(record.duplicate_keys)) == len(record.duplicate_keys)
        assert set(record.duplicate_keys) == repeated_keys(record.raw)


@EXAMPLES
@given(document=documents, chunk_size=chunk_sizes, data=st.data())
def test_a_document_cut_anywhere_gives_a_prefix_and_says_that_it_is_torn(
    scratch: Path, document: str, chunk_size: int, data: st.DataObject
) -> None:
    whole = document.rstrip().encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    expected, _ = read_all(write(scratch, whole))
    events, error = read_all(write(scratch, cut), chunk_size)

    assert [(type(e), e.raw) for e in events] == [(type(e), e.raw) for e in expected[: len(events)]]
    assert isinstance(error, TornFile | NotLegacyFile)
    if isinstance(error, TornFile):
        assert error.records == sum(isinstance(event, Record) for event in events)
        assert error.line == cut.count(b"\n", 0, error.offset) + 1
        assert error.offset <= len(cut)


@EXAMPLES
@given(document=documents, chunk_size=chunk_sizes, data=st.data())
def test_a_document_with_one_wrong_byte_is_torn_exactly_when_json_refuses_it(
    scratch: Path, document: str, chunk_size: int, data: st.DataObject
) -> None:
    damaged = bytearray(document.encode())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        json.loads(damaged.decode("utf-8", "surrogateescape"))
        refused = False
    except ValueError:
        refused = True
    _, error = read_all(write(scratch, bytes(damaged)), chunk_size)
    if refused:
        assert error is not None
    else:
        assert error is None or type(error) is NotLegacyFile


# The files that real trackers left ----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(p.name for p in FILES.glob("*.json")))
@pytest.mark.parametrize("chunk_size", [97, 1 << 18])
def test_a_real_file_reads_as_json_loads_has_it(name: str, chunk_size: int) -> None:
    events, error = read_all(FILES / name, chunk_size)
    if name == "torn.json":
        assert isinstance(error, TornFile)
        return
    assert error is None
    assert_is_what_json_loads_gives(events, (FILES / name).read_text())


def test_a_torn_file_gives_its_whole_records_and_the_place_of_the_tear() -> None:
    events, error = read_all(FILES / "torn.json")
    typical, _ = read_all(FILES / "typical.json")
    assert isinstance(error, TornFile)
    text = (FILES / "torn.json").read_bytes()
    # At this indentation a brace closes a record.
    assert len(events) == error.records == text.count(b"\n    }")
    assert events == typical[: len(events)]
    assert (error.line, error.offset) == (text.count(b"\n") + 1, len(text))
    assert "it ends too early, at line" in str(error)
    assert f"after {len(events):,} whole records" in str(error)
    assert error.hint


def test_reading_changes_nothing_in_the_file(tmp_path: Path) -> None:
    content = (FILES / "hand_edited.json").read_bytes()
    path = write(tmp_path / "legacy.json", content)
    path.chmod(0o400)
    read_all(path)
    assert path.read_bytes() == content


# Odd texts ----------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"invocations": [1], \n x'
    events, error = read_all(write(tmp_path / "f", content), 1)
    assert events == [Record(0, "1", 1, (), False)]
    assert isinstance(error, TornFile)
    assert (error.line, error.offset) == (2, content.index(b"x"))


def test_bytes_that_are_not_utf8_are_kept_in_the_source_text(tmp_path: Path) -> None:
    content = b'{"invocations": ["caf\xe9", "\xc3"], "x": ?'
    events, error = read_all(write(tmp_path / "f", content), 3)
    assert [e.raw.encode("utf-8", "surrogateescape") for e in events] == [b'"caf\xe9"', b'"\xc3"']
    assert isinstance(error, TornFile)
    assert error.offset == content.index(b"?")


def test_an_integer_longer_than_python_converts_spoils_no_other_record(tmp_path: Path) -> None:
    digits = "7" * 5000
    path = write(tmp_path / "f", f'{{"invocations": [{digits}, 1]}}')
    events, error = read_all(path, 64)
    assert error is None
    assert events == [Record(0, digits, float("inf"), (), False), Record(1, "1", 1, (), False)]


def test_a_whole_record_before_the_mistake_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "f", '{"invocations": [{"a": 1},\n {"a": 2} {"a": 3}]}')
    events, error = read_all(path)
    assert len(events) == 2
    assert isinstance(error, TornFile)
    assert (error.line, error.offset, error.records) == (2, 37, 2)


def test_text_after_the_closing_brace_is_a_tear(tmp_path: Path) -> None:
    # What a longer file leaves behind a shorter one that was written over it.
    events, error = read_all(write(tmp_path / "f", '{"invocations": [1]}\n]}'))
    assert len(events) == 1
    assert isinstance(error, TornFile)
    assert "more text after the closing brace" in error.detail
    assert error.line == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "only blanks"),
        (b" \n ", "only blanks"),
        (b"[1]", "'['"),
        (b"skill,count\n", "'s'"),
        (b'{"a": 1, "last_updated": null}', "neither"),
        (b"{}", "neither"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"SQLite format 3\x00\x10\x00", "SQLite"),
        ('{"invocations": []}'.encode("utf-16"), "UTF-16"),
        ('{"invocations": []}'.encode("utf-16-be"), "UTF-16"),
        ('{"invocations": []}'.encode("utf-32"), "UTF-32"),
        ('{"invocations": []}'.encode("utf-32-le"), "UTF-32"),
        (bytes(100), "zero bytes"),
    ],
)
def test_another_kind_of_file_is_refused_with_a_hint(
    tmp_path: Path, content: bytes, words: str
) -> None:
    _, error = read_all(write(tmp_path / "f", content))
    assert type(error) is NotLegacyFile
    assert words in error.detail
    assert error.hint


@pytest.mark.parametrize("before", ['"invocations": [1, ', '"other": '])
def test_absurd_nesting_is_refused_after_what_came_before(tmp_path: Path, before: str) -> None:
    nested = "[" * 200_000 + "]" * 200_000
    events, error = read_all(write(tmp_path / "f", "{" + before + nested))
    assert type(error) is NotLegacyFile
    assert "nested too deep" in error.detail
    assert len(events) == before.count("1")


def test_a_missing_file_a_directory_and_a_chunk_of_nothing_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(LegacyFileNotFound):
        next(read(tmp_path / "none"))
    with pytest.raises(LegacyFileError, match="directory"):
        next(read(tmp_path))
    with pytest.raises(InvalidValue):
        next(read(tmp_path, chunk_size=0))
