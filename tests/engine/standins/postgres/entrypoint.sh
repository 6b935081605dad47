#!/bin/bash
# The official image's contract, in short: initialise an empty data directory, then serve.
set -e
if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
[ "$1" = postgres ] || exec "$@"

if [ "$PG_MAJOR" -ge 18 ] && grep -q ' /var/lib/postgresql/data ' /proc/self/mounts; then
  echo "Error: in 18+, the data lies in a folder per major version: mount a volume at /var/lib/postgresql, not at /var/lib/postgresql/data." >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

file_env() { # NAME or NAME_FILE
  local file=${1}_FILE
  if [ -n "${!file}" ]; then
    [ -z "${!1}" ] || { echo "error: both $1 and $file are set (but are exclusive)" >&2; exit 1; }
    export "$1"="$(<"${!file}")"
    unset "$file"
  fi
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  file_env POSTGRES_PASSWORD; file_env POSTGRES_USER; file_env POSTGRES_DB
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    echo "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser." >&2
    exit 1
  fi
  user=${POSTGRES_USER:-postgres} db=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
  mkdir -p "$PGDATA"
  initdb -U "$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=trust -D "$PGDATA"
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
  # The last two as the official image has them: they are what tells this server from the real one.
  pg_ctl -D "$PGDATA" -o "-c unix_socket_directories=/var/run/postgresql -c listen_addresses='' -p ${PGPORT:-5432}" -w start
  [ "$db" = postgres ] || createdb -h /var/run/postgresql -U "$user" --maintenance-db=postgres "$db"
  for f in /docker-entrypoint-initdb.d/*; do
    case $f in
      *.sh)
        # shellcheck source=/dev/null
        if [ -x "$f" ]; then "$f"; else . "$f"; fi ;;
      *.sql) psql -h /var/run/postgresql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$db" -f "$f" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
  echo "PostgreSQL init process complete; ready for start up."
else
  echo "PostgreSQL Database directory appears to contain a database; Skipping initialization"
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
