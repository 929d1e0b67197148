#!/bin/sh
# Makes the data directory at the first start and becomes the server. POSTGRES_USER and
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE name its administrator.
set -eu
case ${1:-} in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  mkdir -p "$(dirname "$PGDATA")"
  # A directory that was half made by a start that was killed is made anew.
  rm -rf "$PGDATA.new"
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    password=$(cat "$POSTGRES_PASSWORD_FILE")
  else
    password=${POSTGRES_PASSWORD:?POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set}
  fi
  printf '%s\n' "$password" >/tmp/password
  initdb --pgdata="$PGDATA.new" --username="${POSTGRES_USER:-postgres}" --pwfile=/tmp/password \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 \
    --locale-provider=builtin --locale=C.UTF-8 >/tmp/initdb.log || { cat /tmp/initdb.log; exit 1; }
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA.new/pg_hba.conf"
  mv "$PGDATA.new" "$PGDATA"
fi
if [ "$1" = postgres ]; then
  shift
  set -- postgres -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql "$@"
fi
exec "$@"
