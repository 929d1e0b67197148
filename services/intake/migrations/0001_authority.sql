-- The authority: clearance of each case, holds, start permits, and who waits for what.

-- The lock row of a case. Every transaction about holds, permits, facts locks it first, alone.
CREATE TABLE case_clearance (
    case_id uuid   PRIMARY KEY,
    epoch   bigint NOT NULL CHECK (epoch >= 0),
    version bigint NOT NULL CHECK (version >= 0)
);

CREATE TABLE hold (
    hold_id        uuid        PRIMARY KEY,
    case_id        uuid        NOT NULL REFERENCES case_clearance,
    kind           text        NOT NULL,
    rule           text,
    episode        text,
    gates          text[]      NOT NULL CHECK (cardinality(gates) > 0),
    dose_ids       uuid[],
    epoch          bigint      NOT NULL,
    version        bigint      NOT NULL,
    state          text        NOT NULL CHECK (state IN ('RECORDED', 'EFFECTIVE', 'RELEASED')),
    effective_by   text        CHECK (effective_by IN ('NO_PERMIT', 'ACK', 'LAPSE', 'CONSUMED')),
    effective_at   timestamptz,
    on_running     text        NOT NULL CHECK (on_running IN ('stop', 'tell')),
    reporter       text        NOT NULL,
    reason         text,
    evidence       text[]      NOT NULL DEFAULT '{}',
    review_at      timestamptz,
    recorded_at    timestamptz NOT NULL,
    committed_at   timestamptz NOT NULL,
    releaser       text,
    release_reason text,
    released_at    timestamptz,
    CHECK ((kind = 'rule') = (rule IS NOT NULL)),
    CHECK (rule IS NULL OR episode IS NOT NULL),
    CHECK ((state = 'RELEASED') = (releaser IS NOT NULL)),
    CHECK (state <> 'EFFECTIVE' OR effective_by IS NOT NULL),
    CONSTRAINT hold_serious_needs_two CHECK
        (kind NOT IN ('identity', 'recall', 'product', 'consent_withdrawn')
         OR releaser IS DISTINCT FROM reporter)
);
CREATE UNIQUE INDEX hold_one_open_per_episode ON hold (case_id, kind, rule, episode)
    NULLS NOT DISTINCT WHERE episode IS NOT NULL AND state <> 'RELEASED';
CREATE INDEX hold_open ON hold (case_id) WHERE state <> 'RELEASED';
CREATE INDEX hold_recorded ON hold (committed_at) WHERE state = 'RECORDED';

-- One press of start each. `asked_at` and the other times are machine time; the lease is judged by
-- the boot clock. A permit that a restored authority never knew has no lease.
CREATE TABLE permit (
    permit_id       uuid        PRIMARY KEY,
    case_id         uuid        NOT NULL,
    gate            text        NOT NULL,
    holder          text        NOT NULL,
    subject_id      uuid        NOT NULL,
    attempt         int         NOT NULL CHECK (attempt >= 1),
    dose_id         uuid,
    granted_epoch   bigint,
    granted_version bigint,
    boot_id         text,
    granted_boot_ns bigint,
    ttl_ms          int,
    seen_boot_id    text,
    seen_boot_ns    bigint,
    place           text,
    requested_by    text,
    second_checker  text,
    band_scanned    text,
    refusal         jsonb,
    state           text        NOT NULL CHECK (state IN
        ('GRANTED', 'CONSUMED', 'UNDONE', 'LAPSED', 'DENIED')),
    may_start_until timestamptz,
    asked_at        timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    CHECK (state <> 'GRANTED' OR (granted_version IS NOT NULL AND boot_id IS NOT NULL
                                  AND granted_boot_ns IS NOT NULL AND ttl_ms IS NOT NULL)),
    CHECK (state <> 'DENIED' OR refusal IS NOT NULL),
    CONSTRAINT permit_second_checker_is_another CHECK
        (second_checker IS DISTINCT FROM requested_by OR requested_by IS NULL)
);
-- One permit is out at a time. Those CONSUMED are checked by the grant, not by an index: the
-- holder is the referee, and its word is never refused.
CREATE UNIQUE INDEX permit_one_out_per_gate ON permit (case_id, gate) WHERE state = 'GRANTED';
CREATE UNIQUE INDEX permit_one_out_per_attempt ON permit (subject_id, attempt)
    WHERE state = 'GRANTED';
CREATE UNIQUE INDEX permit_one_out_per_dose ON permit (dose_id, gate, attempt)
    WHERE state = 'GRANTED';
CREATE INDEX permit_case ON permit (case_id, asked_at);
CREATE INDEX permit_out ON permit (permit_id) WHERE state = 'GRANTED';
CREATE INDEX permit_subject ON permit (subject_id) WHERE state IN ('GRANTED', 'CONSUMED');
CREATE INDEX permit_dose ON permit (dose_id) WHERE state IN ('GRANTED', 'CONSUMED');

-- What a recorded hold still waits for; permit_id NULL: any word of this holder (after recover).
CREATE TABLE hold_wait (
    hold_id   uuid NOT NULL REFERENCES hold,
    permit_id uuid REFERENCES permit,
    holder    text NOT NULL,
    UNIQUE NULLS NOT DISTINCT (hold_id, permit_id, holder)
);
CREATE INDEX hold_wait_permit ON hold_wait (permit_id);

-- The holders' acknowledgements, per epoch (a restored authority asks again).
CREATE TABLE hold_acknowledgement (
    hold_id         uuid        NOT NULL REFERENCES hold,
    holder          text        NOT NULL,
    epoch           bigint      NOT NULL,
    in_flight       text        NOT NULL CHECK (in_flight IN ('none', 'running', 'stopped')),
    acknowledged_at timestamptz NOT NULL,
    PRIMARY KEY (hold_id, holder, epoch)
);

-- Steps that began without a permit: recorded always, counted apart, never hidden.
CREATE TABLE unpermitted_start (
    start_id   uuid        PRIMARY KEY,
    case_id    uuid        NOT NULL,
    gate       text        NOT NULL,
    holder     text        NOT NULL,
    subject_id uuid        NOT NULL,
    attempt    int         NOT NULL,
    dose_id    uuid,
    place      text,
    since      timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX unpermitted_start_case ON unpermitted_start (case_id) WHERE ended_at IS NULL;

-- The last `recover`; `closed` when its window is over.
CREATE TABLE authority_recovery (
    only_row      boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch         bigint      NOT NULL,
    boot_id       text        NOT NULL,
    since_boot_ns bigint      NOT NULL,
    recovered_at  timestamptz NOT NULL,
    reason        text        NOT NULL,
    actor         text        NOT NULL,
    closed        boolean     NOT NULL
);

-- Pages that a person must get. A row stays OPEN until notification has taken it.
CREATE TABLE hold_page (
    page_id     uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL,
    hold_id     uuid        REFERENCES hold,
    start_id    uuid,
    cause       text        NOT NULL CHECK (cause IN
        ('unacknowledged', 'not_stopped', 'unpermitted_start')),
    state       text        NOT NULL CHECK (state IN ('OPEN', 'TAKEN')),
    by_mail     boolean     NOT NULL DEFAULT false,
    attempts    int         NOT NULL DEFAULT 0,
    raised_at   timestamptz NOT NULL,
    next_try_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (hold_id, start_id, cause)
);
CREATE INDEX hold_page_open ON hold_page (next_try_at) WHERE state = 'OPEN';
