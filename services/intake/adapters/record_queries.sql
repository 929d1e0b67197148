-- name: insert_case
INSERT INTO patient_case (case_id, site, status, alias, opened_at)
VALUES ($1, $2, 'open', $3, $4)

-- name: insert_identity
INSERT INTO identity (case_id, family_name, given_names, birth_date) VALUES ($1, $2, $3, $4)

-- name: insert_identifier
-- Two referrals of one patient meet here: the loser reads the winner's case.
INSERT INTO identifier (system, value, case_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: case_by_identifier
SELECT case_id FROM identifier WHERE system = $1 AND value = $2

-- name: case_summary
SELECT c.case_id, c.site, c.status, c.alias, c.opened_at, c.merged_into
FROM patient_case c WHERE c.case_id = $1

-- name: cases_page
-- Newest first; $1 is the last case id of the previous page (ids are time-ordered).
SELECT c.case_id, c.site, c.status, c.alias, c.opened_at, c.merged_into
FROM patient_case c
WHERE ($1::uuid IS NULL OR c.case_id < $1) AND ($2::text IS NULL OR c.site = $2)
ORDER BY c.case_id DESC LIMIT $3

-- name: identity_of
SELECT family_name, given_names, birth_date FROM identity WHERE case_id = $1

-- name: insert_facts
-- A fact that is already here (same source id and version) changes nothing.
INSERT INTO fact (fact_id, case_id, source_id, source_version, kind, statement, recorded_at,
                  origin, reporter)
SELECT f.fact_id, $1, f.source_id, f.source_version, f.kind, f.statement, $2, $3, $4
FROM unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::jsonb[])
     WITH ORDINALITY AS f(fact_id, source_id, source_version, kind, statement, n)
ORDER BY f.n
ON CONFLICT (case_id, source_id, source_version) DO NOTHING
RETURNING fact_id, source_id, source_version, kind

-- name: facts_of_case
-- In order of arrival; $2 limits to what was recorded by then.
SELECT fact_id, ordinal, source_id, source_version, kind, statement, recorded_at, origin, reporter
FROM fact
WHERE case_id = $1 AND ($2::timestamptz IS NULL OR recorded_at <= $2)
ORDER BY ordinal

-- name: fact_by_id
SELECT fact_id, case_id, ordinal, source_id, source_version, kind, statement, recorded_at, origin,
       reporter
FROM fact WHERE fact_id = $1 AND case_id = $2

-- name: insert_decisions
-- One array a column, in the order of the fields of StoredDecision.
INSERT INTO decision (decision_id, case_id, gate, decided_at, recorded_at, last_ordinal,
                      protocol_version, protocol_digest, protocol_status, verdict, body,
                      watermarks)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                     $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[])

-- name: decision_given
-- Two of one instant differ by the facts known: the later one knew more.
SELECT decision_id, case_id, gate, decided_at, recorded_at, last_ordinal, protocol_version,
       protocol_digest, protocol_status, verdict, body, watermarks
FROM decision WHERE case_id = $1 AND gate = $2 AND decided_at = $3 AND recorded_at = $4
ORDER BY last_ordinal DESC, decision_id DESC LIMIT 1

-- name: decisions_page
SELECT decision_id, case_id, gate, decided_at, recorded_at, last_ordinal, protocol_version,
       protocol_digest, protocol_status, verdict, body, watermarks
FROM decision
WHERE ($1::uuid IS NULL OR decision_id > $1) AND ($2::uuid IS NULL OR case_id = $2)
      AND ($3::timestamptz IS NULL OR recorded_at <= $3)
ORDER BY decision_id LIMIT $4

-- name: timelines_of_case
SELECT gate, timeline_version, body, verdict, blocking, next_boundary, made_by FROM timeline
WHERE case_id = $1

-- name: put_timeline
INSERT INTO timeline (case_id, gate, timeline_version, body, verdict, blocking, next_boundary,
                      made_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (case_id, gate) DO UPDATE SET
    timeline_version = EXCLUDED.timeline_version, body = EXCLUDED.body,
    verdict = EXCLUDED.verdict, blocking = EXCLUDED.blocking,
    next_boundary = EXCLUDED.next_boundary, made_by = EXCLUDED.made_by

-- name: cases_due
-- Cases whose timeline changes by time alone: its boundary has passed.
SELECT DISTINCT case_id FROM timeline WHERE next_boundary <= $1 ORDER BY case_id LIMIT $2

-- name: cases_made_by_others
-- Cases whose timeline another protocol made than the one in force.
SELECT DISTINCT case_id FROM timeline WHERE made_by IS DISTINCT FROM $1 ORDER BY case_id LIMIT $2

-- name: count_made_by_others
SELECT count(DISTINCT case_id) FROM timeline WHERE made_by IS DISTINCT FROM $1

-- name: put_product
INSERT INTO product (dose_id, case_id, batch_id, certificate_id, state, form, formulated_at,
                     expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (dose_id) DO UPDATE SET
    certificate_id = EXCLUDED.certificate_id, state = EXCLUDED.state, form = EXCLUDED.form,
    formulated_at = EXCLUDED.formulated_at, expires_at = EXCLUDED.expires_at

-- name: mark_issued
UPDATE product SET state = 'issued', issue_permit = $2, issued_for = $3, usable_until = $4
WHERE dose_id = $1

-- name: mark_thawed
UPDATE product SET thawed_at = $2, usable_until = $3 WHERE dose_id = $1

-- name: mark_product_state
UPDATE product SET state = $2 WHERE dose_id = $1

-- name: product_of_dose
SELECT dose_id, case_id, batch_id, certificate_id, state, form, formulated_at, expires_at,
       thawed_at, usable_until, issue_permit, issued_for
FROM product WHERE dose_id = $1

-- name: products_of_case
SELECT dose_id, case_id, batch_id, certificate_id, state, form, formulated_at, expires_at,
       thawed_at, usable_until, issue_permit, issued_for
FROM product WHERE case_id = $1 ORDER BY dose_id

-- name: insert_eligibility
INSERT INTO eligibility (eligibility_id, case_id, outcome, advice, reevaluate_on, reason, signer,
                         signed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: permits_out
SELECT count(*) FROM permit WHERE state = 'GRANTED'

-- name: has_applied_past
-- Whether a heartbeat says that everything the source had committed by $4 is applied here: what was
-- unsent at the beat is younger than that.
SELECT EXISTS (
    SELECT FROM applied_through
    WHERE consumer = $1 AND source = $2 AND partition = $3
      AND beat_at - make_interval(secs => oldest_unsent_seconds) > $4)
