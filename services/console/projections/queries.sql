-- Writing the read models. Every statement run twice equals once, and an older event never
-- overwrites what a newer one wrote: (epoch, sequence) of the row's own topic decides.

-- name: log_events
-- One row per event, in the order of the arrays; those that are known stay as they are.
INSERT INTO event_log (event_id, case_id, type, source, topic, partition, "offset", epoch, sequence,
                       occurred_at, sent_at, correlation_id, causation_id, trace_id, safety, detail)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[],
                     $7::bigint[], $8::bigint[], $9::bigint[], $10::timestamptz[],
                     $11::timestamptz[], $12::uuid[], $13::uuid[], $14::text[], $15::boolean[],
                     $16::jsonb[])
ON CONFLICT (event_id) DO NOTHING

-- name: touch_cases
-- One row per case of these events, from the first to the last of them.
INSERT INTO case_card (case_id, code, first_event_at, last_event_at)
SELECT u.case_id, u.code, min(u.at), max(u.at)
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS u (case_id, code, at)
GROUP BY u.case_id, u.code ORDER BY u.case_id
ON CONFLICT (case_id) DO UPDATE SET
    first_event_at = least(case_card.first_event_at, EXCLUDED.first_event_at),
    last_event_at = greatest(case_card.last_event_at, EXCLUDED.last_event_at)

-- name: open_case
UPDATE case_card SET opened_at = coalesce(opened_at, $2), protocol_version = $3 WHERE case_id = $1

-- name: close_case
UPDATE case_card SET closed_at = coalesce(closed_at, $2), close_reason = $3 WHERE case_id = $1

