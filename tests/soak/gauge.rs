//! What this process uses.

use std::time::{Duration, Instant};

/// The memory and the file descriptors of this process at one moment; `None` where it cannot be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) kib: Option<u64>,
    pub(crate) descriptors: Option<u64>,
    pub(crate) tasks: u64,
    pub(crate) attempts: u64,
}

impl Sample {
    pub(crate) fn take(started: Instant, attempts: u64) -> Self {
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64;
        Self { at: started.elapsed(), kib: resident(), descriptors: descriptors(), tasks, attempts }
    }
}

/// Resident memory in KiB.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn descriptors() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}
