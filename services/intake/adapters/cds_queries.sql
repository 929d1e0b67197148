-- name: put_planned_collection
-- A booking that is told twice is one.
INSERT INTO planned_collection (collection_id, case_id, planned_on) VALUES ($1, $2, $3)
ON CONFLICT (collection_id) DO NOTHING

-- name: drop_planned_collection
DELETE FROM planned_collection WHERE collection_id = $1

-- name: drop_planned_collection_for
-- A cancelled booking is told as its freed slot, which lies on the collection's day or a few days
-- after; the booking before that day is the one. $3 keeps an earlier collection out of it.
DELETE FROM planned_collection WHERE collection_id = (
    SELECT collection_id FROM planned_collection
    WHERE case_id = $1 AND planned_on <= $2 AND planned_on > $2::date - $3::int
    ORDER BY planned_on DESC, collection_id LIMIT 1)

-- name: planned_collections
-- Soonest first.
SELECT collection_id, planned_on FROM planned_collection
WHERE case_id = $1 AND planned_on >= $2 ORDER BY planned_on, collection_id LIMIT $3

-- name: insert_feedback
-- The same word again changes nothing; so many rows are new.
INSERT INTO cds_feedback (card_id, outcome, outcome_at, reporter, service_id, reason_system,
                          reason_code, user_comment, suggestions, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING
