-- Signed acts on rulebooks: who approved or retired which text, from when on, and how it was signed.
CREATE TABLE protocol_signature (
    signature_id    uuid PRIMARY KEY,
    digest          text NOT NULL REFERENCES rulebook,
    act             text NOT NULL CHECK (act IN ('approved-for-use', 'retired')),
    since           timestamptz NOT NULL,
    reason          text NOT NULL,
    signer          text NOT NULL,
    signer_name     text NOT NULL,
    signed_at       timestamptz NOT NULL,
    -- the second component: when the signer signed in again for this signature, in machine time
    signed_in_at    timestamptz NOT NULL
);

-- 'unsigned': a draft outside the demo, under which no step may start.
ALTER TABLE protocol_use DROP CONSTRAINT protocol_use_status_check;
ALTER TABLE protocol_use ADD CONSTRAINT protocol_use_status_check
    CHECK (status IN ('draft', 'unsigned', 'signed', 'retired'));

-- Which protocol a timeline was made by; another one in force means that the case is asked anew.
ALTER TABLE timeline ADD COLUMN made_by text;
