"""How alerts look: those that last, one with its history, an evaluation, the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from metrics_store import clock
from metrics_store.alerts.wording import span
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.alerts.results import (
        Alert,
        AlertHistory,
        AlertsImported,
        Debt,
        Delivery,
        Evaluation,
    )
    from metrics_store.alerts.rules import Hook, Rule, RuleSet

_STYLES = {"info": "cyan", "warning": "yellow", "error": "red", "critical": "bold red"}
_EVENTS = {"opened": "red", "escalated": "red", "deescalated": "yellow", "resolved": "green"}
_LABEL = 14
_SHORT = 8


def short_id(alert_id: str) -> str:
    """The end of an id, which is enough to name it by."""
    return alert_id[-_SHORT:]


def show_alerts(
    screen: Screen, found: Sequence[Alert], state: str, evaluated_at: str | None, now_us: int
) -> None:
    """Write alerts, two lines each.

    Args:
        state: which were asked for.
        now_us: microseconds since 1970.
    """
    said = "never" if evaluated_at is None else _ago(evaluated_at, now_us)
    what = "" if state == "all" else f"{state} "
    count = figures.plural(len(found), f"{what}alert") if found else f"No {what}alerts"
    style = "bold" if found or state != "open" else "bold green"
    screen.line(Cell(count, style), Cell(f"  rules evaluated {said}", "dim"))
    if not found:
        return
    screen.line()
    table = Table(
        [Column("severity"), Column("alert", elastic=True), Column("opened"), Column("id")]
    )
    for alert in found:
        table.add(
            Cell(alert.severity, _STYLES[alert.severity]),
            Cell(alert.title, "bold"),
            _ago(alert.created_at, now_us),
            Cell(short_id(alert.alert_id), "cyan"),
        )
        known = _state(alert)
        if alert.message or known.text:
            table.add("", Cell(alert.message, "dim"), known, "")
    screen.table(table)


def _state(alert: Alert) -> Cell:
    if alert.resolved:
        return Cell("resolved", "green")
    return Cell("acknowledged", "green") if alert.acknowledged else Cell("")


def show_history(screen: Screen, found: AlertHistory, now_us: int) -> None:
    """Write an alert and what happened to it.

    Args:
        now_us: microseconds since 1970.
    """
    alert = found.alert
    screen.line(Cell(alert.severity, _STYLES[alert.severity]), "  ", Cell(alert.title, "bold"))
    _fact(screen, "id", alert.alert_id)
    _fact(screen, "type", alert.type)
    _fact(screen, "source", alert.source)
    if alert.subject is not None:
        _fact(screen, "subject", alert.subject)
    if alert.message:
        _fact(screen, "message", alert.message)
    if alert.peak_severity != alert.severity:
        _fact(screen, "at its worst", alert.peak_severity)
    end = clock.parse(alert.resolved_at) if alert.resolved_at else now_us
    lasted = figures.duration((end - clock.parse(alert.created_at)) / clock.MICROSECONDS)
    _fact(screen, "lasted" if alert.resolved else "lasts", lasted)
    for name, value in alert.metadata.items():
        _fact(screen, name, str(value))
    screen.heading("What happened")
    table = Table([Column(""), Column(""), Column(""), Column("", elastic=True)], indent=2)
    for event in found.events:
        by = f"by {event.actor}" if event.actor else ""
        said = by or ("" if event.event == "resolved" else event.message)
        table.add(
            figures.moment(event.at),
            Cell(event.event, _EVENTS.get(event.event, "green")),
            Cell(event.severity, _STYLES[event.severity]),
            said,
        )
    screen.table(table)


def show_one(screen: Screen, event: str, alert: Alert) -> None:
    """Write what a person did to an alert."""
    who = {"acknowledged": alert.acknowledged_by, "resolved": alert.resolved_by}.get(event)
    by = f" by {who}" if who else ""
    screen.line(
        Cell(f"{event}{by}", _EVENTS.get(event, "green")),
        ": ",
        Cell(alert.title, "bold"),
        Cell(f"  {short_id(alert.alert_id)}", "dim"),
    )


def show_evaluation(screen: Screen, done: Evaluation) -> None:
    """Write what evaluating the rules came to."""
    sign = signs(screen)
    for change in done.changes:
        alert = change.alert
        lead = [
            Cell(f"{change.event:<11} ", _EVENTS[change.event]),
            Cell(f"{alert.severity:<8}  ", _STYLES[alert.severity]),
        ]
        hanging(screen, lead, f"{alert.title}. {alert.message}")
    for pending in done.pending:
        style = "green" if pending.becomes == "resolved" else _STYLES[pending.becomes]
        lead = [Cell(f"{'waiting':<11} ", "dim"), Cell(f"{pending.becomes:<8}  ", style)]
        due = figures.moment(pending.due_at)
        hanging(screen, lead, f"{pending.rule}: {pending.subject}, at {due} if it stays so")
    for delivery in done.deliveries:
        _show_delivery(screen, delivery, sign.met, sign.unmet)
    looked = (
        f"{figures.plural(done.rules, 'rule')}, {figures.plural(done.subjects, 'value')} looked at"
    )
    if done.open:
        worst = done.open[0].severity
        count = figures.plural(len(done.open), "open alert")
        known = sum(alert.acknowledged for alert in done.open)
        more = f", {known:,} acknowledged" if known else ""
        screen.line(Cell(f"{count}{more}", _STYLES[worst]), Cell(f"  {looked}", "dim"))
    else:
        screen.line(Cell("No open alerts", "bold green"), Cell(f"  {looked}", "dim"))
    if done.owed:
        owed = figures.plural(done.owed, "event")
        screen.line(
            Cell(f"Hooks are still to be told of {owed}: at the next evaluation.", "yellow")
        )


def _show_delivery(screen: Screen, delivery: Delivery, met: str, unmet: str) -> None:
    sign = Cell(f"{unmet} ", "red") if delivery.error else Cell(f"{met} ", "green")
    what = f"{delivery.event} {short_id(delivery.alert_id)}"
    said = f"was not told of {what}: {delivery.error}" if delivery.error else f"was told of {what}"
    hanging(screen, [Cell("hook        ", "dim"), sign], f"{delivery.hook} {said}")


def show_rules(
    screen: Screen, known: RuleSet, counts: Mapping[str, Sequence[int]], debts: Sequence[Debt]
) -> None:
    """Write rules with how often each opened an alert in the last days, and hooks."""
    table = Table(
        [
            Column("rule", style="bold", elastic=True),
            Column("looks at", elastic=True),
            Column("alerts", elastic=True),
            Column("for / clear", short="for"),
            Column("14 days", optional=True),
        ]
    )
    for rule in known.rules:
        table.add(rule.name, _looks_at(rule), _levels(rule), _damping(rule), _course(counts, rule))
    screen.table(table)
    if not known.hooks and not debts:
        return
    screen.heading("Hooks")
    owed = {debt.hook: debt for debt in debts}
    for hook in known.hooks:
        _show_hook(screen, hook.name, _target(hook), owed.pop(hook.name, None))
    for name, debt in owed.items():
        _show_hook(screen, name, "of another file", debt)


def _looks_at(rule: Rule) -> str:
    subject = "" if rule.subject == "*" else f" of {rule.subject}"
    window = "" if rule.window_us is None else f", {span(rule.window_us)}"
    return f"{rule.metric}{subject}{window}"


def _levels(rule: Rule) -> Cell:
    sign = "<" if rule.compare == "below" else ">"
    said = ", ".join(f"{severity} {sign} {limit:g}" for severity, limit in rule.levels)
    short = f"{sign} {' / '.join(f'{limit:g}' for _, limit in rule.levels)}"
    return Cell(said, _STYLES[rule.levels[-1][0]], short)


def _damping(rule: Rule) -> Cell:
    raised, cleared = _short(rule.for_us), _short(rule.clear_us)
    return Cell(f"{raised} / {cleared}", short=raised)


def _short(us: int) -> str:
    """A wait: ``5 min``, ``1 h``; ``0`` for none."""
    if not us:
        return "0"
    return span(us).replace("minutes", "min").replace("minute", "min")


def _course(counts: Mapping[str, Sequence[int]], rule: Rule) -> Cell:
    found = counts.get(rule.name)
    return Cell(figures.sparkline(found) if found else "", "red")


def _target(hook: Hook) -> str:
    # The path of a webhook is a secret as a rule.
    where = " ".join(hook.command) or "/".join(hook.webhook.split("/")[:3])
    return f"{where} on {', '.join(hook.on)}"


def _show_hook(screen: Screen, name: str, target: str, debt: Debt | None) -> None:
    screen.line(Cell(f"  {name}", "bold"), Cell(f"  {target}", "dim"))
    if debt is not None:
        tried = f", {figures.plural(debt.tries, 'try', 'tries')}" if debt.tries else ""
        error = f": {debt.error}" if debt.error else ""
        since = figures.moment(debt.since_at)
        text = f"is to be told of {figures.plural(debt.owed, 'event')} since {since}{tried}{error}"
        hanging(screen, [Cell("    "), Cell("! ", "yellow")], text)


def show_imported(screen: Screen, found: AlertsImported) -> None:
    """Write what taking alerts in came to."""
    screen.line(Cell(f"{figures.plural(found.read, 'alert')} read", "bold"))
    for name, number, style in (
        ("inserted", found.inserted, "green"),
        ("already there", found.already_there, ""),
        ("retired", found.retired, "dim"),
        ("invalid", found.invalid, "red"),
    ):
        if number or name == "inserted":
            screen.line(Cell(f"  {name:<{_LABEL}} ", "dim"), Cell(figures.number(number), style))


def show_metrics(screen: Screen) -> None:
    """Write what rules can look at."""
    from metrics_store.alerts.metrics import METRICS

    width = max(map(len, METRICS))
    for metric in METRICS.values():
        lead = [Cell(f"{metric.name:<{width}}  ", "bold"), Cell(f"{metric.compare}  ", "dim")]
        hanging(screen, lead, metric.about)


def rules_as_dict(
    known: RuleSet, counts: Mapping[str, Sequence[int]], debts: Sequence[Debt]
) -> dict[str, object]:
    """Rules and hooks for JSON; of a webhook the host alone, for the rest may be a secret."""
    return {
        "rules": [
            {
                "name": rule.name,
                "metric": rule.metric,
                "subject": rule.subject,
                "window_seconds": None if rule.window_us is None else rule.window_us / 1e6,
                "compare": rule.compare,
                "levels": dict(rule.levels),
                "for_seconds": rule.for_us / 1e6,
                "clear_for_seconds": rule.clear_us / 1e6,
                "type": rule.type,
                "opened_daily": list(counts.get(rule.name, [])),
            }
            for rule in known.rules
        ],
        "hooks": [{"name": hook.name, "target": _target(hook)} for hook in known.hooks],
        "owed": [debt.as_dict() for debt in debts],
    }


def _fact(screen: Screen, name: str, value: str) -> None:
    hanging(screen, [Cell(f"  {name:<{_LABEL}} ", "dim")], value)


def _ago(moment: str, now_us: int) -> str:
    seconds = (now_us - clock.parse(moment)) / clock.MICROSECONDS
    if seconds < -1:
        return "in the future"
    return "just now" if seconds < 10 else f"{figures.duration(round(seconds))} ago"
