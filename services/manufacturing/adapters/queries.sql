-- name: case_by_id
SELECT case_id, consent_withdrawn_on, closed FROM known_case WHERE case_id = $1

-- name: open_case
INSERT INTO known_case (case_id) VALUES ($1) ON CONFLICT DO NOTHING

-- name: withdraw_consent
-- Also for a case that is not known yet: the news may not be lost.
INSERT INTO known_case (case_id, consent_withdrawn_on) VALUES ($1, $2)
ON CONFLICT (case_id) DO UPDATE SET consent_withdrawn_on = EXCLUDED.consent_withdrawn_on

-- name: restore_consent
UPDATE known_case SET consent_withdrawn_on = NULL WHERE case_id = $1 AND consent_withdrawn_on <= $2

-- name: close_case
INSERT INTO known_case (case_id, closed) VALUES ($1, true)
ON CONFLICT (case_id) DO UPDATE SET closed = true

-- name: put_timeline
-- Only a newer publication replaces the one on record.
INSERT INTO timeline AS t (case_id, gate, epoch, timeline_version, intervals)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (case_id, gate) DO UPDATE SET
    epoch = EXCLUDED.epoch, timeline_version = EXCLUDED.timeline_version,
    intervals = EXCLUDED.intervals
WHERE (t.epoch, t.timeline_version) < (EXCLUDED.epoch, EXCLUDED.timeline_version)

-- name: timeline
SELECT intervals FROM timeline WHERE case_id = $1 AND gate = $2

-- name: put_infusion
-- The case of an infusion never changes; its time may.
INSERT INTO planned_infusion AS i (infusion_id, case_id, planned_at) VALUES ($1, $2, $3)
ON CONFLICT (infusion_id) DO UPDATE SET planned_at = EXCLUDED.planned_at
WHERE i.case_id = EXCLUDED.case_id

-- name: case_of_infusion
SELECT case_id FROM planned_infusion WHERE infusion_id = $1

-- name: insert_collection
INSERT INTO collection (collection_id, case_id, method, planned_at, slot_id, state)
VALUES ($1, $2, $3, $4, $5, 'BOOKED')

-- name: collection_by_id
SELECT * FROM collection WHERE collection_id = $1

-- name: save_collection
UPDATE collection SET state = $2, start_id = $3, started_at = $4, collected_at = $5,
    container_id = $6, cancelled_at = $7, version = version + 1
WHERE collection_id = $1

-- name: last_collected_at
SELECT max(collected_at) FROM collection WHERE case_id = $1 AND state = 'DONE'

-- name: page_collections
SELECT * FROM collection
WHERE ($1::uuid IS NULL OR case_id = $1) AND ($2::uuid IS NULL OR collection_id > $2)
ORDER BY collection_id LIMIT $3

-- name: add_slot
INSERT INTO slot (slot_id, day, place) VALUES ($1, $2, $3) ON CONFLICT (day, place) DO NOTHING

-- name: slot_by_id
SELECT slot_id, day, place, collection_id FROM slot WHERE slot_id = $1

-- name: take_slot
-- The row's own lock decides a race; the loser sees a taken slot and changes nothing.
UPDATE slot SET collection_id = $2 WHERE slot_id = $1 AND collection_id IS NULL

-- name: free_slot
UPDATE slot SET collection_id = NULL WHERE collection_id = $1
RETURNING slot_id, day, place, collection_id

-- name: slots_from
SELECT slot_id, day, place, collection_id FROM slot
WHERE day >= $1 AND (NOT $3 OR collection_id IS NULL) ORDER BY day, place LIMIT $2

-- name: add_container
INSERT INTO container (container_id, case_id, kind, collection_id, dose_id, labelled_at, labelled_by)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING

-- name: container_by_id
SELECT container_id, case_id, kind, collection_id, dose_id FROM container WHERE container_id = $1

-- name: container_of_collection
SELECT container_id, case_id, kind, collection_id, dose_id FROM container
WHERE collection_id = $1 AND kind = 'material'

-- name: container_of_dose
SELECT container_id, case_id, kind, collection_id, dose_id FROM container WHERE dose_id = $1

