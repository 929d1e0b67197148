-- name: keep_rulebook
INSERT INTO rulebook (digest, protocol_id, version, coordination, codes, sentences, kept_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (digest) DO NOTHING

-- name: rulebook
SELECT coordination, codes, sentences FROM rulebook WHERE digest = $1

-- name: digest_of_version
-- A draft keeps its version while its text changes: the text kept last.
SELECT digest FROM rulebook WHERE version = $1 ORDER BY kept_at DESC, digest LIMIT 1

-- name: add_use
INSERT INTO protocol_use (since, digest, status) VALUES ($1, $2, $3)

-- name: uses
SELECT since, digest, status FROM protocol_use ORDER BY since, ordinal

-- name: rulebooks
SELECT digest, protocol_id, version, kept_at FROM rulebook ORDER BY kept_at DESC, digest

-- name: signatures
SELECT signature_id, digest, act, since, reason, signer, signer_name, signed_at, signed_in_at
FROM protocol_signature ORDER BY signed_at, signature_id

-- name: lock_uses
LOCK TABLE protocol_use IN SHARE ROW EXCLUSIVE MODE

-- name: add_signature
INSERT INTO protocol_signature (signature_id, digest, act, since, reason, signer, signer_name,
                                signed_at, signed_in_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
