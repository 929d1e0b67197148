-- Manufacturing: from the booked collection to the dose handed out. One row per thing, its state a
-- closed word; what must never happen is refused here too, not only by the domain.

-- The cases that intake has opened, and what of them matters here.
CREATE TABLE known_case (
    case_id              uuid PRIMARY KEY,
    consent_withdrawn_on date,
    closed               boolean NOT NULL DEFAULT false
);

-- The newest published timeline per case and gate: [{from, to, plan, rules}], in order.
CREATE TABLE timeline (
    case_id          uuid   NOT NULL,
    gate             text   NOT NULL,
    epoch            bigint NOT NULL,
    timeline_version bigint NOT NULL,
    intervals        jsonb  NOT NULL,
    PRIMARY KEY (case_id, gate)
);

-- The infusions that infusion scheduling has planned, each of one case for good.
CREATE TABLE planned_infusion (
    infusion_id uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL,
    planned_at  timestamptz NOT NULL
);

CREATE TABLE collection (
    collection_id uuid        PRIMARY KEY,
    case_id       uuid        NOT NULL,
    method        text        NOT NULL CHECK (method IN ('apheresis', 'blood_draw')),
    planned_at    timestamptz NOT NULL,
    slot_id       uuid        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('BOOKED', 'RUNNING', 'DONE', 'CANCELLED')),
    start_id      uuid,
    started_at    timestamptz,
    collected_at  timestamptz,
    container_id  uuid,
    cancelled_at  timestamptz,
    version       bigint      NOT NULL DEFAULT 1,
    UNIQUE (collection_id, case_id),
    CHECK (state NOT IN ('RUNNING', 'DONE') OR (start_id IS NOT NULL AND started_at IS NOT NULL)),
    CHECK (state <> 'DONE' OR (collected_at >= started_at AND container_id IS NOT NULL))
);
CREATE INDEX collection_case ON collection (case_id, collection_id);

-- Capacity: one culture place on one day, taken by at most one collection.
CREATE TABLE slot (
    slot_id       uuid PRIMARY KEY,
    day           date NOT NULL,
    place         text NOT NULL,
    collection_id uuid UNIQUE REFERENCES collection (collection_id) DEFERRABLE INITIALLY DEFERRED,
    UNIQUE (day, place)
);

