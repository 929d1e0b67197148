-- Read-only questions to the stores, for the last lines of the demo. They are asked by psql in
-- sessions that cannot write, and printed, so that anybody can ask them again.

-- name: events_published
-- Events that a service has committed to its stream (every one of them is sent at least once).
SELECT coalesce(sum(sequence), 0) FROM stream_head

-- name: events_unsent
-- Events committed and not yet acknowledged by Kafka.
SELECT count(*) FROM outbox

-- name: holds
-- Holds on record, by the way in which they became effective; `RECORDED`: not effective yet.
SELECT json_object_agg(way, holds) FROM (
    SELECT coalesce(effective_by, state) AS way, count(*) AS holds FROM hold GROUP BY 1
) AS counted

-- name: permits
-- Presses of start that reached the authority, by what became of them.
SELECT json_object_agg(state, presses) FROM (
    SELECT state, count(*) AS presses FROM permit GROUP BY state
) AS counted

-- name: facts
-- Facts on record, by origin: imported from a bundle, entered by staff, measured by a service.
SELECT json_object_agg(origin, facts) FROM (
    SELECT origin, count(*) AS facts FROM fact GROUP BY origin
) AS counted

-- name: starts
-- Starts that a holder has answered with GO, as JSON, for the next query. Unpermitted ones are
-- counted apart and never hidden.
SELECT coalesce(json_agg(json_build_object(
    'start_id', start_id, 'case_id', case_id, 'gate', gate, 'dose_id', dose_id, 'go_at', go_at
)), '[]') FROM start WHERE go_at IS NOT NULL AND NOT unpermitted

-- name: starts_against_an_effective_hold
-- Invariant I2, asked of the authority: GOs whose moment lies in the time in which a hold that
-- covers their gate and dose was effective and not yet released. `:starts` is the answer above.
-- When a hold became effective is machine time; the difference at its own commit moves it onto
-- the clinic's clock.
SELECT count(*)
FROM json_to_recordset(:'starts')
     AS s(start_id uuid, case_id uuid, gate text, dose_id uuid, go_at timestamptz)
JOIN hold h ON h.case_id = s.case_id
           AND s.gate = ANY (h.gates)
           AND (h.dose_ids IS NULL OR s.dose_id = ANY (h.dose_ids))
WHERE h.recorded_at + (h.effective_at - h.committed_at) <= s.go_at
  AND (h.released_at IS NULL OR s.go_at < h.released_at)
