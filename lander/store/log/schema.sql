-- The event store. One connection writes; all others open the file read-only.
-- A new version may add tables to the log, and may change the projections, which `upgrade.py` rebuilds from the log.
-- `user_version` counts the versions of both.
-- SQLite stores each statement with the comments in it, and the integrity check compares them: do not reword those.

CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream   INTEGER NOT NULL REFERENCES streams (id),
    producer INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    UNIQUE (stream, producer, seq)
) STRICT;

-- The input of all decisions, found without reading the telemetry. `schema.CONSEQUENTIAL` repeats the condition verbatim.
CREATE INDEX events_of_consequence ON events (position)
    WHERE kind NOT IN ('StepsRecorded', 'EpisodeFinished', 'MetricsLogged', 'ResourcesSampled');

-- The digest of each body that was erased. No event is zero bytes long, so an empty body is an erased one.
CREATE TABLE erased (
    position INTEGER PRIMARY KEY REFERENCES events (position),
    sha256   BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT;

CREATE TRIGGER only_what_was_deleted_is_erased BEFORE INSERT ON erased
WHEN NOT EXISTS (
    SELECT 1 FROM events e
    JOIN streams s ON s.id = e.stream
    JOIN streams x ON x.name = substr(s.name, 1, instr(s.name || '/', '/') - 1)
    JOIN events t ON t.stream = x.id AND t.producer = 0 AND t.kind = 'ExperimentDeleted'
    WHERE e.position = NEW.position AND e.position < t.position AND length(e.body) > 0
)
BEGIN SELECT RAISE(ABORT, 'only what was deleted is erased'); END;
CREATE TRIGGER digests_are_not_changed BEFORE UPDATE ON erased
BEGIN SELECT RAISE(ABORT, 'digests are append-only'); END;
CREATE TRIGGER digests_are_not_deleted BEFORE DELETE ON erased
BEGIN SELECT RAISE(ABORT, 'digests are append-only'); END;

-- The only change of an event: its body becomes empty, once its digest is kept.
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
WHEN NOT (
    NEW.body IS x'' AND EXISTS (SELECT 1 FROM erased WHERE position = OLD.position)
    AND (NEW.position, NEW.stream, NEW.producer, NEW.seq, NEW.kind, NEW.at)
     IS (OLD.position, OLD.stream, OLD.producer, OLD.seq, OLD.kind, OLD.at)
)
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- One row for each commit: a link over the previous link and every row of this commit (`chain.py`).
CREATE TABLE commits (
    last_position INTEGER PRIMARY KEY,
    chain         BLOB NOT NULL
) STRICT;

CREATE TRIGGER commits_are_not_changed BEFORE UPDATE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are append-only'); END;
CREATE TRIGGER commits_are_not_deleted BEFORE DELETE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are append-only'); END;

-- Projections: tables derived from the events. Everything below can be rebuilt from event 1.

CREATE TABLE bookmark (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO bookmark (id, position) VALUES (1, 0);

CREATE TABLE experiments (
    id           TEXT PRIMARY KEY,
    state        TEXT    NOT NULL,
    hypothesis   TEXT    NOT NULL,   -- as it reads now
    submitted    INTEGER NOT NULL,   -- position of its ExperimentSubmitted
    submitted_at INTEGER NOT NULL,
    ended_at     INTEGER,
    environments TEXT    NOT NULL,   -- of its arms, separated by spaces
    tags         TEXT    NOT NULL,   -- separated by spaces
    archived_at  INTEGER,            -- NULL unless it is archived
    results_at   INTEGER             -- when the first of its training steps was recorded
) STRICT;

CREATE TABLE remarks (
    position      INTEGER PRIMARY KEY,  -- of its event
    experiment    TEXT    NOT NULL,
    kind          TEXT    NOT NULL,     -- note, hypothesis
    at            INTEGER NOT NULL,
    operator      TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    after_results INTEGER NOT NULL      -- 1 if training steps had been recorded by then
) STRICT;
CREATE INDEX remarks_of_experiment ON remarks (experiment, position);

CREATE TABLE progress (
    id            INTEGER PRIMARY KEY,
    run           TEXT    NOT NULL UNIQUE,
    experiment    TEXT    NOT NULL,
    arm           TEXT    NOT NULL,
    seed          INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    cause         TEXT,
    detail        TEXT,
    why           TEXT,              -- no further attempt is made
    attempt       INTEGER NOT NULL,
    trained       INTEGER NOT NULL,  -- the last attempt whose training started: its words count, up to where the next continues
    resume        TEXT,
    host          TEXT,
    device        TEXT,
    pid           INTEGER,
    step          INTEGER NOT NULL,
    total_steps   INTEGER NOT NULL,
    episodes      INTEGER NOT NULL,
    started_at    INTEGER,           -- of the training of this attempt; NULL while it is starting
    started_step  INTEGER NOT NULL,
    last_at       INTEGER,           -- of the last steps recorded
    evaluating    INTEGER,           -- the step of an evaluation that has begun, or is owed, and is not finished
    model         TEXT,
    model_sha256  TEXT
) STRICT;
CREATE INDEX progress_of_experiment ON progress (experiment, id);

CREATE TABLE episodes (
    run       INTEGER NOT NULL REFERENCES progress (id),
    number    INTEGER NOT NULL,      -- 1, 2, 3 … within the run, in the order they finished
    last_step INTEGER NOT NULL,
    length    INTEGER NOT NULL,
    "return"  REAL,                  -- NULL stands for not-a-number
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    run      INTEGER NOT NULL REFERENCES progress (id),
    step     INTEGER NOT NULL,
    digest   TEXT    NOT NULL,
    position INTEGER NOT NULL,       -- of its CheckpointCommitted
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    run            INTEGER PRIMARY KEY REFERENCES progress (id),
    at             INTEGER NOT NULL,
    cpu_percent    REAL    NOT NULL,
    memory_mb      REAL    NOT NULL,
    gpu_percent    REAL,
    peak_memory_mb REAL    NOT NULL
) STRICT;
