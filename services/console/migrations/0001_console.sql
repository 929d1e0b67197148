-- Read models of all four topics, and the sessions of who looks at them. Everything but the sessions
-- can be dropped and built again from offset 0 with equal rows.
--
-- Each row is written from one topic only, so that the order in which topics are read does not
-- matter; (epoch, sequence) of the last event applied guards it against an older one.

-- Every event once: what it says in codes and ids, never a clinical value.
CREATE TABLE event_log (
    event_id       uuid PRIMARY KEY,
    case_id        uuid NOT NULL,
    type           text NOT NULL,
    source         text NOT NULL,
    topic          text NOT NULL,
    partition      int NOT NULL,
    "offset"       bigint NOT NULL,
    epoch          bigint NOT NULL,
    sequence       bigint,
    occurred_at    timestamptz NOT NULL,
    sent_at        timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id   uuid,
    trace_id       text,
    safety         boolean NOT NULL,
    detail         jsonb NOT NULL
);
CREATE INDEX event_log_case ON event_log (case_id, sent_at);
CREATE INDEX event_log_newest ON event_log (sent_at DESC, event_id);
CREATE INDEX event_log_chain ON event_log (correlation_id);
CREATE INDEX event_log_place ON event_log (topic, partition, "offset");

-- One row per case that any service has spoken of.
CREATE TABLE case_card (
    case_id          uuid PRIMARY KEY,
    code             text NOT NULL,
    first_event_at   timestamptz NOT NULL,
    last_event_at    timestamptz NOT NULL,
    opened_at        timestamptz,
    closed_at        timestamptz,
    close_reason     text,
    protocol_version text
);
CREATE INDEX case_card_code ON case_card (code);

CREATE TABLE hold (
    hold_id        uuid PRIMARY KEY,
    case_id        uuid NOT NULL,
    kind           text,
    rule           text,
    gates          text[] NOT NULL,
    doses          int,
    on_running     text NOT NULL,
    version        bigint NOT NULL,
    recorded_at    timestamptz NOT NULL,
    effective_at   timestamptz,
    effective_by   text,
    expected_until timestamptz,
    overdue        text[] NOT NULL DEFAULT '{}',
    released_at    timestamptz
);
CREATE INDEX hold_open ON hold (case_id) WHERE released_at IS NULL;

-- Which holder has fenced its steps against a hold.
CREATE TABLE hold_ack (
    hold_id         uuid NOT NULL,
    holder          text NOT NULL,
    in_flight       text NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    PRIMARY KEY (hold_id, holder)
);

-- The newest published timeline of each gate, and its intervals.
CREATE TABLE gate_timeline (
    case_id          uuid NOT NULL,
    gate             text NOT NULL,
    epoch            bigint NOT NULL,
    version          bigint NOT NULL,
    timeline_version bigint NOT NULL,
    protocol_version text NOT NULL,
    published_at     timestamptz NOT NULL,
    PRIMARY KEY (case_id, gate)
);
CREATE TABLE gate_interval (
    case_id   uuid NOT NULL,
    gate      text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at   timestamptz NOT NULL,
    start     text NOT NULL,
    plan      text NOT NULL,
    rules     text[] NOT NULL,
    due       jsonb NOT NULL,
    PRIMARY KEY (case_id, gate, starts_at)
);

