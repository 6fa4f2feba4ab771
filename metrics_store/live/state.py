"""The live state: a thread that looks at the store, and whoever asks or waits for changes."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from types import MappingProxyType
from weakref import WeakSet, ref

from metrics_store import asked, clock
from metrics_store.closing import Closing
from metrics_store.errors import InvalidValue, MetricsStoreError, ReadError, StoreClosed
from metrics_store.live import tasks
from metrics_store.live.bounds import Bounds
from metrics_store.live.picture import Picture
from metrics_store.live.sections import Update
from metrics_store.live.subscriptions import Change, Subscription, matching
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

_log = logging.getLogger("metrics_store.live")
_MISSING = object()


class LiveState(Closing):
    """What agents, tasks, commits, the system, alerts and services are now, in memory.

    It is read from the store when it is made, and from then on kept by a thread that looks at the
    store several times a second, whoever writes it. Safe to use from any thread; a forked child
    goes on with a thread of its own at its first call.

    Args:
        store: the store; it stays open when this is closed.
        every: seconds from one look to the next.
        bounds: how much is held in memory.

    Raises:
        ReadError, CorruptStore, StoreClosed: the store cannot be read at all.
    """

    def __init__(
        self, store: MetricsStore, *, every: float = 0.2, bounds: Bounds | None = None
    ) -> None:
        if not 0.01 <= every <= 60:
            raise InvalidValue(f"every is {every:g}", hint="It is seconds, 0.01 to 60.")
        self._store = store
        self._database = store.database
        self._every = every
        self._bounds = bounds or Bounds()
        self._values: dict[str, object] = {}
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._closed = False
        self._stale_since: str | None = None
        self._error: MetricsStoreError | None = None
        self._file = self._identity()
        self._renew_locks()
        self._pid = os.getpid()
        self._start()
        _states.add(self)
        atexit.register(_close_at_exit, ref(self))

    # Asking

    def get(self, key: str, default: object = None) -> object:
        """What a key holds now.

        Args:
            key: such as ``tasks:current``. The history of a task that is not held in memory is
                read from the store.
            default: given where there is nothing.

        Raises:
            InvalidQuery: the key is no text.
            ReadError, StoreClosed: the history of such a task cannot be read.
        """
        if self._pid != os.getpid():
            self._require_thread()
        try:
            value = self._values.get(key, _MISSING)
        except TypeError:  # it can be no key of anything
            value = _MISSING
        if value is not _MISSING:
            return value
        asked.text("key", key)
        name = tasks.task_of(key)
        if name is None or self._closed:
            return default
        with self._database.read() as connection:
            return tasks.history(connection, name, self._bounds.history) or default

    def keys(self, pattern: str | None = None) -> tuple[str, ...]:
        """The keys that are held in memory, sorted.

        Args:
            pattern: with ``*`` and ``?``; None for all.

        Raises:
            InvalidQuery: the pattern is no text.
        """
        self._require_thread()
        with self._lock:
            found = sorted(self._values)
        fits = None if pattern is None else matching(pattern)
        return tuple(key for key in found if fits is None or fits(key))

    def snapshot(self) -> Mapping[str, object]:
        """Every key with what it holds, all of one moment."""
        self._require_thread()
        with self._lock:
            return MappingProxyType(dict(self._values))

    def subscribe(self, pattern: str | None = None, *, limit: int = 1000) -> Subscription:
        """Be told of changes from now on.

        Args:
            pattern: keys with ``*`` and ``?``; None for all.
            limit: changes that wait at most; whoever is slower loses the oldest, and is told how
                many by the next one's ``lost``.

        Raises:
            InvalidQuery: the pattern is no text, or the limit no whole number from 1 on.
            StoreClosed: this was closed.
        """
        limit = asked.count("limit", limit)
        self._require_thread()
        with self._lock:
            if self._closed:
                raise StoreClosed("this live state")
            made = Subscription(pattern, limit)
            self._subscriptions.add(made)
        return made

    @property
    def stale_since(self) -> str | None:
        """Since when the store could not be read, UTC text; None while all is well."""
        return self._stale_since

    @property
    def error(self) -> MetricsStoreError | None:
        """Why it cannot be read."""
        return self._error

    def close(self) -> None:
        """End the thread and every subscription. Closing twice does nothing."""
        with self._lock:
            self._closed = True
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()
        if self._pid != os.getpid():
            return  # its thread stayed in the parent
        self._end.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # Keeping

    def _start(self) -> None:
        """Read everything, and start the thread."""
        self._end = threading.Event()
        self._picture = Picture(self._bounds, self._database.clock)
        self._seen: tuple[Connection, int] | None = None
        self._thread = threading.Thread(target=self._run, name="metrics_store live", daemon=True)
        self._look()
        self._thread.start()

    def _require_thread(self) -> None:
        """In a forked child: go on here, for the thread stayed in the parent."""
        if self._pid == os.getpid():
            return
        with self._starting:
            if self._pid == os.getpid():
                return
            if not self._closed:
                try:
                    self._start()
                except MetricsStoreError as error:
                    self._fail(error)
                    self._thread.start()
            self._pid = os.getpid()

    def _renew_locks(self) -> None:
        """In a forked child too: nobody holds them there, whoever did in the parent."""
        self._lock, self._starting = threading.Lock(), threading.Lock()
        for subscription in list(self._subscriptions):
            subscription.renew_lock()

    def _run(self) -> None:
        while not self._end.wait(self._every):
            try:
                self._look()
            except StoreClosed as error:
                self._fail(error)
                return
            except MetricsStoreError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the thread lives on; what it knows is stale until it can read.
                failed = ReadError(f"{type(error).__name__}: {error}")
                failed.__cause__ = error
                self._fail(failed)

    def _look(self) -> None:
        if self._identity() != self._file:
            raise ReadError(
                f"{self._database.path} is another file than when it was opened, or gone",
                hint="Put it back, or open the store again.",
            )
        update, anew = Update({}, set()), False
        with self._database.read() as connection:
            version = int(connection.execute(query("live.version")).fetchone()[0])
            # Versions say something of one connection alone; after a fork it is another one.
            seen = self._seen
            if seen is None or seen[0] is not connection or seen[1] != version:
                self._seen = None
                update, anew = self._picture.look(connection)
                self._seen = (connection, version)
        update.values.update(self._picture.services(self._database.clock.now_us()))
        self._publish(update, anew=anew)
        if self._stale_since is not None:
            _log.warning("%s can be read again", self._database.path)
            self._error = self._stale_since = None

    def _publish(self, update: Update, *, anew: bool) -> None:
        with self._lock:
            known, gone = self._values, update.gone
            if anew:
                gone = gone | (known.keys() - update.values.keys())
            changed = {
                key: value
                for key, value in update.values.items()
                if key not in known or known[key] != value
            }
            if not changed and not gone:
                return
            left = [key for key in gone if known.pop(key, _MISSING) is not _MISSING]
            known.update(changed)
            if not self._subscriptions:
                return
            at = clock.text(self._database.clock.now_us())
            told = [Change(key, value, at) for key, value in changed.items()]
            if anew:  # else what is gone is no longer held, and is in the store as it was
                told += [Change(key, None, at) for key in left]
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.offer(told)

    def _fail(self, error: MetricsStoreError) -> None:
        self._error = error
        if self._stale_since is None:
            _log.warning("the live state is stale: %s", error)
            self._stale_since = clock.text(self._database.clock.now_us())

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._database.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _close_at_exit(reference: ref[LiveState]) -> None:
    """End the thread while it can still be ended in order."""
    state = reference()
    if state is not None:
        state.close()


_states: WeakSet[LiveState] = WeakSet()


def _renew_all() -> None:
    for state in list(_states):
        state._renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
