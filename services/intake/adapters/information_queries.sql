-- name: insert_document
INSERT INTO information_document (document, version, topics, published_by, published_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING

-- name: documents
SELECT document, version, topics FROM information_document ORDER BY ordinal

-- name: insert_explanation
INSERT INTO explanation (explanation_id, case_id, topic, document, version, language, explained_by,
                         explained_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: explanations
SELECT explanation_id, topic, document, version, language, explained_by, explained_at
FROM explanation WHERE case_id = $1 ORDER BY ordinal

-- name: insert_question
INSERT INTO patient_question (question_id, case_id, question, recorded_by, recorded_at)
VALUES ($1, $2, $3, $4, $5)

-- name: answer_question
-- An answer that was given stays; another one is another question.
UPDATE patient_question SET answer = $3, answered_by = $4, answered_at = $5
WHERE case_id = $1 AND question_id = $2 AND question IS NOT NULL AND answered_at IS NULL

-- name: questions
SELECT question_id, question, recorded_by, recorded_at, answer, answered_by, answered_at
FROM patient_question WHERE case_id = $1 ORDER BY recorded_at, question_id

-- name: insert_consent
INSERT INTO consent (consent_id, case_id, document, version, language, signed_on, taken_by,
                     recorded_at, rests_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: consents
SELECT consent_id, case_id, document, version, language, signed_on, taken_by, recorded_at, rests_on
FROM consent WHERE case_id = $1 ORDER BY recorded_at, consent_id

-- name: insert_handover
INSERT INTO card_handover (handover_id, case_id, template, version, language, given_to,
                           handed_over_by, handed_over_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: handovers
SELECT handover_id, case_id, template, version, language, given_to, handed_over_by, handed_over_at
FROM card_handover WHERE case_id = $1 ORDER BY handed_over_at, handover_id
