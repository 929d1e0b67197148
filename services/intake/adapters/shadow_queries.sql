-- name: asked_on
SELECT a.case_id, a.gate, a.subject_id, a.asked_at, a.reasons
FROM permit_advice AS a JOIN patient_case AS c USING (case_id)
WHERE a.asked_at >= $1 AND a.asked_at < $2 AND ($3::text IS NULL OR coalesce(c.site, $3) = $3)
ORDER BY a.asked_at, a.permit_id LIMIT $4

-- name: held_on
SELECT h.hold_id, h.case_id, h.kind, h.rule, h.gates, h.recorded_at, h.released_at
FROM hold AS h JOIN patient_case AS c USING (case_id)
WHERE h.recorded_at >= $1 AND h.recorded_at < $2 AND ($3::text IS NULL OR coalesce(c.site, $3) = $3)
ORDER BY h.recorded_at, h.hold_id LIMIT $4
