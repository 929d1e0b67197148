-- name: knows_subject
-- Whether some alert of the case has this piece of evidence.
SELECT true FROM evidence WHERE case_id = $1 AND subject = $2 LIMIT 1

-- name: related_alerts
-- The case's living alerts, and its closed ones with evidence that shares one of the keys.
SELECT a.* FROM alert a
WHERE a.case_id = $1
  AND (a.state <> 'closed'
       OR EXISTS (SELECT FROM evidence e WHERE e.alert_id = a.alert_id AND e.keys && $2::text[]))
ORDER BY a.raised_at, a.alert_id

-- name: alert_by_id
SELECT * FROM alert WHERE alert_id = $1

-- name: case_of_alert
-- Read before the lock, so that the lock statement knows what to lock. It never changes.
SELECT case_id FROM alert WHERE alert_id = $1

-- name: evidence_of_alerts
SELECT * FROM evidence WHERE alert_id = ANY($1::uuid[]) ORDER BY occurred_at, subject

-- name: put_alert
-- Who was (not) reachable changes only when somebody was told ($12 NULL: nobody); the steps of one
-- version add up.
INSERT INTO alert (alert_id, case_id, version, state, level, leading_kind, roles, told_level, told_roles,
                   raised_at, opened_at, unreachable, fallback, changed_at, close_reason, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12::text[], '{}'),
        coalesce($13, false), $14, $15, $16)
ON CONFLICT (alert_id) DO UPDATE SET
    version = EXCLUDED.version, state = EXCLUDED.state, level = EXCLUDED.level,
    leading_kind = EXCLUDED.leading_kind, roles = EXCLUDED.roles, told_level = EXCLUDED.told_level,
    told_roles = EXCLUDED.told_roles, opened_at = EXCLUDED.opened_at,
    unreachable = CASE
        WHEN $12::text[] IS NULL THEN alert.unreachable
        WHEN alert.version = EXCLUDED.version
            THEN ARRAY(SELECT DISTINCT unnest(alert.unreachable || $12::text[]) ORDER BY 1)
        ELSE $12::text[] END,
    fallback = CASE
        WHEN $13::boolean IS NULL THEN alert.fallback
        WHEN alert.version = EXCLUDED.version THEN alert.fallback OR $13::boolean
        ELSE $13::boolean END,
    changed_at = EXCLUDED.changed_at,
    close_reason = EXCLUDED.close_reason, closed_at = EXCLUDED.closed_at

