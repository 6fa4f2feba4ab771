"""The runner processes of a campaign: started, restarted, killed, replaced; and their notes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from checking import python_path
from runner import Duty

HERE = Path(__file__).parent


class CampaignFailed(AssertionError):
    """Something is not as it has to be."""


@dataclass
class Post:
    """A place in the crew, and the process that fills it now."""

    duty: Duty
    turn: int = 0
    process: subprocess.Popen[bytes] | None = None
    leaving: bool = False


class Crew:
    """Runner processes.

    Args:
        folder: their notes go there, a file for each process.
        duties: what each does; its ``notes`` and tokens get the turn's number.
        rng: decides whom fate befalls.
        zone: of their clocks.
    """

    def __init__(self, folder: Path, duties: Iterable[Duty], rng: random.Random, zone: str) -> None:
        self._folder = folder
        self._rng = rng
        self._zone = zone
        self.posts = [Post(duty) for duty in duties]
        self.fates: Counter[str] = Counter()
        folder.mkdir(exist_ok=True)

    def start(self) -> None:
        """Fill every post."""
        for post in self.posts:
            self._fill(post)

    def _fill(self, post: Post) -> None:
        name = f"{post.duty.name}.{post.turn}"
        duty = replace(
            post.duty,
            name=name,
            notes=str(self._folder / f"{name}.jsonl"),
            seed=post.duty.seed + post.turn,
        )
        said = open(self._folder / f"{name}.log", "wb")  # noqa: SIM115
        environment = {k: v for k, v in os.environ.items() if not k.startswith("METRICS_STORE_")}
        post.process = subprocess.Popen(
            [sys.executable, str(HERE / "runner.py"), duty.text()],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={
                **environment,
                "PYTHONPATH": os.pathsep.join([python_path(), str(HERE)]),
                "TZ": self._zone,
            },
        )
        said.close()
        post.turn += 1
        post.leaving = False

    def befall(self) -> None:
        """Let something happen to one of them, or to none."""
        self.tend()
        chance = self._rng.random()
        post = self._rng.choice(self.posts)
        if post.process is None or post.leaving or chance > 0.5:
            return
        kill = chance < 0.25
        post.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        post.leaving = True
        self.fates["killed" if kill else "restarted"] += 1

    def tend(self) -> None:
        """Replace whoever has left.

        Raises:
            CampaignFailed: somebody left who was not told to.
        """
        for post in self.posts:
            if post.process is None or post.process.poll() is None:
                continue
            self._refuse_odd_end(post)
            self._fill(post)

    def _refuse_odd_end(self, post: Post) -> None:
        assert post.process is not None
        code = post.process.returncode
        # By SIGTERM: it was told to stop before it had begun.
        if not post.leaving or code not in (0, -signal.SIGKILL, -signal.SIGTERM):
            name = f"{post.duty.name}.{post.turn - 1}"
            said = (self._folder / f"{name}.log").read_text(errors="replace")
            raise CampaignFailed(f"the runner {name} ended with {code}\n{said[-3000:]}")

    def stop(self, seconds: float = 60) -> None:
        """Let everybody end what is open, and go."""
        for post in self.posts:
            if post.process is not None and post.process.poll() is None:
                post.leaving = True
                post.process.terminate()
        deadline = time.monotonic() + seconds
        for post in self.posts:
            if post.process is None:
                continue
            try:
                post.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise CampaignFailed(f"{post.duty.name} does not stop") from error
            self._refuse_odd_end(post)
            post.process = None

    def kill(self) -> None:
        """Leave nobody behind."""
        for post in self.posts:
            if post.process is not None and post.process.poll() is None:
                post.process.kill()
                post.process.wait()
            post.process = None

    # What they wrote down

    def size(self) -> int:
        """Bytes of all notes: whether anything goes on at all."""
        return sum(file.stat().st_size for file in self._folder.glob("*.jsonl"))

    def notes(self) -> list[dict[str, object]]:
        """Every line, with the kind of its runner."""
        kinds = {post.duty.name: post.duty.kind for post in self.posts}
        found: list[dict[str, object]] = []
        for file in sorted(self._folder.glob("*.jsonl")):
            kind = kinds[file.name.split(".")[0]]
            lines = file.read_text(encoding="utf-8").splitlines()
            found += [{**json.loads(line), "kind": kind, "file": file.name} for line in lines]
        return found
