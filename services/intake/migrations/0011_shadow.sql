-- Shadow mode: what a press of start would have been answered. No row here is a permit, and no
-- permit is ever made of one.
CREATE TABLE permit_advice (
    permit_id        uuid        PRIMARY KEY,
    case_id          uuid        NOT NULL,
    gate             text        NOT NULL,
    holder           text        NOT NULL,
    subject_id       uuid        NOT NULL,
    attempt          int         NOT NULL CHECK (attempt >= 1),
    dose_id          uuid,
    requested_by     text        NOT NULL,
    epoch            bigint      NOT NULL,
    version          bigint      NOT NULL,
    would_be         text        NOT NULL CHECK (would_be IN ('granted', 'refused')),
    reasons          jsonb       NOT NULL,
    protocol_version text        NOT NULL,
    asked_at         timestamptz NOT NULL,
    CHECK ((would_be = 'granted') = (jsonb_array_length(reasons) = 0))
);
CREATE INDEX permit_advice_day ON permit_advice (asked_at, permit_id);
CREATE INDEX hold_day ON hold (recorded_at, hold_id);
