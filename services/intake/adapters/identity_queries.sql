-- name: cases_of
SELECT DISTINCT i.case_id
FROM identifier i
JOIN unnest($1::text[], $2::text[]) AS t(system, value) USING (system, value)
ORDER BY i.case_id

-- name: insert_change
INSERT INTO identity_change (change_id, kind, state, case_ids, surviving_case, retired_case,
                             retired_keys, source, reason, occurred_at, recorded_at, proposer)
VALUES ($1, $2, 'PENDING', $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: change
SELECT change_id, kind, state, case_ids, surviving_case, retired_case, retired_keys, moved, source,
       occurred_at, recorded_at, proposer
FROM identity_change WHERE change_id = $1

-- name: same_open_change
SELECT change_id, kind, state, case_ids, surviving_case, retired_case, retired_keys, moved, source,
       occurred_at, recorded_at, proposer
FROM identity_change
WHERE state = 'PENDING' AND kind = $1 AND case_ids = $2 AND retired_keys = $3
  AND surviving_case IS NOT DISTINCT FROM $4 AND retired_case IS NOT DISTINCT FROM $5

-- name: changes
-- Newest first; $1 is the last id of the previous page.
SELECT change_id, kind, state, case_ids, surviving_case, retired_case, retired_keys, moved, source,
       occurred_at, recorded_at, proposer
FROM identity_change
WHERE $1::uuid IS NULL OR (recorded_at, change_id) <
      (SELECT b.recorded_at, b.change_id FROM identity_change b WHERE b.change_id = $1)
ORDER BY recorded_at DESC, change_id DESC LIMIT $2

-- name: decide
UPDATE identity_change
SET state = $2, first_signer = $3, second_signer = $4, checked = $5, moved = $6, decided_at = $7
WHERE change_id = $1

-- name: merge_bringing
-- In force: the retired case is still merged into the surviving one.
SELECT m.change_id, m.kind, m.state, m.case_ids, m.surviving_case, m.retired_case, m.retired_keys,
       m.moved, m.source, m.occurred_at, m.recorded_at, m.proposer
FROM identity_change m JOIN patient_case r ON r.case_id = m.retired_case
WHERE m.kind = 'merge' AND m.state = 'CONFIRMED' AND m.surviving_case = $1 AND r.merged_into = $1
  AND EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS t(system, value)
              WHERE m.moved @> jsonb_build_array(jsonb_build_array(t.system, t.value)))
ORDER BY m.decided_at DESC LIMIT 1

-- name: merge_of
SELECT m.change_id, m.kind, m.state, m.case_ids, m.surviving_case, m.retired_case, m.retired_keys,
       m.moved, m.source, m.occurred_at, m.recorded_at, m.proposer
FROM identity_change m JOIN patient_case r ON r.case_id = m.retired_case
WHERE m.kind = 'merge' AND m.state = 'CONFIRMED' AND m.surviving_case = $1 AND m.retired_case = $2
  AND r.merged_into = $1
ORDER BY m.decided_at DESC LIMIT 1

-- name: was_unmerged
SELECT EXISTS (SELECT FROM identity_change
               WHERE kind = 'unmerge' AND state = 'CONFIRMED'
                 AND surviving_case IN ($1, $2) AND retired_case IN ($1, $2))

-- name: move_identifiers
UPDATE identifier SET case_id = $2 WHERE case_id = $1 RETURNING system, value

-- name: give_back
UPDATE identifier i SET case_id = $3
FROM unnest($1::text[], $2::text[]) AS t(system, value)
WHERE i.system = t.system AND i.value = t.value

-- name: retire_case
UPDATE patient_case SET status = 'closed', closed_at = $3, merged_into = $2 WHERE case_id = $1

-- name: reopen_case
UPDATE patient_case SET status = 'open', closed_at = NULL, merged_into = NULL WHERE case_id = $1

-- name: merged_into
SELECT merged_into FROM patient_case WHERE case_id = $1

-- name: note_provenance
INSERT INTO fact_provenance (fact_id, from_fact_id, change_id)
SELECT t.fact_id, t.from_fact_id, $1 FROM unnest($2::uuid[], $3::uuid[]) AS t(fact_id, from_fact_id)
ON CONFLICT DO NOTHING

-- name: copied_sources
SELECT DISTINCT f.source_id FROM fact_provenance p JOIN fact f USING (fact_id)
WHERE p.change_id = $1 AND f.kind <> 'correction' ORDER BY f.source_id

-- name: born_on
SELECT i.case_id, i.family_name, i.given_names
FROM identity i JOIN patient_case c USING (case_id)
WHERE i.birth_date = ANY($1::date[]) AND i.case_id <> $2 AND c.status = 'open'
ORDER BY i.case_id

-- name: ask
INSERT INTO identity_question (question_id, case_id, other_case, asked_at)
VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: questions
SELECT q.question_id, q.case_id, q.other_case, q.asked_at, q.answer
FROM identity_question q
JOIN patient_case a ON a.case_id = q.case_id JOIN patient_case b ON b.case_id = q.other_case
WHERE q.answer IS NULL
  AND ($1::text IS NULL OR (coalesce(a.site, $1) = $1 AND coalesce(b.site, $1) = $1))
ORDER BY q.asked_at, q.question_id LIMIT $2

-- name: question
SELECT question_id, case_id, other_case, asked_at, answer
FROM identity_question WHERE question_id = $1 FOR UPDATE

-- name: answer
UPDATE identity_question SET answer = $2, answered_by = $3, answered_at = $4 WHERE question_id = $1
