-- name: worklist
-- Cases by urgency, then by waiting time, with the counts under the same filter in one snapshot.
-- $1 urgency (NULL: any), $2 kind of open item (NULL: any), $3 owner (NULL: anybody), $4 part of the
-- code (NULL: any), $5 closed cases too, $6 rows, $7 rows before, $8 what is no case.
WITH ranked AS (
    SELECT case_id, urgency, kind, what, since, owners,
           row_number() OVER by_rank AS rank,
           count(*) OVER whole AS items, min(due_at) OVER whole AS due_at
    FROM open_item
    WINDOW whole AS (PARTITION BY case_id),
           by_rank AS (PARTITION BY case_id ORDER BY urgency DESC, since, kind, what)
), base AS MATERIALIZED (
    SELECT c.case_id, c.code, coalesce(r.urgency, 0) AS urgency, r.kind, r.what,
           coalesce(r.since, c.last_event_at) AS since, coalesce(r.owners, '{}') AS owners,
           coalesce(r.items, 0) AS items, r.due_at, c.opened_at, c.closed_at, c.last_event_at
    FROM case_card c LEFT JOIN ranked r ON r.case_id = c.case_id AND r.rank = 1
    WHERE c.case_id <> $8
      AND (c.closed_at IS NULL OR $5)
      AND ($2::text IS NULL
           OR EXISTS (SELECT FROM open_item o WHERE o.case_id = c.case_id AND o.kind = $2))
      AND ($3::text IS NULL OR $3 = ANY(r.owners))
      AND ($4::text IS NULL OR strpos(c.code, $4) > 0)
), counted AS (
    SELECT count(*) AS all_cases,
           count(*) FILTER (WHERE urgency = 3) AS critical,
           count(*) FILTER (WHERE urgency = 2) AS warning,
           count(*) FILTER (WHERE urgency = 1) AS information,
           count(*) FILTER (WHERE urgency = 0) AS quiet
    FROM base
), shown AS (
    SELECT * FROM base WHERE $1::int IS NULL OR urgency = $1
    ORDER BY urgency DESC, since, case_id LIMIT $6 OFFSET $7
)
SELECT * FROM counted LEFT JOIN shown ON true ORDER BY urgency DESC, since, case_id

-- name: infusion_gates
-- The infusion gate of these cases at an instant.
SELECT case_id, start, plan, rules, due FROM gate_interval
WHERE case_id = ANY($1::uuid[]) AND gate = 'infusion' AND starts_at <= $2 AND ends_at > $2

-- name: next_infusions
SELECT DISTINCT ON (case_id) case_id, number, planned_at, state FROM infusion
WHERE case_id = ANY($1::uuid[]) AND state IN ('planned', 'suspended', 'running', 'paused')
ORDER BY case_id, planned_at, number

-- name: case_by_id
SELECT case_id, code, first_event_at, last_event_at, opened_at, closed_at, close_reason,
       protocol_version
FROM case_card WHERE case_id = $1

-- name: cases_by_code
SELECT case_id FROM case_card WHERE code = $1 ORDER BY case_id LIMIT 2

-- name: open_holds
-- The holds of a case that are not released, oldest first, with who has fenced against each.
SELECT h.*, coalesce(a.holders, '{}') AS holders
FROM hold h
LEFT JOIN LATERAL (
    SELECT array_agg(holder ORDER BY holder) AS holders FROM hold_ack WHERE hold_id = h.hold_id
) a ON true
WHERE h.case_id = $1 AND h.released_at IS NULL
ORDER BY h.recorded_at, h.hold_id

-- name: timelines_of_case
SELECT gate, epoch, version, timeline_version, protocol_version, published_at
FROM gate_timeline WHERE case_id = $1

-- name: intervals_of_case
-- Intervals that are not over at $2, in order.
SELECT gate, starts_at, ends_at, start, plan, rules, due FROM gate_interval
WHERE case_id = $1 AND ends_at > $2 ORDER BY gate, starts_at

-- name: infusions_of_case
SELECT infusion_id, number, planned_at, state, state_since, cause, rules, hold_id, refused_at,
       refused_codes, refused_rules
FROM infusion WHERE case_id = $1 AND state <> 'unplanned' ORDER BY planned_at, number

-- name: batches_of_case
SELECT batch_id, state, state_since, forecast_on, expires_at, form, doses
FROM batch WHERE case_id = $1 ORDER BY state_since, batch_id

-- name: permits_out
SELECT permit_id, gate, holder, granted_at FROM permit
WHERE case_id = $1 AND ended_at IS NULL ORDER BY granted_at

-- name: open_proposals
SELECT proposal_id, moved, impossible, proposed_at FROM proposal
WHERE case_id = $1 AND ended_at IS NULL ORDER BY proposed_at