-- name: add_evidence
INSERT INTO evidence (alert_id, subject, case_id, kind, chain, occurred_at, keys, level, lasts_until,
                      resolves, detail, event_id, source, recorded_at, heard_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: add_change
INSERT INTO alert_change (alert_id, what, changed_at) VALUES ($1, $2, $3)

-- name: add_delivery
-- One message per alert version, step and channel: a second one is no news.
INSERT INTO delivery (delivery_id, alert_id, case_id, alert_version, step, channel, urgency, people,
                      remaining, state, queued_at, due_at, finished_at, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13)
ON CONFLICT (alert_id, alert_version, step, channel) DO NOTHING

-- name: drop_deliveries
UPDATE delivery SET state = 'dropped', outcome = $2, finished_at = $3
WHERE alert_id = $1 AND state = 'queued'

-- name: add_escalation
INSERT INTO escalation (alert_id, alert_version, step, due_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING

-- name: stop_escalations
UPDATE escalation SET state = 'stopped' WHERE alert_id = $1 AND state = 'pending'

-- name: snooze_escalations
UPDATE escalation SET due_at = $2 WHERE alert_id = $1 AND state = 'pending' AND due_at < $2

-- name: fire_escalation
-- The one who changes the row fires the step; the alert's case is locked.
UPDATE escalation SET state = 'fired', fired_at = $4
WHERE alert_id = $1 AND alert_version = $2 AND step = $3 AND state = 'pending' AND due_at <= $4

-- name: escalations_due
SELECT e.alert_id, a.case_id, e.alert_version, e.step, e.due_at
FROM escalation e JOIN alert a USING (alert_id)
WHERE e.state = 'pending' AND e.due_at <= $1
ORDER BY e.due_at, e.alert_id, e.step LIMIT $2

-- name: steps_fired
SELECT coalesce(max(step), 0) FROM escalation WHERE alert_id = $1 AND state = 'fired'

-- name: add_answer
INSERT INTO answer (alert_id, alert_version, kind, subject, name, role, reason, note, answered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: answer_of_version
SELECT * FROM answer WHERE alert_id = $1 AND alert_version = $2

-- name: claim_delivery
-- Takes one e-mail that is due, or whose claim ended without word (its worker died), of an alert
-- that still waits for an answer. SKIP LOCKED: workers never wait for each other; the order of
-- messages does not matter, the newest content is behind the link.
UPDATE delivery SET state = 'sending', attempt = attempt + 1, claimed_until = $2
WHERE delivery_id = (
    SELECT d.delivery_id FROM delivery d JOIN alert a USING (alert_id)
    WHERE d.channel = 'email' AND a.state = 'open'
      AND ((d.state = 'queued' AND d.due_at <= $1)
           OR (d.state = 'sending' AND d.claimed_until < $1))
    ORDER BY d.due_at, d.delivery_id LIMIT 1
    FOR UPDATE OF d SKIP LOCKED)
RETURNING delivery_id, alert_id, case_id, alert_version, step, urgency, remaining, attempt,
          traceparent

-- name: claimed_context
-- What the message and its events need besides: the first cause, and when step 1 falls due.
SELECT (SELECT e.chain FROM evidence e WHERE e.alert_id = $1
        ORDER BY e.recorded_at, e.occurred_at, e.subject LIMIT 1) AS chain,
       (SELECT min(x.due_at) FROM escalation x
        WHERE x.alert_id = $1 AND x.state = 'pending') AS answer_by

-- name: settle_delivery
-- Fenced by the attempt: a worker whose claim was taken over changes nothing.
UPDATE delivery SET state = $3, remaining = $4, outcome = $5, due_at = $6, claimed_until = NULL,
    finished_at = CASE WHEN $3 = 'queued' THEN NULL ELSE $7::timestamptz END
WHERE delivery_id = $1 AND attempt = $2 AND state = 'sending'

-- name: drop_stale_claims
UPDATE delivery d SET state = 'dropped', outcome = 'unknown', finished_at = $1
FROM alert a
WHERE a.alert_id = d.alert_id AND a.state <> 'open' AND d.state = 'sending'
  AND d.claimed_until < $1

-- name: roster_for
-- Entries that count now or later: of the case and of the general duty; $1 NULL: all cases.
SELECT * FROM roster_entry
WHERE (ends_at IS NULL OR ends_at > $2) AND ($1::uuid IS NULL OR case_id IS NULL OR case_id = $1)
ORDER BY role, starts_at, entry_id

-- name: roster_page
SELECT * FROM roster_entry
WHERE (ends_at IS NULL OR ends_at > $1)
  AND ($2::uuid IS NULL OR case_id IS NULL OR case_id = $2)
  AND ($3::text IS NULL OR role = $3)
  AND ($4::uuid IS NULL OR entry_id > $4)
ORDER BY entry_id LIMIT $5

-- name: roster_entry
SELECT * FROM roster_entry WHERE entry_id = $1

-- name: put_roster_entry
INSERT INTO roster_entry (entry_id, role, subject, name, email, case_id, starts_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (entry_id) DO UPDATE SET
    role = EXCLUDED.role, subject = EXCLUDED.subject, name = EXCLUDED.name,
    email = EXCLUDED.email, case_id = EXCLUDED.case_id, starts_at = EXCLUDED.starts_at,
    ends_at = EXCLUDED.ends_at

-- name: stream_states
SELECT source, last_seen_at, broken_since FROM stream_watch ORDER BY source

-- name: put_stream_state
INSERT INTO stream_watch (source, last_seen_at, broken_since) VALUES ($1, $2, $3)
ON CONFLICT (source) DO UPDATE SET
    last_seen_at = EXCLUDED.last_seen_at, broken_since = EXCLUDED.broken_since

-- name: alerts_page
-- Newest first. $1 state, $2 urgency as levels, $3 case, $4 roles, $5/$6 the last row seen.
SELECT * FROM alert
WHERE ($1::text[] IS NULL OR state = ANY($1))
  AND ($2::text[] IS NULL OR level = ANY($2))
  AND ($3::uuid IS NULL OR case_id = $3)
  AND ($4::text[] IS NULL OR roles && $4)
  AND ($5::timestamptz IS NULL OR (raised_at, alert_id) < ($5, $6::uuid))
ORDER BY raised_at DESC, alert_id DESC LIMIT $7

-- name: answers_of_alerts
SELECT * FROM answer WHERE alert_id = ANY($1::uuid[]) ORDER BY alert_version, answered_at

-- name: escalations_of_alerts
SELECT * FROM escalation WHERE alert_id = ANY($1::uuid[]) ORDER BY alert_version, step

-- name: deliveries_of_alerts
SELECT * FROM delivery WHERE alert_id = ANY($1::uuid[]) ORDER BY alert_version, step, channel

-- name: changes_after
-- In commit order, and only what no running transaction can still be added below: a plain
-- "seq > last" would lose the rows of a slow transaction (sequence order is not commit order).
SELECT c.xid::text AS xid, c.seq, c.alert_id, c.what, c.changed_at, a.case_id, a.version, a.state,
       a.level
FROM alert_change c JOIN alert a USING (alert_id)
WHERE c.xid < pg_snapshot_xmin(pg_current_snapshot())
  AND (c.xid, c.seq) > ($1::text::xid8, $2)
ORDER BY c.xid, c.seq LIMIT $3

-- name: changes_end
-- The mark after everything that a reader who joins now has already seen in the list.
SELECT c.xid::text AS xid, c.seq FROM alert_change c
WHERE c.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY c.xid DESC, c.seq DESC LIMIT 1

-- name: last_heartbeats
-- Through when each source has been heard on all its partitions, as this consumer applied it
-- (written by the consumer kernel; read here without Kafka).
SELECT source, min(beat_at) AS heard_at FROM applied_through
WHERE consumer = 'notification' GROUP BY source

-- name: holds_not_effective
-- Holds that were recorded while a permit was out, heard of before $1, and of which neither the
-- effect nor the release was told since. Each is told once.
SELECT DISTINCT e.case_id, e.chain, e.detail ->> 'hold_id' AS hold_id
FROM evidence e JOIN alert a USING (alert_id)
WHERE e.lasts_until LIKE 'hold:%' AND e.detail ->> 'effective' = 'no' AND e.heard_at <= $1
  AND a.state <> 'closed'
  AND NOT EXISTS (
      SELECT FROM evidence o
      WHERE o.case_id = e.case_id
        AND o.subject IN ('hold_effective:' || (e.detail ->> 'hold_id'),
                          'hold_released:' || (e.detail ->> 'hold_id'),
                          'hold_not_effective:' || (e.detail ->> 'hold_id')))
ORDER BY hold_id LIMIT $2

-- name: oldest_unacknowledged
-- Since when the oldest alert that must be answered stands open.
SELECT min(opened_at) FROM alert WHERE state = 'open' AND level <> 'L1'