CREATE TABLE batch (
    batch_id           uuid        PRIMARY KEY,
    case_id            uuid        NOT NULL,
    collection_id      uuid        NOT NULL UNIQUE,
    collected_at       timestamptz NOT NULL,
    received_at        timestamptz NOT NULL,
    state              text        NOT NULL CHECK (state IN
        ('RECEIVED', 'GROWING', 'HARVESTED', 'FORMULATED', 'RELEASED', 'RELEASED_CONDITIONALLY',
         'REJECTED', 'RECALLED')),
    culture_started_at timestamptz,
    culture_start_id   uuid,
    forecast_on        date,
    harvested_at       timestamptz,
    form               text CHECK (form IN ('fresh', 'cryopreserved')),
    formulated_at      timestamptz,
    printed_expiry     timestamptz,
    frozen_on          date,
    expires_at         timestamptz,
    certificate_id     uuid,
    released_at        timestamptz,
    pending            text[],
    ended_at           timestamptz,
    rejected_stage     text,
    evidence_version   bigint NOT NULL DEFAULT 1,
    version            bigint NOT NULL DEFAULT 1,
    UNIQUE (batch_id, case_id),
    FOREIGN KEY (collection_id, case_id) REFERENCES collection (collection_id, case_id),
    CHECK (state NOT IN ('RELEASED', 'RELEASED_CONDITIONALLY')
           OR (certificate_id IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK (state <> 'RELEASED' OR cardinality(pending) = 0),
    CHECK (state <> 'RELEASED_CONDITIONALLY' OR cardinality(pending) > 0)
);
CREATE INDEX batch_case ON batch (case_id, batch_id);

-- Each performance of a step; the people named here may not sign the batch's release.
CREATE TABLE batch_step (
    step_id      uuid        PRIMARY KEY,
    batch_id     uuid        NOT NULL REFERENCES batch (batch_id),
    step         text        NOT NULL CHECK (step IN
        ('receive', 'isolate', 'activate', 'expand', 'harvest', 'formulate', 'freeze')),
    performed_at timestamptz NOT NULL,
    performed_by text        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    voided       boolean     NOT NULL DEFAULT false
);
CREATE INDEX batch_step_batch ON batch_step (batch_id, step_id);

-- In-process measures, as stated. `reading` keeps the text when it could not be read.
CREATE TABLE measure (
    measure_id  uuid        PRIMARY KEY,
    batch_id    uuid        NOT NULL REFERENCES batch (batch_id),
    metric      text        NOT NULL,
    reading     text        NOT NULL,
    unit        text,
    measured_at timestamptz NOT NULL,
    measured_by text        NOT NULL
);
CREATE INDEX measure_batch ON measure (batch_id, measure_id);

CREATE TABLE deviation (
    deviation_id uuid        PRIMARY KEY,
    case_id      uuid        NOT NULL,
    batch_id     uuid,
    kind         text        NOT NULL,
    opened_at    timestamptz NOT NULL,
    opened_by    text        NOT NULL,
    closed_at    timestamptz,
    closed_by    text,
    conclusion   text,
    FOREIGN KEY (batch_id, case_id) REFERENCES batch (batch_id, case_id),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CONSTRAINT deviation_closed_by_another CHECK (closed_by IS NULL OR closed_by <> opened_by)
);
CREATE INDEX deviation_batch ON deviation (batch_id);

-- Release tests, as stated; rows are only ever added.
CREATE TABLE qc_result (
    result_id    uuid        PRIMARY KEY,
    batch_id     uuid        NOT NULL REFERENCES batch (batch_id),
    rule         text        NOT NULL,
    test         text        NOT NULL,
    reading      text        NOT NULL,
    unit         text,
    status       text        NOT NULL CHECK (status IN ('preliminary', 'final')),
    verdict      text        NOT NULL CHECK (verdict IN ('pass', 'review', 'unknown', 'fail')),
    doubt        text,
    reported_at  timestamptz NOT NULL,
    recorded_by  text        NOT NULL,
    retest_of    uuid        REFERENCES qc_result (result_id),
    deviation_id uuid        REFERENCES deviation (deviation_id),
    CHECK ((verdict = 'unknown') = (doubt IS NOT NULL)),
    CHECK (retest_of IS NULL OR deviation_id IS NOT NULL)
);
CREATE INDEX qc_result_batch ON qc_result (batch_id, result_id);

-- Signatures, each over one version of the evidence.
CREATE TABLE release_signature (
    batch_id         uuid        NOT NULL REFERENCES batch (batch_id),
    evidence_version bigint      NOT NULL,
    subject          text        NOT NULL,
    name             text        NOT NULL,
    roles            text[]      NOT NULL,
    meaning          text        NOT NULL
                     CHECK (meaning IN ('batch_record_reviewed', 'approved_for_use')),
    reviews_accepted text[]      NOT NULL,
    signed_at        timestamptz NOT NULL,
    PRIMARY KEY (batch_id, evidence_version, subject)
);

-- Certificates: one row per release, with its two different signers.
CREATE TABLE certificate (
    certificate_id   uuid        PRIMARY KEY,
    batch_id         uuid        NOT NULL,
    evidence_version bigint      NOT NULL,
    first_signer     text        NOT NULL,
    second_signer    text        NOT NULL,
    conditional      boolean     NOT NULL,
    protocol_version text        NOT NULL,
    released_at      timestamptz NOT NULL,
    FOREIGN KEY (batch_id, evidence_version, first_signer)
        REFERENCES release_signature (batch_id, evidence_version, subject),
    FOREIGN KEY (batch_id, evidence_version, second_signer)
        REFERENCES release_signature (batch_id, evidence_version, subject),
    CONSTRAINT certificate_two_signers CHECK (first_signer <> second_signer)
);
ALTER TABLE batch ADD FOREIGN KEY (certificate_id) REFERENCES certificate (certificate_id);

-- Nobody signs a batch that they worked on (a check constraint cannot look into another table).
CREATE FUNCTION signer_is_no_operator() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM batch_step
               WHERE batch_id = NEW.batch_id AND performed_by = NEW.subject) THEN
        RAISE EXCEPTION 'the signer worked on this batch'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'signer_is_no_operator';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signer_is_no_operator BEFORE INSERT OR UPDATE ON release_signature
    FOR EACH ROW EXECUTE FUNCTION signer_is_no_operator();

-- A decision about the batch ends its life: nothing leaves REJECTED or RECALLED.
CREATE FUNCTION batch_end_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('REJECTED', 'RECALLED') AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'the batch was decided'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'batch_end_is_final';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batch_end_is_final BEFORE UPDATE ON batch
    FOR EACH ROW EXECUTE FUNCTION batch_end_is_final();

-- A dose belongs to its batch's case for good (the foreign key spans both columns).
CREATE TABLE dose (
    dose_id       uuid        PRIMARY KEY,
    batch_id      uuid        NOT NULL,
    case_id       uuid        NOT NULL,
    container_id  uuid        NOT NULL UNIQUE,
    number        int         NOT NULL CHECK (number >= 1),
    form          text        NOT NULL CHECK (form IN ('fresh', 'cryopreserved')),
    formulated_at timestamptz NOT NULL,
    expires_at    timestamptz,
    state         text        NOT NULL CHECK (state IN
        ('QUARANTINED', 'AVAILABLE', 'THAWED', 'ISSUED', 'RUNNING', 'GIVEN', 'BLOCKED', 'RECALLED',
         'RETURNED', 'DISCARDED')),
    bound_to      uuid,
    start_id      uuid,
    thawed_at     timestamptz,
    issued_at     timestamptz,
    usable_until  timestamptz,
    began_at      timestamptz,
    completed_at  timestamptz,
    hold_id       uuid,
    purpose       text CHECK (purpose IN ('recall', 'revoke', 'discard', 'return', 'custody', 'identity')),
    discarded_for text,
    version       bigint      NOT NULL DEFAULT 1,
    UNIQUE (dose_id, case_id),
    UNIQUE (batch_id, number),
    FOREIGN KEY (batch_id, case_id) REFERENCES batch (batch_id, case_id),
    CHECK (state <> 'AVAILABLE' OR expires_at IS NOT NULL),
    CHECK (state NOT IN ('THAWED', 'ISSUED') OR (bound_to IS NOT NULL AND start_id IS NOT NULL
                                                 AND usable_until IS NOT NULL)),
    CHECK (state NOT IN ('BLOCKED', 'RECALLED', 'RETURNED') OR hold_id IS NOT NULL),
    CONSTRAINT dose_issued_unexpired CHECK (state <> 'ISSUED' OR issued_at < usable_until)
);
CREATE INDEX dose_infusion ON dose (bound_to) WHERE bound_to IS NOT NULL;

-- Hand-outs (or thaws) under a permit: at most one that stands per dose, to its own case.
CREATE TABLE dose_issue (
    start_id    uuid        PRIMARY KEY,
    permit_id   uuid        NOT NULL UNIQUE,
    dose_id     uuid        NOT NULL,
    case_id     uuid        NOT NULL,
    infusion_id uuid        NOT NULL,
    attempt     int         NOT NULL CHECK (attempt >= 1),
    issued_at   timestamptz NOT NULL,
    undone_at   timestamptz,
    FOREIGN KEY (dose_id, case_id) REFERENCES dose (dose_id, case_id)
);
CREATE UNIQUE INDEX dose_issued_once ON dose_issue (dose_id) WHERE undone_at IS NULL;

-- A dose is bound to one infusion for good.
CREATE FUNCTION dose_keeps_its_infusion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.bound_to IS NOT NULL AND NEW.bound_to IS DISTINCT FROM OLD.bound_to THEN
        RAISE EXCEPTION 'the dose is bound to another infusion'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dose_keeps_its_infusion';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dose_keeps_its_infusion BEFORE UPDATE ON dose
    FOR EACH ROW EXECUTE FUNCTION dose_keeps_its_infusion();

-- Labelled containers: each belongs to one case, whatever becomes of it.
CREATE TABLE container (
    container_id  uuid        PRIMARY KEY,
    case_id       uuid        NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('material', 'dose')),
    collection_id uuid        NOT NULL,
    dose_id       uuid        UNIQUE,
    labelled_at   timestamptz NOT NULL,
    labelled_by   text        NOT NULL,
    FOREIGN KEY (collection_id, case_id) REFERENCES collection (collection_id, case_id),
    CHECK ((kind = 'dose') = (dose_id IS NOT NULL))
);
CREATE UNIQUE INDEX container_material ON container (collection_id) WHERE kind = 'material';

