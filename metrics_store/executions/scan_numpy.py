"""Scanning embeddings with numpy, where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from metrics_store.executions.vectors import DIMENSIONS

#: Sums of 384 products of float32 numbers are that near to the true cosine.
_NEAR = 1e-4


class NumpyScan:
    """Embeddings of length 1 as rows of one matrix that grows by halves."""

    def __init__(self) -> None:
        self._numpy: Any = import_module("numpy")
        self._rows: Any = self._numpy.empty((1024, DIMENSIONS), dtype="f4")
        self._n = 0

    def add(self, blobs: Sequence[bytes]) -> None:
        """Take more of them in."""
        numpy = self._numpy
        new = numpy.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, DIMENSIONS)
        # Squares of float32 may be too large for it.
        wide = new.astype("f8")
        norms = numpy.sqrt((wide * wide).sum(axis=1, keepdims=True))
        norms[norms == 0] = 1
        end = self._n + len(new)
        if end > len(self._rows):
            grown = numpy.empty((max(end, len(self._rows) * 3 // 2), DIMENSIONS), dtype="f4")
            grown[: self._n] = self._rows[: self._n]
            self._rows = grown
        self._rows[self._n : end] = wide / norms
        self._n = end

    def candidates(self, wanted: Sequence[float], k: int, among: Sequence[int] | None) -> list[int]:
        """Places among which the nearest ``k`` surely are."""
        numpy = self._numpy
        vector = numpy.array(wanted, dtype="f8")
        length = float(numpy.sqrt((vector * vector).sum()))
        unit = (vector / (length or 1.0)).astype("f4")
        cosines = self._rows[: self._n] @ unit
        places = numpy.arange(self._n) if among is None else numpy.array(among, dtype="i8")
        if not len(places):
            return []
        of_these = cosines[places]
        if len(places) > k:
            least = numpy.partition(of_these, len(places) - k)[len(places) - k]
            places = places[of_these >= least - 2 * _NEAR]
        return [int(place) for place in places]
