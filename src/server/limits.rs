//! What a connection may take of time and room: the one place of these numbers.

use std::time::Duration;

use tokio::time::Instant;

/// What each connection, each address and all of them together may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request's head may take from its first byte; for the first head, from the beginning of the connection.
    pub head: Duration,
    /// How long a connection may be silent between an answer and the next request.
    pub idle: Duration,
    /// How long a body may stand still. What comes more slowly than [`LEAST_RATE`] uses this up.
    pub unsent: Duration,
    /// How long a peer may take nothing of an answer. What is taken more slowly than [`LEAST_RATE`] uses this up.
    pub unread: Duration,
    /// How long what a peer still sends is thrown away after the last answer, so that the peer can read that answer.
    pub linger: Duration,
    /// Connections of one address: an IPv4 address, or the /64 of an IPv6 one. Trusted proxies and this machine itself
    /// have [`all`](Self::all), because many callers come by them.
    pub of_one: usize,
    /// Connections of everybody.
    pub all: usize,
}

/// The least that a peer sends or takes, in bytes a second.
pub const LEAST_RATE: u64 = 4 * 1024;

/// The longest head of a request, in bytes.
pub(super) const LONGEST_HEAD: usize = 32 * 1024;

/// Bytes that are taken from a peer before their turn has come.
pub(super) const MOST_HELD: usize = 8 * 1024;

/// Bytes that are thrown away after the last answer.
pub(super) const MOST_WASTED: usize = 16 * 1024 * 1024;

/// The kernel's buffer for what a peer has not taken, in bytes. It keeps an answer from being taken by the kernel whole,
/// because only what is left outside of it shows that the peer reads.
pub(super) const SEND_BUFFER: usize = 128 * 1024;

/// The kernel's buffer for what was not read of a peer, in bytes.
pub(super) const RECEIVE_BUFFER: usize = 256 * 1024;

/// Descriptors that are kept back for the database, files and whatever else is no connection of a caller.
const KEPT_BACK: usize = 224;

/// The most connections that are accepted: what the process may have open, less what is kept back. Past it, callers wait.
pub(super) fn most_connections() -> usize {
    // The soft limit as Linux tells it; where it cannot be read, the least that systems are set up with.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = open.and_then(|limits| limits.split_whitespace().next()?.parse().ok()).unwrap_or(1_024_usize);
    soft.saturating_sub(KEPT_BACK).clamp(64, 20_000)
}

impl Default for Limits {
    /// As the service has them.
    fn default() -> Self {
        let most = most_connections();
        Self {
            head: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            unsent: Duration::from_secs(15),
            unread: Duration::from_secs(20),
            linger: Duration::from_secs(5),
            of_one: 128,
            // A few are accepted past it, so that there is somewhere to come in while others are ended.
            all: most - most / 16,
        }
    }
}

/// How long a peer may still keep us waiting. Waiting uses the time up, and what moves makes it grow again.
pub(super) struct Pace {
    slack: Duration,
    most: Duration,
    waiting: Option<Instant>,
}

impl Pace {
    /// With `most` at the beginning and never more.
    pub(super) fn new(most: Duration) -> Self {
        Self { slack: most, most, waiting: None }
    }

    /// Waits from now on, if it does not already; until when, at the most.
    pub(super) fn wait(&mut self) -> Instant {
        *self.waiting.get_or_insert_with(Instant::now) + self.slack
    }

    /// So many bytes have moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.slack = self.slack.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / LEAST_RATE);
        self.slack = self.slack.saturating_add(earned).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_moves_too_little_runs_out_of_time() {
        let most = Duration::from_millis(200);
        let step = Duration::from_millis(20);
        let mut pace = Pace::new(most);
        let begun = Instant::now();
        // Few bytes earn next to nothing.
        loop {
            let end = pace.wait();
            std::thread::sleep(step);
            if Instant::now() >= end {
                break;
            }
            pace.moved(1);
        }
        assert!(begun.elapsed() >= most && begun.elapsed() < 5 * most, "{:?}", begun.elapsed());
        let mut pace = Pace::new(most);
        for _ in 0..30 {
            let end = pace.wait();
            std::thread::sleep(step);
            assert!(Instant::now() < end);
            pace.moved(usize::try_from(LEAST_RATE).unwrap());
        }
    }
}
