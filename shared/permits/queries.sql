-- name: ensure_fences
-- A missing fence row would lock nothing and let an acknowledgement slip by a start.
INSERT INTO fence (case_id, epoch, version)
SELECT case_id, 0, 0 FROM unnest($1::uuid[]) AS c(case_id) ORDER BY case_id
ON CONFLICT DO NOTHING

-- name: lock_fences
-- Ascending, and nothing else in this statement: checks belong to later ones.
SELECT case_id, epoch, version FROM fence
WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE

-- name: raise_fence
UPDATE fence SET epoch = $2, version = $3 WHERE case_id = $1 AND (epoch, version) < ($2, $3)

-- name: replica_of
SELECT status, epoch, acknowledged FROM hold_replica WHERE hold_id = $1

-- name: put_replica
-- Status only grows within an epoch; a newer epoch's word replaces the older one's.
INSERT INTO hold_replica AS r
    (hold_id, case_id, gates, dose_ids, epoch, version, on_running, status, acknowledged)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (hold_id) DO UPDATE SET
    gates = EXCLUDED.gates, dose_ids = EXCLUDED.dose_ids, version = EXCLUDED.version,
    on_running = EXCLUDED.on_running, epoch = EXCLUDED.epoch,
    status = CASE WHEN r.epoch = EXCLUDED.epoch AND r.status = 'RELEASED' THEN 'RELEASED'
                  ELSE EXCLUDED.status END,
    acknowledged = EXCLUDED.acknowledged OR (r.acknowledged AND r.epoch = EXCLUDED.epoch)
WHERE r.epoch <= EXCLUDED.epoch

-- name: release_replica
UPDATE hold_replica SET status = 'RELEASED' WHERE hold_id = $1 AND epoch <= $2

-- name: drop_older_replicas
-- The snapshot that opens an epoch replaces what older epochs said of this case.
DELETE FROM hold_replica WHERE case_id = $1 AND epoch < $2

-- name: open_replicas_in_scope
-- Open holds that cover this gate and dose, newest first.
SELECT hold_id, epoch, version, on_running FROM hold_replica
WHERE case_id = $1 AND status = 'OPEN' AND $2 = ANY(gates)
  AND (dose_ids IS NULL OR $3::uuid = ANY(dose_ids))
ORDER BY epoch DESC, version DESC

-- name: starts_in_scope
-- Steps that a hold meets while they are under way, oldest first.
SELECT * FROM start
WHERE case_id = $1 AND state IN ('RUNNING', 'STOP_ORDERED') AND gate = ANY($2::text[])
  AND ($3::uuid[] IS NULL OR dose_id = ANY($3::uuid[]))
ORDER BY created_at, start_id

-- name: starts_of_subject
-- All rows of one subject, by attempt.
SELECT * FROM start WHERE subject_id = $1 ORDER BY attempt, created_at, start_id

-- name: starts_of_case
SELECT * FROM start WHERE case_id = $1 ORDER BY created_at, start_id

-- name: start_by_id
SELECT * FROM start WHERE start_id = $1

-- name: start_by_permit
SELECT * FROM start WHERE permit_id = $1

-- name: unpermitted_of_dose
-- Steps that began without a permit and took this dose, for another subject or this attempt.
SELECT start_id FROM start
WHERE unpermitted AND state <> 'NOT_STARTED' AND dose_id = $1
  AND (subject_id <> $2 OR attempt = $3)

-- name: insert_start
INSERT INTO start (start_id, permit_id, case_id, gate, subject_id, attempt, dose_id, granted_epoch,
                   granted_version, boot_id, sent_boot_ns, ttl_ms, place, go_at, state, unpermitted,
                   created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)
ON CONFLICT (start_id) DO NOTHING

-- name: set_go
-- The machine's second look: only a row that nothing has touched since its commit.
UPDATE start SET go_at = $2, changed_at = $2
WHERE permit_id = $1 AND state = 'RUNNING' AND go_at IS NULL
RETURNING *

-- name: set_start_state
UPDATE start SET state = $2, reason = $3, changed_at = $4 WHERE start_id = $1 RETURNING *

-- name: bind_dose
INSERT INTO dose_subject (dose_id, subject_id) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: subject_of_dose
SELECT subject_id FROM dose_subject WHERE dose_id = $1

-- name: parked_here
SELECT 1 FROM parked_case WHERE consumer = $1 AND case_id = $2

-- name: starts_without_go
-- For the sweeper, oldest first; $1 bounds one run.
SELECT * FROM start WHERE state = 'RUNNING' AND go_at IS NULL ORDER BY created_at LIMIT $1

-- name: mark_start_seen
-- A row of another boot is counted from the first time that this boot saw it.
UPDATE start SET seen_boot_id = $2, seen_boot_ns = $3
WHERE start_id = $1 AND seen_boot_id IS DISTINCT FROM $2

-- name: present_identity
-- The name of the present WAL file begins with the timeline; on a standby this fails, as it should.
SELECT s.system_identifier::text AS system_identifier,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint
           AS timeline_id
FROM pg_control_system() s

-- name: known_identity
SELECT system_identifier, timeline_id FROM database_identity

-- name: keep_identity
INSERT INTO database_identity (system_identifier, timeline_id) VALUES ($1, $2)
ON CONFLICT (only_row) DO UPDATE SET
    system_identifier = EXCLUDED.system_identifier, timeline_id = EXCLUDED.timeline_id
