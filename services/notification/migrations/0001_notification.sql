-- Alerts and what became of them. Each table is written under the lock of the alert's case row.

-- One row per cause; closed ones stay on record.
CREATE TABLE alert (
    alert_id     uuid PRIMARY KEY,
    case_id      uuid NOT NULL,
    version      int NOT NULL CHECK (version >= 1),
    state        text NOT NULL CHECK (state IN ('open', 'acknowledged', 'overridden', 'closed')),
    level        text NOT NULL CHECK (level IN ('L1', 'L2', 'L3', 'L4')),
    leading_kind text NOT NULL,
    roles        text[] NOT NULL,
    told_level   text NOT NULL,
    told_roles   text[] NOT NULL,
    unreachable  text[] NOT NULL DEFAULT '{}',
    fallback     boolean NOT NULL DEFAULT false,
    raised_at    timestamptz NOT NULL,
    opened_at    timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    close_reason text CHECK (close_reason IN ('hold_released', 'cause_gone', 'superseded')),
    closed_at    timestamptz,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL AND close_reason IS NOT NULL))
);
CREATE INDEX alert_case ON alert (case_id);
CREATE INDEX alert_page ON alert (raised_at DESC, alert_id DESC);

-- What an alert is made of: each subject once per alert.
CREATE TABLE evidence (
    alert_id    uuid NOT NULL REFERENCES alert,
    subject     text NOT NULL,
    case_id     uuid NOT NULL,
    kind        text NOT NULL,
    chain       uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    keys        text[] NOT NULL,
    level       text,
    lasts_until text,
    resolves    text,
    detail      jsonb NOT NULL,
    event_id    uuid,
    source      text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (alert_id, subject)
);
CREATE INDEX evidence_case ON evidence (case_id, subject);
-- News that ends something may join several alerts; any other subject lives in one alert only.
CREATE UNIQUE INDEX evidence_once ON evidence (case_id, subject) WHERE resolves IS NULL;

-- Who answered which version. The first answer of a version counts.
CREATE TABLE answer (
    alert_id      uuid NOT NULL REFERENCES alert,
    alert_version int NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('acknowledged', 'overridden')),
    subject       text NOT NULL,
    name          text NOT NULL,
    role          text NOT NULL,
    reason        text,
    note          text,
    answered_at   timestamptz NOT NULL,
    PRIMARY KEY (alert_id, alert_version)
);

-- The durable timer: what is due when, and that it fired once.
CREATE TABLE escalation (
    alert_id      uuid NOT NULL REFERENCES alert,
    alert_version int NOT NULL,
    step          int NOT NULL CHECK (step >= 1),
    due_at        timestamptz NOT NULL,
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'fired', 'stopped')),
    fired_at      timestamptz,
    PRIMARY KEY (alert_id, alert_version, step)
);
CREATE INDEX escalation_due ON escalation (due_at) WHERE state = 'pending';

-- One message per alert version, step and channel. Written before the message leaves (claim) and
-- after it left (sent): see docs/architecture/notification.md for what a crash in between can do.
CREATE TABLE delivery (
    delivery_id   uuid PRIMARY KEY,
    alert_id      uuid NOT NULL REFERENCES alert,
    case_id       uuid NOT NULL,
    alert_version int NOT NULL,
    step          int NOT NULL CHECK (step >= 0),
    channel       text NOT NULL CHECK (channel IN ('email', 'in_app')),
    urgency       text NOT NULL,
    people        jsonb NOT NULL,
    remaining     text[] NOT NULL,
    state         text NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'failed', 'dropped')),
    attempt       int NOT NULL DEFAULT 0,
    queued_at     timestamptz NOT NULL,
    due_at        timestamptz NOT NULL,
    claimed_until timestamptz,
    finished_at   timestamptz,
    outcome       text,
    UNIQUE (alert_id, alert_version, step, channel)
);
CREATE INDEX delivery_due ON delivery (due_at) WHERE state IN ('queued', 'sending');

-- Who is on duty for a role: for one case, or (case_id NULL) for all.
CREATE TABLE roster_entry (
    entry_id  uuid PRIMARY KEY,
    role      text NOT NULL,
    subject   text NOT NULL,
    name      text NOT NULL,
    email     text NOT NULL,
    case_id   uuid,
    starts_at timestamptz NOT NULL,
    ends_at   timestamptz CHECK (ends_at IS NULL OR ends_at >= starts_at)
);
CREATE INDEX roster_role ON roster_entry (role);

-- The feed of changes for people who watch. `xid` orders by commit: readers take only rows whose
-- transaction is older than every running one, so that no row appears below a reader's mark.
CREATE TABLE alert_change (
    seq        bigserial PRIMARY KEY,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    alert_id   uuid NOT NULL REFERENCES alert,
    what       text NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX alert_change_order ON alert_change (xid, seq);

-- The dead-man's state per source: since when its heartbeats are missing (NULL: they come).
CREATE TABLE stream_watch (
    source       text PRIMARY KEY,
    last_seen_at timestamptz NOT NULL,
    broken_since timestamptz
);
