-- What `provision stores` asks PostgreSQL before it makes something.

-- name: role_exists
-- One row if there is a role of that name.
SELECT 1 FROM pg_roles WHERE rolname = $1

-- name: database_exists
-- One row if there is a database of that name.
SELECT 1 FROM pg_database WHERE datname = $1
