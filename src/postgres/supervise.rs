//! Runs PostgreSQL under a small shell supervisor, which outlives us for as long as it takes to stop the server.

use super::{StartError, failed, home::Home};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

const SUPERVISOR: &str = include_str!("supervisor.sh");
const READY_WITHIN: Duration = Duration::from_secs(60);

const SETTINGS: [&str; 10] = [
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "shared_buffers=128MB",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_destination=stderr",
    "logging_collector=off",
    "jit=off", // compiling costs more than it saves on short queries
];

/// For data that nobody will miss.
const CARELESS: [&str; 3] = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/// Starts the supervisor. It stops the server when the pipe to its standard input closes, which the kernel sees to
/// however we end; the server inherits the lock from its standard output.
pub(super) fn spawn(home: &Home, bin: &Path, sockets: &Path, durable: bool, lock: File) -> Result<Child, StartError> {
    // One left by a hard kill would look like a server that is ready.
    match fs::remove_file(home.data().join("postmaster.pid")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("cannot remove a stale postmaster.pid")(error));
        }
        _ => {}
    }
    let settings = SETTINGS.iter().chain(if durable { [].iter() } else { CARELESS.iter() });
    home.command("sh")
        .args(["-c", SUPERVISOR, "knead-postgres"])
        .args([&home.data(), sockets, &bin.join("postgres")])
        .arg("-D")
        .arg(home.data())
        .arg("-k")
        .arg(sockets)
        .args(settings.flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::piped())
        .stdout(lock)
        .stderr(fresh_log(home).map_err(failed(format!("cannot write {}", home.log().display())))?)
        // Ctrl-C in a terminal reaches the whole group: ours is to end first, and then the server.
        .process_group(0)
        .spawn()
        .map_err(failed("cannot run `sh`"))
}

/// Waits until the server accepts connections, which is when it writes so into its file.
pub(super) fn wait_until_ready(home: &Home, supervisor: &mut Child) -> Result<(), StartError> {
    let deadline = Instant::now() + READY_WITHIN;
    let file = home.data().join("postmaster.pid");
    let ready =
        || fs::read_to_string(&file).is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"));
    while !ready() {
        let ended = supervisor.try_wait().map_err(failed("cannot watch the server"))?;
        if ended.is_some() || Instant::now() > deadline {
            return Err(StartError::Failed(format!("PostgreSQL did not start: {}", log_tail(home))));
        }
        thread::sleep(Duration::from_millis(3));
    }
    Ok(())
}

/// What the server said last, for people to see what went wrong.
pub(super) fn log_tail(home: &Home) -> String {
    match fs::read(home.log()) {
        Ok(log) => {
            let text = String::from_utf8_lossy(&log);
            let lines: Vec<_> = text.lines().collect();
            format!("the end of {} reads\n{}", home.log().display(), lines[lines.len().saturating_sub(12)..].join("\n"))
        }
        Err(_) => format!("and it left no {}", home.log().display()),
    }
}

/// A new log; the one before is kept, as it may tell why the last server ended.
fn fresh_log(home: &Home) -> io::Result<File> {
    if home.log().exists() {
        fs::rename(home.log(), home.join("postgresql.log.old"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(home.log())
}
