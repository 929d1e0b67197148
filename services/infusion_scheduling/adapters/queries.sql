-- name: insert_chair
INSERT INTO chair (chair_id, name, weekdays, opens_at, closes_at, visit_minutes)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: chairs
SELECT chair_id, name, weekdays, opens_at, closes_at, visit_minutes FROM chair ORDER BY name

-- name: taken_slots
-- Chairs that are spoken for from $1 on, but for those of the course $2.
SELECT chair_id, starts_at FROM infusion
WHERE starts_at >= $1 AND state IN ('planned', 'suspended', 'running', 'paused')
  AND ($2::uuid IS NULL OR course_id <> $2)

-- name: insert_course
INSERT INTO course (course_id, case_id, schedule, status, plan_version, planned_by, created_at)
VALUES ($1, $2, $3, 'open', 1, $4, $5)

-- name: course_by_id
SELECT course_id, case_id, schedule, status, plan_version, planned_by, created_at
FROM course WHERE course_id = $1

-- name: open_course_of_case
SELECT course_id, case_id, schedule, status, plan_version, planned_by, created_at
FROM course WHERE case_id = $1 AND status = 'open'

-- name: courses_page
SELECT course_id, case_id, schedule, status, plan_version, planned_by, created_at
FROM course WHERE ($1::uuid IS NULL OR course_id < $1) ORDER BY course_id DESC LIMIT $2

-- name: raise_plan_version
UPDATE course SET plan_version = plan_version + 1 WHERE course_id = $1 RETURNING plan_version

-- name: close_course
UPDATE course SET status = 'closed' WHERE course_id = $1

-- name: insert_infusion
INSERT INTO infusion (infusion_id, course_id, case_id, number, state, chair_id, starts_at, ends_at,
                      dose_id)
VALUES ($1, $2, $3, $4, 'planned', $5, $6, $7, $8)

-- name: infusions_of_course
SELECT infusion_id, course_id, case_id, number, state, chair_id, starts_at, ends_at, dose_id,
       cause, rules, attempt, start_id
FROM infusion WHERE course_id = $1 ORDER BY number

-- name: infusion_by_id
SELECT infusion_id, course_id, case_id, number, state, chair_id, starts_at, ends_at, dose_id,
       cause, rules, attempt, start_id
FROM infusion WHERE infusion_id = $1

-- name: infusions_between
SELECT infusion_id, course_id, case_id, number, state, chair_id, starts_at, ends_at, dose_id,
       cause, rules, attempt, start_id
FROM infusion
WHERE starts_at >= $1 AND starts_at < $2 AND ($3::uuid IS NULL OR case_id = $3)
ORDER BY starts_at, infusion_id LIMIT $4

-- name: suspend_infusions
-- Those of $1 that are planned, each with its cause ($2) and its rules ($3, JSON).
UPDATE infusion i SET state = 'suspended', cause = s.cause, rules = s.rules::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS s (infusion_id, cause, rules)
WHERE i.infusion_id = s.infusion_id AND i.state = 'planned'
RETURNING i.infusion_id

-- name: reinstate_infusion
UPDATE infusion SET state = 'planned', cause = NULL, rules = '[]'
WHERE infusion_id = $1 AND state = 'suspended'

-- name: move_infusion
UPDATE infusion SET state = 'planned', cause = NULL, rules = '[]', chair_id = $2, starts_at = $3,
                    ends_at = $4
WHERE infusion_id = $1 AND state IN ('planned', 'suspended')

-- name: bind_dose
-- For good: a bound dose never changes its infusion.
UPDATE infusion SET dose_id = $2 WHERE infusion_id = $1 AND dose_id IS NULL

-- name: set_infusion_state
UPDATE infusion SET state = $2, attempt = $3, start_id = $4 WHERE infusion_id = $1

-- name: supersede_proposals
UPDATE proposal SET status = 'superseded' WHERE course_id = $1 AND status = 'open'

-- name: insert_proposal
INSERT INTO proposal (proposal_id, course_id, base_version, body, status, created_at)
VALUES ($1, $2, $3, $4, 'open', $5)

-- name: proposal_by_id
SELECT proposal_id, course_id, base_version, body, status, created_at
FROM proposal WHERE proposal_id = $1

