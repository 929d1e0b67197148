-- Every rulebook that ever decided, word for word, so that each decision can be made again.

CREATE TABLE rulebook (
    digest       text PRIMARY KEY,
    protocol_id  text NOT NULL,
    version      text NOT NULL,
    coordination text NOT NULL,
    codes        text NOT NULL,
    sentences    text NOT NULL,
    kept_at      timestamptz NOT NULL
);

-- Which rulebook decides from when on, and under which status. Append-only; at one instant the
-- latest `since` counts, and of equal ones the last row.
CREATE TABLE protocol_use (
    ordinal bigserial PRIMARY KEY,
    since   timestamptz NOT NULL,
    digest  text NOT NULL REFERENCES rulebook,
    status  text NOT NULL CHECK (status IN ('draft', 'signed'))
);

-- A version name alone does not say which text decided. NULL: kept before texts were.
ALTER TABLE decision
    ADD COLUMN protocol_digest text REFERENCES rulebook,
    ADD COLUMN protocol_status text;
