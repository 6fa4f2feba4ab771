"""Telling a hook: a command with JSON on its standard input, or a request to a web address."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from metrics_store.alerts.rules import Hook
from metrics_store.clock import Clock

#: Characters of what a hook says that are kept with an error.
_SAID = 300
#: Seconds for what was killed to be gone.
_GRACE = 5.0
#: Answers after which it is worth trying again at once.
_PASSING = (408, 425, 429)


def sender(clock: Clock) -> Callable[[Hook, dict[str, object]], str]:
    """What tells hooks, pausing on a clock; gives why it could not, ``""`` if it could."""

    def send(hook: Hook, payload: dict[str, object]) -> str:
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
        if hook.command:
            return run(hook, body)
        return post(hook, body, str(_event_id(payload)), clock)

    return send


def run(hook: Hook, body: bytes) -> str:
    """Run a hook's command once; after its time it is killed with whatever it started."""
    # Files, not pipes: a command that reads nothing, or leaves a child behind, is not waited for.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(body)
        given.seek(0)
        try:
            process = subprocess.Popen(
                hook.command,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"it cannot be run: {error}"
        try:
            code = process.wait(hook.timeout)
        except BaseException as error:
            _end(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"it ran longer than {hook.timeout:g} s and was ended{_last_words(said)}"
        if code < 0:
            return f"it was ended by signal {-code}{_last_words(said)}"
        return f"exit code {code}{_last_words(said)}" if code else ""


def post(hook: Hook, body: bytes, event_id: str, clock: Clock) -> str:
    """Send a hook's request, again after a pause where that may help."""
    pause, error = hook.backoff, ""
    for number in range(hook.tries):
        if number:
            clock.sleep(pause)
            pause *= 2
        error, passing = _within(hook.timeout, lambda: _request(hook, body, event_id))
        if not error or not passing:
            break
    return error


def _within(seconds: float, work: Callable[[], tuple[str, bool]]) -> tuple[str, bool]:
    """Do something in a thread, and wait so long for it: a limit on the whole, not on each read."""
    done: list[tuple[str, bool]] = []
    thread = threading.Thread(
        target=lambda: done.append(work()), name="metrics_store webhook", daemon=True
    )
    thread.start()
    thread.join(seconds)
    return done[0] if done else (f"no answer within {seconds:g} s", True)


def _request(hook: Hook, body: bytes, event_id: str) -> tuple[str, bool]:
    """Send one request; gives the error and whether it may pass."""
    import http.client
    from urllib import error as failures
    from urllib import request

    headers = {
        "Content-Type": "application/json",
        "User-Agent": "metrics-store",
        # The same each time it is sent, so that the other side can tell a second one.
        "Idempotency-Key": event_id,
        **dict(hook.headers),
    }

    class Direct(request.HTTPRedirectHandler):
        """A redirected POST would arrive as a GET, without its body, and perhaps elsewhere."""

        def redirect_request(self, *_: object) -> None:
            return None

    try:
        asked = request.Request(hook.webhook, data=body, headers=headers, method="POST")
        with request.build_opener(Direct).open(asked, timeout=hook.timeout) as answer:
            return ("", False) if answer.status < 300 else (f"status {answer.status}", False)
    except failures.HTTPError as error:
        error.close()
        return f"status {error.code}", error.code >= 500 or error.code in _PASSING
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return f"{type(error).__name__}: {reason}"[:_SAID], True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a command, its children too."""
    if hasattr(os, "killpg"):
        # Its own session's group; the number is nobody else's, for it is not reaped yet.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def _last_words(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - 4 * _SAID))
    text = said.read().decode("utf-8", "replace").strip()[-_SAID:]
    return f": {text}" if text else ""


def _event_id(payload: dict[str, object]) -> object:
    event = payload["event"]
    return event["id"] if isinstance(event, dict) else ""
