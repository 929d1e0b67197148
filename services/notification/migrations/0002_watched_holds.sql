-- When this service learnt of a piece of evidence, by the machine's clock: a recorded hold that
-- nobody tells to be effective is paged after a bound on machine time, which demo jumps do not move.
ALTER TABLE evidence ADD COLUMN heard_at timestamptz;
CREATE INDEX evidence_hold_recorded ON evidence (heard_at)
    WHERE lasts_until LIKE 'hold:%' AND detail ->> 'effective' = 'no';
