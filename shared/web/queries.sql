-- name: claim_idempotency_key
-- Takes the key for this request: one row when it was free (or older than $6), none when it is
-- taken. A concurrent request with the same key waits here for the first one's transaction.
INSERT INTO idempotency_key AS k (principal, route, key, body_sha256, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (principal, route, key) DO UPDATE SET
    body_sha256 = EXCLUDED.body_sha256, created_at = EXCLUDED.created_at,
    status = NULL, headers = NULL, body = NULL
WHERE k.created_at < $6
RETURNING k.key

-- name: read_idempotency_key
-- What the first request with this key (not older than $4) was and what it was answered.
SELECT body_sha256, status, headers, body FROM idempotency_key
WHERE principal = $1 AND route = $2 AND key = $3 AND created_at >= $4

-- name: hold_idempotency_key
-- Whether this session now keeps the key; it does as long as it lives. The seed sets these locks
-- apart from the other advisory locks of the database.
SELECT pg_try_advisory_lock(hashtextextended(concat_ws(chr(10), $1::text, $2::text, $3::text), 75))

-- name: answer_idempotency_key
-- Stores the answer in the transaction of its effect.
UPDATE idempotency_key SET status = $4, headers = $5, body = $6
WHERE principal = $1 AND route = $2 AND key = $3

-- name: forget_idempotency_keys
-- Deletes keys from before $1, at most $2 of them.
DELETE FROM idempotency_key WHERE (principal, route, key) IN (
    SELECT principal, route, key FROM idempotency_key WHERE created_at < $1 LIMIT $2)

-- name: store_answers
-- One row as long as the database answers at all.
SELECT 1
