"""Commits from real repositories, whatever they hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repositories import ANN, FIRST, Repository, clean

from metrics_store import MetricsStore, clock
from metrics_store.agents import git
from metrics_store.agents.commits import AgentMap
from metrics_store.errors import CommandFailed, SourceError

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

HOSTILE = [
    "line one\n\nbody\n",
    "\x01deadbeef",
    "\x01" + "a" * 40,
    "1\t2\tlooks/like/numstat",
    "-\t-\t",
    "quote ' \" and $(rm -rf /) `id`",
    "\x1b[31mred\u202e and \U0001f600",
    "",
    "trailing\n\n\n",
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "app")


def test_every_commit_is_taken_in_once_with_its_numbers(
    store: MetricsStore, repository: Repository
) -> None:
    repository.write("a.txt", "one\ntwo\n")
    first = repository.commit("begin")
    repository.write("a.txt", "one\nthree\nfour\n")
    repository.write("b.bin", bytes(range(256)))
    second = repository.commit("go on")
    taken = store.take_commits(repository.path)
    assert taken.as_dict() == {
        "repository": str(repository.path.resolve()),
        "read": 2,
        "inserted": 2,
        "already_there": 0,
        "skipped": 0,
    }
    newest, oldest = store.commit_feed()
    assert (oldest.commit_hash, newest.commit_hash) == (first, second)
    assert (oldest.files_changed, oldest.lines_added, oldest.lines_deleted) == (1, 2, 0)
    assert (newest.files_changed, newest.lines_added, newest.lines_deleted) == (2, 2, 1)
    assert newest.author == "Ann <ann@example.com>"
    assert newest.branch == "main"
    assert first.startswith(oldest.short_hash)
    again = store.take_commits(repository.path / ".git")
    assert (again.read, again.inserted, again.already_there) == (2, 0, 2)
    repository.commit("one more")
    assert store.take_commits(repository.path).inserted == 1


def test_no_message_and_no_name_is_mistaken_for_something_else(
    store: MetricsStore, repository: Repository
) -> None:
    hashes = {}
    for number, message in enumerate(HOSTILE):
        repository.write(f"file {number}\n\t\x01é.txt", "x\n" * (number + 1))
        hashes[repository.commit(message, who=("O'Brien; \x1b[1m", "a b@x"))] = (
            message,
            number + 1,
        )
    assert store.take_commits(repository.path).inserted == len(HOSTILE)
    found = store.commit_feed(100)
    assert {one.commit_hash for one in found} == set(hashes)
    for one in found:
        message, lines = hashes[one.commit_hash]
        assert one.message == message.rstrip("\n")
        assert (one.files_changed, one.lines_added, one.lines_deleted) == (1, lines, 0)


def test_a_message_that_is_no_utf8_is_still_a_message(
    store: MetricsStore, repository: Repository
) -> None:
    repository.git("config", "i18n.commitEncoding", "UTF-8")
    repository.commit(b"caf\xe9 \xff\xfe")
    assert store.take_commits(repository.path).inserted == 1
    assert store.commit_feed()[0].message.startswith("caf")


def test_merges_renames_and_branches(store: MetricsStore, repository: Repository) -> None:
    repository.write("old name", "\n".join(map(str, range(50))))
    repository.commit("begin")
    repository.git("checkout", "--quiet", "-b", "feature/x")
    repository.git("mv", "old name", "new name")
    renamed = repository.commit("rename")
    repository.git("checkout", "--quiet", "main")
    repository.write("other", "1\n")
    repository.commit("meanwhile")
    repository.git("merge", "--quiet", "--no-ff", "-m", "merge it", "feature/x")
    repository.git("checkout", "--quiet", "--detach")
    alone = repository.commit("on no branch")
    assert store.take_commits(repository.path).inserted == 5
    by_hash = {one.commit_hash: one for one in store.commit_feed()}
    rename = by_hash[renamed]
    assert (rename.files_changed, rename.lines_added, rename.lines_deleted) == (1, 0, 0)
    assert rename.branch == "feature/x"
    merge = next(one for one in by_hash.values() if one.message == "merge it")
    assert (merge.files_changed, merge.lines_added) == (0, 0)
    assert by_hash[alone].branch is None
    assert sum(day.lines_added for day in store.commit_daily(days=365)) == 51


def test_since_and_branch_say_which(store: MetricsStore, repository: Repository) -> None:
    for message in ("one", "two", "three"):
        repository.commit(message)
    repository.git("branch", "side", "HEAD~1")
    assert store.take_commits(repository.path, branch="side").inserted == 2
    assert store.take_commits(repository.path, since=_text(FIRST + 150)).read == 1
    with pytest.raises(SourceError, match="no branch"):
        store.take_commits(repository.path, branch="nowhere")


def _text(seconds: int) -> str:
    return clock.text(seconds * clock.MICROSECONDS)


def test_whose_agent_made_it_is_in_the_map(
    store: MetricsStore, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("by Ann")
    repository.commit("by a bot", who=("Robot", "builder@bots.example.com"))
    repository.commit("with help\n\nCo-Authored-By: Helper <help@AGENTS.example.com>\n")
    repository.commit("by nobody known", who=("Zoe", "zoe@example.org"))
    names = tmp_path / "agents.yaml"
    names.write_text(
        "'*@bots.example.com': builder\nhelp@agents.example.com: helper\nann: annette\n"
    )
    store.take_commits(repository.path, agents=AgentMap.load(names))
    # The author before a co-author, the first pattern before the others.
    assert {one.message.split("\n")[0]: one.agent_id for one in store.commit_feed()} == {
        "by Ann": "annette",
        "by a bot": "builder",
        "with help": "annette",
        "by nobody known": None,
    }
    assert [one.message for one in store.commit_feed(5, "builder")] == ["by a bot"]
    for wrong in ("- a list\n", "a: 7\n", "a: [\n", "\0"):
        names.write_text(wrong)
        with pytest.raises(SourceError):
            AgentMap.load(names)
    with pytest.raises(SourceError):
        AgentMap.load(tmp_path / "nowhere.yaml")


def test_repositories_with_nothing_bare_and_shallow_ones(
    store: MetricsStore, repository: Repository, tmp_path: Path
) -> None:
    assert store.take_commits(repository.path).read == 0
    bare = Repository(tmp_path / "bare.git", "--bare")
    assert store.take_commits(bare.path).read == 0
    for number in range(3):
        repository.write("a", f"{number}\n" * 10)
        repository.commit(f"number {number}")
    repository.git("push", "--quiet", str(bare.path), "main")
    shallow = tmp_path / "shallow"
    url = f"file://{repository.path}"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "2", url, str(shallow)], env=clean(), check=True
    )
    assert store.take_commits(shallow).inserted == 2
    newest, oldest = store.commit_feed()
    # What the oldest one changed is not known there: its parent is not.
    assert (oldest.lines_added, oldest.files_changed) == (None, None)
    assert (newest.lines_added, newest.lines_deleted) == (10, 10)
    assert store.take_commits(bare.path).inserted == 1
    # Nothing is committed on what is checked out, and yet there is something.
    repository.git("checkout", "--quiet", "--orphan", "new")
    assert store.take_commits(repository.path).read == 3


def test_a_commit_of_no_moment_is_skipped_and_counted(
    store: MetricsStore, repository: Repository
) -> None:
    repository.commit("sound")
    tree = repository.git("rev-parse", "HEAD^{tree}").strip()
    for number, moment in enumerate(("garbage", "", "99999999999999999999 +0000", "17e9 +0000")):
        lines = (f"tree {tree}", f"author Ann <a@x> {moment}", f"committer Ann <a@x> {moment}")
        content = "\n".join((*lines, "", f"odd {number}\n"))
        odd = repository.git(
            "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=content.encode()
        )
        repository.git("update-ref", f"refs/heads/odd{number}", odd.strip())
    found = store.take_commits(repository.path)
    assert found.read == 5
    assert found.read == found.inserted + found.skipped
    assert "sound" in {one.message for one in store.commit_feed()}
    assert store.check("deep").findings == ()


def test_what_is_no_repository_says_so(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(SourceError, match="not a git repository"):
        store.take_commits(plain)
    with pytest.raises(SourceError, match="no directory"):
        store.take_commits(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no directory"):
        store.take_commits(tmp_path / "m.db")


def test_a_repository_of_somebody_else_is_explained(
    store: MetricsStore, repository: Repository
) -> None:
    repository.commit()
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("only root gives a folder away")
    os.chown(repository.path, 12_345, 12_345)
    os.chown(repository.path / ".git", 12_345, 12_345)
    with pytest.raises(SourceError, match="another user") as caught:
        store.take_commits(repository.path)
    assert "safe.directory" in caught.value.hint


def test_git_that_is_not_there_or_too_slow_is_an_error(
    store: MetricsStore, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        repository.commit(f"number {number}")
    slow = tmp_path / "slow"
    slow.mkdir()
    real = shutil.which("git")
    fake = slow / "git"
    # It tells most of it, and then no more.
    fake.write_text(
        f"#!{sys.executable}\nimport subprocess, sys, time\n"
        f"told = subprocess.run(['{real}', *sys.argv[1:]], stdout=subprocess.PIPE).stdout\n"
        "sys.stdout.buffer.write(told[: len(told) * 9 // 10])\n"
        "sys.stdout.flush()\ntime.sleep(600)\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CommandFailed, match="longer than 3 s"):
        store.take_commits(repository.path, timeout=3)
    # What was not told to its end was not taken in.
    assert all(one.lines_added is not None for one in store.commit_feed())
    fake.write_text("#!/bin/sh\necho 'fatal: object is corrupt' >&2\nexit 128\n")
    with pytest.raises(CommandFailed, match="object is corrupt"):
        store.take_commits(repository.path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))
    with pytest.raises(CommandFailed, match="not installed"):
        store.take_commits(repository.path)
    monkeypatch.undo()
    assert len(store.commit_feed()) <= 2


def test_the_settings_of_a_repository_run_nothing(
    store: MetricsStore, repository: Repository, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for name in ("core.pager", "diff.external", "core.fsmonitor", "gpg.program", "pager.log"):
        repository.git("config", name, str(trap))
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "diff.trap.textconv", str(trap))
    repository.write(".gitattributes", "* diff=trap\n")
    subprocess.run(
        ["git", "-C", str(repository.path), "-c", "core.fsmonitor=false", "add", "--all"],
        env=clean(), check=True,
    )  # fmt: skip
    subprocess.run(
        ["git", "-C", str(repository.path), "-c", "core.fsmonitor=false", "commit", "-qm", "x"],
        env=clean(), check=True,
    )  # fmt: skip
    assert not (tmp_path / "sprung").exists()
    assert store.take_commits(repository.path).inserted == 1
    assert git.working_tree(repository.path).uncommitted_changes == 0
    assert not (tmp_path / "sprung").exists()


def test_a_hooks_environment_does_not_lead_to_another_repository(
    store: MetricsStore, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("here")
    other = Repository(tmp_path / "other")
    other.commit("there", who=ANN)
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    store.take_commits(repository.path)
    assert [one.message for one in store.commit_feed()] == ["here"]


def test_a_working_tree_is_counted(repository: Repository) -> None:
    repository.write("a", "1\n")
    repository.write("b", "1\n" * 20)
    repository.commit()
    assert git.working_tree(repository.path) == git.WorkingTree("main", 0)
    repository.write("a", "2\n")
    repository.write("new\nfile", "")
    repository.git("mv", "b", "c")
    assert git.working_tree(repository.path) == git.WorkingTree("main", 3)
    repository.git("checkout", "--quiet", "--detach")
    assert git.working_tree(repository.path).branch is None
