-- Which history of which cluster the authority's permits belong to; a restore or promotion is
-- another one, and then nothing is granted until `recover`.
CREATE TABLE authority_history (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    system_identifier text    NOT NULL,
    timeline          text    NOT NULL
);
