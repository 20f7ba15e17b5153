//! The help texts of the commands. Every command accepts the settings, but only the help of
//! `cloakroom` lists them.

use clap::Command;

const SETTINGS: &str =
    "Every command also accepts the settings (--config, --data-dir, …): see `cloakroom --help`.";

/// Hides the settings in the help of each command, and adds a line that says where the settings are
/// listed. The commands still accept all settings.
pub(super) fn with_settings_once(mut command: Command) -> Command {
    command.build(); // copies the settings to each command
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
