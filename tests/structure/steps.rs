//! The repetition of failed steps in `tests/all`, tried with small steps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A step that fails in its first run, and passes in its second one.
const UNSTABLE: &str = "'echo run $attempt; [[ $attempt == 2 ]]'";

/// Runs these lines of a script like `tests/all` in the quick or nightly form.
fn run(form: &str, lines: &str) -> (bool, String) {
    let script = format!(
        "set -euo pipefail\nsource '{ROOT}/tests/tools/env.sh'\nform={form}\n\
         source '{ROOT}/tests/tools/steps.sh'\n{lines}\nsummary\n"
    );
    output_of(Command::new("bash").args(["-c", &script]))
}

fn output_of(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let output = [stdout, stderr].concat();
    (status.success(), String::from_utf8(output).unwrap())
}

#[test]
fn a_step_that_passes_the_second_time_is_reported_as_unstable() {
    let (passes, output) = run("quick", &format!("step 'a race' {UNSTABLE}\nstep 'calm' true"));
    assert!(passes, "{output}");
    for part in [
        "run 1\n=== a race: FAILED, runs once more\n\n=== a race\nrun 2\n=== a race: unstable\n",
        " s  unstable  a race\n",
        " s  passed    calm\n",
        "1 passed, 1 unstable, 0 failed\n",
    ] {
        assert!(output.contains(part), "{part:?} is missing in {output}");
    }
}

#[test]
fn a_step_that_fails_twice_fails_the_run_and_the_next_steps_still_run() {
    let (passes, output) =
        run("quick", "step 'broken' 'echo run $attempt; false'\nstep 'next' true");
    assert!(!passes, "{output}");
    assert!(
        output.contains("run 1\n") && output.contains("run 2\n=== broken: FAILED\n"),
        "{output}"
    );
    assert!(output.contains("1 passed, 0 unstable, 1 failed\n"), "{output}");
}

#[test]
fn more_than_two_unstable_steps_fail_the_run() {
    let steps = |count| format!("step race {UNSTABLE}\n").repeat(count);
    let (passes, output) = run("quick", &steps(2));
    assert!(passes && output.contains("0 passed, 2 unstable, 0 failed\n"), "{output}");
    let (passes, output) = run("quick", &steps(3));
    assert!(!passes && output.contains("More than 2 unstable steps fail the run.\n"), "{output}");
}

#[test]
fn steps_that_run_at_the_same_time_are_repeated_too() {
    let lanes = format!(
        "one() {{ step 'in one' {UNSTABLE}; }}\nother() {{ step 'in other' false; }}\n\
         together one other"
    );
    let (passes, output) = run("quick", &lanes);
    assert!(!passes, "{output}");
    assert!(output.contains("0 passed, 1 unstable, 1 failed\n"), "{output}");
    assert!(output.contains("run 1\n=== in one: FAILED, runs once more\n"), "{output}");
}

#[test]
fn the_nightly_form_repeats_nothing() {
    let (passes, output) =
        run("nightly", &format!("step 'a race' {UNSTABLE}\nstep 'quick' false -"));
    assert!(!passes, "{output}");
    assert!(output.contains("0 passed, 0 unstable, 1 failed\n"), "{output}");
    assert!(!output.contains("run 2"), "{output}");
}

/// The output of the first run in these tests.
const FAILED: &str = "\
running 3 tests
test one::races ... FAILED
failures:

---- one::races stdout ----
    an indented line of the test

failures:
    one::races
    two

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out
error: test failed, to rerun pass `--test api`
error: 1 target failed:
    `--test api`
";

/// Runs the failed tests of a log again, with a `cargo` that prints its arguments and this output.
fn run_again(log: &str, printed: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, format!("#!/bin/sh\necho \"cargo $*\"\necho '{printed}'\n")).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("log");
    fs::write(&path, log).unwrap();
    // env.sh puts folders of tools before this one, and none of them contains a cargo
    let search = format!("{}:/usr/bin:/bin", folder.path().display());
    let script = Path::new(ROOT).join("tests/tools/cargo-test");
    output_of(Command::new(script).arg(path).arg("again").env("PATH", search))
}

#[test]
fn only_the_tests_that_failed_run_again() {
    let (passes, output) = run_again(FAILED, "test result: ok. 2 passed; 0 failed; 0 ignored");
    assert!(passes, "{output}");
    assert!(
        output.contains("cargo test --locked --test api -- --exact one::races two\n"),
        "{output}"
    );
}

#[test]
fn a_test_that_does_not_run_again_has_not_passed() {
    let (passes, output) = run_again(FAILED, "test result: ok. 1 passed; 0 failed; 0 ignored");
    assert!(!passes && output.contains("only 1 of 2 tests passed"), "{output}");
}

#[test]
fn all_tests_run_again_if_a_test_binary_crashed() {
    let crashed = FAILED.replace("1 target failed:", "2 targets failed:\n    `--test cli`");
    let (passes, output) = run_again(&crashed, "test result: ok. 9 passed; 0 failed; 0 ignored");
    assert!(passes, "{output}");
    assert!(output.contains("cargo test --locked --no-fail-fast\n"), "{output}");
}
