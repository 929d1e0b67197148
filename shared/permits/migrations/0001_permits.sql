-- The holder's side of the start permit, in the database of each service that acts under permits.

-- The lock row of a case at a holder, and the oldest clearance that a start may still carry.
-- It is ensured before it is locked: a missing row locks nothing, and an acknowledgement slips by.
CREATE TABLE fence (
    case_id uuid   PRIMARY KEY,
    epoch   bigint NOT NULL,
    version bigint NOT NULL
);

-- The authority's holds as this holder knows them; OPEN -> RELEASED only, and a release that
-- arrives first leaves a tombstone. `acknowledged`: the authority was told.
CREATE TABLE hold_replica (
    hold_id      uuid    PRIMARY KEY,
    case_id      uuid    NOT NULL,
    gates        text[]  NOT NULL,
    dose_ids     uuid[],
    epoch        bigint  NOT NULL,
    version      bigint  NOT NULL,
    on_running   text    NOT NULL CHECK (on_running IN ('stop', 'tell')),
    status       text    NOT NULL CHECK (status IN ('OPEN', 'RELEASED')),
    acknowledged boolean NOT NULL
);
CREATE INDEX hold_replica_case ON hold_replica (case_id);

-- Every step that began here, or was about to. `go_at` committed in time is the start.
CREATE TABLE start (
    start_id        uuid        PRIMARY KEY,
    permit_id       uuid        UNIQUE,
    case_id         uuid        NOT NULL,
    gate            text        NOT NULL,
    subject_id      uuid        NOT NULL,
    attempt         int         NOT NULL CHECK (attempt >= 1),
    dose_id         uuid,
    granted_epoch   bigint,
    granted_version bigint,
    boot_id         text,
    sent_boot_ns    bigint,
    ttl_ms          int,
    seen_boot_id    text,
    seen_boot_ns    bigint,
    place           text,
    go_at           timestamptz,
    state           text        NOT NULL CHECK (state IN
        ('RUNNING', 'PAUSED', 'STOP_ORDERED', 'STOPPED', 'COMPLETED', 'NOT_STARTED')),
    reason          text,
    unpermitted     boolean     NOT NULL,
    created_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    CHECK (unpermitted = (permit_id IS NULL)),
    CHECK (unpermitted OR (granted_epoch IS NOT NULL AND granted_version IS NOT NULL
                           AND boot_id IS NOT NULL AND sent_boot_ns IS NOT NULL
                           AND ttl_ms IS NOT NULL)),
    CHECK (go_at IS NOT NULL OR state IN ('RUNNING', 'NOT_STARTED'))
);
CREATE UNIQUE INDEX start_one_per_attempt ON start (subject_id, attempt)
    WHERE NOT unpermitted AND state <> 'NOT_STARTED';
CREATE UNIQUE INDEX start_one_per_dose_and_attempt ON start (dose_id, attempt)
    WHERE NOT unpermitted AND state <> 'NOT_STARTED';
CREATE INDEX start_case ON start (case_id);
CREATE INDEX start_waiting ON start (created_at) WHERE state = 'RUNNING' AND go_at IS NULL;

-- A dose is bound to one subject for good. Not enforced for unpermitted rows: what has happened
-- is recorded as it happened.
CREATE TABLE dose_subject (
    dose_id    uuid PRIMARY KEY,
    subject_id uuid NOT NULL
);

-- Which history of which cluster this database belongs to; a restore or promotion changes it.
CREATE TABLE database_identity (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    system_identifier text    NOT NULL,
    timeline_id       bigint  NOT NULL
);
