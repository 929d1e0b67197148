-- Answers given to commands, by the caller's Idempotency-Key, for 48 hours. The row is written in
-- the transaction of the command's effect, so it exists exactly when the effect does.
CREATE TABLE idempotency_key (
    principal   text NOT NULL,
    route       text NOT NULL,
    key         text NOT NULL,
    body_sha256 bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    status      int,
    headers     jsonb,
    body        bytea,
    PRIMARY KEY (principal, route, key)
);
CREATE INDEX idempotency_key_age ON idempotency_key (created_at);
