-- FHIR subscriptions: what servers notified, and what still has to be had from them.

-- One row for each subscription of a feed. `highest` is the highest event number known of; `run`
-- counts how often the server began to count anew.
CREATE TABLE subscription (
    feed         text        NOT NULL,
    subscription text        NOT NULL,
    run          integer     NOT NULL DEFAULT 1,
    highest      bigint      NOT NULL DEFAULT 0,
    status       text        NOT NULL DEFAULT 'requested',
    errors       text[]      NOT NULL DEFAULT '{}',
    heard_at     timestamptz NOT NULL,
    told_at      timestamptz,
    PRIMARY KEY (feed, subscription)
);

-- What is to be had: a notified resource, or (without a reference) the events of a span that never
-- came. No content of a resource is kept here.
CREATE TABLE subscription_errand (
    errand_id    uuid        PRIMARY KEY,
    feed         text        NOT NULL,
    subscription text        NOT NULL,
    run          integer     NOT NULL,
    first_number bigint      NOT NULL,
    last_number  bigint      NOT NULL,
    reference    text,
    state        text        NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'done', 'not-here', 'parked', 'discarded')),
    attempts     integer     NOT NULL DEFAULT 0,
    noticed_at   timestamptz NOT NULL,
    -- by the machine's clock, as all waiting is
    next_try_at  timestamptz NOT NULL,
    code         text,
    place        text,
    case_id      uuid,
    settled_at   timestamptz,
    settled_by   text,
    reason       text,
    FOREIGN KEY (feed, subscription) REFERENCES subscription (feed, subscription),
    CHECK (first_number <= last_number),
    CHECK (reference IS NULL OR first_number = last_number)
);
CREATE UNIQUE INDEX subscription_errand_once
    ON subscription_errand (feed, subscription, run, first_number, reference)
    WHERE reference IS NOT NULL;
CREATE INDEX subscription_errand_due ON subscription_errand (next_try_at) WHERE state = 'waiting';
CREATE INDEX subscription_errand_open ON subscription_errand (errand_id)
    WHERE state IN ('parked', 'not-here');
CREATE INDEX subscription_errand_owed ON subscription_errand (feed, noticed_at)
    WHERE state IN ('waiting', 'parked');
