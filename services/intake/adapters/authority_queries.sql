-- name: insert_clearance
-- In the authority's present epoch, which is that of intake's streams.
INSERT INTO case_clearance (case_id, epoch, version) SELECT $1, epoch, 0 FROM stream_epoch
ON CONFLICT DO NOTHING

-- name: lock_case
-- Alone: a check in the same statement waits for a concurrent hold and then does not see it.
SELECT epoch, version FROM case_clearance WHERE case_id = $1 FOR UPDATE

-- name: lock_cases
-- For the consumer's batch: ascending, and nothing else.
SELECT case_id FROM case_clearance WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE

-- name: view
SELECT epoch, version FROM case_clearance WHERE case_id = $1

-- name: raise_version
UPDATE case_clearance SET version = version + 1 WHERE case_id = $1 RETURNING epoch, version

-- name: hold_by_id
SELECT * FROM hold WHERE hold_id = $1

-- name: open_holds
SELECT * FROM hold WHERE case_id = $1 AND state <> 'RELEASED' ORDER BY epoch, version, hold_id

-- name: open_rule_gates
SELECT rule, episode, gates FROM hold WHERE case_id = $1 AND kind = 'rule' AND state <> 'RELEASED'

-- name: open_hold_of
SELECT * FROM hold
WHERE case_id = $1 AND kind = $2 AND rule IS NOT DISTINCT FROM $3 AND episode = $4
  AND state <> 'RELEASED'

-- name: insert_hold
INSERT INTO hold (hold_id, case_id, kind, rule, episode, gates, dose_ids, epoch, version, state,
                  on_running, reporter, reason, evidence, review_at, recorded_at, committed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'RECORDED', $10, $11, $12, $13, $14, $15, $16)

-- name: wait_for_permits
-- One wait for each permit that is out and in scope.
INSERT INTO hold_wait (hold_id, permit_id, holder)
SELECT $1, permit_id, holder FROM permit
WHERE case_id = $2 AND state = 'GRANTED' AND gate = ANY($3::text[])
  AND ($4::uuid[] IS NULL OR dose_id = ANY($4::uuid[]))

-- name: wait_for_holders
INSERT INTO hold_wait (hold_id, permit_id, holder)
SELECT $1, NULL, holder FROM unnest($2::text[]) AS h(holder) ON CONFLICT DO NOTHING

-- name: settle
-- What waits for nothing any more is effective.
UPDATE hold SET state = 'EFFECTIVE', effective_by = $2, effective_at = $3
WHERE case_id = $1 AND state = 'RECORDED'
  AND NOT EXISTS (SELECT FROM hold_wait w WHERE w.hold_id = hold.hold_id)
RETURNING hold_id, case_id

