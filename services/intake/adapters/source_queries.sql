-- name: put_sources
-- A source that comes back is counted from now: what it had said before is old.
INSERT INTO source (name, feed, site, configured_at)
SELECT s.name, s.feed, s.site, $4 FROM unnest($1::text[], $2::text[], $3::text[]) AS s(name, feed, site)
ON CONFLICT (name) DO UPDATE SET
    feed = EXCLUDED.feed, site = EXCLUDED.site,
    configured_at = CASE WHEN source.removed_at IS NULL THEN source.configured_at
                         ELSE EXCLUDED.configured_at END,
    heard_at = CASE WHEN source.removed_at IS NULL THEN source.heard_at END,
    removed_at = NULL

-- name: remove_other_sources
UPDATE source SET removed_at = $2 WHERE removed_at IS NULL AND name <> ALL ($1::text[])

-- name: hear
-- Never backwards: GREATEST of both, and of NULL and a time the time.
UPDATE source SET heard_at = GREATEST(heard_at, $2) WHERE name = $1 AND removed_at IS NULL
RETURNING heard_at

-- name: watermarks
-- A case of no known site counts for every source: what is not known shuts.
SELECT s.name, s.feed, s.site, s.configured_at, s.heard_at
FROM source s LEFT JOIN patient_case c ON c.case_id = $1
WHERE s.removed_at IS NULL
  AND ($1::uuid IS NULL OR s.site IS NULL OR c.site IS NULL OR s.site = c.site)
ORDER BY s.name

-- name: begin_silence
INSERT INTO source_silence (silence_id, name, feed, site, effective, heard_at, noticed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING

-- name: end_silence
UPDATE source_silence SET ended_at = $2 WHERE silence_id = $1 AND ended_at IS NULL

-- name: unsettled_silences
SELECT silence_id, name, feed, site, effective, heard_at, ended_at
FROM source_silence WHERE NOT settled ORDER BY silence_id

-- name: silence_standing
-- FOR SHARE: its end waits, so that no case learns of the beginning after all learnt of the end.
SELECT silence_id, name, feed, site, effective, heard_at, ended_at
FROM source_silence WHERE silence_id = $1 FOR SHARE

-- name: cases_not_told_begin
SELECT c.case_id FROM patient_case c
WHERE c.status = 'open' AND ($2::text IS NULL OR c.site IS NULL OR c.site = $2)
  AND NOT EXISTS (SELECT FROM fact f WHERE f.kind = 'silence' AND f.source_id = $1
                  AND f.source_version = '1' AND f.case_id = c.case_id)
ORDER BY c.case_id LIMIT $3

-- name: cases_not_told_end
SELECT f.case_id FROM fact f
WHERE f.kind = 'silence' AND f.source_id = $1 AND f.source_version = '1'
  AND NOT EXISTS (SELECT FROM fact e WHERE e.kind = 'silence' AND e.source_id = $1
                  AND e.source_version = '2' AND e.case_id = f.case_id)
ORDER BY f.case_id LIMIT $2

-- name: settle
UPDATE source_silence SET settled = true WHERE silence_id = $1
