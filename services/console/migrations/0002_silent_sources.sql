-- What was said last of each source of a case's evidence: silent since then, or (NULL) heard again.
CREATE TABLE silent_source (
    case_id     uuid        NOT NULL,
    source_name text        NOT NULL,
    feed        text        NOT NULL,
    since       timestamptz,
    sequence    bigint      NOT NULL,
    PRIMARY KEY (case_id, source_name)
);