-- name: acknowledge
INSERT INTO hold_acknowledgement (hold_id, holder, epoch, in_flight, acknowledged_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING

-- name: stop_waiting_for_holder
DELETE FROM hold_wait WHERE hold_id = $1 AND holder = $2

-- name: stop_waiting_for_permit
DELETE FROM hold_wait WHERE permit_id = $1

-- name: stop_waiting
DELETE FROM hold_wait WHERE hold_id = $1

-- name: release_hold
UPDATE hold SET state = 'RELEASED', releaser = $2, release_reason = $3, released_at = $4
WHERE hold_id = $1

-- name: nobody_was_paged
SELECT EXISTS (SELECT FROM hold_page
               WHERE hold_id = $1 AND state = 'OPEN' AND attempts > 0 AND NOT by_mail)

-- name: is_own_history
-- Cluster and timeline of this database against those at the first start or the last `recover`,
-- which a restore brings back with everything else. The first time they are kept. On a standby
-- this fails, as it should: no permit and no hold is read from one.
WITH present AS (
    SELECT s.system_identifier::text AS system_identifier,
           left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline
    FROM pg_control_system() s
), kept AS (
    INSERT INTO authority_history (system_identifier, timeline)
    SELECT system_identifier, timeline FROM present ON CONFLICT DO NOTHING
)
SELECT coalesce((SELECT (h.system_identifier, h.timeline) = (p.system_identifier, p.timeline)
                 FROM authority_history h, present p), true)

-- name: keep_history
INSERT INTO authority_history (system_identifier, timeline)
SELECT s.system_identifier::text, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
FROM pg_control_system() s
ON CONFLICT (only_row) DO UPDATE SET
    system_identifier = EXCLUDED.system_identifier, timeline = EXCLUDED.timeline

-- name: recovery
SELECT epoch, boot_id, since_boot_ns, closed FROM authority_recovery

-- name: may_be_running
-- Permits that are out; consumed ones whose end is not reported; lapsed ones whose holder's stream
-- is not applied past the lapse (`ended_at` is set when it is); starts without a permit.
SELECT permit_id, NULL::uuid AS start_id, gate, holder, subject_id, dose_id, place, state,
       changed_at AS since, CASE WHEN state = 'GRANTED' THEN may_start_until END AS until
FROM permit
WHERE case_id = $1 AND state IN ('GRANTED', 'CONSUMED', 'LAPSED') AND ended_at IS NULL
UNION ALL
SELECT NULL, start_id, gate, holder, subject_id, dose_id, place, 'UNPERMITTED', since, NULL
FROM unpermitted_start WHERE case_id = $1 AND ended_at IS NULL
ORDER BY since DESC

-- name: granted_permits
SELECT * FROM permit WHERE case_id = $1 AND state = 'GRANTED' ORDER BY asked_at

-- name: permit_by_id
SELECT * FROM permit WHERE permit_id = $1

-- name: rivals
-- Out: for this gate, this subject and attempt, or this dose. Used (and not undone): for the same
-- step, or for the dose in another subject's step, for a dose is bound to one subject for good.
SELECT * FROM permit
WHERE state = 'GRANTED' AND ((case_id = $1 AND gate = $2) OR (subject_id = $3 AND attempt = $4)
                             OR (dose_id = $5 AND gate = $2))
   OR state = 'CONSUMED' AND gate = $2 AND ((subject_id = $3 AND attempt = $4)
                                            OR (dose_id = $5 AND (attempt = $4
                                                                  OR subject_id <> $3)))
ORDER BY asked_at

-- name: issue_consumed
SELECT EXISTS (SELECT FROM permit
               WHERE case_id = $1 AND dose_id = $2 AND gate = 'dose_issue' AND state = 'CONSUMED')

-- name: insert_granted
INSERT INTO permit (permit_id, case_id, gate, holder, subject_id, attempt, dose_id, place,
                    requested_by, second_checker, band_scanned, state, granted_epoch,
                    granted_version, boot_id, granted_boot_ns, ttl_ms, asked_at, changed_at,
                    may_start_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'GRANTED', $12, $13, $14, $15, $16, $17, $17,
        $18)

-- name: insert_denied
INSERT INTO permit (permit_id, case_id, gate, holder, subject_id, attempt, dose_id, place,
                    requested_by, second_checker, band_scanned, state, refusal, asked_at,
                    changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'DENIED', $12, $13, $13)

-- name: insert_advice
INSERT INTO permit_advice (permit_id, case_id, gate, holder, subject_id, attempt, dose_id,
                           requested_by, epoch, version, would_be, reasons, protocol_version,
                           asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: insert_outcome
INSERT INTO permit (permit_id, case_id, gate, holder, subject_id, attempt, dose_id, state,
                    asked_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)

-- name: set_permit_state
-- A permit used after its lapse may run, whatever was believed of it.
UPDATE permit SET state = $2, changed_at = $3,
    ended_at = CASE WHEN state = 'LAPSED' AND $2 = 'CONSUMED' THEN NULL ELSE ended_at END
WHERE permit_id = $1

-- name: put_unpermitted
INSERT INTO unpermitted_start (start_id, case_id, gate, holder, subject_id, attempt, dose_id,
                               place, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING

-- name: end_permit
UPDATE permit SET ended_at = $2 WHERE permit_id = $1 AND ended_at IS NULL

-- name: end_subject
UPDATE permit SET ended_at = $3
WHERE subject_id = $1 AND gate = $2 AND state = 'CONSUMED' AND ended_at IS NULL

-- name: end_start
UPDATE unpermitted_start SET ended_at = $2 WHERE start_id = $1 AND ended_at IS NULL

-- name: end_lapsed
UPDATE permit SET ended_at = $2 WHERE permit_id = $1 AND state = 'LAPSED' AND ended_at IS NULL

-- name: take_lock
-- Held exactly as long as the session lives.
SELECT pg_try_advisory_lock($1)

-- name: is_lapse_work_left
SELECT EXISTS (SELECT FROM permit WHERE state = 'GRANTED')
    OR EXISTS (SELECT FROM permit WHERE state = 'LAPSED' AND ended_at IS NULL)
    OR EXISTS (SELECT FROM authority_recovery WHERE NOT closed)
    OR EXISTS (SELECT FROM hold_wait WHERE permit_id IS NULL)

-- name: permits_out
SELECT * FROM permit WHERE state = 'GRANTED' ORDER BY asked_at LIMIT $1

-- name: mark_seen
UPDATE permit SET seen_boot_id = $2, seen_boot_ns = $3
WHERE permit_id = $1 AND seen_boot_id IS DISTINCT FROM $2

-- name: lapsed_without_end
SELECT * FROM permit WHERE state = 'LAPSED' AND ended_at IS NULL ORDER BY changed_at LIMIT $1

-- name: move_window
UPDATE authority_recovery SET boot_id = $1, since_boot_ns = $2

-- name: close_window
UPDATE authority_recovery SET closed = true

-- name: cases_waiting_for_anybody
SELECT DISTINCT h.case_id FROM hold_wait w JOIN hold h USING (hold_id)
WHERE w.permit_id IS NULL ORDER BY h.case_id

-- name: stop_waiting_for_anybody
DELETE FROM hold_wait w USING hold h
WHERE w.hold_id = h.hold_id AND w.permit_id IS NULL AND h.case_id = $1

-- name: lock_all_cases
-- Conflicts with every other transaction's row lock, and with the opening of a case.
LOCK TABLE case_clearance IN EXCLUSIVE MODE

-- name: raise_epoch
UPDATE stream_epoch SET epoch = greatest(epoch + 1, $1) RETURNING epoch

-- name: open_window
INSERT INTO authority_recovery
    (epoch, boot_id, since_boot_ns, recovered_at, reason, actor, closed)
VALUES ($1, $2, $3, $4, $5, $6, false)
ON CONFLICT (only_row) DO UPDATE SET
    epoch = EXCLUDED.epoch, boot_id = EXCLUDED.boot_id, since_boot_ns = EXCLUDED.since_boot_ns,
    recovered_at = EXCLUDED.recovered_at, reason = EXCLUDED.reason, actor = EXCLUDED.actor,
    closed = false

-- name: all_cases
SELECT case_id FROM case_clearance ORDER BY case_id

-- name: move_to_epoch
UPDATE case_clearance SET epoch = $2 WHERE case_id = $1 RETURNING epoch, version

-- name: record_anew
-- What was effective may have been released, and a permit granted, in the past that was lost.
UPDATE hold SET epoch = $2, state = 'RECORDED', effective_by = NULL, effective_at = NULL
WHERE case_id = $1 AND state <> 'RELEASED'

-- name: cases_of_unfinished_permits
SELECT DISTINCT case_id FROM permit
WHERE holder = $1 AND state IN ('GRANTED', 'CONSUMED', 'LAPSED') AND ended_at IS NULL
ORDER BY case_id

-- name: all_open_holds
SELECT * FROM hold WHERE state <> 'RELEASED' ORDER BY case_id, epoch, version

-- name: overdue_holds
-- `busy`: who has a permit out that the hold waits for, or something in scope that may be running.
WITH busy AS (
    SELECT h.hold_id, w.holder, h.committed_at AS since, true AS waits
    FROM hold h JOIN hold_wait w USING (hold_id) WHERE h.state = 'RECORDED'
    UNION ALL
    SELECT h.hold_id, p.holder, greatest(h.committed_at, p.changed_at), false
    FROM hold h JOIN permit p USING (case_id)
    WHERE h.state <> 'RELEASED' AND p.state IN ('CONSUMED', 'LAPSED') AND p.ended_at IS NULL
      AND p.gate = ANY(h.gates) AND (h.dose_ids IS NULL OR p.dose_id = ANY(h.dose_ids))
    UNION ALL
    SELECT h.hold_id, u.holder, greatest(h.committed_at, u.since), false
    FROM hold h JOIN unpermitted_start u USING (case_id)
    WHERE h.state <> 'RELEASED' AND u.ended_at IS NULL
      AND u.gate = ANY(h.gates) AND (h.dose_ids IS NULL OR u.dose_id = ANY(h.dose_ids))
), overdue AS (
    SELECT DISTINCT b.hold_id, 'unacknowledged' AS cause
    FROM busy b JOIN hold h USING (hold_id)
    WHERE h.committed_at <= $1
      AND NOT EXISTS (SELECT FROM hold_acknowledgement a
                      WHERE a.hold_id = b.hold_id AND a.holder = b.holder AND a.epoch = h.epoch)
    UNION
    SELECT DISTINCT b.hold_id, 'not_stopped'
    FROM busy b JOIN hold h USING (hold_id)
    WHERE NOT b.waits AND h.on_running = 'stop' AND b.since <= $2
)
SELECT o.hold_id, h.case_id, o.cause FROM overdue o JOIN hold h USING (hold_id)
WHERE ($3::uuid IS NULL OR o.hold_id = $3)
  AND NOT EXISTS (SELECT FROM hold_page p WHERE p.hold_id = o.hold_id AND p.cause = o.cause)
ORDER BY h.committed_at, o.hold_id LIMIT $4

-- name: raise_page
INSERT INTO hold_page (page_id, case_id, hold_id, start_id, cause, state, raised_at, next_try_at)
VALUES ($1, $2, $3, $4, $5, 'OPEN', $6, $6) ON CONFLICT DO NOTHING

-- name: pages_due
SELECT page_id, case_id, hold_id, cause, attempts, by_mail FROM hold_page
WHERE state = 'OPEN' AND next_try_at <= $1 ORDER BY raised_at LIMIT $2

-- name: page_tried
UPDATE hold_page SET attempts = attempts + 1, next_try_at = $2, by_mail = $4,
    state = CASE WHEN $3 THEN 'TAKEN' ELSE state END
WHERE page_id = $1
