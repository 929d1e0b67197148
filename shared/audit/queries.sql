-- name: append_audit_entry
-- The next entry of chain $1, whose canonical JSON is $2, in one statement: the head row is locked
-- and read in its newest version by ON CONFLICT, so two writers of one chain never fork it.
-- hash = SHA-256(previous hash || canonical JSON); a chain begins after 32 zero bytes.
WITH head AS (
    INSERT INTO audit_head AS h (chain, seq, hash)
    VALUES ($1, 1, sha256(decode(repeat('00', 32), 'hex') || convert_to($2, 'UTF8')))
    ON CONFLICT (chain) DO UPDATE SET
        seq = h.seq + 1, hash = sha256(h.hash || convert_to($2, 'UTF8'))
    RETURNING old.hash AS prev, new.seq AS seq, new.hash AS hash
)
INSERT INTO audit_entry (chain, seq, prev, hash, body, case_id, action, at)
SELECT $1, head.seq, coalesce(head.prev, decode(repeat('00', 32), 'hex')), head.hash,
       $2, $3, $4, $5
FROM head
RETURNING seq, hash

-- name: audit_entries_after
-- The next $3 entries after (chain $1, seq $2), by chain and then in order.
SELECT chain, seq, prev, hash, body, case_id, action, at FROM audit_entry
WHERE (chain, seq) > ($1, $2::bigint) ORDER BY chain, seq LIMIT $3

-- name: audit_heads
-- The newest entry of every chain, by chain.
SELECT chain, seq, hash FROM audit_head ORDER BY chain

-- name: audit_head_of
-- The newest entry of one chain.
SELECT seq, hash FROM audit_head WHERE chain = $1

-- name: audit_hashes_at
-- The hashes of the entries named by the pairs ($1[i], $2[i]); a missing entry has no row.
SELECT e.chain, e.seq, e.hash FROM audit_entry e
JOIN unnest($1::text[], $2::bigint[]) AS named(chain, seq)
  ON named.chain = e.chain AND named.seq = e.seq

-- name: audit_entries_of_case
-- The audit of one case, oldest first, at most $3 after entry $2.
SELECT seq, action, body, at FROM audit_entry
WHERE case_id = $1 AND seq > $2 ORDER BY seq LIMIT $3

-- name: audit_position
-- The id of the newest entry: it never falls, unless the database was restored to an older state.
SELECT coalesce(max(id), 0) FROM audit_entry
