//! What has a process used? CPU time of one that ended from `wait4`, which counts in microseconds where /proc has ticks of
//! 10 ms; of one that runs from what /proc says of its threads, in nanoseconds.

use std::collections::HashMap;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use wait4::Wait4 as _;

/// The kernel's clock ticks a second, as /proc counts CPU time (`USER_HZ`, 100 on every Linux platform of ours).
const TICKS_PER_SECOND: f64 = 100.0;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all its threads.
    pub(crate) cpu_seconds: f64,
    /// Resident memory now.
    pub(crate) resident_mib: f64,
    /// The most resident memory so far.
    pub(crate) peak_mib: f64,
    /// It has ended, and is not reaped.
    pub(crate) is_over: bool,
}

/// Asks the kernel; of a process that has ended the memory is not told any more.
pub(crate) fn usage(child: &Child) -> Usage {
    usage_of(child.id())
}

/// The same of any process.
pub(crate) fn usage_of(process: u32) -> Usage {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
    let status = read("status");
    let mib = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").parse().unwrap_or(0.0) / 1024.0
    };
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Usage {
        cpu_seconds: ticks / TICKS_PER_SECOND,
        resident_mib: mib("VmRSS:"),
        peak_mib: mib("VmHWM:"),
        is_over: fields.first().is_some_and(|state| *state == "Z"),
    }
}

/// What a process has used in its life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    /// The most resident memory, as looked at every 20 ms. The kernel's own figure would include what the bench itself
    /// had before the program took its place.
    pub(crate) peak_mib: f64,
    pub(crate) status: ExitStatus,
}

/// Waits for the end of a child; `meanwhile` is called every 20 ms.
pub(crate) fn wait(child: Child, mut meanwhile: impl FnMut(&Child)) -> Spent {
    let mut peak_mib = 0.0;
    loop {
        let used = usage(&child);
        peak_mib = used.peak_mib.max(peak_mib);
        if used.is_over {
            break;
        }
        meanwhile(&child);
        std::thread::sleep(LOOK_EVERY);
    }
    let used = child.wait4().expect("its end");
    let (user, system) = (used.rusage.utime, used.rusage.stime);
    Spent { user_seconds: user.as_secs_f64(), system_seconds: system.as_secs_f64(), peak_mib, status: used.status }
}

/// What the threads of a process have used so far, in nanoseconds.
pub(crate) struct Threads(HashMap<String, u64>);

impl Threads {
    pub(crate) fn of(child: &Child) -> Threads {
        let folder = format!("/proc/{}/task", child.id());
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let used = names.filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path().join("schedstat")).ok()?;
            let nanoseconds = text.split(' ').next()?.parse().ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), nanoseconds))
        });
        Threads(used.collect())
    }

    /// The seconds that were used since `before`, but for threads that began and ended meanwhile, or ended since.
    pub(crate) fn seconds_since(&self, before: &Threads) -> f64 {
        let used = self.0.iter().map(|(thread, used)| used.saturating_sub(before.0.get(thread).copied().unwrap_or(0)));
        used.sum::<u64>() as f64 / 1e9
    }
}
