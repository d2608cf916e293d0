//! A private PostgreSQL for development and tests: found or fetched, set up, started and stopped without a word from
//! the user. It listens on a Unix socket only, and never outlives the process that owns it by more than seconds.
//!
//! Two locked files tell who lives. `owner.lock` is held by the owner alone. `server.lock` is inherited by every process
//! of the server, so that a stale `postmaster.pid` is known from a live one, and a server about to stop is waited for.

mod binaries;
mod home;
mod initdb;
mod supervise;
#[cfg(test)]
mod tests;

use home::Home;
use std::{
    env,
    error::Error,
    fmt::{self, Display, Formatter, Write as _},
    fs::{self, File},
    io::{self, Seek, Write as _},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Child,
};

/// How to run the private server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that is this server's own: data, socket, logs, locks, fetched binaries.
    pub root: PathBuf,
    /// Whether data survive a crash of the machine. Tests are faster without.
    pub durable: bool,
    /// Told in one line what takes a while.
    pub progress: fn(&str),
}

/// A running server. Dropping it stops PostgreSQL, and so does our end, however it comes.
pub struct Server {
    supervisor: Child,
    home: Home,
    bin: PathBuf,
    socket_dir: PathBuf,
    owner: File,
}

/// Why there is no server.
#[derive(Debug)]
pub enum StartError {
    /// Another live process owns the server in this folder, and left this note.
    AlreadyRunning { note: String },
    /// There is no PostgreSQL to run; the sentence says what to install.
    NoBinaries(String),
    /// Anything else.
    Failed(String),
}

impl Server {
    /// Starts the server in its folder, setting it up first where that is new.
    ///
    /// The database `postgres` is there from the start; others are the caller's to create.
    pub fn start(options: &Options) -> Result<Server, StartError> {
        Server::start_from(binaries::installed(), options)
    }

    fn start_from(installed: impl Iterator<Item = PathBuf>, options: &Options) -> Result<Server, StartError> {
        let home = Home::open(&options.root)?;
        let owner = home.own()?;
        owner.set_len(0).map_err(failed("cannot clear an old note"))?;
        let lock = home.await_old_server()?;

        let data_version = home.data_version()?;
        let bin = binaries::find(&home, installed, data_version, options.progress)?;
        if data_version.is_none() {
            (options.progress)("Setting up a private PostgreSQL");
            initdb::initialise(&home, &bin, options.durable, &lock)?;
        }
        let socket_dir = home.socket_dir();
        home.private_folder(&socket_dir)?;
        let supervisor = supervise::spawn(&home, &bin, &socket_dir, options.durable, lock)?;
        let mut server = Server { supervisor, home, bin, socket_dir, owner };
        supervise::wait_until_ready(&server.home, &mut server.supervisor)?;
        Ok(server)
    }

    /// The address of a database, complete enough for `PG*` variables not to matter.
    pub fn url(&self, database: &str) -> String {
        let folder = percent_encoded(self.socket_dir.as_os_str().as_bytes());
        let database = percent_encoded(database.as_bytes());
        format!("postgres://postgres@localhost:5432/{database}?host={folder}&sslmode=disable")
    }

    /// The folder of the server's socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// A program of PostgreSQL's, such as `psql`: the one beside the server, or else the one on the PATH.
    pub fn bin(&self, tool: &str) -> PathBuf {
        Some(self.bin.join(tool)).filter(|path| path.exists()).unwrap_or_else(|| tool.into())
    }

    /// Leaves word for whoever tries to start a second server here, such as where the first one serves.
    pub fn leave_note(&self, note: &str) -> io::Result<()> {
        let mut file = &self.owner;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(note.as_bytes())
    }

    /// Stops the server in good order: open transactions are rolled back.
    pub fn stop(mut self) -> Result<(), StartError> {
        // Waiting closes the pipe first.
        let status = self.supervisor.wait().map_err(failed("cannot watch the server stop"))?;
        if status.success() {
            return Ok(());
        }
        Err(StartError::Failed(format!("PostgreSQL had already ended: {}", supervise::log_tail(&self.home))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // There is nobody left to tell of an error.
        self.supervisor.wait().ok();
    }
}

impl Display for StartError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            StartError::AlreadyRunning { note } if note.is_empty() => f.write_str("Knead is already running here"),
            StartError::AlreadyRunning { note } => {
                write!(f, "Knead is already running here: {note}")
            }
            StartError::NoBinaries(sentence) | StartError::Failed(sentence) => f.write_str(sentence),
        }
    }
}

impl Error for StartError {}

/// Removes the data, the logs and the socket of the server in this folder (`--reset`), unless one runs there.
///
/// Fetched binaries stay, so that a reset needs no network; the lock files stay, as others may be waiting for them.
pub fn reset(root: &Path) -> Result<(), StartError> {
    if !root.exists() {
        return Ok(());
    }
    let home = Home::open(root)?;
    let _owner = home.own()?;
    let _server = home.await_old_server()?;
    for folder in [home.data(), home.join("data.new"), home.join("postgresql.new"), home.socket_dir()] {
        gone(fs::remove_dir_all(&folder)).map_err(failed(format!("cannot remove {}", folder.display())))?;
    }
    for file in [home.log(), home.join("postgresql.log.old")] {
        gone(fs::remove_file(&file)).map_err(failed(format!("cannot remove {}", file.display())))?;
    }
    Ok(())
}

/// The folder for this user's private server: `KNEAD_STATE_DIR` where that is set, or the system's place for such data.
pub fn default_root() -> Result<PathBuf, StartError> {
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(given) = env::var_os("KNEAD_STATE_DIR").filter(|given| !given.is_empty()) {
        return Ok(given.into());
    }
    if home::current_user()? == 0 {
        return Ok("/var/lib/knead".into());
    }
    folder("XDG_DATA_HOME")
        .or_else(|| Some(folder("HOME")?.join(".local/share")))
        .map(|data| data.join("knead"))
        .ok_or_else(|| StartError::Failed("neither HOME nor KNEAD_STATE_DIR says where to keep data".to_owned()))
}

/// Removing what is not there is no failure.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(what: impl Display) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Failed(format!("{what}: {error}"))
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}
