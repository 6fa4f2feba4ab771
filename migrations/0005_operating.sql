-- Operating: which store this is, and what took long in it.

-- The store keeps its id for ever; its generation changes when a backup is restored, for then its
-- log ends earlier than backups made meanwhile have seen it.
INSERT INTO store_property (name, value) VALUES
    ('store_id', lower(hex(randomblob(16)))),
    ('generation', lower(hex(randomblob(16))));

-- Calls that took longer than the setting slow_ms, the newest thousand.
CREATE TABLE slow_call (
    id          INTEGER PRIMARY KEY,
    ended_at    TEXT NOT NULL,
    name        TEXT NOT NULL,
    duration_us INTEGER NOT NULL,
    -- Of it, waiting for the write lock.
    waited_us   INTEGER NOT NULL,
    process     TEXT NOT NULL
) STRICT;
