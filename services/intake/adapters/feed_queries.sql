-- name: message_answered
SELECT answer, outcome, case_id FROM feed_message
WHERE feed = $1 AND control_id = $2 AND digest = $3

-- name: put_message
-- A message that is read again from quarantine is answered anew.
INSERT INTO feed_message (feed, control_id, digest, received_at, case_id, answer, outcome)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (feed, control_id, digest) DO UPDATE SET
    case_id = EXCLUDED.case_id, answer = EXCLUDED.answer, outcome = EXCLUDED.outcome

-- name: heard
INSERT INTO feeds (name, heard_at, unknown_patients) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET
    heard_at = greatest(feeds.heard_at, EXCLUDED.heard_at),
    unknown_patients = feeds.unknown_patients + EXCLUDED.unknown_patients

-- name: park_message
-- The same bytes wait once.
INSERT INTO feed_quarantine (quarantine_id, feed, control_id, digest, case_id, message_kind, code,
                             place, received_at, raw)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (feed, digest) WHERE state = 'waiting' DO NOTHING

-- name: waiting_messages
-- Oldest first, without their bytes; $1 is the last id of the previous page (ids are time-ordered).
SELECT quarantine_id, feed, control_id, digest, case_id, message_kind, code, place, received_at
FROM feed_quarantine
WHERE state = 'waiting' AND ($1::uuid IS NULL OR quarantine_id > $1)
ORDER BY quarantine_id LIMIT $2

-- name: waiting_message
SELECT quarantine_id, feed, control_id, digest, case_id, message_kind, code, place, received_at
FROM feed_quarantine WHERE quarantine_id = $1 AND state = 'waiting' FOR UPDATE

-- name: waiting_bytes
SELECT raw FROM feed_quarantine WHERE quarantine_id = $1 AND state = 'waiting'

-- name: settle_message
UPDATE feed_quarantine
SET state = $2, settled_at = $3, settled_by = $4, reason = $5, raw = NULL
WHERE quarantine_id = $1 AND state = 'waiting'
