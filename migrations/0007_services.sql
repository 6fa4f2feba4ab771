-- Services: the log of their heartbeats, what each said last, and when it was up.

-- How a service is judged, where it is not by the defaults; heartbeats bear what was in force.
CREATE TABLE service_setting (
    service_name TEXT PRIMARY KEY CHECK (service_name <> ''),
    every_us     INTEGER CHECK (every_us > 0),
    grace_us     INTEGER CHECK (grace_us > 0),
    bad_statuses TEXT CHECK (bad_statuses IS NULL OR json_valid(bad_statuses)),
    updated_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A heartbeat a minute for each of many services: what follows from other columns is not stored.
CREATE TABLE system_status_history (
    seq                 INTEGER PRIMARY KEY,
    service_name        TEXT NOT NULL CHECK (service_name <> ''),
    heartbeat_us        INTEGER NOT NULL
                        CHECK (heartbeat_us BETWEEN -62135596800000000 AND 253402300799999999),
    ordinal             INTEGER NOT NULL,
    status              TEXT NOT NULL CHECK (status <> ''),
    current_task        TEXT,
    down                INTEGER NOT NULL CHECK (down IN (0, 1)),
    grace_us            INTEGER NOT NULL CHECK (grace_us BETWEEN 1 AND 1000000000000000),
    latency_us          INTEGER CHECK (latency_us BETWEEN 0 AND 1000000000000000),
    -- NULL: as the heartbeat.
    created_us          INTEGER
                        CHECK (created_us BETWEEN -62135596800000000 AND 253402300799999999),
    digest              TEXT NOT NULL,
    id                  TEXT GENERATED ALWAYS AS
                        (service_name || '/' || heartbeat_us || '/' || ordinal) VIRTUAL,
    heartbeat_timestamp TEXT GENERATED ALWAYS AS (
        strftime('%Y-%m-%dT%H:%M:%S', (heartbeat_us - ((heartbeat_us % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', ((heartbeat_us % 1000000) + 1000000) % 1000000)
    ) VIRTUAL,
    created_at          TEXT GENERATED ALWAYS AS (
        strftime('%Y-%m-%dT%H:%M:%S', (ifnull(created_us, heartbeat_us) - ((ifnull(created_us, heartbeat_us) % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', ((ifnull(created_us, heartbeat_us) % 1000000) + 1000000) % 1000000)
    ) VIRTUAL,
    latency_seconds     REAL GENERATED ALWAYS AS (latency_us / 1000000.0) VIRTUAL
) STRICT;

-- It tells heartbeats of one moment apart, and finds the newest and those of a window.
CREATE UNIQUE INDEX system_status_history_by_time
ON system_status_history (service_name, heartbeat_us, ordinal);

CREATE TRIGGER system_status_history_immutable BEFORE UPDATE ON system_status_history
BEGIN
    SELECT RAISE(ABORT, 'system_status_history is append-only: a row is never changed');
END;

CREATE TRIGGER system_status_history_kept BEFORE DELETE ON system_status_history
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'service' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'system_status_history is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/services.py, to the letter.
CREATE TRIGGER system_status_history_rollup AFTER INSERT ON system_status_history
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'service')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'service', '', NEW.service_name, 'total', '',
      1, 1 - NEW.down, NEW.down, NEW.latency_us IS NOT NULL, ifnull(NEW.latency_us, 0), NEW.latency_us, NEW.latency_us, NEW.heartbeat_timestamp, NEW.heartbeat_timestamp
    UNION ALL SELECT 'service', substr(NEW.heartbeat_timestamp, 1, 10), NEW.service_name, 'day', '',
      1, 1 - NEW.down, NEW.down, NEW.latency_us IS NOT NULL, ifnull(NEW.latency_us, 0), NEW.latency_us, NEW.latency_us, NULL, NULL
    UNION ALL SELECT 'service', '', NEW.service_name, 'status', NEW.status,
      1, 1 - NEW.down, NEW.down, NEW.latency_us IS NOT NULL, ifnull(NEW.latency_us, 0), NEW.latency_us, NEW.latency_us, NEW.heartbeat_timestamp, NEW.heartbeat_timestamp)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n,
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'service', slot.period, NEW.service_name, slot.kind,
      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM (SELECT bucket FROM bucket_bound WHERE lower <= NEW.latency_us
            ORDER BY lower DESC LIMIT 1) AS bound,
           (SELECT substr(NEW.heartbeat_timestamp, 1, 10) AS period, 'value' AS kind, 1 AS width) AS slot)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

-- What each service said last, by its own time: a late heartbeat never moves it back.
CREATE TABLE system_status (
    service_name   TEXT PRIMARY KEY,
    status         TEXT NOT NULL,
    current_task   TEXT,
    heartbeat_us   INTEGER NOT NULL,
    down           INTEGER NOT NULL,
    grace_us       INTEGER NOT NULL,
    latency_us     INTEGER,
    created_us     INTEGER,
    last_heartbeat TEXT GENERATED ALWAYS AS (
        strftime('%Y-%m-%dT%H:%M:%S', (heartbeat_us - ((heartbeat_us % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', ((heartbeat_us % 1000000) + 1000000) % 1000000)
    ) VIRTUAL,
    updated_at     TEXT GENERATED ALWAYS AS (
        strftime('%Y-%m-%dT%H:%M:%S', (ifnull(created_us, heartbeat_us) - ((ifnull(created_us, heartbeat_us) % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', ((ifnull(created_us, heartbeat_us) % 1000000) + 1000000) % 1000000)
    ) VIRTUAL
) STRICT, WITHOUT ROWID;

-- Of heartbeats of one moment a bad state is the last word, then whatever content sorts last: the
-- order in which they came in says nothing.
CREATE TRIGGER system_status_history_current AFTER INSERT ON system_status_history
BEGIN
    INSERT INTO system_status (
        service_name, status, current_task, heartbeat_us, down, grace_us, latency_us, created_us
    )
    VALUES (
        NEW.service_name, NEW.status, NEW.current_task, NEW.heartbeat_us, NEW.down, NEW.grace_us,
        NEW.latency_us, NEW.created_us
    )
    ON CONFLICT (service_name) DO UPDATE SET
        status = excluded.status, current_task = excluded.current_task,
        heartbeat_us = excluded.heartbeat_us, down = excluded.down, grace_us = excluded.grace_us,
        latency_us = excluded.latency_us, created_us = excluded.created_us
    WHERE (
        excluded.heartbeat_us, excluded.down, excluded.grace_us, excluded.status,
        excluded.current_task IS NOT NULL, ifnull(excluded.current_task, ''),
        ifnull(excluded.latency_us, -1), ifnull(excluded.created_us, excluded.heartbeat_us)
    ) > (
        heartbeat_us, down, grace_us, status,
        current_task IS NOT NULL, ifnull(current_task, ''),
        ifnull(latency_us, -1), ifnull(created_us, heartbeat_us)
    );
END;

-- Runs of heartbeats that say the same (up, or down), each within the grace of the one before. The
-- last one of a run vouches until until_us, or until the next run begins.
CREATE TABLE service_span (
    service_name TEXT NOT NULL,
    first_us     INTEGER NOT NULL,
    last_us      INTEGER NOT NULL,
    until_us     INTEGER NOT NULL,
    down         INTEGER NOT NULL,
    status       TEXT,  -- that it went down with
    first_at     TEXT GENERATED ALWAYS AS (
        strftime('%Y-%m-%dT%H:%M:%S', (first_us - ((first_us % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', ((first_us % 1000000) + 1000000) % 1000000)
    ) VIRTUAL,
    last_at      TEXT GENERATED ALWAYS AS (
        strftime('%Y-%m-%dT%H:%M:%S', (last_us - ((last_us % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', ((last_us % 1000000) + 1000000) % 1000000)
    ) VIRTUAL,
    PRIMARY KEY (service_name, first_us)
) STRICT, WITHOUT ROWID;

-- A heartbeat, and the runs before and after it: cut there if it falls within one. Inserting here
-- puts the three together again, so that each value is found once.
CREATE VIEW service_span_around AS
SELECT service_name, first_us AS at_us, until_us, down, status,
       first_us AS left_first_us, last_us AS left_last_us, until_us AS left_until_us,
       down AS left_down, status AS left_status,
       first_us AS right_first_us, last_us AS right_last_us, until_us AS right_until_us,
       down AS right_down, status AS right_status,
       0 AS goes_on, 0 AS leads_on
FROM service_span;

CREATE TRIGGER service_span_around_joined INSTEAD OF INSERT ON service_span_around
BEGIN
    DELETE FROM service_span
    WHERE service_name = NEW.service_name
      AND first_us BETWEEN ifnull(NEW.left_first_us, NEW.at_us)
                       AND ifnull(NEW.right_first_us, NEW.at_us);
    INSERT INTO service_span (service_name, first_us, last_us, until_us, down, status)
    SELECT NEW.service_name, NEW.left_first_us, NEW.left_last_us, NEW.left_until_us, NEW.left_down,
           NEW.left_status
    WHERE NEW.left_first_us IS NOT NULL AND NOT NEW.goes_on;
    INSERT INTO service_span (service_name, first_us, last_us, until_us, down, status)
    VALUES (
        NEW.service_name,
        CASE WHEN NEW.goes_on THEN NEW.left_first_us ELSE NEW.at_us END,
        CASE WHEN NEW.leads_on THEN NEW.right_last_us ELSE NEW.at_us END,
        CASE WHEN NEW.leads_on THEN NEW.right_until_us ELSE NEW.until_us END,
        NEW.down,
        CASE WHEN NEW.goes_on THEN NEW.left_status WHEN NEW.down THEN NEW.status END
    );
    INSERT INTO service_span (service_name, first_us, last_us, until_us, down, status)
    SELECT NEW.service_name, NEW.right_first_us, NEW.right_last_us, NEW.right_until_us,
           NEW.right_down, NEW.right_status
    WHERE NEW.right_first_us IS NOT NULL AND NOT NEW.leads_on;
END;

-- Of heartbeats of one moment only the one that decides counts. Within a run its neighbours are
-- looked up in the log; where retention has deleted the one before, the run itself vouches for it.
CREATE TRIGGER system_status_history_span AFTER INSERT ON system_status_history
WHEN NOT EXISTS (
    SELECT 1 FROM system_status_history AS other
    WHERE other.service_name = NEW.service_name AND other.heartbeat_us = NEW.heartbeat_us
      AND other.seq <> NEW.seq
      AND (other.down, other.grace_us, other.status) >= (NEW.down, NEW.grace_us, NEW.status)
)
BEGIN
    INSERT INTO service_span_around
    SELECT
        service_name, at_us, at_us + NEW.grace_us, NEW.down, NEW.status,
        left_first_us, left_last_us, left_until_us, left_down, left_status,
        right_first_us, right_last_us, right_until_us, right_down, right_status,
        ifnull(left_down = NEW.down AND at_us <= left_until_us, 0),
        ifnull(right_down = NEW.down AND right_first_us <= at_us + NEW.grace_us, 0)
    FROM (
        SELECT
            NEW.service_name AS service_name, NEW.heartbeat_us AS at_us,
            before.first_us AS left_first_us,
            CASE WHEN before.last_us < NEW.heartbeat_us THEN before.last_us
                 ELSE ifnull(previous.heartbeat_us,
                             max(before.first_us, ifnull(horizon.us - 1, before.first_us)))
            END AS left_last_us,
            CASE WHEN before.last_us < NEW.heartbeat_us THEN before.until_us
                 ELSE ifnull(previous.heartbeat_us + previous.grace_us, NEW.heartbeat_us)
            END AS left_until_us,
            before.down AS left_down,
            before.status AS left_status,
            CASE WHEN following.seq IS NULL THEN after.first_us ELSE following.heartbeat_us
            END AS right_first_us,
            CASE WHEN following.seq IS NULL THEN after.last_us ELSE around.last_us
            END AS right_last_us,
            CASE WHEN following.seq IS NULL THEN after.until_us ELSE around.until_us
            END AS right_until_us,
            CASE WHEN following.seq IS NULL THEN after.down ELSE around.down
            END AS right_down,
            CASE WHEN following.seq IS NULL THEN after.status
                 WHEN around.down THEN following.status
            END AS right_status
        FROM (
            SELECT CAST(strftime('%s', substr(max(before_at), 1, 19)) AS INTEGER) * 1000000
                 + CAST(substr(max(before_at), 21, 6) AS INTEGER) AS us
            FROM retention_horizon WHERE family = 'service'
        ) AS horizon
        LEFT JOIN service_span AS around
          ON around.service_name = NEW.service_name
         AND around.first_us = (
             SELECT max(first_us) FROM service_span
             WHERE service_name = NEW.service_name AND first_us <= NEW.heartbeat_us
         )
         AND around.last_us >= NEW.heartbeat_us
        LEFT JOIN service_span AS before
          ON before.service_name = NEW.service_name
         AND before.first_us = (
             SELECT max(first_us) FROM service_span
             WHERE service_name = NEW.service_name AND first_us < NEW.heartbeat_us
         )
        LEFT JOIN service_span AS after
          ON after.service_name = NEW.service_name
         AND after.first_us = (
             SELECT min(first_us) FROM service_span
             WHERE service_name = NEW.service_name AND first_us > NEW.heartbeat_us
         )
        LEFT JOIN system_status_history AS previous
          ON previous.seq = CASE WHEN before.last_us >= NEW.heartbeat_us THEN (
             SELECT seq FROM system_status_history
             WHERE service_name = NEW.service_name AND heartbeat_us < NEW.heartbeat_us
               AND heartbeat_us >= ifnull(horizon.us, before.first_us)
             ORDER BY heartbeat_us DESC, down DESC, grace_us DESC, status DESC LIMIT 1
         ) END
        LEFT JOIN system_status_history AS following
          ON following.seq = CASE WHEN around.last_us > NEW.heartbeat_us THEN (
             SELECT seq FROM system_status_history
             WHERE service_name = NEW.service_name AND heartbeat_us > NEW.heartbeat_us
             ORDER BY heartbeat_us, down DESC, grace_us DESC, status DESC LIMIT 1
         ) END
    );
END;
