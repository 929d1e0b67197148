-- The coordination record: cases, who the patient is, facts, decisions, timelines, products.

CREATE TABLE patient_case (
    case_id     uuid PRIMARY KEY,
    site        text,
    status      text NOT NULL CHECK (status IN ('open', 'closed')),
    alias       text NOT NULL UNIQUE,
    opened_at   timestamptz NOT NULL,
    closed_at   timestamptz,
    import_keys text[] NOT NULL DEFAULT '{}'
);

-- Who the patient is. The only table with names; nothing of it leaves this database by event.
CREATE TABLE identity (
    case_id     uuid PRIMARY KEY REFERENCES patient_case,
    family_name text,
    given_names text,
    birth_date  date
);
CREATE TABLE identifier (
    system  text NOT NULL,
    value   text NOT NULL,
    case_id uuid NOT NULL REFERENCES patient_case,
    PRIMARY KEY (system, value)
);

-- Append-only and bitemporal. `statement` is the fact in the form of the --facts files; a correction
-- is a row of its own, and (source_id, source_version) makes a second arrival a no-op.
CREATE TABLE fact (
    fact_id        uuid PRIMARY KEY,
    case_id        uuid NOT NULL REFERENCES patient_case,
    ordinal        bigserial,
    source_id      text NOT NULL,
    source_version text NOT NULL,
    kind           text NOT NULL,
    statement      jsonb NOT NULL,
    recorded_at    timestamptz NOT NULL,
    origin         text NOT NULL CHECK (origin IN ('imported', 'entered', 'event')),
    reporter       text NOT NULL,
    UNIQUE (case_id, source_id, source_version)
);
CREATE INDEX fact_case ON fact (case_id, ordinal);

-- Every decision that was acted on, byte for byte as it was given.
CREATE TABLE decision (
    decision_id      uuid PRIMARY KEY,
    case_id          uuid NOT NULL REFERENCES patient_case,
    gate             text NOT NULL,
    decided_at       timestamptz NOT NULL,
    recorded_at      timestamptz NOT NULL,
    last_ordinal     bigint NOT NULL,
    protocol_version text NOT NULL,
    verdict          text NOT NULL,
    body             text NOT NULL
);
CREATE INDEX decision_case ON decision (case_id, gate, decided_at DESC);

-- The latest published timeline of each gate, and when time alone will change it.
CREATE TABLE timeline (
    case_id          uuid NOT NULL REFERENCES patient_case,
    gate             text NOT NULL,
    timeline_version int NOT NULL,
    body             jsonb NOT NULL,
    verdict          text NOT NULL,
    blocking         jsonb NOT NULL,
    next_boundary    timestamptz,
    PRIMARY KEY (case_id, gate)
);
CREATE INDEX timeline_due ON timeline (next_boundary) WHERE next_boundary IS NOT NULL;

-- What manufacturing said of each dose: certificate, issue, return. The grant asks this.
CREATE TABLE product (
    dose_id        uuid PRIMARY KEY,
    case_id        uuid NOT NULL,
    batch_id       uuid NOT NULL,
    certificate_id uuid,
    state          text NOT NULL,
    form           text,
    formulated_at  timestamptz,
    expires_at     timestamptz,
    thawed_at      timestamptz,
    usable_until   timestamptz,
    issue_permit   uuid,
    issued_for     uuid
);
CREATE INDEX product_case ON product (case_id);

-- A physician's signed eligibility decision, apart from the engine's advice.
CREATE TABLE eligibility (
    eligibility_id uuid PRIMARY KEY,
    case_id        uuid NOT NULL REFERENCES patient_case,
    outcome        text NOT NULL,
    advice         text NOT NULL,
    reevaluate_on  date,
    reason         text,
    signer         text NOT NULL,
    signed_at      timestamptz NOT NULL
);
