# The steps of tests/all, sourced by it after env.sh.
#
#   form              quick or nightly; the script sets it
#   step, together    run the steps
#   summary           prints the outcome and the time of each step; fails if the run failed
#
# In the quick form, a step that fails runs once more: the machines of CI have two cores and do other work, and a
# single test that loses a race must not cost a whole run. If the step passes the second time, it counts as passed and is
# reported as unstable. An unstable step is a fault of its test, which is corrected next; a run with more than two of them
# fails. The nightly form repeats nothing, so that it shows what is unstable.

MAX_UNSTABLE=2

work=$(mktemp -d "${TMPDIR:-/tmp}/cloakroom-all.XXXXXX")
trap 'rm -rf "$work"' EXIT
: >"$work/results"
in_lane=

# step NAME QUICK [NIGHTLY]: runs the command of this form, which is the quick one if only that is given. A form whose
# command is `-` has no such step. The command sees in $attempt whether this is its first or second run.
step() {
    local name=$1 quick=$2 nightly=${3:-$2} begun=$SECONDS outcome command log
    if [[ $form == quick ]]; then command=$quick; else command=$nightly; fi
    [[ $command != - ]] || return 0
    if [[ -z $in_lane ]]; then
        run_step
    else
        # what goes on at the same time is printed in one piece
        log=$work/$BASHPID
        run_step >"$log" 2>&1
        { flock 9 && cat "$log"; } 9>"$work/lock"
    fi
    printf '%6d s  %-8s  %s\n' $((SECONDS - begun)) "$outcome" "$name" >>"$work/results"
}

# Runs the command of a step once or twice, and puts the outcome into $outcome.
run_step() {
    local attempt
    for attempt in 1 2; do
        printf '\n=== %s\n' "$name"
        outcome=passed
        (eval "$command") </dev/null || outcome=FAILED
        [[ $outcome == FAILED && $attempt == 1 && $form == quick ]] || break
        printf '=== %s: FAILED, runs once more\n' "$name"
    done
    [[ $outcome == FAILED || $attempt == 1 ]] || outcome=unstable
    printf '=== %s: %s\n' "$name" "$outcome"
}

# together LANE…: each of these functions has its steps run one after the other, while the others' go on.
together() {
    local lane lanes=()
    for lane; do
        (in_lane=$lane && "$lane") &
        lanes+=($!)
    done
    wait "${lanes[@]}"
}

# Prints the number of steps with this outcome.
count_steps() {
    grep --count "^ *[0-9]* s  $1 " "$work/results" || true
}

summary() {
    local passed failed unstable
    passed=$(count_steps passed) failed=$(count_steps FAILED) unstable=$(count_steps unstable)
    printf '\n'
    cat "$work/results"
    printf '%6d s  in all\n\n' "$SECONDS"
    printf '%d passed, %d unstable, %d failed\n' "$passed" "$unstable" "$failed"
    if ((unstable > 0)); then
        printf 'An unstable step failed and then passed: its first output is above. Correct its test next.\n'
    fi
    if ((unstable > MAX_UNSTABLE)); then
        printf 'More than %d unstable steps fail the run.\n' "$MAX_UNSTABLE"
    fi
    ((failed == 0 && unstable <= MAX_UNSTABLE))
}