-- name: proposals_of_course
SELECT proposal_id, course_id, base_version, body, status, created_at
FROM proposal WHERE course_id = $1 ORDER BY created_at DESC, proposal_id LIMIT 20

-- name: accept_proposal
UPDATE proposal SET status = 'accepted' WHERE proposal_id = $1 AND status = 'open'

-- name: put_timeline
-- An older publication never replaces a newer one.
INSERT INTO gate_timeline (case_id, timeline_version, parts) VALUES ($1, $2, $3)
ON CONFLICT (case_id) DO UPDATE
SET timeline_version = EXCLUDED.timeline_version, parts = EXCLUDED.parts
WHERE gate_timeline.timeline_version < EXCLUDED.timeline_version

-- name: timeline_of_case
SELECT timeline_version, parts FROM gate_timeline WHERE case_id = $1

-- name: timeline_version
SELECT timeline_version FROM gate_timeline WHERE case_id = $1

-- name: put_hold
-- A release that came first has left its mark, which stays.
INSERT INTO planning_hold (hold_id, case_id, gates, dose_ids, by_rule, recorded_at, until, released)
VALUES ($1, $2, $3, $4, $5, $6, $7, false)
ON CONFLICT (hold_id) DO NOTHING

-- name: release_hold
INSERT INTO planning_hold (hold_id, case_id, gates, dose_ids, by_rule, recorded_at, until, released)
VALUES ($1, $2, '[]', NULL, false, $3, NULL, true)
ON CONFLICT (hold_id) DO UPDATE SET released = true

-- name: open_holds_of_case
SELECT hold_id, gates, dose_ids, by_rule, recorded_at, until
FROM planning_hold WHERE case_id = $1 AND NOT released ORDER BY hold_id

-- name: put_dose
INSERT INTO dose (dose_id, case_id, batch_id, state, usable_from, usable_until, ordinal)
VALUES ($1, $2, $3, 'released', $4, $5, $6)
ON CONFLICT (dose_id) DO UPDATE
SET usable_from = EXCLUDED.usable_from, usable_until = EXCLUDED.usable_until

-- name: set_dose_state
UPDATE dose SET state = $2, usable_until = coalesce($3, usable_until) WHERE dose_id = $1

-- name: put_dose_label
UPDATE dose SET label = $2 WHERE dose_id = $1

-- name: doses_of_case
SELECT dose_id, case_id, batch_id, state, usable_from, usable_until, ordinal, label
FROM dose WHERE case_id = $1 ORDER BY ordinal, dose_id

-- name: put_check
INSERT INTO bedside_check (infusion_id, attempt, first_by, second_by, band, label, checked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (infusion_id, attempt) DO UPDATE
SET first_by = EXCLUDED.first_by, second_by = EXCLUDED.second_by, band = EXCLUDED.band,
    label = EXCLUDED.label, checked_at = EXCLUDED.checked_at

-- name: check_of_attempt
SELECT infusion_id, attempt, first_by, second_by, band, label, checked_at
FROM bedside_check WHERE infusion_id = $1 AND attempt = $2

-- name: insert_vitals
INSERT INTO vitals (vitals_id, infusion_id, phase, taken_at, taken_by, measures, triggers)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: vitals_of_infusion
SELECT vitals_id, infusion_id, phase, taken_at, taken_by, measures, triggers
FROM vitals WHERE infusion_id = $1 ORDER BY taken_at, vitals_id

-- name: insert_reaction
INSERT INTO reaction (reaction_id, infusion_id, scale, grade, rule, graded_by, graded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: insert_follow_up
INSERT INTO follow_up (follow_up_id, case_id, infusion_id, rule, due_on, window_days, items)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (infusion_id, rule) DO NOTHING

-- name: follow_ups_page
SELECT follow_up_id, case_id, infusion_id, rule, due_on, window_days, items, done_on, done_by
FROM follow_up
WHERE ($1::uuid IS NULL OR case_id = $1) AND (NOT $2 OR done_on IS NULL)
  AND ($3::date IS NULL OR (due_on, follow_up_id) > ($3, $4))
ORDER BY due_on, follow_up_id LIMIT $5

-- name: finish_follow_up
UPDATE follow_up SET done_on = $2, done_by = $3 WHERE follow_up_id = $1 AND done_on IS NULL
RETURNING case_id, rule

-- name: case_of_follow_up
SELECT case_id FROM follow_up WHERE follow_up_id = $1
