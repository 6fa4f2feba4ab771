"""Webhooks: requests to a server that is really there, on this machine."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from settable_clock import SettableClock
from watched import silence, silent_for

from metrics_store import MetricsStore
from metrics_store.alerts.rules import RuleSet


class Server:
    """A web server on this machine that answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], dict[str, object]]] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.got.append((dict(self.headers), body))
                outer.hold.wait(30)
                status = outer.answers.pop(0) if outer.answers else 200
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", f"{outer.address}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                outer.got.append((dict(self.headers), {"method": "GET"}))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that answers 200 until it is told otherwise; no proxy is asked."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    made = Server()
    yield made
    made.close()


def webhook(server: Server, *more: str) -> RuleSet:
    lines = [f"  - name: web\n    webhook: {server.address}/in", *(f"    {line}" for line in more)]
    return silence(hooks="hooks:\n" + "\n".join(lines))


def test_a_webhook_is_posted_the_alert_with_a_key_of_its_own(
    store: MetricsStore, clock: SettableClock, server: Server
) -> None:
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(webhook(server, "headers: {Authorization: Bearer 1}"))
    [(headers, body)] = server.got
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer 1"
    assert headers["Idempotency-Key"] == done.deliveries[0].event_id == body["event"]["id"]
    assert body["alert"]["title"] == "service is silent: librarian"


def test_a_webhook_that_fails_for_a_moment_is_tried_again_after_a_pause(
    store: MetricsStore, clock: SettableClock, server: Server
) -> None:
    server.answers = [503, 500]
    silent_for(store, clock, 61)
    before = clock.us
    done = store.evaluate_alerts(webhook(server, "backoff: 2 s"))
    assert [d.error for d in done.deliveries] == [""]
    assert len(server.got) == 3
    assert clock.us - before == 6_000_000
    assert len({headers["Idempotency-Key"] for headers, _ in server.got}) == 1


def test_a_webhook_that_goes_on_failing_is_told_at_the_next_evaluation(
    store: MetricsStore, clock: SettableClock, server: Server
) -> None:
    server.answers = [500, 429, 503]
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(webhook(server))
    assert done.deliveries[0].error == "status 503"
    assert done.owed == 1
    assert [d.error for d in store.evaluate_alerts(webhook(server)).deliveries] == [""]


@pytest.mark.parametrize("status", [400, 404, 302])
def test_what_another_try_does_not_help_is_not_tried_again_at_once(
    store: MetricsStore, clock: SettableClock, server: Server, status: int
) -> None:
    server.answers = [status]
    silent_for(store, clock, 61)
    done = store.evaluate_alerts(webhook(server))
    assert done.deliveries[0].error == f"status {status}"
    assert len(server.got) == 1  # nor is a redirection followed


def test_a_server_that_does_not_answer_is_waited_for_so_long(
    store: MetricsStore, clock: SettableClock, server: Server
) -> None:
    server.hold.clear()
    silent_for(store, clock, 61)
    began = time.monotonic()
    done = store.evaluate_alerts(webhook(server, "timeout: 0.3 s", "tries: 2"))
    assert time.monotonic() - began < 15
    assert done.deliveries[0].error != ""
    assert len(server.got) == 2


def test_a_server_that_is_not_there_breaks_nothing(
    store: MetricsStore, clock: SettableClock, server: Server
) -> None:
    silent_for(store, clock, 61)
    rules = silence(hooks="hooks:\n  - {name: web, webhook: 'http://127.0.0.1:1/'}\n")
    done = store.evaluate_alerts(rules)
    assert "refused" in done.deliveries[0].error
    assert (len(done.open), done.owed) == (1, 1)
