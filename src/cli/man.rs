//! `inferlog man`: the manual, made of the same definitions as `--help`, one page a verb.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::{Failure, say};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder for `inferlog.1`, `inferlog-run.1` and so on, as in `/usr/local/share/man/man1`; made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    // The long version has lines of its own, and says of this build what a manual need not.
    let command = super::Arguments::command().long_version(super::version::SHORT);
    fs_err::create_dir_all(folder).map_err(|error| Failure::new(&error, None))?;
    clap_mangen::generate_to(command, folder).map_err(|error| Failure::new(&error, None))?;
    say(&format!("the manual is in `{}`: `man {}`", folder.display(), folder.join("inferlog.1").display()));
    Ok(())
}
