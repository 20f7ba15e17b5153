//! The help of each command. The settings stand in that of `cloakroom` alone, and work after every command.

use clap::Command;

const SETTINGS: &str =
    "Settings (--config, --data-dir, …) go with every command: see `cloakroom --help`.";

/// Takes the settings out of the help of each command, and says where they are. What is parsed stays the
/// same.
pub(super) fn with_settings_once(mut command: Command) -> Command {
    command.build(); // passes the settings on to each command
    for inner in command.get_subcommands_mut() {
        *inner = without_settings(std::mem::take(inner));
    }
    command
}

fn without_settings(mut command: Command) -> Command {
    for inner in command.get_subcommands_mut() {
        *inner = without_settings(std::mem::take(inner));
    }
    let examples = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
    let is_setting = |arg: &clap::Arg| arg.is_global_set() && arg.get_id() != "help";
    command
        .after_help(format!("{examples}{SETTINGS}"))
        .mut_args(|arg| if is_setting(&arg) { arg.hide(true) } else { arg })
}
