"""Reading legacy files: keys that come twice, time and memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from json_reading import FILES, read_all, write

from metrics_store.errors import (
    TornFile,
)
from metrics_store.legacy.json_file import Member, Record, Totals
from metrics_store.legacy.json_text import JsonText

# Keys that come twice -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["invocations", r"\u0069nvocations", r"invocation\u0073"])
@pytest.mark.parametrize("chunk_size", [1, 5, 1 << 18])
def test_records_of_an_earlier_log_are_superseded(
    tmp_path: Path, key: str, chunk_size: int
) -> None:
    path = write(tmp_path / "f", f'{{"invocations": [1, 2], "skills": {{}}, "{key}": [3]}}')
    events, error = read_all(path, chunk_size)
    assert error is None
    assert events == [
        Record(0, "1", 1, (), True),
        Record(1, "2", 2, (), True),
        Record(2, "3", 3, (), False),
    ]


def test_a_log_before_a_member_of_the_same_name_is_superseded(tmp_path: Path) -> None:
    path = write(tmp_path / "f", '{"invocations": [1], "invocations": null}')
    assert read_all(path)[0] == [
        Record(0, "1", 1, (), True),
        Member("invocations", "null", None),
    ]


def test_totals_that_come_twice_keep_the_last_of_each_name(tmp_path: Path) -> None:
    path = write(tmp_path / "f", r'{"skills": {"a": 1}, "skills": {"a": 2, "b": 3, "\u0061": 4}}')
    assert read_all(path)[0] == [
        Totals("a", "1", 1, True),
        Totals("a", "2", 2, True),
        Totals("b", "3", 3, False),
        Totals("a", "4", 4, False),
    ]


def test_keys_that_come_twice_in_a_record_are_named_once_also_deep_inside(tmp_path: Path) -> None:
    raw = r'{"x": {"b": 1, "b": 2}, "a": 1, "\u0061": 2, "a": 3}'
    path = write(tmp_path / "f", f'{{"invocations": [{raw}, {{"a": 1}}]}}')
    first, second = read_all(path)[0]
    assert first == Record(0, raw, {"x": {"b": 2}, "a": 3}, ("b", "a"), False)
    assert isinstance(second, Record)
    assert second.duplicate_keys == ()


# Time and memory ----------------------------------------------------------------------------------


class CountingFile(io.BytesIO):
    reads = 0
    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self.reads += 1
        self.taken += len(block)
        return block


@pytest.mark.parametrize("opening", ['["', '["\\u00e9'])
def test_a_huge_string_is_read_in_a_few_growing_steps(opening: str) -> None:
    file = CountingFile(f'{opening}{"x" * 10_000_000}"]'.encode())
    text = JsonText(file, 4096, 0)
    ((raw, value, _),) = text.each_element()
    assert isinstance(value, str)
    assert len(value) >= 10_000_000
    assert len(raw) >= len(value) + 2
    assert file.reads < 20


def test_a_mistake_early_in_a_large_file_does_not_make_the_rest_be_read() -> None:
    file = CountingFile(b'[{"a": 1}, {"a" 2}, ' + b'{"a": 3}, ' * 1_000_000)
    text = JsonText(file, 4096, 0)
    with pytest.raises(TornFile):
        list(text.each_element())
    assert file.taken <= 2 * 4096


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    record = json.dumps(json.loads((FILES / "typical.json").read_text())["invocations"][1])
    count = 200_000
    path = write(tmp_path / "f", '{"invocations": [' + ",\n".join([record] * count) + "]}")
    assert path.stat().st_size > 40_000_000
    script = (
        "import sys, pathlib\n"
        "from metrics_store.legacy.json_file import read\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "peak = lambda: status.read_text().split('VmHWM:')[1].split()[0]\n"
        "before = peak()\n"
        "print(sum(1 for _ in read(pathlib.Path(sys.argv[1]))), before, peak())\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    read_count, before, after = map(int, printed.split())
    assert read_count == count
    assert after - before < 10_000  # kB
