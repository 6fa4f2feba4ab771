-- Snapshots: what a status tool said of files, chunks and workers, each as it came.

CREATE TABLE status_snapshots (
    seq                            INTEGER PRIMARY KEY,
    id                             TEXT NOT NULL UNIQUE,
    recorded_at                    TEXT NOT NULL,
    files_total                    INTEGER CHECK (files_total >= 0),
    files_indexed                  INTEGER CHECK (files_indexed >= 0),
    files_indexed_percent          REAL CHECK (files_indexed_percent >= 0),
    files_chunked_percent          REAL CHECK (files_chunked_percent >= 0),
    chunks_total                   INTEGER CHECK (chunks_total >= 0),
    chunks_vectorized              INTEGER CHECK (chunks_vectorized >= 0),
    chunks_vectorization_percent   REAL CHECK (chunks_vectorization_percent >= 0),
    db_size_mb                     REAL CHECK (db_size_mb >= 0),
    files_updated_24h              INTEGER CHECK (files_updated_24h >= 0),
    chunks_updated_24h             INTEGER CHECK (chunks_updated_24h >= 0),
    file_watcher_pid               INTEGER CHECK (file_watcher_pid > 0),
    file_watcher_operation         TEXT,
    file_watcher_progress_percent  REAL CHECK (file_watcher_progress_percent >= 0),
    vectorization_pid              INTEGER CHECK (vectorization_pid > 0),
    vectorization_operation        TEXT,
    vectorization_progress_percent REAL CHECK (vectorization_progress_percent >= 0),
    indexing_pid                   INTEGER CHECK (indexing_pid > 0),
    indexing_operation             TEXT,
    indexing_progress_percent      REAL CHECK (indexing_progress_percent >= 0),
    indexing_current_file          TEXT,
    projects                       TEXT CHECK (projects IS NULL OR json_type(projects) = 'array'),
    origin                         TEXT NOT NULL CHECK (origin IN ('live', 'import')),
    payload_json                   TEXT NOT NULL CHECK (json_valid(payload_json)),
    digest                         TEXT NOT NULL
) STRICT;

CREATE INDEX status_snapshots_by_time ON status_snapshots (recorded_at);

CREATE TRIGGER status_snapshots_immutable BEFORE UPDATE ON status_snapshots
BEGIN
    SELECT RAISE(ABORT, 'status_snapshots is append-only: a row is never changed');
END;

CREATE TRIGGER status_snapshots_kept BEFORE DELETE ON status_snapshots
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'snapshot' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'status_snapshots is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/snapshots.py, to the letter.
CREATE TRIGGER status_snapshots_rollup AFTER INSERT ON status_snapshots
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'snapshot')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'snapshot', '', '', 'total', '',
      1, 0, 0, NULL IS NOT NULL, ifnull(NULL, 0), NULL, NULL, NEW.recorded_at, NEW.recorded_at
    UNION ALL SELECT 'snapshot', substr(NEW.recorded_at, 1, 10), '', 'total', '',
      1, 0, 0, NULL IS NOT NULL, ifnull(NULL, 0), NULL, NULL, NULL, NULL
    UNION ALL SELECT 'snapshot', period, subject, kind, '',
      1, 0, 0, 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN '' WHEN 1 THEN substr(NEW.recorded_at, 1, 10) END AS period, '' AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'files_total' THEN NEW.files_total WHEN 'files_indexed' THEN NEW.files_indexed WHEN 'chunks_total' THEN NEW.chunks_total WHEN 'chunks_vectorized' THEN NEW.chunks_vectorized WHEN 'files_updated_24h' THEN NEW.files_updated_24h WHEN 'chunks_updated_24h' THEN NEW.chunks_updated_24h WHEN 'files_indexed_percent' THEN CAST(round(NEW.files_indexed_percent * 1000) AS INTEGER) WHEN 'files_chunked_percent' THEN CAST(round(NEW.files_chunked_percent * 1000) AS INTEGER) WHEN 'chunks_vectorization_percent' THEN CAST(round(NEW.chunks_vectorization_percent * 1000) AS INTEGER) WHEN 'db_size_mb' THEN CAST(round(NEW.db_size_mb * 1000) AS INTEGER) WHEN 'file_watcher_progress_percent' THEN CAST(round(NEW.file_watcher_progress_percent * 1000) AS INTEGER) WHEN 'vectorization_progress_percent' THEN CAST(round(NEW.vectorization_progress_percent * 1000) AS INTEGER) WHEN 'indexing_progress_percent' THEN CAST(round(NEW.indexing_progress_percent * 1000) AS INTEGER) END AS value FROM (VALUES (0), (1)) AS at, (VALUES ('files_total'), ('files_indexed'), ('chunks_total'), ('chunks_vectorized'), ('files_updated_24h'), ('chunks_updated_24h'), ('files_indexed_percent'), ('files_chunked_percent'), ('chunks_vectorization_percent'), ('db_size_mb'), ('file_watcher_progress_percent'), ('vectorization_progress_percent'), ('indexing_progress_percent')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL
    UNION ALL SELECT 'snapshot', period, subject, kind, '',
      1, 0, 0, 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN '' WHEN 1 THEN substr(NEW.recorded_at, 1, 10) END AS period, json_extract(item.value, '$.name') AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'project_file_count' THEN json_extract(item.value, '$.file_count') WHEN 'project_files_indexed' THEN json_extract(item.value, '$.files_indexed') WHEN 'project_chunk_count' THEN json_extract(item.value, '$.chunk_count') WHEN 'project_vectorized_chunks' THEN json_extract(item.value, '$.vectorized_chunks') END AS value FROM json_each(NEW.projects) AS item, (VALUES (0), (1)) AS at, (VALUES ('project_file_count'), ('project_files_indexed'), ('project_chunk_count'), ('project_vectorized_chunks')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n,
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
END;

-- Lines of a file that could not be rows: kept as they were, with the reason.
CREATE TABLE snapshot_quarantine (
    id             TEXT PRIMARY KEY,
    file           TEXT NOT NULL,
    line           INTEGER NOT NULL,
    reason         TEXT NOT NULL,
    raw            BLOB NOT NULL,
    length         INTEGER NOT NULL,
    quarantined_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
