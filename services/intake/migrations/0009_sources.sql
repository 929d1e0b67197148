-- Feeds of this installation: when each was last heard, its silences, and what decisions knew of it.

-- One row per configured source. A watermark, not a log: a beat overwrites the one before.
CREATE TABLE source (
    name          text PRIMARY KEY,
    feed          text NOT NULL,
    site          text,
    configured_at timestamptz NOT NULL,
    heard_at      timestamptz,
    removed_at    timestamptz
);

-- One row per silence. `settled`: every case that was told of it was told of its end.
CREATE TABLE source_silence (
    silence_id text PRIMARY KEY,
    name       text NOT NULL REFERENCES source,
    feed       text NOT NULL,
    site       text,
    effective  timestamptz NOT NULL,
    heard_at   timestamptz,
    noticed_at timestamptz NOT NULL,
    ended_at   timestamptz,
    settled    boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX source_silence_open ON source_silence (name) WHERE ended_at IS NULL;
CREATE INDEX source_silence_unsettled ON source_silence (silence_id) WHERE NOT settled;

CREATE INDEX fact_silence ON fact (source_id, source_version, case_id) WHERE kind = 'silence';

-- The watermarks that a decision was made with, as statements by name: facts on record alone do not say
-- when a source that was not yet silent had been heard.
ALTER TABLE decision ADD COLUMN watermarks jsonb NOT NULL DEFAULT '{}';
