# Shared by all scripts in tests/: paths and messages. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
tools=$root/target/tools # installed by tests/tools/install
modules=$root/tests/tools/node_modules

# The browser of tests/e2e/browser.
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}

PATH=$tools/venv/bin:$tools/bin:$modules/.bin:$PATH:/usr/sbin # nginx is there
export PATH

# No telemetry.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true SCARF_ANALYTICS=false
export PYTHONDONTWRITEBYTECODE=1

# Prints one line for each step.
say() {
    printf '%s: %s\n' "${0##*/}" "$*"
}

# Prints an error on standard error, and ends the script.
fail() {
    printf '%s: FAILED: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Prints the folder of the newest LLVM that can read the coverage data of rustc.
llvm_folder() {
    local folder
    folder=$(compgen -G '/usr/lib/llvm-*/bin/llvm-cov' | sort --version-sort | tail -n 1 | xargs -r dirname)
    [[ $folder =~ llvm-([0-9]+) ]] && ((BASH_REMATCH[1] >= 19)) && printf '%s\n' "$folder"
}

# Prints the folder of the last release's document, if there was a release.
last_release() {
    (cd "$root" && compgen -G 'openapi/released/*/openapi.json' || true) |
        sed 's:/openapi.json$::' | sort --version-sort | tail -n 1
}

# Puts the path of the program under test into $cloakroom: BINARY, or the release build, which is
# built first so that it is up to date.
find_cloakroom() {
    if [[ -n ${BINARY:-} ]]; then
        cloakroom=$(realpath "$BINARY")
    else
        say 'cargo build --release'
        (cd "$root" && cargo build --release --locked --quiet)
        cloakroom=$target/release/cloakroom
    fi
    [[ -x $cloakroom ]] || fail "no program at $cloakroom"
    without_own_settings
}

# The developer's own settings must not affect the tests.
without_own_settings() {
    local setting
    for setting in $(compgen -e | grep '^CLOAKROOM_' || true) DATABASE_URL; do
        unset "$setting"
    done
}
