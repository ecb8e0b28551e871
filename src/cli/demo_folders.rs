//! The demo's folders, and how they stand in commands that it says to try.

use std::path::{Path, PathBuf};

use crate::state::folder::{data_dir, state_folder, store_file};

/// What `inferlog baseline` made of the quiet traffic of both model servers.
const BASELINE: &str = include_str!("demo-baseline.json");

/// The demo's own folder below the folder of state; what is beside it under the name `demo` is an earlier demo's.
pub(super) const FILES: &str = "demo-files";

/// Where the demo keeps what it makes; both are begun anew each time.
pub(super) struct Folders {
    pub(super) data_dir: PathBuf,
    /// The pipeline file, and below it the logs.
    pub(super) files: PathBuf,
}

impl Folders {
    /// Begins them anew, with this text of the pipeline file.
    pub(super) fn new(data_dir: PathBuf, pipeline: &str) -> std::io::Result<Folders> {
        let files = data_dir.join(FILES);
        for folder in [state_folder(&data_dir, "demo"), state_folder(&data_dir, "demo.labels"), files.clone()] {
            match fs_err::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs_err::create_dir_all(files.join("logs"))?;
        fs_err::write(files.join("demo.yaml"), pipeline)?;
        fs_err::write(files.join("baseline.json"), BASELINE)?;
        Ok(Folders { data_dir, files })
    }

    /// How the folder of state is named to another command, if it has to be.
    pub(super) fn data_dir_words(&self) -> Vec<String> {
        match self.data_dir == data_dir(None) {
            true => Vec::new(),
            false => vec!["--data-dir".to_owned(), in_shell(&self.data_dir)],
        }
    }

    pub(super) fn store(&self) -> PathBuf {
        store_file(&state_folder(&self.data_dir, "demo"))
    }
}

/// A path as it is typed: below the home folder it begins with `~`.
pub(super) fn in_shell(path: &Path) -> String {
    let plain = |path: &str| path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c));
    let below_home = std::env::home_dir().and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned));
    match below_home.as_deref().and_then(Path::to_str) {
        Some(rest) if plain(rest) => format!("~/{rest}"),
        _ => {
            let path = path.display().to_string();
            if plain(&path) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
        }
    }
}

/// A command in lines that fit a terminal of 80 columns, as far as its words do.
pub(super) fn in_lines(words: &[String]) -> String {
    const COLUMNS: usize = 78;
    let mut text = "   ".to_owned();
    let mut column = text.len();
    for word in words {
        if column + 1 + word.len() > COLUMNS && column > 3 {
            text.push_str(" \\\n     ");
            column = 5;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_fit_a_terminal_and_are_one_command() {
        let words =
            ["inferlog", "check", "~/.local/state/inferlog/demo-files/demo.yaml", "--sample", "~/x/chatbot.ndjson"];
        let text = in_lines(&words.map(str::to_owned));
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() <= 80), "{text}");
        let joined = text.replace("\\\n", " ");
        assert_eq!(joined.split_whitespace().collect::<Vec<_>>(), words);
        assert_eq!(in_shell(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }
}
