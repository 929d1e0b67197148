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

-- name: open_rule_keys
SELECT rule, episode FROM hold WHERE case_id = $1 AND kind = 'rule' AND state <> 'RELEASED'

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
