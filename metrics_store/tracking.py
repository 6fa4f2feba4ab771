"""An invocation in flight, as its caller holds it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from functools import wraps
from types import TracebackType
from typing import Protocol, TypeVar, cast

from metrics_store.errors import AlreadyEnded, MetricsStoreError
from metrics_store.rows import Duration

F = TypeVar("F", bound=Callable[..., object])


class Ending(Protocol):
    """What the store does when an invocation ends."""

    def __call__(
        self,
        *,
        completed: bool,
        follow_up_actions: Sequence[str] | None,
        error_type: str | None,
        duration_seconds: Duration,
    ) -> None: ...


class OpenInvocation:
    """An invocation in flight.

    End it once: with :meth:`complete`, or by leaving its ``with`` or ``async with`` block. A block
    that raises ends it as failed, with the exception's class name, and raises on.

    Attributes:
        invocation_id: the id it has in flight and will have in the log.
    """

    def __init__(self, invocation_id: str, end: Ending, heartbeat: Callable[[str], None]) -> None:
        self.invocation_id = invocation_id
        self._end = end
        self._heartbeat = heartbeat
        self._ended = False
        self._lock = threading.Lock()

    @property
    def ended(self) -> bool:
        """Whether it was ended through this object."""
        return self._ended

    def complete(
        self,
        completed: bool = True,
        follow_up_actions: Sequence[str] | None = None,
        error_type: str | None = None,
        duration_seconds: Duration = None,
    ) -> None:
        """End the invocation and write it to the log.

        Args:
            completed: False if it failed.
            follow_up_actions: what was done next, in order.
            error_type: what it failed of.
            duration_seconds: how long it took; by default measured from its start.

        Raises:
            AlreadyEnded: it was ended before; the first ending stands.
            InvalidValue: a value cannot be recorded; it is still in flight.
            WriteError: the record was not written; calling again is safe.
        """
        with self._lock:
            if self._ended:
                raise AlreadyEnded(self.invocation_id)
            try:
                self._end(
                    completed=completed,
                    follow_up_actions=follow_up_actions,
                    error_type=error_type,
                    duration_seconds=duration_seconds,
                )
            except AlreadyEnded:
                self._ended = True
                raise
            self._ended = True

    #: The classic name of :meth:`complete`.
    completer = complete

    def heartbeat(self) -> None:
        """Say that it still runs, so that :meth:`MetricsStore.reap` leaves it alone.

        Raises:
            AlreadyEnded: it has ended.
        """
        if self._ended:
            raise AlreadyEnded(self.invocation_id)
        self._heartbeat(self.invocation_id)

    def __enter__(self) -> OpenInvocation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        if error is None:
            self.complete()
            return
        try:
            self.complete(completed=False, error_type=type(error).__name__)
        except MetricsStoreError as unrecorded:
            # The caller's own error matters more; ours goes along with it.
            error.add_note(f"metrics_store could not record this failure: {unrecorded}")

    async def __aenter__(self) -> OpenInvocation:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio

        # In a thread, for a wait for the lock would stop the event loop; shielded, for a
        # cancelled task is recorded too.
        await asyncio.shield(asyncio.to_thread(self.__exit__, kind, error, trace))


def track_calls(function: F, start: Callable[[], OpenInvocation]) -> F:
    """Wrap a function, coroutine function or generator so that each call is an invocation.

    Args:
        function: what is called.
        start: puts an invocation in flight.
    """
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def coroutine(*args: object, **kwargs: object) -> object:
            import asyncio

            async with await asyncio.to_thread(start):
                result: object = await function(*args, **kwargs)
                return result

        return cast("F", coroutine)
    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def stream(*args: object, **kwargs: object) -> AsyncIterator[object]:
            import asyncio

            async with await asyncio.to_thread(start):
                async for item in function(*args, **kwargs):
                    yield item

        return cast("F", stream)
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generator(*args: object, **kwargs: object) -> Generator[object, object, object]:
            with start():
                result: object = yield from function(*args, **kwargs)
                return result

        return cast("F", generator)

    @wraps(function)
    def plain(*args: object, **kwargs: object) -> object:
        with start():
            return function(*args, **kwargs)

    return cast("F", plain)
