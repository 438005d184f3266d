-- Text columns that name things of the system (arguments, paths) hold JSON: a string, or an
-- array of numbers (the bytes) where the name is not UTF-8.
CREATE TABLE tasks (
    id             TEXT PRIMARY KEY,
    signature      TEXT NOT NULL,
    argv           TEXT NOT NULL,
    omitted_args   INTEGER NOT NULL DEFAULT 0,  -- arguments left out of argv for their length
    cwd            TEXT NOT NULL,
    machine        TEXT NOT NULL,
    started        TEXT NOT NULL,               -- RFC 3339, UTC
    ended          TEXT,
    state          TEXT NOT NULL CHECK (state IN ('running', 'finished', 'lost')),
    exit_code      INTEGER,
    signal         INTEGER,
    cause_of_death TEXT,
    input_bytes    INTEGER,
    features       TEXT NOT NULL,               -- JSON
    owner          TEXT NOT NULL                -- JSON: the process that runs it
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_signature ON tasks (signature, id);
CREATE INDEX tasks_running ON tasks (id) WHERE state = 'running';

CREATE TABLE predictions (
    id        INTEGER PRIMARY KEY,
    task_id   TEXT REFERENCES tasks (id) ON DELETE CASCADE,  -- NULL: asked for without a run
    signature TEXT NOT NULL,
    machine   TEXT NOT NULL,
    made      TEXT NOT NULL,
    method    TEXT NOT NULL,
    document  TEXT NOT NULL                                  -- foreshadow.prediction/1
) STRICT;
CREATE INDEX predictions_by_task ON predictions (task_id);
CREATE INDEX predictions_by_signature ON predictions (signature, id);

CREATE TABLE outcomes (
    task_id                 TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    peak_memory_bytes       INTEGER,
    page_cache_peak_bytes   INTEGER,
    cpu_seconds             REAL,
    wall_seconds            REAL,
    read_bytes              INTEGER,
    write_bytes             INTEGER,
    network_bytes           INTEGER,
    major_faults            INTEGER,
    cpu_pressure_seconds    REAL,
    memory_pressure_seconds REAL,
    io_pressure_seconds     REAL
) STRICT, WITHOUT ROWID;

CREATE TABLE adjustments (
    id         INTEGER PRIMARY KEY,
    task_id    TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    at_seconds REAL NOT NULL,
    resource   TEXT NOT NULL,
    from_value REAL,
    to_value   REAL,
    reason     TEXT NOT NULL
) STRICT;
CREATE INDEX adjustments_by_task ON adjustments (task_id);

CREATE TABLE recordings (
    id        INTEGER PRIMARY KEY,
    task_id   TEXT REFERENCES tasks (id) ON DELETE CASCADE,
    signature TEXT NOT NULL,
    kind      TEXT NOT NULL,
    made      TEXT NOT NULL,
    body      BLOB NOT NULL
) STRICT;
CREATE INDEX recordings_by_signature ON recordings (signature, kind, id);

CREATE TABLE models (
    signature TEXT PRIMARY KEY,
    updated   TEXT NOT NULL,
    body      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- "Fshw": tells this file from other programs' databases.
PRAGMA application_id = 1181968503;
