"""What is closed by leaving its ``with`` block."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """A thing with :meth:`close`, for a ``with`` block."""

    def close(self) -> None:
        """Close it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
