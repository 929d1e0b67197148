-- name: emit
-- The next sequence of the case's stream and the outbox row, in one round trip. The case row is
-- locked before this, so that sequence order is commit order. $8 true: outside the sequence.
WITH head AS (
    INSERT INTO stream_head AS h (case_id, epoch, sequence)
    SELECT $1, e.epoch, CASE WHEN $8 THEN 0 ELSE 1 END FROM stream_epoch e
    ON CONFLICT (case_id) DO UPDATE SET
        sequence = CASE WHEN $8 THEN h.sequence
                        WHEN h.epoch = EXCLUDED.epoch THEN h.sequence + 1
                        ELSE 1 END,
        epoch = CASE WHEN $8 THEN h.epoch ELSE EXCLUDED.epoch END
    RETURNING epoch, sequence
), added AS (
    INSERT INTO outbox (event_id, topic, case_id, lane, headers, payload)
    SELECT $2, $3, $1, $4,
           $5::jsonb || jsonb_build_object('ce_epoch', head.epoch::text)
                     || CASE WHEN $8 THEN '{}'::jsonb
                             ELSE jsonb_build_object('ce_sequence', head.sequence::text) END,
           $6
    FROM head
    RETURNING id
)
SELECT head.epoch, head.sequence, (SELECT id FROM added) AS outbox_id, $7::text AS event_type
FROM head

-- name: lock_case_rows
-- Locks the rows of these cases, ascending, and nothing else in this statement.
SELECT case_id FROM case_row WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE

-- name: ensure_case_rows
-- A missing row would lock nothing.
INSERT INTO case_row (case_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING
