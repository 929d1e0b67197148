-- name: emit
-- The next sequence of the case's stream and the outbox row of one event, in one round trip. The
-- case row is locked before this, so that sequence order is commit order. $7 true: outside the
-- sequence. (`emit_all` does the same for many, and costs half as much again for one.)
WITH head AS (
    INSERT INTO stream_head AS h (case_id, epoch, sequence)
    SELECT $1, e.epoch, CASE WHEN $7 THEN 0 ELSE 1 END FROM stream_epoch e
    ON CONFLICT (case_id) DO UPDATE SET
        sequence = CASE WHEN $7 THEN h.sequence
                        WHEN h.epoch = EXCLUDED.epoch THEN h.sequence + 1
                        ELSE 1 END,
        epoch = CASE WHEN $7 THEN h.epoch ELSE EXCLUDED.epoch END
    RETURNING epoch, sequence
)
INSERT INTO outbox (event_id, topic, case_id, lane, headers, payload)
SELECT $2, $3, $1, $4,
       $5::jsonb || jsonb_build_object('ce_epoch', head.epoch::text)
                 || CASE WHEN $7 THEN '{}'::jsonb
                         ELSE jsonb_build_object('ce_sequence', head.sequence::text) END,
       $6
FROM head

-- name: emit_all
-- As `emit` for several events: parallel arrays, in the order in which they leave.
WITH given AS (
    SELECT u.*, count(*) FILTER (WHERE NOT u.unsequenced)
                OVER (PARTITION BY u.case_id ORDER BY u.place) AS step
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::jsonb[], $6::bytea[],
                $7::boolean[]) WITH ORDINALITY
        AS u (case_id, event_id, topic, lane, headers, payload, unsequenced, place)
), steps AS (
    SELECT case_id, max(step) AS steps FROM given GROUP BY case_id
), head AS (
    INSERT INTO stream_head AS h (case_id, epoch, sequence)
    SELECT s.case_id, e.epoch, s.steps FROM steps s CROSS JOIN stream_epoch e ORDER BY s.case_id
    ON CONFLICT (case_id) DO UPDATE SET
        sequence = CASE WHEN EXCLUDED.sequence = 0 OR h.epoch = EXCLUDED.epoch
                        THEN h.sequence + EXCLUDED.sequence
                        ELSE EXCLUDED.sequence END,
        epoch = CASE WHEN EXCLUDED.sequence = 0 THEN h.epoch ELSE EXCLUDED.epoch END
    RETURNING case_id, epoch, sequence
)
INSERT INTO outbox (event_id, topic, case_id, lane, headers, payload)
SELECT g.event_id, g.topic, g.case_id, g.lane,
       g.headers || jsonb_build_object('ce_epoch', h.epoch::text)
                 || CASE WHEN g.unsequenced THEN '{}'::jsonb
                         ELSE jsonb_build_object(
                             'ce_sequence', (h.sequence - s.steps + g.step)::text) END,
       g.payload
FROM given g JOIN head h USING (case_id) JOIN steps s USING (case_id)
ORDER BY g.place

-- name: lock_case_rows
-- Makes the missing rows of these cases and locks all of them, ascending as given, and nothing else
-- in this statement. A row that is there is locked although the WHERE lets nothing be changed; one
-- that somebody else is just making is waited for.
INSERT INTO case_row (case_id) SELECT unnest($1::uuid[])
ON CONFLICT (case_id) DO UPDATE SET case_id = EXCLUDED.case_id WHERE false

-- name: try_lock
-- Whether this session now holds the named advisory lock; it holds it as long as it lives.
SELECT pg_try_advisory_lock($1::int, hashtext($2::text))

-- name: relax_commits
-- For this session: commits are not waited for until they are on disk. Order among them stays.
SELECT set_config('synchronous_commit', 'off', false)

-- name: outbox_oldest
-- The oldest rows, in commit order of each case. No row is locked. $2: cases whose partition is busy
-- or resting. Where it answers fewer than $1, there are no others, and nothing needs to go first.
SELECT id, topic, case_id, headers, payload FROM outbox
WHERE case_id <> ALL($2::uuid[])
ORDER BY id LIMIT $1

