"""A check finds what is wrong with alerts, and a repair makes them anew from their log."""

from __future__ import annotations

import pytest
from settable_clock import SettableClock
from watched import silence, silent_for

from metrics_store import MetricsStore
from metrics_store.integrity import repairing

_COPIED = "type, severity, title, message, source, metadata, acknowledged, acknowledged_by, \
acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule"
DAMAGES = (
    "DELETE FROM alerts",
    "UPDATE alerts SET severity = 'info'",
    "UPDATE alerts SET resolved = 1, resolved_at = created_at",
    "UPDATE alerts SET peak_severity = 'warning'",
    f"INSERT INTO alerts SELECT 'other', {_COPIED}, 'other', peak_severity, updated_at FROM alerts",
    "UPDATE rollup SET n = n + 1 WHERE scope = 'alert'",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_found_and_made_anew(
    store: MetricsStore, clock: SettableClock, damage: str
) -> None:
    silent_for(store, clock, 1000)
    alert = store.evaluate_alerts(silence()).open[0]
    known = store.acknowledge_alert(alert.alert_id, "jane")
    numbers = store.query("SELECT * FROM rollup WHERE scope = 'alert'")
    assert store.check().findings == ()
    store.database.write(lambda connection: connection.execute(damage))
    assert store.check().findings != ()
    repairing.repair(store.database)
    assert store.check("deep").findings == ()
    assert store.alerts("all") == (known,)
    assert store.query("SELECT * FROM rollup WHERE scope = 'alert'") == numbers
    # What it remembers between evaluations is as it was.
    assert store.evaluate_alerts(silence()).changes == ()