-- Every scan that a step asked for, matched or not. The scanned text is kept as it was read.
CREATE TABLE scan (
    scan_id     uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL,
    expected    uuid        NOT NULL,
    step        text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('match', 'mismatch', 'unreadable')),
    read_as     uuid,
    scanned_at  timestamptz NOT NULL,
    scanned_by  text        NOT NULL
);

-- The chain of custody, link by link.
CREATE TABLE handover (
    handover_id    uuid        PRIMARY KEY,
    container_id   uuid        NOT NULL REFERENCES container (container_id),
    giver          text        NOT NULL,
    receiver       text        NOT NULL,
    place          text        NOT NULL,
    condition      text        NOT NULL
                   CHECK (condition IN ('intact', 'damaged', 'out_of_temperature')),
    handed_over_at timestamptz NOT NULL,
    CONSTRAINT handover_two_people CHECK (giver <> receiver)
);
CREATE INDEX handover_container ON handover (container_id, handover_id);

-- Holds ordered at the authority; a row without on_record_at is sent again until it is there.
CREATE TABLE hold_order (
    hold_id      uuid        PRIMARY KEY,
    case_id      uuid        NOT NULL,
    purpose      text        NOT NULL
                 CHECK (purpose IN ('recall', 'revoke', 'discard', 'return', 'custody', 'identity')),
    dose_ids     uuid[],
    cause        text,
    reporter     text        NOT NULL,
    batch_id     uuid,
    deviation_id uuid,
    step         text,
    requested_at timestamptz NOT NULL,
    on_record_at timestamptz,
    effective    boolean,
    CHECK ((on_record_at IS NULL) = (effective IS NULL))
);
CREATE INDEX hold_order_waiting ON hold_order (hold_id) WHERE on_record_at IS NULL;
CREATE UNIQUE INDEX hold_order_one_recall ON hold_order (batch_id) WHERE purpose = 'recall';

-- MFG-006: a fresh product that expires before its infusion can be given.
CREATE TABLE expiry_question (
    question_id   uuid        PRIMARY KEY,
    case_id       uuid        NOT NULL,
    batch_id      uuid        NOT NULL REFERENCES batch (batch_id),
    expires_at    timestamptz NOT NULL,
    feasible_from timestamptz,
    asked_at      timestamptz NOT NULL,
    answer        text CHECK (answer IN ('freeze', 'keep', 'withdrawn')),
    answered_by   text,
    answered_at   timestamptz
);
CREATE UNIQUE INDEX expiry_question_open ON expiry_question (batch_id) WHERE answer IS NULL;

-- Statements for the coordination record that intake has not taken yet: a queue.
CREATE TABLE report (
    report_id uuid        PRIMARY KEY,
    case_id   uuid        NOT NULL,
    statement jsonb       NOT NULL,
    added_at  timestamptz NOT NULL
);
CREATE INDEX report_case ON report (case_id, report_id);