-- name: place_hold
INSERT INTO hold (hold_id, case_id, kind, rule, gates, doses, on_running, version, recorded_at,
                  effective_at, effective_by, expected_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (hold_id) DO NOTHING

-- name: make_hold_effective
UPDATE hold SET effective_at = $2, effective_by = $3 WHERE hold_id = $1 AND effective_by IS NULL

-- name: note_hold_overdue
UPDATE hold SET overdue = overdue || $2::text WHERE hold_id = $1 AND NOT $2::text = ANY(overdue)

-- name: release_hold
UPDATE hold SET released_at = $2 WHERE hold_id = $1 AND released_at IS NULL

-- name: release_holds_but
-- An epoch's snapshot names every hold that is open; those it does not name are gone.
UPDATE hold SET released_at = $2
WHERE case_id = $1 AND released_at IS NULL AND recorded_at <= $2 AND NOT hold_id = ANY($3::uuid[])

-- name: acknowledge_hold
INSERT INTO hold_ack (hold_id, holder, in_flight, acknowledged_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (hold_id, holder) DO NOTHING

-- name: publish_timeline
-- Answers true when this timeline is newer than the one stored.
INSERT INTO gate_timeline (case_id, gate, epoch, version, timeline_version, protocol_version,
                           published_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (case_id, gate) DO UPDATE SET
    epoch = EXCLUDED.epoch, version = EXCLUDED.version,
    timeline_version = EXCLUDED.timeline_version, protocol_version = EXCLUDED.protocol_version,
    published_at = EXCLUDED.published_at
WHERE (gate_timeline.epoch, gate_timeline.timeline_version)
      < (EXCLUDED.epoch, EXCLUDED.timeline_version)
RETURNING true

-- name: clear_intervals
DELETE FROM gate_interval WHERE case_id = $1 AND gate = $2

-- name: add_interval
INSERT INTO gate_interval (case_id, gate, starts_at, ends_at, start, plan, rules, due)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: grant_permit
INSERT INTO permit (permit_id, case_id, gate, holder, subject_id, state, granted_at)
VALUES ($1, $2, $3, $4, $5, 'GRANTED', $6)
ON CONFLICT (permit_id) DO NOTHING

-- name: end_permit
UPDATE permit SET state = $2, ended_at = $3 WHERE permit_id = $1 AND ended_at IS NULL

-- name: plan_infusion
INSERT INTO infusion (infusion_id, case_id, course_id, number, planned_at, state, state_since,
                      epoch, sequence)
VALUES ($1, $2, $3, $4, $5, 'planned', $6, $7, $8)
ON CONFLICT (infusion_id) DO UPDATE SET
    course_id = EXCLUDED.course_id, number = EXCLUDED.number, planned_at = EXCLUDED.planned_at,
    state = 'planned', state_since = EXCLUDED.state_since, cause = NULL, rules = '{}',
    hold_id = NULL, epoch = EXCLUDED.epoch, sequence = EXCLUDED.sequence
WHERE (infusion.epoch, infusion.sequence) < (EXCLUDED.epoch, EXCLUDED.sequence)
  AND infusion.state IN ('planned', 'suspended', 'unplanned')

-- name: unplan_others
-- A course placed anew names every infusion that is still to be given.
UPDATE infusion SET state = 'unplanned', state_since = $3, epoch = $4, sequence = $5
WHERE course_id = $1 AND NOT infusion_id = ANY($2::uuid[]) AND state IN ('planned', 'suspended')
  AND (epoch, sequence) < ($4, $5)

-- name: set_infusion
-- Sets the state, and what the event tells (NULL: it does not tell).
INSERT INTO infusion (infusion_id, case_id, course_id, number, planned_at, state, state_since,
                      cause, rules, hold_id, epoch, sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (infusion_id) DO UPDATE SET
    course_id = coalesce(EXCLUDED.course_id, infusion.course_id),
    number = coalesce(EXCLUDED.number, infusion.number),
    planned_at = coalesce(EXCLUDED.planned_at, infusion.planned_at),
    state = EXCLUDED.state, state_since = EXCLUDED.state_since, cause = EXCLUDED.cause,
    rules = EXCLUDED.rules, hold_id = EXCLUDED.hold_id,
    epoch = EXCLUDED.epoch, sequence = EXCLUDED.sequence
WHERE (infusion.epoch, infusion.sequence) < (EXCLUDED.epoch, EXCLUDED.sequence)

-- name: refuse_start
UPDATE infusion SET refused_at = $2, refused_codes = $3, refused_rules = $4, epoch = $5, sequence = $6
WHERE infusion_id = $1 AND (epoch, sequence) < ($5, $6)

-- name: propose_plan
-- A new proposal for a course takes the place of the one before it.
WITH ended AS (
    UPDATE proposal SET ended_at = $6
    WHERE course_id = $3 AND ended_at IS NULL AND proposal_id <> $1 AND proposed_at <= $6
)
INSERT INTO proposal (proposal_id, case_id, course_id, moved, impossible, proposed_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (proposal_id) DO NOTHING

-- name: end_proposals
UPDATE proposal SET ended_at = $2 WHERE course_id = $1 AND ended_at IS NULL AND proposed_at <= $2

-- name: set_batch
INSERT INTO batch (batch_id, case_id, state, state_since, forecast_on, expires_at, form, doses,
                   epoch, sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, 0), $9, $10)
ON CONFLICT (batch_id) DO UPDATE SET
    state = EXCLUDED.state, state_since = EXCLUDED.state_since,
    forecast_on = coalesce(EXCLUDED.forecast_on, batch.forecast_on),
    expires_at = coalesce(EXCLUDED.expires_at, batch.expires_at),
    form = coalesce(EXCLUDED.form, batch.form), doses = coalesce($8, batch.doses),
    epoch = EXCLUDED.epoch, sequence = EXCLUDED.sequence
WHERE (batch.epoch, batch.sequence) < (EXCLUDED.epoch, EXCLUDED.sequence)

-- name: forecast_batch
UPDATE batch SET forecast_on = $2, epoch = $3, sequence = $4
WHERE batch_id = $1 AND (epoch, sequence) < ($3, $4)

-- name: raise_alert
INSERT INTO alert (alert_id, case_id, cause, urgency, roles, version, state, raised_at, ack_due_at,
                   epoch, sequence)
VALUES ($1, $2, $3, $4, $5, 1, 'open', $6, $7, $8, $9)
ON CONFLICT (alert_id) DO NOTHING

-- name: update_alert
UPDATE alert SET version = $2, urgency = $3, cause = coalesce($4, cause), state = 'open',
                 acknowledged_at = NULL, closed_at = NULL, close_reason = NULL, epoch = $5, sequence = $6
WHERE alert_id = $1 AND (epoch, sequence) < ($5, $6)

-- name: answer_alert
UPDATE alert SET state = $2, acknowledged_at = $3, epoch = $5, sequence = $6
WHERE alert_id = $1 AND version = $4 AND state <> 'closed' AND (epoch, sequence) < ($5, $6)

-- name: escalate_alert
UPDATE alert SET escalation_step = greatest(escalation_step, $2) WHERE alert_id = $1

-- name: note_delivery
UPDATE alert SET delivered_by = delivered_by || $2::text
WHERE alert_id = $1 AND NOT $2::text = ANY(delivered_by)

-- name: note_delivery_failure
UPDATE alert SET failed_by = failed_by || $2::text
WHERE alert_id = $1 AND NOT $2::text = ANY(failed_by)

-- name: close_alert
UPDATE alert SET state = 'closed', closed_at = $2, close_reason = $3, epoch = $4, sequence = $5
WHERE alert_id = $1 AND (epoch, sequence) < ($4, $5)

-- name: note_parked
INSERT INTO parking (event_id, case_id, consumer, parked_source, parked_sequence, parked_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (event_id) DO NOTHING

-- name: note_unparked
UPDATE parking SET unparked_at = $3
WHERE case_id = $1 AND consumer = $2 AND unparked_at IS NULL AND parked_at <= $3

-- name: note_source
-- What was said earlier never replaces what was said later.
INSERT INTO silent_source (case_id, source_name, feed, since, sequence) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (case_id, source_name) DO UPDATE SET
    feed = EXCLUDED.feed, since = EXCLUDED.since, sequence = EXCLUDED.sequence
    WHERE silent_source.sequence < EXCLUDED.sequence
