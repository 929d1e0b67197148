-- The mode in which this store is used: written at its first start, and never changed.
CREATE TABLE installation_mode (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    mode       text        NOT NULL CHECK (mode IN ('demo', 'shadow', 'live')),
    stamped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
