"""Services: one row per heartbeat, the current row of each service, and its spans of up and down.

A heartbeat vouches for its service until the next one, at most for its grace. What is down, and how
long the grace is, stands in each row as it was judged when it was written, so that everything here
follows from the log alone.
"""

from __future__ import annotations

from metrics_store.families.declaration import Derived, Dimension, Family, Histogram, Keep

_DAY = "substr(row.heartbeat_timestamp, 1, 10)"

#: Of heartbeats of one moment the last of these decides: a bad state before a good one.
_RANK = "down, grace_us, status"
#: For the current row the rest of the content too, so that it never hangs on who came first.
_NEWEST_FIRST = (
    "heartbeat_us DESC, down DESC, grace_us DESC, status DESC, current_task IS NOT NULL DESC, "
    "current_task DESC, ifnull(latency_us, -1) DESC, ifnull(created_us, heartbeat_us) DESC"
)
_CURRENT = (
    "service_name, status, current_task, heartbeat_us, down, grace_us, latency_us, created_us"
)

_DUE_CURRENT = f"""
SELECT {_CURRENT} FROM (
    SELECT {_CURRENT}, row_number() OVER (
        PARTITION BY service_name ORDER BY {_NEWEST_FIRST}
    ) AS place
    FROM system_status_history
    WHERE (service_name, heartbeat_us) IN (
        SELECT service_name, max(heartbeat_us) FROM system_status_history GROUP BY service_name
    )
) WHERE place = 1
"""

#: The moment before which retention has deleted heartbeats, in microseconds.
_HORIZON = """ifnull((
    SELECT CAST(strftime('%s', substr(before_at, 1, 19)) AS INTEGER) * 1000000
         + CAST(substr(before_at, 21, 6) AS INTEGER)
    FROM retention_horizon WHERE family = 'service'
), -9000000000000000000)"""

#: The spans of what the log has since then: runs of heartbeats that say the same, each within the
#: grace of the one before.
_SPANS = f"""
WITH beat AS (
    SELECT service_name, heartbeat_us, down, grace_us, status,
           lead(heartbeat_us) OVER (
               PARTITION BY service_name ORDER BY heartbeat_us, {_RANK}
           ) AS next_us
    FROM system_status_history WHERE heartbeat_us >= {_HORIZON}
), joined AS (
    SELECT *, ifnull(down = lag(down) OVER following
                     AND heartbeat_us <= lag(heartbeat_us + grace_us) OVER following, 0) AS goes_on
    FROM beat WHERE heartbeat_us IS NOT next_us
    WINDOW following AS (PARTITION BY service_name ORDER BY heartbeat_us)
), numbered AS (
    SELECT *, sum(1 - goes_on) OVER (PARTITION BY service_name ORDER BY heartbeat_us) AS run
    FROM joined
), named AS (
    SELECT *, first_value(heartbeat_us) OVER (
                  PARTITION BY service_name, run ORDER BY heartbeat_us
              ) AS first_us,
              first_value(status) OVER (
                  PARTITION BY service_name, run ORDER BY heartbeat_us
              ) AS first_status
    FROM numbered
)
SELECT service_name, run, first_us, max(heartbeat_us) AS last_us,
       heartbeat_us + grace_us AS until_us, down, CASE WHEN down THEN first_status END AS status
FROM named GROUP BY service_name, run
"""

_KEPT_SPANS = f"""
SELECT service_name, last_us, until_us, down,
       CASE WHEN first_us >= {_HORIZON} THEN first_us END AS first_us,
       CASE WHEN first_us >= {_HORIZON} THEN status END AS status
FROM service_span WHERE last_us >= {_HORIZON}
"""

# A span that began before the horizon bears the beginning that the deleted rows gave it.
_DUE_SPANS = f"""
SELECT service_name, last_us, until_us, down,
       CASE WHEN NOT older THEN first_us END AS first_us,
       CASE WHEN NOT older THEN status END AS status
FROM (
    SELECT *, run = 1 AND EXISTS (
        SELECT 1 FROM service_span AS kept
        WHERE kept.service_name = due.service_name AND kept.last_us = due.last_us
          AND kept.first_us < {_HORIZON}
    ) AS older
    FROM ({_SPANS}) AS due
)
"""

_REBUILD_CURRENT = (
    "DELETE FROM system_status",
    f"INSERT INTO system_status ({_CURRENT}) {_DUE_CURRENT}",
)

_REBUILD_SPANS = (
    f"DELETE FROM service_span WHERE first_us >= {_HORIZON}",
    f"UPDATE service_span SET last_us = max(first_us, {_HORIZON} - 1) WHERE last_us >= {_HORIZON}",
    f"""
INSERT INTO service_span (service_name, first_us, last_us, until_us, down, status)
SELECT due.service_name, ifnull(older.first_us, due.first_us), due.last_us, due.until_us, due.down,
       CASE WHEN older.first_us IS NULL THEN due.status ELSE older.status END
FROM ({_SPANS}) AS due
LEFT JOIN service_span AS older
  ON due.run = 1 AND older.service_name = due.service_name
 AND older.first_us = (
     SELECT max(first_us) FROM service_span AS any_older
     WHERE any_older.service_name = due.service_name AND any_older.first_us < due.first_us
 )
 AND older.down = due.down AND older.until_us >= due.first_us
WHERE true
ON CONFLICT (service_name, first_us) DO UPDATE SET
    last_us = excluded.last_us, until_us = excluded.until_us""",
)

SERVICES = Family(
    name="service",
    table="system_status_history",
    moment="row.heartbeat_timestamp",
    completed="1 - row.down",
    failed="row.down",
    measure="row.latency_us",
    dimensions=(
        Dimension("total", subject="row.service_name"),
        Dimension("day", subject="row.service_name", period=_DAY, span=False),
        Dimension("status", subject="row.service_name", label="row.status"),
    ),
    histogram=Histogram(subject="row.service_name", day=_DAY, lifetime=False),
    columns=(
        "service_name",
        "heartbeat_us",
        "ordinal",
        "status",
        "current_task",
        "down",
        "grace_us",
        "latency_us",
        "created_us",
    ),
    derived=(
        Derived(
            "system_status",
            kept=f"SELECT {_CURRENT} FROM system_status",
            due=_DUE_CURRENT,
            rebuild=_REBUILD_CURRENT,
        ),
        Derived(
            "service_span", kept=_KEPT_SPANS, due=_DUE_SPANS, rebuild=_REBUILD_SPANS, whole=False
        ),
    ),
    # Not newest_of: that would look through the log for each row.
    keep=Keep(
        days=60,
        always="NOT EXISTS (SELECT 1 FROM system_status AS newest "
        "WHERE newest.service_name = row.service_name AND newest.heartbeat_us > row.heartbeat_us)",
    ),
)