-- name: alerts
-- $1 case (NULL: all), $2 closed ones too, $3 rows.
SELECT a.*, c.code FROM alert a LEFT JOIN case_card c USING (case_id)
WHERE ($1::uuid IS NULL OR a.case_id = $1) AND ($2 OR a.state <> 'closed')
ORDER BY a.state <> 'open', CASE a.urgency WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END,
         a.raised_at, a.alert_id
LIMIT $3

-- name: silent_sources
SELECT source_name, feed, since FROM silent_source WHERE case_id = $1 AND since IS NOT NULL
ORDER BY since, source_name

-- name: all_silent_sources
-- Each source once, whichever case said it last; a source of one case that is heard may still be
-- silent for another until the timer has told that one too.
SELECT source_name, min(feed) AS feed, min(since) AS since, count(*)::int AS cases
FROM silent_source s JOIN case_card c USING (case_id)
WHERE s.since IS NOT NULL AND c.closed_at IS NULL
GROUP BY source_name ORDER BY since, source_name

-- name: parkings
-- Who has put which case aside, oldest first; $1 case (NULL: all).
SELECT p.case_id, c.code, p.consumer, p.parked_source, p.parked_sequence, p.parked_at AS since
FROM parking p LEFT JOIN case_card c USING (case_id)
WHERE p.unparked_at IS NULL AND ($1::uuid IS NULL OR p.case_id = $1)
ORDER BY p.parked_at, p.case_id

-- name: own_parkings
-- What the console itself could not read: the first record of each case and how many wait behind.
SELECT p.case_id, c.code, p.parked_at AS since, r.cause, r.event_type, r.topic, r.partition,
       r."offset", r.attempts, w.waiting
FROM parked_case p
LEFT JOIN case_card c USING (case_id)
LEFT JOIN LATERAL (
    SELECT * FROM parked_record q
    WHERE q.consumer = p.consumer AND q.case_id = p.case_id AND q.settled_at IS NULL
    ORDER BY q.id LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS waiting FROM parked_record q
    WHERE q.consumer = p.consumer AND q.case_id = p.case_id AND q.settled_at IS NULL
) w ON true
WHERE $1::uuid IS NULL OR p.case_id = $1
ORDER BY p.parked_at, p.case_id

-- name: dead_letters
SELECT topic, partition, "offset", error, dead_at FROM dead_letter ORDER BY dead_at DESC LIMIT $1

-- name: early_of_one_case
-- Events of the case that came before their predecessor and are not shown yet.
SELECT count(*) FROM early WHERE case_id = $1

-- name: log_of_case
-- The newest events of a case, newest first; one more than asked for tells that there are more.
SELECT event_id, case_id, type, source, topic, partition, "offset", epoch, sequence, occurred_at,
       sent_at, correlation_id, causation_id, trace_id, safety, detail
FROM event_log WHERE case_id = $1
ORDER BY sent_at DESC, topic, partition, "offset" DESC LIMIT $2

-- name: newest_events
-- The newest events and the vector right behind all that the projection has read, in one snapshot.
-- $1 case, $2 wire types, $3 source (NULL: any), $4 rows.
SELECT e.event_id, e.case_id, e.type, e.source, e.topic, e.partition, e."offset", e.epoch,
       e.sequence, e.occurred_at, e.sent_at, e.correlation_id, e.causation_id, e.trace_id, e.safety,
       e.detail, p.places
FROM (
    SELECT coalesce(
        jsonb_agg(jsonb_build_array(topic, partition, next_offset) ORDER BY topic, partition), '[]'
    ) AS places
    FROM next_offset WHERE consumer = 'console'
) p
LEFT JOIN LATERAL (
    SELECT * FROM event_log
    WHERE ($1::uuid IS NULL OR case_id = $1)
      AND ($2::text[] IS NULL OR type = ANY($2))
      AND ($3::text IS NULL OR source = $3)
    ORDER BY sent_at DESC, event_id LIMIT $4
) e ON true
ORDER BY e.sent_at DESC, e.event_id

-- name: streams
-- Through when (machine time) everything that a source said is shown here.
SELECT source, min(beat_at) AS through, max(oldest_unsent_seconds) AS oldest_unsent_seconds
FROM applied_through WHERE consumer = 'console' GROUP BY source ORDER BY source

-- name: own_positions
SELECT topic, partition, next_offset FROM next_offset WHERE consumer = 'console'
ORDER BY topic, partition

-- name: sent_from
-- When the first event at or after each place was sent: since then a reader that stands there waits.
SELECT p.topic, p.partition, e.sent_at
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS p (topic, partition, next_offset)
JOIN LATERAL (
    SELECT sent_at FROM event_log l
    WHERE l.topic = p.topic AND l.partition = p.partition AND l."offset" >= p.next_offset
    ORDER BY l."offset" LIMIT 1
) e ON true
