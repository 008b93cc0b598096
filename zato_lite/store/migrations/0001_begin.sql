-- Ids of jobs and of attempts are never used twice.
CREATE TABLE sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO sequence VALUES ('job', 0), ('token', 0), ('node', 0);

-- What jobs are. A deleted job stays for as long as its history does; its name is free at once.
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    service TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    definition TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
);
CREATE UNIQUE INDEX job_name ON job (name) WHERE deleted_at IS NULL;
CREATE INDEX job_deleted ON job (deleted_at) WHERE deleted_at IS NOT NULL;
-- Looked for as text, which costs a creation a tenth of what reading the JSON does. No text within
-- the definition can look alike: its quotation marks are escaped.
CREATE INDEX job_declared ON job (id) WHERE instr(definition, '"is_declared":true') > 0;
CREATE INDEX job_watched ON job (id) WHERE instr(definition, '"alert_after_intervals":') > 0;

-- When each job is looked at next. Narrow: it is what each fire reads and writes.
CREATE TABLE timer (
    job_id INTEGER PRIMARY KEY,
    next_at INTEGER,
    cursor INTEGER NOT NULL,
    started INTEGER NOT NULL,
    number INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    paused_since INTEGER
);
CREATE INDEX timer_next ON timer (next_at) WHERE next_at IS NOT NULL;

-- One row a run. The id is the token of its first attempt, so that ids grow with time.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    node INTEGER NOT NULL,
    token INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    retry_at INTEGER,
    outcome TEXT,
    error TEXT,
    result TEXT
);
CREATE INDEX run_job ON run (job_id, id);
CREATE INDEX run_open ON run (job_id) WHERE outcome IS NULL;
-- Whatever goes wrong elsewhere: a slot has one run. What is run again on request has another kind.
CREATE UNIQUE INDEX run_slot ON run (job_id, slot) WHERE kind = 'scheduled';

-- Attempts that were followed by another one.
CREATE TABLE attempt (
    run_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    token INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    outcome TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (run_id, attempt)
) WITHOUT ROWID;

-- Definitions of runs that belong to no job, or that are not what their job says.
CREATE TABLE call (run_id INTEGER PRIMARY KEY, definition TEXT NOT NULL, cid TEXT NOT NULL);

-- What was logged during a run, as one JSON text.
CREATE TABLE run_log (run_id INTEGER PRIMARY KEY, lines TEXT NOT NULL);

-- Slots that got no run. Adjacent ones with one outcome and one reason are one row.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    number INTEGER NOT NULL
);
CREATE INDEX ledger_job ON ledger (job_id, first);

CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
);

CREATE TABLE calendar (name TEXT PRIMARY KEY, definition TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE user (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    patterns TEXT NOT NULL,
    is_active INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE api_key (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    patterns TEXT NOT NULL,
    is_active INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    cid TEXT NOT NULL,
    remote_address TEXT NOT NULL
);
CREATE TABLE lock (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    token INTEGER NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;
