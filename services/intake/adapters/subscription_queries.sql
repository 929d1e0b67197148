-- name: add_subscription
INSERT INTO subscription (feed, subscription, heard_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: locked
SELECT feed, subscription, run, highest, status, errors, heard_at, told_at
FROM subscription WHERE feed = $1 AND subscription = $2 FOR UPDATE

-- name: put_subscription
UPDATE subscription
SET run = $3, highest = $4, status = $5, errors = $6, heard_at = $7, told_at = $8
WHERE feed = $1 AND subscription = $2

-- name: subscriptions
SELECT feed, subscription, run, highest, status, errors, heard_at, told_at
FROM subscription WHERE $1::text IS NULL OR feed = $1 ORDER BY feed, subscription

-- name: open_gaps
SELECT errand_id, feed, subscription, run, first_number, last_number, reference, state, attempts,
       noticed_at, code, place, case_id
FROM subscription_errand
WHERE feed = $1 AND subscription = $2 AND run = $3 AND reference IS NULL
  AND state IN ('waiting', 'parked')
ORDER BY first_number FOR UPDATE

-- name: add_errand
-- A reference of an event is owed once, however often the event is told.
INSERT INTO subscription_errand (errand_id, feed, subscription, run, first_number, last_number,
                                 reference, state, attempts, noticed_at, next_try_at, code)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (feed, subscription, run, first_number, reference) WHERE reference IS NOT NULL
DO NOTHING

-- name: narrow_gap
UPDATE subscription_errand SET first_number = $2, last_number = $3 WHERE errand_id = $1

-- name: fill_gap
UPDATE subscription_errand SET state = 'done', code = 'filled', settled_at = $2
WHERE errand_id = $1 AND state IN ('waiting', 'parked')

-- name: owed_since
-- What stands before a person together with its case is no unknown of the feed any more.
SELECT min(noticed_at) FROM subscription_errand
WHERE feed = $1 AND (state = 'waiting' OR (state = 'parked' AND case_id IS NULL))

-- name: claim
-- Claimed by moving its next try: a process that dies in the middle gives it back by time alone.
UPDATE subscription_errand SET attempts = attempts + 1, next_try_at = $3
WHERE errand_id IN (
    SELECT errand_id FROM subscription_errand
    WHERE state = 'waiting' AND feed = ANY ($1::text[]) AND next_try_at <= $2
    ORDER BY next_try_at, errand_id LIMIT $4 FOR UPDATE SKIP LOCKED)
RETURNING errand_id, feed, subscription, run, first_number, last_number, reference, state, attempts,
          noticed_at, code, place, case_id

-- name: settle
-- Only where the errand still is as it was seen: another attempt, or a person, was not faster.
UPDATE subscription_errand
SET state = $4::text, code = $5, place = $6, case_id = COALESCE($7, case_id),
    next_try_at = COALESCE($8, next_try_at), attempts = CASE WHEN $12 THEN 0 ELSE attempts END,
    settled_at = CASE WHEN $4::text <> 'waiting' THEN $9::timestamptz END,
    settled_by = COALESCE($10, settled_by), reason = $11
WHERE errand_id = $1 AND state = $2 AND attempts = $3

-- name: count_unknown
UPDATE feeds SET unknown_patients = unknown_patients + 1 WHERE name = $1

-- name: listed
-- $1 is the last id of the previous page (ids are time-ordered).
SELECT errand_id, feed, subscription, run, first_number, last_number, reference, state, attempts,
       noticed_at, code, place, case_id
FROM subscription_errand
WHERE state IN ('parked', 'not-here') AND ($1::uuid IS NULL OR errand_id > $1)
ORDER BY errand_id LIMIT $2

-- name: errand
SELECT errand_id, feed, subscription, run, first_number, last_number, reference, state, attempts,
       noticed_at, code, place, case_id
FROM subscription_errand
WHERE errand_id = $1 AND state IN ('parked', 'not-here') FOR UPDATE

-- name: feed_states
-- $1 are the configured feeds, which stand here before they were ever heard.
SELECT n.name, f.heard_at, s.heard_at AS watermark,
       COALESCE(f.unknown_patients, 0) AS unknown_patients,
       count(*) FILTER (WHERE e.state = 'waiting' AND e.reference IS NOT NULL) AS waiting,
       count(*) FILTER (WHERE e.state = 'parked' AND e.reference IS NOT NULL) AS parked,
       count(*) FILTER (WHERE e.state IS NOT NULL AND e.reference IS NULL) AS gaps
FROM (SELECT unnest($1::text[]) UNION SELECT name FROM feeds UNION SELECT feed FROM subscription)
     AS n(name)
LEFT JOIN feeds f ON f.name = n.name
LEFT JOIN source s ON s.name = n.name AND s.removed_at IS NULL
LEFT JOIN subscription_errand e ON e.feed = n.name AND e.state IN ('waiting', 'parked')
GROUP BY n.name, f.heard_at, s.heard_at, f.unknown_patients ORDER BY n.name
