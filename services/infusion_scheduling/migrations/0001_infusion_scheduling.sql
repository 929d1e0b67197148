-- Courses, chairs, infusions, bedside records and follow-ups; copies of what other services said.

-- The case's lock row is its fence (shared.permits); every write below happens under it.

CREATE TABLE chair (
    chair_id      uuid PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    weekdays      int[] NOT NULL,
    opens_at      time NOT NULL,
    closes_at     time NOT NULL,
    visit_minutes int NOT NULL CHECK (visit_minutes > 0),
    CHECK (opens_at < closes_at)
);

CREATE TABLE course (
    course_id    uuid PRIMARY KEY,
    case_id      uuid NOT NULL,
    schedule     text NOT NULL,
    status       text NOT NULL CHECK (status IN ('open', 'closed')),
    plan_version int NOT NULL,
    planned_by   text NOT NULL,
    created_at   timestamptz NOT NULL
);
-- One course at a time for a case.
CREATE UNIQUE INDEX course_open ON course (case_id) WHERE status = 'open';

CREATE TABLE infusion (
    infusion_id uuid PRIMARY KEY,
    course_id   uuid NOT NULL REFERENCES course,
    case_id     uuid NOT NULL,
    number      int NOT NULL,
    state       text NOT NULL CHECK (state IN ('planned', 'suspended', 'running', 'paused',
                                               'stopped', 'completed')),
    chair_id    uuid NOT NULL REFERENCES chair,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    dose_id     uuid,
    cause       text,
    rules       jsonb NOT NULL DEFAULT '[]',
    attempt     int NOT NULL DEFAULT 0,
    start_id    uuid,
    UNIQUE (course_id, number),
    -- A chair serves one patient at a time: no double booking, whoever asks at once. A chair's
    -- slots do not overlap, so equal starts are enough; judged at COMMIT, so that a series may
    -- swap its own chairs.
    CONSTRAINT infusion_chair EXCLUDE USING btree (chair_id WITH =, starts_at WITH =)
        WHERE (state IN ('planned', 'suspended', 'running', 'paused'))
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX infusion_case ON infusion (case_id, number);
-- A dose is bound to one infusion for good.
CREATE UNIQUE INDEX infusion_dose ON infusion (dose_id) WHERE dose_id IS NOT NULL;

CREATE TABLE proposal (
    proposal_id  uuid PRIMARY KEY,
    course_id    uuid NOT NULL REFERENCES course,
    base_version int NOT NULL,
    body         jsonb NOT NULL,
    status       text NOT NULL CHECK (status IN ('open', 'accepted', 'superseded')),
    created_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX proposal_open ON proposal (course_id) WHERE status = 'open';

-- The infusion gate's timeline as intake published it.
CREATE TABLE gate_timeline (
    case_id          uuid PRIMARY KEY,
    timeline_version int NOT NULL,
    parts            jsonb NOT NULL
);

-- Open holds, for planning; the start permit has its own replica.
CREATE TABLE planning_hold (
    hold_id     uuid PRIMARY KEY,
    case_id     uuid NOT NULL,
    gates       jsonb NOT NULL,
    dose_ids    jsonb,
    by_rule     boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    until       timestamptz,
    released    boolean NOT NULL
);
CREATE INDEX planning_hold_case ON planning_hold (case_id) WHERE NOT released;

-- Doses as manufacturing reported them.
CREATE TABLE dose (
    dose_id      uuid PRIMARY KEY,
    case_id      uuid NOT NULL,
    batch_id     uuid NOT NULL,
    state        text NOT NULL CHECK (state IN ('released', 'issued', 'given', 'gone')),
    usable_from  timestamptz NOT NULL,
    usable_until timestamptz NOT NULL,
    ordinal      int NOT NULL
);
CREATE INDEX dose_case ON dose (case_id, ordinal);

-- What two people checked at the bedside, for one attempt.
CREATE TABLE bedside_check (
    infusion_id  uuid NOT NULL REFERENCES infusion,
    attempt      int NOT NULL,
    first_by     text NOT NULL,
    second_by    text NOT NULL,
    band         text NOT NULL,
    label        text NOT NULL,
    checked_at   timestamptz NOT NULL,
    PRIMARY KEY (infusion_id, attempt),
    CHECK (first_by <> second_by)
);

CREATE TABLE vitals (
    vitals_id   uuid PRIMARY KEY,
    infusion_id uuid NOT NULL REFERENCES infusion,
    phase       text NOT NULL CHECK (phase IN ('before', 'during', 'after')),
    taken_at    timestamptz NOT NULL,
    taken_by    text NOT NULL,
    measures    jsonb NOT NULL,
    triggers    jsonb NOT NULL
);
CREATE INDEX vitals_infusion ON vitals (infusion_id, taken_at);

CREATE TABLE reaction (
    reaction_id uuid PRIMARY KEY,
    infusion_id uuid NOT NULL REFERENCES infusion,
    scale       text NOT NULL,
    grade       int NOT NULL,
    rule        text NOT NULL,
    graded_by   text NOT NULL,
    graded_at   timestamptz NOT NULL
);

CREATE TABLE follow_up (
    follow_up_id uuid PRIMARY KEY,
    case_id      uuid NOT NULL,
    infusion_id  uuid NOT NULL REFERENCES infusion,
    rule         text NOT NULL,
    due_on       date NOT NULL,
    window_days  int NOT NULL,
    items        jsonb NOT NULL,
    done_on      date,
    done_by      text,
    UNIQUE (infusion_id, rule)
);
CREATE INDEX follow_up_due ON follow_up (due_on) WHERE done_on IS NULL;
