-- Forms that people fill in: each version of an entry, and the sources of the facts that it made.
-- Append-only; the newest version counts, and `withdrawn` says that it makes no facts any more.
CREATE TABLE entry_version (
    entry_id   uuid NOT NULL,
    version    int NOT NULL CHECK (version > 0),
    case_id    uuid NOT NULL REFERENCES patient_case,
    form       text NOT NULL,
    body       jsonb NOT NULL,
    sources    text[] NOT NULL,
    withdrawn  boolean NOT NULL,
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL,
    PRIMARY KEY (entry_id, version)
);
CREATE INDEX entry_version_case ON entry_version (case_id, entry_id, version);

-- Which document explains which topics; of a topic's documents the one published last is current.
CREATE TABLE information_document (
    document     text NOT NULL,
    version      int NOT NULL CHECK (version > 0),
    topics       text[] NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL,
    ordinal      bigserial,
    PRIMARY KEY (document, version)
);

-- Who explained which topic to the patient, when, from which document, in which language.
CREATE TABLE explanation (
    explanation_id uuid PRIMARY KEY,
    case_id        uuid NOT NULL REFERENCES patient_case,
    topic          text NOT NULL,
    document       text NOT NULL,
    version        int NOT NULL,
    language       text NOT NULL,
    explained_by   text NOT NULL,
    explained_at   timestamptz NOT NULL,
    ordinal        bigserial,
    FOREIGN KEY (document, version) REFERENCES information_document
);
CREATE INDEX explanation_case ON explanation (case_id, ordinal);

-- The patient's questions with their answers; no question text: a physician states there are none.
-- Clinical content: it leaves this database only to people who may read the case.
CREATE TABLE patient_question (
    question_id uuid PRIMARY KEY,
    case_id     uuid NOT NULL REFERENCES patient_case,
    question    text,
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL,
    answer      text,
    answered_by text,
    answered_at timestamptz
);
CREATE INDEX patient_question_case ON patient_question (case_id, recorded_at);

-- Signed consents with the explanations that each rests on. A withdrawal is a fact and a hold.
CREATE TABLE consent (
    consent_id  uuid PRIMARY KEY,
    case_id     uuid NOT NULL REFERENCES patient_case,
    document    text NOT NULL,
    version     int NOT NULL CHECK (version > 0),
    language    text NOT NULL,
    signed_on   date NOT NULL,
    taken_by    text NOT NULL,
    recorded_at timestamptz NOT NULL,
    rests_on    jsonb NOT NULL
);
CREATE INDEX consent_case ON consent (case_id, recorded_at);

-- Red-flag cards that were handed over.
CREATE TABLE card_handover (
    handover_id    uuid PRIMARY KEY,
    case_id        uuid NOT NULL REFERENCES patient_case,
    template       text NOT NULL,
    version        int NOT NULL,
    language       text NOT NULL,
    given_to       text NOT NULL CHECK (given_to IN ('patient', 'caregiver')),
    handed_over_by text NOT NULL,
    handed_over_at timestamptz NOT NULL
);
CREATE INDEX card_handover_case ON card_handover (case_id, handed_over_at);
