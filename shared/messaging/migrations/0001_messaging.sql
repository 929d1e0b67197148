-- Outbox, inbox and consumer bookkeeping: the same tables in each service's own database.

-- One row per case that this service emits for: the last sequence of its stream.
CREATE TABLE stream_head (
    case_id  uuid PRIMARY KEY,
    epoch    bigint NOT NULL,
    sequence bigint NOT NULL
);

-- The epoch of this service's streams (raised by `tandem recover`).
CREATE TABLE stream_epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint NOT NULL
);
INSERT INTO stream_epoch (epoch) VALUES (0);

-- A queue: rows are deleted when Kafka has acknowledged them.
CREATE TABLE outbox (
    id         bigserial PRIMARY KEY,
    event_id   uuid NOT NULL UNIQUE,
    topic      text NOT NULL,
    case_id    uuid NOT NULL,
    lane       smallint NOT NULL,
    headers    jsonb NOT NULL,
    payload    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_safety ON outbox (case_id) WHERE lane = 0;
CREATE INDEX outbox_case ON outbox (case_id, id);
-- A queue that is emptied all the time: dead rows must not pile up at its head.
ALTER TABLE outbox SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Dedupe: the last sequence applied per consumer and stream.
CREATE TABLE inbox_head (
    consumer text NOT NULL,
    source   text NOT NULL,
    case_id  uuid NOT NULL,
    epoch    bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (consumer, source, case_id)
);

-- Events applied (for those outside the sequence, and as a second belt); prunable after a week.
CREATE TABLE inbox (
    consumer   text NOT NULL,
    event_id   uuid NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_age ON inbox (applied_at);

-- The next offset to read, written in the same transaction as the effects of the batch.
CREATE TABLE next_offset (
    consumer    text NOT NULL,
    topic       text NOT NULL,
    partition   int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
);

-- Records whose predecessor has not come yet, or whose case was locked. Source and epoch are null
-- when the headers do not name them.
CREATE TABLE early (
    consumer    text NOT NULL,
    topic       text NOT NULL,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    source      text,
    case_id     uuid NOT NULL,
    epoch       bigint,
    sequence    bigint,
    record      jsonb NOT NULL,
    reason      text NOT NULL CHECK (reason IN ('gap', 'locked')),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition, "offset")
);
CREATE INDEX early_case ON early (consumer, case_id, source, epoch, sequence);

-- Cases whose events wait in order because one of them could not be processed.
CREATE TABLE parked_case (
    consumer  text NOT NULL,
    case_id   uuid NOT NULL,
    reason    text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, case_id)
);
-- Settled rows (redriven or skipped) stay: they say who did what, and a record that is read again
-- after a rewind is known by its offset. `cause` is malformed, unknown-type, handler-failed or gap
-- for the bad record itself, behind for those that wait after it.
CREATE TABLE parked_record (
    id            bigserial PRIMARY KEY,
    consumer      text NOT NULL,
    case_id       uuid NOT NULL,
    topic         text NOT NULL,
    partition     int NOT NULL,
    "offset"      bigint NOT NULL,
    event_id      uuid,
    event_type    text,
    source        text,
    epoch         bigint,
    sequence      bigint,
    safety        boolean NOT NULL,
    record        jsonb NOT NULL,
    cause         text NOT NULL,
    error         text,
    attempts      int NOT NULL DEFAULT 1,
    safe_half_done boolean NOT NULL DEFAULT false,
    parked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at    timestamptz,
    settled_as    text CHECK (settled_as IN ('redriven', 'skipped', 'duplicate')),
    settled_by    text,
    UNIQUE (consumer, topic, partition, "offset")
);
CREATE INDEX parked_record_open ON parked_record (consumer, case_id, id) WHERE settled_at IS NULL;

-- Records that no case can be named for.
CREATE TABLE dead_letter (
    consumer   text NOT NULL,
    topic      text NOT NULL,
    partition  int NOT NULL,
    "offset"   bigint NOT NULL,
    record     jsonb NOT NULL,
    error      text NOT NULL,
    dead_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition, "offset")
);

-- The lock row of a case where a service has no richer one (a holder locks its fence instead).
CREATE TABLE case_row (
    case_id uuid PRIMARY KEY
);

-- For each source and partition the newest heartbeat whose last produced offset this consumer has
-- applied: through `beat_at` (the source's machine time) nothing of that partition is missing here.
CREATE TABLE applied_through (
    consumer              text NOT NULL,
    source                text NOT NULL,
    partition             int NOT NULL,
    beat_at               timestamptz NOT NULL,
    epoch                 bigint NOT NULL,
    last_offset           bigint NOT NULL,
    oldest_unsent_seconds double precision NOT NULL,
    catalogue_version     int NOT NULL,
    audit_head            text,
    PRIMARY KEY (consumer, source, partition)
);
