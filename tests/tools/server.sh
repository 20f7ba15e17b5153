# Starts and stops the service for a test. Sourced after env.sh; call find_cloakroom first.
#
#   start_server --demo     serves on a free port, with $data as its data folder; on loopback, or
#                           on the address in $listen_on
#   start_program COMMAND…  the same with a program that embeds the service, which reads from the
#                           environment what the service takes as flags
#   make_late_users         from now on, the sessions of users whose name contains `-late` are not
#                           confirmed, as if they had begun long ago (SQLite)
#   $url                    its URL
#   stop_server             stops it with SIGTERM, and reads its log
#
# The working folder $scratch is new each time; it and the server are removed when the script ends.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/cloakroom-${0##*/}.XXXXXX")
data=$scratch/data
log=$scratch/server.log
url=
server=

# Puts a free port into $port, or the one in the variable PORT. The open file $port_lock holds it until this script ends,
# and the tests in Rust take no held port either, see tests/support/process.rs.
free_port() {
    local port_locks=${TMPDIR:-/tmp}/cloakroom-test-ports-$EUID port_lock
    mkdir -p "$port_locks"
    port=${PORT:-}
    [[ -z $port ]] || return 0
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 10000))
        exec {port_lock}>"$port_locks/$port"
        flock --nonblock "$port_lock" || continue
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
    done
    fail 'no free port found'
}

# Starts `cloakroom serve` with the given additional arguments and waits until it is ready.
start_server() {
    free_port
    local at=${listen_on:-127.0.0.1}:$port
    say "cloakroom serve --listen $at${*:+ $*}"
    started "$cloakroom" serve --listen "$at" --data-dir "$data" "$@"
}

# Starts a program that embeds the service and waits until it is ready.
start_program() {
    free_port
    say "$* at 127.0.0.1:$port"
    CLOAKROOM_LISTEN=127.0.0.1:$port CLOAKROOM_DATA_DIR=$data started "$@"
}

started() {
    url=http://127.0.0.1:$port
    # From another folder than this one, which may contain a developer's cloakroom.toml.
    (cd "$scratch" && exec "$@") >"$log" 2>&1 </dev/null &
    server=$!
    for _ in {1..1200}; do
        kill -0 "$server" 2>/dev/null || fail 'the service ended while it started'
        if curl --silent --fail --max-time 2 --output /dev/null "$url/readyz"; then
            return 0
        fi
        sleep 0.1
    done
    fail "$url/readyz did not answer 200 within two minutes"
}

# Sends SIGTERM, waits for exit code 0 and reads the log: a caught panic is a failure too.
stop_server() {
    local ended=no status=0
    kill -TERM "$server" || fail 'the service had ended by itself'
    for _ in {1..1200}; do
        if ! kill -0 "$server" 2>/dev/null; then
            ended=yes
            break
        fi
        sleep 0.1
    done
    [[ $ended == yes ]] || fail 'the service did not end within two minutes of SIGTERM'
    wait "$server" || status=$?
    server=
    [[ $status == 0 ]] || fail "the service ended with exit code $status"
    if grep --ignore-case --quiet 'panicked' "$log"; then
        fail 'the log of the service tells of a panic'
    fi
    say 'the service ended cleanly, no panic in its log'
}

# Stops the server however the script ends, and shows its log after a failure.
clean_up() {
    local status=$?
    if [[ -n $server ]]; then
        kill -KILL "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [[ $status != 0 && -s $log ]]; then
        printf '%s\n' "--- the service's log, its last 40 lines" >&2
        tail -n 40 "$log" >&2
    fi
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

make_late_users() {
    python3 - "$data/cloakroom.db" <<'PYTHON'
import sqlite3, sys

database = sqlite3.connect(sys.argv[1], timeout=10)
database.execute(
    """create trigger late after insert on sessions
       when (select username from accounts where id = new.account_id) like '%-late%'
       begin update sessions set confirmed_at = 0 where id = new.id; end"""
)
database.close()
PYTHON
}
