-- name: insert_entry
INSERT INTO entry_version (entry_id, version, case_id, form, body, sources, withdrawn, entered_by,
                           entered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: entry
SELECT entry_id, version, case_id, form, body, sources, withdrawn, entered_by, entered_at
FROM entry_version WHERE case_id = $1 AND entry_id = $2 ORDER BY version DESC LIMIT 1

-- name: entries_of_case
-- Entry ids are time-ordered: the newest entry first, its versions in their order.
SELECT entry_id, version, case_id, form, body, sources, withdrawn, entered_by, entered_at
FROM entry_version WHERE case_id = $1 ORDER BY entry_id DESC, version