-- name: outbox_batch
-- The next rows to send, those of cases with a safety row first, each case in commit order. No row
-- is locked. $2: cases whose partition is busy or resting.
WITH urgent AS (
    SELECT DISTINCT case_id FROM outbox WHERE lane = 0 AND case_id <> ALL($2::uuid[])
), first_rows AS (
    SELECT o.id FROM outbox o JOIN urgent u ON u.case_id = o.case_id ORDER BY o.id LIMIT $1
), other_rows AS (
    SELECT o.id FROM outbox o
    WHERE o.case_id <> ALL($2::uuid[])
      AND NOT EXISTS (SELECT FROM urgent u WHERE u.case_id = o.case_id)
    ORDER BY o.id LIMIT $1
), chosen AS (
    SELECT id, 0 AS rank FROM first_rows UNION ALL SELECT id, 1 FROM other_rows
    ORDER BY rank, id LIMIT $1
)
SELECT o.id, o.topic, o.case_id, o.headers, o.payload
FROM chosen c JOIN outbox o ON o.id = c.id
ORDER BY c.rank, c.id

-- name: vacuum_outbox
-- Room of deleted rows for new ones; the file keeps its size, so that no writer waits.
VACUUM (TRUNCATE false) outbox

-- name: delete_sent
-- Rows that Kafka acknowledged.
DELETE FROM outbox WHERE id = ANY($1::bigint[])

-- name: outbox_state
-- How much waits to be sent, and for how long.
SELECT count(*) AS unsent_rows, count(*) FILTER (WHERE lane = 2) AS bulk_rows,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
           AS oldest_seconds
FROM outbox

-- name: ensure_offset
-- A missing row would lock nothing.
INSERT INTO next_offset (consumer, topic, partition, next_offset) VALUES ($1, $2, $3, 0)
ON CONFLICT DO NOTHING

-- name: read_offset
-- Where this consumer reads on.
SELECT next_offset FROM next_offset WHERE consumer = $1 AND topic = $2 AND partition = $3

-- name: lock_offsets
-- The fence of a batch: whoever else reads these partitions waits here, and then sees them moved.
-- Every batch locks in this order. $4: how long this transaction waits for a lock, from this one on
-- (null: as long as the session does); a row is locked only after it was joined with the setting.
SELECT n.topic, n.partition, n.next_offset
FROM (SELECT set_config('lock_timeout', coalesce($4, current_setting('lock_timeout')), true)
          AS waits OFFSET 0) s
JOIN next_offset n ON s.waits IS NOT NULL
JOIN unnest($2::text[], $3::int[]) AS u (topic, partition)
  ON n.topic = u.topic AND n.partition = u.partition
WHERE n.consumer = $1
ORDER BY n.topic, n.partition
FOR UPDATE OF n

-- name: read_books
-- What is known of these cases and events, asked after their cases were locked.
-- $3: event ids; $4, $5, $6: topics, partitions and offsets of unreadable records.
SELECT 'parked' AS kind, case_id, NULL::text AS source, NULL::bigint AS epoch,
       NULL::bigint AS sequence, NULL::uuid AS event_id, NULL::text AS topic,
       NULL::int AS partition, NULL::bigint AS "offset"
FROM parked_case WHERE consumer = $1 AND case_id = ANY($2::uuid[])
UNION ALL
SELECT 'head', case_id, source, epoch, sequence, NULL, NULL, NULL, NULL
FROM inbox_head WHERE consumer = $1 AND case_id = ANY($2::uuid[])
UNION ALL
SELECT 'known', NULL, NULL, NULL, NULL, event_id, NULL, NULL, NULL
FROM inbox WHERE consumer = $1 AND event_id = ANY($3::uuid[])
UNION ALL
SELECT 'parked_before', NULL, NULL, NULL, NULL, NULL, p.topic, p.partition, p."offset"
FROM unnest($4::text[], $5::int[], $6::bigint[]) AS u (topic, partition, "offset")
JOIN parked_record p ON p.consumer = $1 AND p.topic = u.topic AND p.partition = u.partition
                    AND p."offset" = u."offset"

