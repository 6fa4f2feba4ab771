"""Killed after whatever step of a restore, the store is wholly old or wholly new."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from restore_kills import (
    Template,
    Writer,
    campaign,
    found_wrong,
    ids,
    killed,
    left_overs,
    properties,
)

from metrics_store.backup import restoring, restoring_steps
from metrics_store.clock import Clock

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="its processes are forked")

ROUNDS = 12
COMMITTED = restoring_steps.IN_PLACE.index("committed")
Damaged = Callable[[str | os.PathLike[str]], None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("restore-kills"))


def forever(pipe: int) -> None:
    """Wait until it kills itself: the pipe then ends."""
    while os.read(pipe, 100):
        pass


@pytest.mark.parametrize("step", restoring_steps.IN_PLACE)
def test_killed_after_a_step_beside_a_writer(template: Template, step: str) -> None:
    template.anew()
    writer = Writer(template.path, "w", template.folder / "notes")
    try:
        writer.goes_on(2)
        assert killed(template, forever, f"restore.{step}")
        writer.goes_on(3)
    finally:
        writer.kill()
    assert not writer.errors()
    wrong, lost = found_wrong(template, set(writer.lines()))
    assert (wrong, lost) == ([], 0)
    restored = properties(template.path)["generation"] != template.generation
    assert restored == (restoring_steps.IN_PLACE.index(step) >= COMMITTED)
    assert left_overs(template) == []
    if restored:
        restoring.undo(template.settings, Clock(), execute=True)
        assert template.old <= ids(template.path)


@pytest.mark.parametrize("step", restoring_steps.ASIDE)
def test_killed_while_it_puts_a_new_file_there(
    template: Template, step: str, damaged: Damaged
) -> None:
    template.anew()
    damaged(template.path)
    with template.path.open("r+b") as file:
        file.write(b"\xff" * 200)
    unreadable = template.path.read_bytes()
    Path(f"{template.path}-wal").write_bytes(b"a log of it")
    assert killed(template, forever, f"restore.{step}")
    for _ in range(2):
        done = restoring.restore(template.backup, template.settings, Clock())
        assert done.problems == ()
    assert ids(template.path) == template.new
    aside = {p.name: p.read_bytes() for p in template.folder.glob("*.unreadable-*")}
    assert {text for name, text in aside.items() if name[-4:] not in ("-wal", "-shm")} == {
        unreadable
    }
    assert b"a log of it" in {text for name, text in aside.items() if name.endswith("-wal")}
    assert not list(template.folder.glob("*.restore*"))


def test_killed_at_random_moments_beside_writers() -> None:
    seed = int(os.environ.get("METRICS_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"METRICS_TEST_SEED={seed}")
    lines = list(campaign(ROUNDS, seed))
    assert len(lines) == ROUNDS
    for line in lines:
        assert line.fine, (line.what, line.wrong)
        assert line.acknowledged
