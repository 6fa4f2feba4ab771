-- Alerts: the log of what happened to them, what each is now, and what evaluating them remembers.

CREATE TABLE alert_event (
    seq       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    alert_id  TEXT NOT NULL CHECK (alert_id <> ''),
    -- Of one alert each later than the one before, whatever the clock does.
    at        TEXT NOT NULL,
    event     TEXT NOT NULL CHECK (event IN ('opened', 'escalated', 'deescalated', 'acknowledged', 'resolved')),
    severity  TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    type      TEXT NOT NULL CHECK (type IN ('agent', 'task', 'system', 'performance')),
    rule      TEXT,
    subject   TEXT,
    title     TEXT NOT NULL,
    message   TEXT NOT NULL,
    source    TEXT NOT NULL,
    actor     TEXT,
    -- Of the row that resolves it: how long it lasted.
    lasted_us INTEGER CHECK (lasted_us >= 0),
    metadata  TEXT CHECK (metadata IS NULL OR json_valid(metadata)),
    digest    TEXT NOT NULL
) STRICT;

CREATE INDEX alert_event_by_alert ON alert_event (alert_id, at, id);

-- Each of these happens to an alert once.
CREATE UNIQUE INDEX alert_event_once ON alert_event (alert_id, event)
WHERE event IN ('opened', 'acknowledged', 'resolved');

CREATE TRIGGER alert_event_immutable BEFORE UPDATE ON alert_event
BEGIN
    SELECT RAISE(ABORT, 'alert_event is append-only: a row is never changed');
END;

CREATE TRIGGER alert_event_kept BEFORE DELETE ON alert_event
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'alert' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'alert_event is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/alerts.py, to the letter.
CREATE TRIGGER alert_event_rollup AFTER INSERT ON alert_event
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'alert')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'alert', '', NEW.source, 'total', NEW.event,
      1, (NEW.event = 'resolved'), (NEW.event = 'opened'), NEW.lasted_us IS NOT NULL, ifnull(NEW.lasted_us, 0), NEW.lasted_us, NEW.lasted_us, NEW.at, NEW.at
    UNION ALL SELECT 'alert', substr(NEW.at, 1, 10), NEW.source, 'day', NEW.event,
      1, (NEW.event = 'resolved'), (NEW.event = 'opened'), NEW.lasted_us IS NOT NULL, ifnull(NEW.lasted_us, 0), NEW.lasted_us, NEW.lasted_us, NULL, NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n,
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
END;

-- What each alert is, from whatever is in the log of it, in whichever order that came.
CREATE VIEW alert_state AS
SELECT o.alert_id, o.type,
    (SELECT e.severity FROM alert_event AS e
     WHERE e.alert_id = o.alert_id AND e.event IN ('opened', 'escalated', 'deescalated')
     ORDER BY e.at DESC, e.id DESC LIMIT 1) AS severity,
    o.title,
    (SELECT e.message FROM alert_event AS e
     WHERE e.alert_id = o.alert_id AND e.event IN ('opened', 'escalated', 'deescalated')
     ORDER BY e.at DESC, e.id DESC LIMIT 1) AS message,
    o.source,
    (SELECT e.metadata FROM alert_event AS e
     WHERE e.alert_id = o.alert_id AND e.event IN ('opened', 'escalated', 'deescalated')
     ORDER BY e.at DESC, e.id DESC LIMIT 1) AS metadata,
    a.id IS NOT NULL AS acknowledged, a.actor AS acknowledged_by, a.at AS acknowledged_at,
    r.id IS NOT NULL AS resolved, r.actor AS resolved_by, r.at AS resolved_at,
    o.at AS created_at, o.rule, o.subject,
    (SELECT e.severity FROM alert_event AS e
     WHERE e.alert_id = o.alert_id AND e.event IN ('opened', 'escalated', 'deescalated')
     ORDER BY CASE e.severity WHEN 'critical' THEN 4 WHEN 'error' THEN 3 WHEN 'warning' THEN 2
              ELSE 1 END DESC LIMIT 1) AS peak_severity,
    (SELECT max(e.at) FROM alert_event AS e WHERE e.alert_id = o.alert_id) AS updated_at