-- name: close_books
-- Marks what was applied: event ids ($2), per stream ($3 to $6) the last sequence, and per partition
-- ($7 to $9) where to read on.
WITH marked AS (
    INSERT INTO inbox (consumer, event_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING
), moved AS (
    UPDATE next_offset n SET next_offset = p.next_offset
    FROM unnest($7::text[], $8::int[], $9::bigint[]) AS p (topic, partition, next_offset)
    WHERE n.consumer = $1 AND n.topic = p.topic AND n.partition = p.partition
)
INSERT INTO inbox_head (consumer, source, case_id, epoch, sequence)
SELECT $1, u.source, u.case_id, u.epoch, u.sequence
FROM unnest($3::text[], $4::uuid[], $5::bigint[], $6::bigint[])
    AS u (source, case_id, epoch, sequence)
ON CONFLICT (consumer, source, case_id)
DO UPDATE SET epoch = EXCLUDED.epoch, sequence = EXCLUDED.sequence

-- name: prune_inbox
-- Ids that only serve as a second belt; the heads stay for ever.
DELETE FROM inbox WHERE consumer = $1 AND applied_at < clock_timestamp() - $2::interval

-- name: add_early
-- A record that must wait: for its predecessor (gap) or for its case's lock (locked).
INSERT INTO early (consumer, topic, partition, "offset", source, case_id, epoch, sequence, record,
                   reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING

-- name: early_cases
-- Cases with waiting records, the longest waiting first.
SELECT case_id FROM early WHERE consumer = $1 GROUP BY case_id ORDER BY min(received_at) LIMIT $2

-- name: early_of_case
-- The waiting records of a case, each stream in order.
SELECT record, reason, extract(epoch FROM clock_timestamp() - received_at)::float8 AS age_seconds
FROM early WHERE consumer = $1 AND case_id = $2
ORDER BY source NULLS LAST, epoch, sequence NULLS LAST, topic, partition, "offset"
LIMIT $3

-- name: remove_early
-- Records that were applied, dropped or parked.
DELETE FROM early e USING unnest($2::text[], $3::int[], $4::bigint[])
    AS u (topic, partition, "offset")
WHERE e.consumer = $1 AND e.topic = u.topic AND e.partition = u.partition
  AND e."offset" = u."offset"

-- name: early_count
-- How many records wait.
SELECT count(*) FROM early WHERE consumer = $1

-- name: has_early
-- Whether a record about this case waits: its state here is not complete.
SELECT EXISTS (SELECT FROM early WHERE consumer = $1 AND case_id = $2)

-- name: limit_lock_wait
-- For this transaction only: do not wait long for a busy case.
SELECT set_config('lock_timeout', $1, true)

-- name: add_parked_record
-- No row comes back when the record was parked before.
INSERT INTO parked_record (consumer, case_id, topic, partition, "offset", event_id, event_type,
                           source, epoch, sequence, safety, record, cause, error, safe_half_done)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT DO NOTHING
RETURNING id

-- name: park_case
-- From here on every later event of the case waits.
INSERT INTO parked_case (consumer, case_id, reason) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: is_parked
-- Whether events of the case wait here.
SELECT EXISTS (SELECT FROM parked_case WHERE consumer = $1 AND case_id = $2)

-- name: emit_dead_letter
-- A parked or keyless record, with its cause, for the topic of dead letters.
INSERT INTO outbox (event_id, topic, case_id, lane, headers, payload)
VALUES ($1, $2, $3, 1, $4, $5)
ON CONFLICT DO NOTHING

-- name: add_dead_letter
-- A record that no case can be named for. No row comes back when it was known.
INSERT INTO dead_letter (consumer, topic, partition, "offset", record, error)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING "offset"

-- name: still_here
-- Fails when the session is gone, and its advisory locks with it.
SELECT 1

-- name: parked_cases
-- For the page of parked cases: each case, why, since when, and what waits. The oldest first.
SELECT c.case_id, c.reason, c.parked_at, count(p.id) AS records,
       count(p.id) FILTER (WHERE p.safety) AS safety_records, min(p.id) AS first_id
FROM parked_case c
LEFT JOIN parked_record p
       ON p.consumer = c.consumer AND p.case_id = c.case_id AND p.settled_at IS NULL
WHERE c.consumer = $1 AND ($2::uuid IS NULL OR c.case_id = $2)
GROUP BY c.case_id, c.reason, c.parked_at
ORDER BY c.parked_at, c.case_id
LIMIT $3

-- name: parked_records
-- The records of a parked case that wait, in the order in which they were parked.
SELECT id, case_id, topic, partition, "offset", event_id, event_type, source, epoch, sequence,
       safety, cause, error, attempts, safe_half_done, parked_at
FROM parked_record
WHERE consumer = $1 AND case_id = $2 AND settled_at IS NULL AND id > $3
ORDER BY id LIMIT $4

-- name: parked_counts
-- How many cases are parked, and how many records wait, by the cause of the first bad one.
SELECT c.reason AS cause, count(DISTINCT c.case_id) AS cases, count(p.id) AS records
FROM parked_case c
LEFT JOIN parked_record p
       ON p.consumer = c.consumer AND p.case_id = c.case_id AND p.settled_at IS NULL
WHERE c.consumer = $1 GROUP BY c.reason ORDER BY c.reason

-- name: parked_case_ids
-- The cases of a group: parked for this cause (null: any), the longest parked first.
SELECT case_id FROM parked_case
WHERE consumer = $1 AND ($2::text IS NULL OR reason = $2) ORDER BY parked_at, case_id LIMIT $3

-- name: next_parked
-- The record that must go next: the first parked, or one of its stream with a lower sequence that
-- came later (a gap that was filled).
WITH first AS (
    SELECT id, source, epoch, sequence FROM parked_record
    WHERE consumer = $1 AND case_id = $2 AND settled_at IS NULL ORDER BY id LIMIT 1
)
SELECT p.id, p.record, p.safety, p.source, p.epoch, p.sequence
FROM parked_record p, first f
WHERE p.consumer = $1 AND p.case_id = $2 AND p.settled_at IS NULL
  AND (p.id = f.id
       OR (p.source = f.source AND (p.epoch, p.sequence) < (f.epoch, f.sequence)))
ORDER BY p.epoch NULLS LAST, p.sequence NULLS LAST, p.id LIMIT 1

-- name: case_of_parked
-- The case of a waiting record.
SELECT case_id FROM parked_record WHERE consumer = $1 AND id = $2 AND settled_at IS NULL

-- name: settle_parked
-- What became of a parked record, and by whom. The row stays.
UPDATE parked_record SET settled_at = clock_timestamp(), settled_as = $2, settled_by = $3
WHERE id = $1 AND settled_at IS NULL

-- name: blame_parked
-- A try that failed.
UPDATE parked_record SET attempts = attempts + 1, error = $2 WHERE id = $1

-- name: unpark_case_if_empty
-- The case goes on when nothing of it waits any more.
DELETE FROM parked_case c WHERE c.consumer = $1 AND c.case_id = $2
  AND NOT EXISTS (SELECT FROM parked_record p
                  WHERE p.consumer = $1 AND p.case_id = $2 AND p.settled_at IS NULL)

-- name: stream_epoch
-- The epoch of this service's own streams.
SELECT epoch FROM stream_epoch

-- name: advance_applied_through
-- For each partition the newest of these heartbeats whose last produced offset is applied here. An
-- empty partition (last offset -1) counts as applied.
INSERT INTO applied_through AS a (consumer, source, partition, beat_at, epoch, last_offset,
                                  oldest_unsent_seconds, catalogue_version, audit_head)
SELECT DISTINCT ON (u.partition) $1, $2, u.partition, u.beat_at, u.epoch, u.last_offset,
       u.oldest_unsent_seconds, u.catalogue_version, u.audit_head
FROM unnest($4::int[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::float8[], $9::int[],
            $10::text[])
    AS u (partition, beat_at, epoch, last_offset, oldest_unsent_seconds, catalogue_version,
          audit_head)
LEFT JOIN next_offset n ON n.consumer = $1 AND n.topic = $3 AND n.partition = u.partition
WHERE u.last_offset < coalesce(n.next_offset, 0)
ORDER BY u.partition, u.beat_at DESC
ON CONFLICT (consumer, source, partition) DO UPDATE SET
    beat_at = EXCLUDED.beat_at, epoch = EXCLUDED.epoch, last_offset = EXCLUDED.last_offset,
    oldest_unsent_seconds = EXCLUDED.oldest_unsent_seconds,
    catalogue_version = EXCLUDED.catalogue_version, audit_head = EXCLUDED.audit_head
WHERE a.beat_at < EXCLUDED.beat_at
RETURNING partition, beat_at

-- name: stream_is_current
-- Whether this consumer has applied everything that the source had produced to the partition at
-- some moment in ($4, $5], and the source was then not sitting on unsent events for $6 seconds.
SELECT EXISTS (
    SELECT FROM applied_through
    WHERE consumer = $1 AND source = $2 AND partition = $3
      AND beat_at > $4 AND beat_at <= $5 AND oldest_unsent_seconds < $6)

-- name: stream_ages
-- Through when each partition of each source is applied here.
SELECT source, partition, beat_at, epoch, last_offset, oldest_unsent_seconds, catalogue_version
FROM applied_through WHERE consumer = $1 ORDER BY source, partition

-- name: parked_case_count
-- How many cases are parked.
SELECT count(*) FROM parked_case WHERE consumer = $1