CREATE TABLE permit (
    permit_id  uuid PRIMARY KEY,
    case_id    uuid NOT NULL,
    gate       text NOT NULL,
    holder     text NOT NULL,
    subject_id uuid NOT NULL,
    state      text NOT NULL,
    granted_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX permit_case ON permit (case_id);

CREATE TABLE infusion (
    infusion_id   uuid PRIMARY KEY,
    case_id       uuid NOT NULL,
    course_id     uuid,
    number        int,
    planned_at    timestamptz,
    state         text NOT NULL,
    state_since   timestamptz NOT NULL,
    cause         text,
    rules         text[] NOT NULL DEFAULT '{}',
    hold_id       uuid,
    refused_at    timestamptz,
    refused_codes text[] NOT NULL DEFAULT '{}',
    refused_rules text[] NOT NULL DEFAULT '{}',
    epoch         bigint NOT NULL,
    sequence      bigint NOT NULL
);
CREATE INDEX infusion_case ON infusion (case_id);

CREATE TABLE proposal (
    proposal_id uuid PRIMARY KEY,
    case_id     uuid NOT NULL,
    course_id   uuid NOT NULL,
    moved       int NOT NULL,
    impossible  int NOT NULL,
    proposed_at timestamptz NOT NULL,
    ended_at    timestamptz
);
CREATE INDEX proposal_open ON proposal (case_id) WHERE ended_at IS NULL;

CREATE TABLE batch (
    batch_id    uuid PRIMARY KEY,
    case_id     uuid NOT NULL,
    state       text NOT NULL,
    state_since timestamptz NOT NULL,
    forecast_on date,
    expires_at  timestamptz,
    form        text,
    doses       int NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL,
    sequence    bigint NOT NULL
);
CREATE INDEX batch_case ON batch (case_id);

CREATE TABLE alert (
    alert_id        uuid PRIMARY KEY,
    case_id         uuid NOT NULL,
    cause           text NOT NULL,
    urgency         text NOT NULL,
    roles           text[] NOT NULL,
    version         int NOT NULL,
    state           text NOT NULL CHECK (state IN ('open', 'acknowledged', 'overridden', 'closed')),
    raised_at       timestamptz NOT NULL,
    ack_due_at      timestamptz,
    acknowledged_at timestamptz,
    escalation_step int NOT NULL DEFAULT 0,
    delivered_by    text[] NOT NULL DEFAULT '{}',
    failed_by       text[] NOT NULL DEFAULT '{}',
    closed_at       timestamptz,
    close_reason    text,
    epoch           bigint NOT NULL,
    sequence        bigint NOT NULL
);
CREATE INDEX alert_open ON alert (case_id) WHERE state <> 'closed';

-- Cases that another service has put aside (the console's own stand in parked_case).
CREATE TABLE parking (
    event_id        uuid PRIMARY KEY,
    case_id         uuid NOT NULL,
    consumer        text NOT NULL,
    parked_source   text NOT NULL,
    parked_sequence bigint,
    parked_at       timestamptz NOT NULL,
    unparked_at     timestamptz
);
CREATE INDEX parking_open ON parking (case_id) WHERE unparked_at IS NULL;

-- What waits for somebody, one row per thing: urgency 3 critical, 2 warning, 1 information.
CREATE VIEW open_item AS
    SELECT case_id, 3 AS urgency, 'parked' AS kind, consumer AS what, parked_at AS since,
           NULL::timestamptz AS due_at, ARRAY['ops'] AS owners
    FROM parking WHERE unparked_at IS NULL
UNION ALL
    SELECT case_id, 3, 'parked', consumer, parked_at, NULL, ARRAY['ops'] FROM parked_case
UNION ALL
    SELECT case_id, CASE WHEN effective_at IS NULL THEN 3 ELSE 2 END,
           CASE WHEN effective_at IS NULL THEN 'hold-recorded' ELSE 'hold' END,
           coalesce(rule, kind, 'hold'), recorded_at, NULL, '{}'::text[]
    FROM hold WHERE released_at IS NULL
UNION ALL
    SELECT case_id,
           CASE WHEN state <> 'open' THEN 1
                WHEN urgency = 'critical' THEN 3 WHEN urgency = 'warning' THEN 2 ELSE 1 END,
           CASE WHEN state = 'open' THEN 'alert' ELSE 'alert-acknowledged' END,
           cause, raised_at, CASE WHEN state = 'open' THEN ack_due_at END, roles
    FROM alert WHERE state <> 'closed'
UNION ALL
    SELECT case_id, 2, 'suspended', 'infusion ' || number, state_since, planned_at,
           ARRAY['coordinator']
    FROM infusion WHERE state = 'suspended'
UNION ALL
    SELECT case_id, 2, 'proposal', moved || ' moved', proposed_at, NULL, ARRAY['coordinator']
    FROM proposal WHERE ended_at IS NULL;

-- Who is signed in. The session's id is in the browser's cookie alone: here is its digest, and the
-- access token sealed with a key made from it.
CREATE TABLE session (
    session_hash bytea PRIMARY KEY,
    sealed_token text NOT NULL,
    ends_at      timestamptz NOT NULL
);
CREATE INDEX session_end ON session (ends_at);

-- A sign-in that is under way, for some minutes; the browser's cookie proves that it began it.
CREATE TABLE sign_in (
    attempt_hash bytea PRIMARY KEY,
    state        text NOT NULL,
    nonce        text NOT NULL,
    verifier     text NOT NULL,
    path         text NOT NULL,
    ends_at      timestamptz NOT NULL
);
