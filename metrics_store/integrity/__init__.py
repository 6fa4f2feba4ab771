"""Whether a store is sound: checking it, and making anew what follows from its logs."""

from metrics_store.integrity.checking import check, check_file
from metrics_store.integrity.findings import CheckReport, Finding, Look

__all__ = ["CheckReport", "Finding", "Look", "check", "check_file"]
