-- Merges, unmerges and conflicts of patients' records, until people have decided them; and the
-- question whether two cases are one person.

-- The case that a retired case was merged into.
ALTER TABLE patient_case ADD COLUMN merged_into uuid REFERENCES patient_case;

-- `retired_keys` are identifiers that point to the surviving case once the change is confirmed, as
-- [system, value]; `moved` are those that did. Identifiers leave this table as little as names do.
CREATE TABLE identity_change (
    change_id      uuid PRIMARY KEY,
    kind           text        NOT NULL CHECK (kind IN ('merge', 'unmerge', 'conflict')),
    state          text        NOT NULL CHECK (state IN ('PENDING', 'CONFIRMED', 'DECLINED')),
    case_ids       uuid[]      NOT NULL CHECK (cardinality(case_ids) > 0),
    surviving_case uuid        REFERENCES patient_case,
    retired_case   uuid        REFERENCES patient_case,
    retired_keys   jsonb       NOT NULL,
    moved          jsonb       NOT NULL DEFAULT '[]',
    source         text        NOT NULL,
    reason         text,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    proposer       text        NOT NULL,
    first_signer   text,
    second_signer  text,
    checked        text[],
    decided_at     timestamptz,
    CHECK ((state = 'PENDING') = (decided_at IS NULL)),
    CONSTRAINT identity_change_needs_two CHECK
        (state = 'PENDING' OR (first_signer <> second_signer AND first_signer <> proposer)),
    CHECK (kind = 'conflict' OR surviving_case IS NOT NULL OR retired_case IS NOT NULL)
);
CREATE UNIQUE INDEX identity_change_one_open ON identity_change
    (kind, surviving_case, retired_case, case_ids, retired_keys) NULLS NOT DISTINCT
    WHERE state = 'PENDING';
CREATE INDEX identity_change_recorded ON identity_change (recorded_at, change_id);

-- Where a fact of the surviving case comes from.
CREATE TABLE fact_provenance (
    fact_id      uuid PRIMARY KEY REFERENCES fact,
    from_fact_id uuid NOT NULL REFERENCES fact,
    change_id    uuid NOT NULL REFERENCES identity_change
);
CREATE INDEX fact_provenance_change ON fact_provenance (change_id);

-- Whether two cases may be one person. They hold nothing: twins must not block one another.
CREATE TABLE identity_question (
    question_id uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL REFERENCES patient_case,
    other_case  uuid        NOT NULL REFERENCES patient_case,
    asked_at    timestamptz NOT NULL,
    answer      text        CHECK (answer IN ('same', 'different')),
    answered_by text,
    answered_at timestamptz,
    UNIQUE (case_id, other_case),
    CHECK ((answer IS NULL) = (answered_by IS NULL))
);
CREATE INDEX identity_birth_date ON identity (birth_date) WHERE birth_date IS NOT NULL;
