"""The calls on alerts; each is a command too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metrics_store.connection import Database

if TYPE_CHECKING:
    from metrics_store.alerts.listing import State
    from metrics_store.alerts.results import Alert, AlertHistory, AlertsImported, Debt, Evaluation
    from metrics_store.alerts.rules import RuleSet
    from metrics_store.rows import JsonObject


class Alerts:
    """Alerts: raised by rules or by hand, acknowledged, resolved."""

    # What they need is imported when it is called: a runner that records never needs it.

    _database: Database

    def evaluate_alerts(
        self, rules: RuleSet | str | os.PathLike[str] | None = None, *, deliver: bool = True
    ) -> Evaluation:
        """Evaluate rules once: open, escalate, de-escalate and resolve alerts, and tell the hooks.

        Any number of processes may do so at once: there is at most one open alert for each rule
        and subject. A hook that fails is told at the next evaluation.

        Args:
            rules: a YAML file, or what :func:`metrics_store.alerts.rule_file.load` gave; by
                default the rules that are shipped.
            deliver: False leaves the hooks to another evaluation.

        Raises:
            InvalidRules: the file cannot be used.
            ReadError, WriteError: nothing was changed.
        """
        from dataclasses import replace

        from metrics_store.alerts import delivering, evaluating, rule_file
        from metrics_store.alerts.rules import RuleSet

        if rules is None:
            known = rule_file.shipped()
        else:
            known = rules if isinstance(rules, RuleSet) else rule_file.load(rules)
        done = evaluating.evaluate(self._database, known)
        if not deliver or not done.owed:
            return done
        told = delivering.deliver(self._database, known.hooks)
        left = done.owed - sum(not delivery.error for delivery in told)
        return replace(done, deliveries=told, owed=max(left, 0))

    def alerts(
        self,
        state: State = "open",
        *,
        severity: str | None = None,
        type: str | None = None,
        limit: int = 100,
    ) -> tuple[Alert, ...]:
        """Alerts, the latest first.

        Args:
            state: ``open``, ``unacknowledged`` (and open), ``resolved`` or ``all``.
            severity: the least.
            type: ``agent``, ``task``, ``system`` or ``performance``.
            limit: most of them.

        Raises:
            InvalidQuery: a word makes no sense.
        """
        from metrics_store.alerts import listing

        with self._database.read() as connection:
            return listing.listed(connection, state, severity=severity, type=type, limit=limit)

    def alert(self, alert_id: str) -> AlertHistory:
        """An alert with everything that happened to it.

        Args:
            alert_id: its id, or at least four of its first or last characters, if no other
                alert has them.

        Raises:
            AlertNotFound: there is none.
        """
        from metrics_store.alerts import listing

        with self._database.read() as connection:
            return listing.history(connection, alert_id)

    def alert_counts(self, days: int = 14) -> dict[str, list[int]]:
        """How many alerts each source opened on each UTC day, oldest first; the last is today.

        Retention leaves these counts.

        Args:
            days: how many, 1 to 3,660.

        Raises:
            InvalidQuery: it is another number.
        """
        from metrics_store.alerts import listing

        now_us = self._database.clock.now_us()
        with self._database.read() as connection:
            return listing.daily(connection, now_us, days)

    def alerts_evaluated_at(self) -> str | None:
        """When rules were last evaluated; None if never."""
        from metrics_store.sql import query

        with self._database.read() as connection:
            found = connection.execute(query("alerts.evaluation")).fetchone()
        return None if found[1] is None else str(found[1])

    def alert_debts(self) -> tuple[Debt, ...]:
        """What hooks are still to be told, by the names that the rules' files gave them."""
        from metrics_store.alerts import owing

        with self._database.read() as connection:
            return owing.debts(connection)

    def raise_alert(
        self,
        type: str,
        severity: str,
        title: str,
        message: str = "",
        *,
        source: str,
        by: str | None = None,
        metadata: JsonObject | None = None,
    ) -> Alert:
        """Open an alert that no rule knows of. It lasts until somebody resolves it.

        Args:
            type: ``agent``, ``task``, ``system`` or ``performance``.
            severity: ``info``, ``warning``, ``error`` or ``critical``.
            source: what it is about.
            by: who raises it.
            metadata: anything else; a mapping that JSON can hold.

        Raises:
            InvalidValue: a value cannot be recorded.
            WriteError: it was not written.
        """
        from metrics_store.alerts import raising

        return raising.raise_alert(
            self._database, type, severity, title, message, source, by, metadata
        )

    def acknowledge_alert(self, alert_id: str, by: str | None = None) -> Alert:
        """Say that somebody knows of an alert; it stays acknowledged while it lasts.

        Acknowledging it again changes nothing: the first one counts.

        Args:
            alert_id: as for :meth:`alert`.
            by: who.

        Raises:
            AlertNotFound: there is none.
            InvalidValue: it is resolved.
            WriteError: it was not written.
        """
        from metrics_store.alerts import raising

        return raising.acknowledge(self._database, alert_id, by)

    def resolve_alert(self, alert_id: str, by: str | None = None) -> Alert:
        """Resolve an alert by hand. If its rule still finds what it found, another one opens once
        it has found it for long enough again.

        Args:
            alert_id: as for :meth:`alert`.
            by: who.

        Raises:
            AlertNotFound: there is none.
            InvalidValue: it is resolved already.
            WriteError: it was not written.
        """
        from metrics_store.alerts import raising

        return raising.resolve(self._database, alert_id, by)

    def import_alerts(
        self, source: str | os.PathLike[str], *, zone: str | None = None
    ) -> AlertsImported:
        """Take in alerts that were kept elsewhere; doing it again adds only what is new.

        Args:
            source: a SQLite file with a table ``alerts``, or lines of JSON, also compressed by
                gzip, with the columns of :class:`metrics_store.alerts.results.Alert`.
            zone: the zone of moments without one, such as ``Europe/Berlin``; UTC by default.

        Raises:
            SourceError: it cannot be read.
            InvalidQuery: there is no such zone.
            WriteError: it was not taken in to its end; what was, stays.
        """
        from pathlib import Path

        from metrics_store import location
        from metrics_store.alerts import importing

        return importing.take_in(self._database, Path(location.named(source)), zone)
