# A PostgreSQL server for one test, with its data and socket in a temporary folder and no port. Sourced after env.sh,
# by scripts that run `tests/tools/install postgresql` first.
#
#   start_postgres    creates and starts it
#   $postgres         its URL: postgres://…
#   stop_postgres     stops it and removes its folder
#
# PostgreSQL refuses to run as root; in that case it runs as its package's user.

postgres=
postgres_folder=

# Prints the folder of PostgreSQL's programs, the newest if there are several.
postgres_programs() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort --version-sort | tail -n 1 | sed 's:/initdb$::'
}

# Runs one of PostgreSQL's programs as a user other than root.
as_postgres() {
    local as=()
    if [[ $EUID == 0 ]]; then
        as=(setpriv --reuid postgres --regid postgres --clear-groups)
    fi
    (cd "$postgres_folder" && exec "${as[@]}" "$@")
}

start_postgres() {
    local programs
    programs=$(postgres_programs)
    [[ -n $programs ]] || fail 'PostgreSQL is not installed'
    postgres_folder=$(mktemp -d "${TMPDIR:-/tmp}/cloakroom-postgres.XXXXXX")
    [[ $EUID != 0 ]] || chown postgres: "$postgres_folder"
    say "$("$programs/postgres" --version) in $postgres_folder"
    # The data need not survive a power cut.
    as_postgres "$programs/initdb" --pgdata data --auth trust --username cloakroom --encoding UTF8 \
        --locale C.UTF-8 --no-sync >"$postgres_folder/initdb.log" 2>&1 ||
        fail "initdb: $(tail -n 5 "$postgres_folder/initdb.log")"
    cat >>"$postgres_folder/data/postgresql.conf" <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$postgres_folder'
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
SETTINGS
    as_postgres "$programs/pg_ctl" --pgdata data --log log --wait start >/dev/null ||
        fail "PostgreSQL does not start: $(tail -n 5 "$postgres_folder/log")"
    postgres=postgres://cloakroom@${postgres_folder//\//%2F}/postgres
}

stop_postgres() {
    [[ -n $postgres_folder ]] || return 0
    as_postgres "$(postgres_programs)/pg_ctl" --pgdata data --mode immediate --wait stop >/dev/null 2>&1 || true
    rm -rf "$postgres_folder"
    postgres_folder=
}
