-- CDS Hooks: the planned collections that cards tell of, and what clinicians said of the cards.

-- Planned infusions are facts; a booked collection is none before it is done.
CREATE TABLE planned_collection (
    collection_id uuid PRIMARY KEY,
    case_id       uuid NOT NULL,
    planned_on    date NOT NULL
);
CREATE INDEX planned_collection_case ON planned_collection (case_id);

-- Cards are not kept: the audit of the showing names them. The same word on the same card by the
-- same system at the same time is one row, however often it is sent.
CREATE TABLE cds_feedback (
    card_id      uuid NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('accepted', 'overridden')),
    outcome_at   timestamptz NOT NULL,
    reporter     text NOT NULL,
    service_id   text NOT NULL,
    reason_system text,
    reason_code  text,
    user_comment text,
    suggestions  text[] NOT NULL DEFAULT '{}',
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (card_id, outcome, outcome_at, reporter)
);
