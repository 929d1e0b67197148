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
