-- The audit: one hash chain per case, and one per service for what concerns no case.
CREATE TABLE audit_entry (
    id      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    chain   text NOT NULL,
    seq     bigint NOT NULL CHECK (seq > 0),
    prev    bytea NOT NULL CHECK (octet_length(prev) = 32),
    hash    bytea NOT NULL CHECK (octet_length(hash) = 32),
    body    text NOT NULL,
    case_id uuid,
    action  text NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_entry_case ON audit_entry (case_id, seq) WHERE case_id IS NOT NULL;

-- The newest entry of each chain: the lock for appending and the leaves of the exported root. It
-- repeats what the entries say and is checked against them; it proves nothing by itself.
CREATE TABLE audit_head (
    chain text PRIMARY KEY,
    seq   bigint NOT NULL,
    hash  bytea NOT NULL
);

-- Entries are only ever added. The trigger refuses everybody, the owner too; the missing grants
-- refuse the application's role before the trigger is asked.
CREATE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are only ever added' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_is_append_only();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_append_only();

DO $$
DECLARE grantee_name name;
BEGIN
    FOR grantee_name IN
        SELECT DISTINCT r.rolname FROM pg_class c
        CROSS JOIN LATERAL aclexplode(c.relacl) a
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid IN ('audit_entry'::regclass, 'audit_head'::regclass)
          AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON audit_entry FROM %I',
                       grantee_name);
        EXECUTE format('REVOKE DELETE, TRUNCATE, TRIGGER ON audit_head FROM %I', grantee_name);
    END LOOP;
END $$;
