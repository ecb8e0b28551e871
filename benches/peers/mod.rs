//! Other shippers that do as much of the same work as they can, each as its own documentation would have it for speed. They
//! are found on the PATH; which are not there is said.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Another shipper.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// How it is called in tables.
    pub(crate) name: &'static str,
    /// The program, as it is looked for on the PATH.
    program: &'static str,
    /// The argument by which it tells its version.
    version: &'static str,
    /// The name of its configuration file, and the file: `@CORPUS@`, `@HOST@`, `@PORT@` and `@STATE@` are put in.
    file: &'static str,
    configuration: &'static str,
    /// Its arguments; `@FILE@` is the configuration file, `@STATE@` a folder for state.
    arguments: &'static [&'static str],
    /// The members that it adds to a record.
    pub(crate) adds: &'static [&'static str],
    /// What it does less than inferlog.
    less: &'static str,
}

const PEERS: [Peer; 2] = [
    Peer {
        name: "rsyslog",
        program: "rsyslogd",
        version: "-v",
        file: "rsyslog.conf",
        configuration: include_str!("rsyslog.conf"),
        arguments: &["-n", "-f", "@FILE@", "-i", "@STATE@/pid"],
        adds: &["@timestamp", "input_hash", "service.name", "host.name", "log.file.path"],
        less: "has no SHA-256: `input_hash` is a hash of 64 bits (`fmhash`) of the whole line; no canonical form, no time \
               parsed (`@timestamp` is the text as it stands), no id of its own (`request_id`), no flag by a number, no \
               offset; what it ships is written anew, not as it came",
    },
    Peer {
        name: "syslog-ng",
        program: "syslog-ng",
        version: "--version",
        file: "syslog-ng.conf",
        configuration: include_str!("syslog-ng.conf"),
        arguments: &[
            "-F",
            "--no-caps",
            "-f",
            "@FILE@",
            "-R",
            "@STATE@/persist",
            "-p",
            "@STATE@/pid",
            "-c",
            "@STATE@/control",
        ],
        adds: &["@timestamp", "input_hash", "service", "host"],
        less: "hashes the line (`$(sha256)`), not a canonical form of the features; no time parsed, no id, no flag by a \
               number, no path and offset; what it ships is written anew, numbers with six decimals",
    },
];

/// Shippers for which there was no package where this was written, and that are therefore not measured.
const LEFT_OUT: &str = "Fluent Bit, Vector, Filebeat and Logstash were not measured: Debian has no packages of them.";

impl Peer {
    /// The program with its configuration, written into its folder of state.
    pub(crate) fn command(&self, corpus: &Path, url: &str, state: &Path) -> Command {
        let address = url.trim_start_matches("http://");
        let (host, port) = address.split_once(':').expect("an address");
        let state = state.canonicalize().expect("the folder");
        let file = state.join(self.file);
        let fill = |text: &str| {
            text.replace("@CORPUS@", &corpus.display().to_string())
                .replace("@HOST@", host)
                .replace("@PORT@", port)
                .replace("@STATE@", &state.display().to_string())
                .replace("@FILE@", &file.display().to_string())
        };
        std::fs::write(&file, fill(self.configuration)).expect("the configuration");
        let mut command = Command::new(self.path().expect("the program"));
        let said = std::fs::File::create(state.join("said")).expect("a file");
        command.args(self.arguments.iter().map(|argument| fill(argument))).stdin(Stdio::null());
        command.stdout(said.try_clone().expect("a file")).stderr(said);
        command
    }

    fn path(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        folders.map(|folder| folder.join(self.program)).find(|path| path.is_file())
    }

    /// The first line of what it says of itself.
    fn version(&self) -> String {
        let said = self.path().and_then(|path| Command::new(path).arg(self.version).output().ok());
        let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    }
}

/// Those that are there.
pub(crate) fn installed() -> Vec<&'static Peer> {
    let (there, not): (Vec<_>, Vec<_>) = PEERS.iter().partition(|peer| peer.path().is_some());
    for peer in not {
        println!("{} is left out: there is no `{}` on the PATH", peer.name, peer.program);
    }
    for peer in &there {
        println!("{}: {}", peer.name, peer.version());
    }
    there
}

/// What is to be known of them beside their figures.
pub(crate) fn remarks() -> String {
    let mut text = String::new();
    for peer in &PEERS {
        let (name, file, less) = (peer.name, peer.file, peer.less);
        let _ = match peer.path() {
            Some(_) => writeln!(text, "- {name} ({}), with `benches/peers/{file}`: {less}.", peer.version()),
            None => writeln!(text, "- {name} was not there and is left out."),
        };
    }
    let _ = writeln!(text, "- {LEFT_OUT}");
    for peer in PEERS.iter().filter(|peer| peer.path().is_some()) {
        let _ = write!(text, "\n`benches/peers/{}`:\n\n```text\n{}```\n", peer.file, peer.configuration);
    }
    text
}