-- name: add_scan
INSERT INTO scan (scan_id, case_id, expected, step, outcome, read_as, scanned_at, scanned_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: last_handover
SELECT * FROM handover WHERE container_id = $1 ORDER BY handover_id DESC LIMIT 1

-- name: handovers
SELECT * FROM handover WHERE container_id = $1 ORDER BY handover_id

-- name: add_handover
INSERT INTO handover (handover_id, container_id, giver, receiver, place, condition, handed_over_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: insert_batch
INSERT INTO batch (batch_id, case_id, collection_id, collected_at, received_at, state)
VALUES ($1, $2, $3, $4, $5, 'RECEIVED')

-- name: batch_by_id
SELECT * FROM batch WHERE batch_id = $1

-- name: batch_of_collection
SELECT batch_id FROM batch WHERE collection_id = $1

-- name: batches_of_case
SELECT * FROM batch WHERE case_id = $1 ORDER BY batch_id

-- name: page_batches
SELECT * FROM batch
WHERE ($1::uuid IS NULL OR case_id = $1) AND ($2::uuid IS NULL OR batch_id > $2)
ORDER BY batch_id LIMIT $3

-- name: save_batch
UPDATE batch SET state = $2, culture_started_at = $3, culture_start_id = $4, forecast_on = $5,
    harvested_at = $6, form = $7, formulated_at = $8, printed_expiry = $9, frozen_on = $10,
    expires_at = $11, certificate_id = $12, released_at = $13, pending = $14, ended_at = $15,
    rejected_stage = $16, version = version + 1
WHERE batch_id = $1

-- name: batch_versions
SELECT version, evidence_version FROM batch WHERE batch_id = $1

-- name: raise_evidence
UPDATE batch SET evidence_version = evidence_version + 1, version = version + 1
WHERE batch_id = $1 RETURNING evidence_version

-- name: add_step
INSERT INTO batch_step (step_id, batch_id, step, performed_at, performed_by, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: void_step
UPDATE batch_step SET voided = true WHERE batch_id = $1 AND step = $2

-- name: steps
SELECT step, performed_at, performed_by FROM batch_step
WHERE batch_id = $1 AND NOT voided ORDER BY step_id

-- name: add_measure
INSERT INTO measure (measure_id, batch_id, metric, reading, unit, measured_at, measured_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: measures
SELECT * FROM measure WHERE batch_id = $1 ORDER BY measure_id

-- name: add_result
INSERT INTO qc_result (result_id, batch_id, rule, test, reading, unit, status, verdict, doubt,
                       reported_at, recorded_by, retest_of, deviation_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: results
SELECT * FROM qc_result WHERE batch_id = $1 ORDER BY result_id

-- name: add_deviation
INSERT INTO deviation (deviation_id, case_id, batch_id, kind, opened_at, opened_by)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (deviation_id) DO NOTHING

-- name: deviation_by_id
SELECT * FROM deviation WHERE deviation_id = $1

-- name: deviations
SELECT * FROM deviation WHERE batch_id = $1 ORDER BY deviation_id

-- name: close_deviation
UPDATE deviation SET closed_at = $2, closed_by = $3, conclusion = $4
WHERE deviation_id = $1 AND closed_at IS NULL

-- name: signatures
SELECT * FROM release_signature WHERE batch_id = $1 ORDER BY signed_at, subject

-- name: add_signature
INSERT INTO release_signature (batch_id, evidence_version, subject, name, roles, meaning,
                               reviews_accepted, signed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: add_certificate
INSERT INTO certificate (certificate_id, batch_id, evidence_version, first_signer, second_signer,
                         conditional, protocol_version, released_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: certificate_by_id
SELECT * FROM certificate WHERE certificate_id = $1

-- name: ask_expiry
INSERT INTO expiry_question (question_id, case_id, batch_id, expires_at, feasible_from, asked_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (batch_id) WHERE answer IS NULL DO NOTHING

-- name: open_question
SELECT * FROM expiry_question WHERE batch_id = $1 AND answer IS NULL

-- name: answer_expiry
UPDATE expiry_question SET answer = $2, answered_by = $3, answered_at = $4
WHERE question_id = $1 AND answer IS NULL

-- name: insert_dose
INSERT INTO dose (dose_id, batch_id, case_id, container_id, number, form, formulated_at, expires_at,
                  state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'QUARANTINED')

-- name: dose_by_id
SELECT * FROM dose WHERE dose_id = $1

-- name: doses_of_batch
SELECT * FROM dose WHERE batch_id = $1 ORDER BY number

-- name: doses_of_infusion
SELECT * FROM dose WHERE bound_to = $1 ORDER BY dose_id

-- name: save_dose
UPDATE dose SET state = $2, form = $3, expires_at = $4, bound_to = $5, start_id = $6,
    thawed_at = $7, issued_at = $8, usable_until = $9, began_at = $10, completed_at = $11,
    hold_id = $12, purpose = $13, discarded_for = $14, version = version + 1
WHERE dose_id = $1

-- name: add_issue
INSERT INTO dose_issue (start_id, permit_id, dose_id, case_id, infusion_id, attempt, issued_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: issue_of
SELECT * FROM dose_issue WHERE dose_id = $1 AND undone_at IS NULL

-- name: issues_of_batch
SELECT i.* FROM dose_issue i JOIN dose d USING (dose_id)
WHERE d.batch_id = $1 ORDER BY i.issued_at, i.start_id

-- name: undo_issue
UPDATE dose_issue SET undone_at = $2 WHERE start_id = $1 AND undone_at IS NULL

-- name: add_hold_order
INSERT INTO hold_order (hold_id, case_id, purpose, dose_ids, cause, reporter, batch_id, deviation_id,
                        step, requested_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (hold_id) DO NOTHING

-- name: hold_order_by_id
SELECT * FROM hold_order WHERE hold_id = $1

-- name: recall_of_batch
SELECT * FROM hold_order WHERE batch_id = $1 AND purpose = 'recall'

-- name: hold_on_record
-- Only the first to say so settles the order.
UPDATE hold_order SET on_record_at = $2, effective = $3
WHERE hold_id = $1 AND on_record_at IS NULL

-- name: holds_waiting
SELECT * FROM hold_order WHERE on_record_at IS NULL ORDER BY hold_id LIMIT $1

-- name: add_report
INSERT INTO report (report_id, case_id, statement, added_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING

-- name: reports_waiting
SELECT report_id, case_id, statement FROM report
WHERE $1::uuid IS NULL OR case_id = $1 ORDER BY report_id LIMIT $2

-- name: reports_sent
DELETE FROM report WHERE report_id = ANY($1::uuid[])