FROM alert_event AS o
LEFT JOIN alert_event AS a ON a.alert_id = o.alert_id AND a.event = 'acknowledged'
LEFT JOIN alert_event AS r ON r.alert_id = o.alert_id AND r.event = 'resolved'
WHERE o.event = 'opened';

CREATE TABLE alerts (
    alert_id        TEXT PRIMARY KEY,
    type            TEXT NOT NULL,
    severity        TEXT NOT NULL,
    title           TEXT NOT NULL,
    message         TEXT NOT NULL,
    source          TEXT NOT NULL,
    metadata        TEXT,
    acknowledged    INTEGER NOT NULL,
    acknowledged_by TEXT,
    acknowledged_at TEXT,
    resolved        INTEGER NOT NULL,
    resolved_by     TEXT,
    resolved_at     TEXT,
    created_at      TEXT NOT NULL,
    rule            TEXT,
    subject         TEXT,
    peak_severity   TEXT NOT NULL,
    updated_at      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- At most one alert lasts for each rule and subject, whoever evaluates at the same time.
CREATE UNIQUE INDEX alerts_lasting ON alerts (rule, subject)
WHERE resolved = 0 AND rule IS NOT NULL;
CREATE INDEX alerts_by_time ON alerts (resolved, created_at);

CREATE TRIGGER alert_event_current AFTER INSERT ON alert_event
BEGIN
    INSERT INTO alerts (alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
        acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject, peak_severity, updated_at)
    SELECT alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
        acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject, peak_severity, updated_at
    FROM alert_state WHERE alert_id = NEW.alert_id
    ON CONFLICT (alert_id) DO UPDATE SET
        type = excluded.type, severity = excluded.severity, title = excluded.title,
        message = excluded.message, source = excluded.source, metadata = excluded.metadata,
        acknowledged = excluded.acknowledged, acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at,
        resolved = excluded.resolved, resolved_by = excluded.resolved_by, resolved_at = excluded.resolved_at,
        created_at = excluded.created_at, rule = excluded.rule, subject = excluded.subject,
        peak_severity = excluded.peak_severity, updated_at = excluded.updated_at;
END;

CREATE TRIGGER alert_event_forgotten AFTER DELETE ON alert_event
BEGIN
    DELETE FROM alert_owed WHERE event_id = OLD.id;
    DELETE FROM alerts WHERE alert_id = OLD.alert_id;
    INSERT INTO alerts (alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
        acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject, peak_severity, updated_at)
    SELECT alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
        acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject, peak_severity, updated_at
    FROM alert_state WHERE alert_id = OLD.alert_id;
END;

-- Since when a value has been on the other side of a level than the alert says: it has to stay
-- there for a time before the alert follows.
CREATE TABLE alert_signal (
    rule     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    since_at TEXT NOT NULL,
    PRIMARY KEY (rule, subject, severity)
) STRICT, WITHOUT ROWID;

-- One row: how often the rules were evaluated, so that nobody decides on what was measured before
-- somebody else decided.
CREATE TABLE alert_evaluation (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    number       INTEGER NOT NULL,
    evaluated_at TEXT
) STRICT;
INSERT INTO alert_evaluation (id, number, evaluated_at) VALUES (1, 0, NULL);

-- Up to which event each hook was told, or is owed.
CREATE TABLE alert_hook (
    hook      TEXT PRIMARY KEY,
    after_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that a hook was not told of yet. Whoever is telling it holds it until claimed_until.
CREATE TABLE alert_owed (
    hook          TEXT NOT NULL,
    event_id      TEXT NOT NULL,
    owed_since    TEXT NOT NULL,
    tries         INTEGER NOT NULL,
    tried_at      TEXT,
    error         TEXT,
    claimed_by    TEXT,
    claimed_until TEXT,
    PRIMARY KEY (hook, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_owed_by_event ON alert_owed (event_id);
