-- Feeds: what other systems send by HL7 v2, by message or by file.

-- Which messages were answered, and how: the same message is answered the same way again. Of a
-- patient who is not one here nothing else is kept.
CREATE TABLE feed_message (
    feed        text        NOT NULL,
    control_id  text        NOT NULL,
    digest      text        NOT NULL,
    received_at timestamptz NOT NULL,
    case_id     uuid,
    answer      text        NOT NULL CHECK (answer IN ('AA', 'AE')),
    outcome     text        NOT NULL,
    PRIMARY KEY (feed, control_id, digest)
);

-- When a feed was last heard, and how many of its messages were of people unknown here.
CREATE TABLE feeds (
    name             text        PRIMARY KEY,
    heard_at         timestamptz NOT NULL,
    unknown_patients bigint      NOT NULL DEFAULT 0
);

-- Messages of known patients that could not be read, or only in part, with their bytes: a person
-- looks at each. The bytes go when it is settled.
CREATE TABLE feed_quarantine (
    quarantine_id uuid        PRIMARY KEY,
    feed          text        NOT NULL,
    control_id    text        NOT NULL,
    digest        text        NOT NULL,
    case_id       uuid,
    message_kind  text        NOT NULL,
    code          text        NOT NULL,
    place         text        NOT NULL,
    received_at   timestamptz NOT NULL,
    raw           bytea,
    state         text        NOT NULL DEFAULT 'waiting'
                  CHECK (state IN ('waiting', 'read', 'discarded')),
    settled_at    timestamptz,
    settled_by    text,
    reason        text,
    CHECK ((state = 'waiting') = (raw IS NOT NULL))
);
CREATE UNIQUE INDEX feed_quarantine_once ON feed_quarantine (feed, digest) WHERE state = 'waiting';
