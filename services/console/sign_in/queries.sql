-- name: begin_sign_in
INSERT INTO sign_in (attempt_hash, state, nonce, verifier, path, ends_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: count_sign_ins
SELECT count(*) FROM sign_in

-- name: take_sign_in
-- Each attempt is answered once, whatever the answer is.
DELETE FROM sign_in WHERE attempt_hash = $1 RETURNING *

-- name: forget_sign_ins
DELETE FROM sign_in WHERE ends_at <= $1

-- name: add_session
INSERT INTO session (session_hash, sealed_token, ends_at) VALUES ($1, $2, $3)

-- name: read_session
SELECT sealed_token FROM session WHERE session_hash = $1 AND ends_at > $2

-- name: end_session
DELETE FROM session WHERE session_hash = $1

-- name: forget_sessions
DELETE FROM session WHERE ends_at <= $1
