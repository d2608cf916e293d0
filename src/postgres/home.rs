//! The folder of a private server, and the account that the server runs under.

use super::{StartError, failed};
use std::{
    env,
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown},
        process::CommandExt,
    },
    path::{self, Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Room for `/.s.PGSQL.5432` in the 103 bytes that macOS allows for a socket's path (Linux: 107).
const LONGEST_SOCKET_DIR: usize = 103 - "/.s.PGSQL.5432".len();

/// A process that was just killed holds its locks a moment longer.
const OWNER_GOES_WITHIN: Duration = Duration::from_millis(500);

/// Long enough for the last checkpoint of a server whose owner was killed.
const SERVER_GOES_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Home {
    root: PathBuf,
    user: u32,
    /// PostgreSQL refuses to run as root: the user and group to run it as instead.
    dropped: Option<(u32, u32)>,
}

impl Home {
    /// Makes the folder, and finds out whom PostgreSQL can run as there.
    pub(super) fn open(root: &Path) -> Result<Home, StartError> {
        let root = path::absolute(root).map_err(failed("the folder's path is not usable"))?;
        fs::create_dir_all(&root).map_err(failed(format!("cannot make {}", root.display())))?;
        let user = current_user()?;
        let dropped = match user {
            0 => Some(unprivileged(&root.join("data"))?),
            _ => None,
        };
        let home = Home { root, user, dropped };
        home.let_through()?;
        Ok(home)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgresql.log")
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The major version of PostgreSQL that made the data, if there are any.
    pub(super) fn data_version(&self) -> Result<Option<u32>, StartError> {
        let file = self.data().join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => {
                text.trim().parse().map(Some).map_err(|_| {
                    StartError::Failed(format!("{} does not name a version of PostgreSQL", file.display()))
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(format!("cannot read {}", file.display()))(error)),
        }
    }

    /// A command under the server's account, out of reach of the caller's own PostgreSQL settings.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        // The caller's working directory may be closed to that account. Without LC_ALL, PostgreSQL on macOS can end up
        // multithreaded and refuse to start.
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.dropped {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes a folder that only the server's account may enter, or checks that it is one.
    pub(super) fn private_folder(&self, folder: &Path) -> Result<(), StartError> {
        let trouble = format!("cannot make {} a private folder", folder.display());
        let account = self.dropped.map_or(self.user, |(user, _)| user);
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(trouble)(error));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(folder).map_err(failed(&trouble))?;
        if !found.is_dir() || ![self.user, account].contains(&found.uid()) {
            return Err(StartError::Failed(format!("{trouble}: it belongs to somebody else")));
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed(&trouble))?;
        match self.dropped {
            Some((user, group)) => lchown(folder, Some(user), Some(group)).map_err(failed(&trouble)),
            None => Ok(()),
        }
    }

    /// Where the socket lies: in the root, or under `/tmp` when that path is too long for a socket, or has characters
    /// that servers and clients take for a list of folders.
    pub(super) fn socket_dir(&self) -> PathBuf {
        let inside = self.root.join("socket");
        let path = inside.as_os_str().as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
        if path.len() <= LONGEST_SOCKET_DIR && path.iter().all(plain) {
            return inside;
        }
        let mut hasher = DefaultHasher::new();
        self.root.hash(&mut hasher);
        PathBuf::from(format!("/tmp/knead-{}-{:016x}", self.user, hasher.finish()))
    }

    /// Locks out other owners: the file returned is ours for as long as it is open, and no child inherits it.
    pub(super) fn own(&self) -> Result<File, StartError> {
        let path = self.root.join("owner.lock");
        match lock(&path, OWNER_GOES_WITHIN)? {
            Some(file) => Ok(file),
            None => Err(StartError::AlreadyRunning {
                note: fs::read_to_string(&path).unwrap_or_default().trim().to_owned(),
            }),
        }
    }

    /// The lock that the server inherits: whoever gets it knows that no process of an earlier server is left.
    pub(super) fn await_old_server(&self) -> Result<File, StartError> {
        lock(&self.root.join("server.lock"), SERVER_GOES_WITHIN)?.ok_or_else(|| {
            StartError::Failed(format!(
                "an earlier PostgreSQL still runs in {} and did not stop within {} seconds",
                self.root.display(),
                SERVER_GOES_WITHIN.as_secs()
            ))
        })
    }

    /// Lets the server's account through to its folders, which are closed to everybody else.
    fn let_through(&self) -> Result<(), StartError> {
        let trouble = format!("cannot use {}", self.root.display());
        let mut entries = fs::read_dir(&self.root).map_err(failed(&trouble))?;
        // Only a fresh folder's permissions are ours to change.
        if entries.next().is_none() {
            fs::set_permissions(&self.root, Permissions::from_mode(0o711)).map_err(failed(&trouble))?;
        }
        let Some((user, _)) = self.dropped else {
            return Ok(());
        };
        let entered = self.command("sh").args(["-c", r#"cd "$0""#]).arg(&self.root).stderr(Stdio::null()).status();
        if entered.map_err(failed(&trouble))?.success() {
            return Ok(());
        }
        Err(StartError::Failed(format!(
            "PostgreSQL does not run as root, and user {user}, which it would run as, cannot reach {}: set \
             KNEAD_STATE_DIR to a folder that everybody can reach",
            self.root.display()
        )))
    }
}

/// The user that we act as; the standard library cannot tell.
pub(super) fn current_user() -> Result<u32, StartError> {
    let output = Command::new("id").arg("-u").output().map_err(failed("cannot run `id -u`"))?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(|_| StartError::Failed("`id -u` did not say which user this is".to_owned()))
}

/// The owner of the data, where there are any: an account `postgres` may have come since they were made.
fn unprivileged(data: &Path) -> Result<(u32, u32), StartError> {
    if let Ok(found) = fs::symlink_metadata(data)
        && found.uid() != 0
    {
        return Ok((found.uid(), found.gid()));
    }
    let accounts = fs::read_to_string("/etc/passwd").map_err(failed("cannot read /etc/passwd"))?;
    ["postgres", "nobody"].into_iter().find_map(|name| account(&accounts, name)).ok_or_else(|| {
        StartError::Failed(
            "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as".to_owned(),
        )
    })
}

/// A user's numbers in the text of `/etc/passwd`. macOS writes those of `nobody` as -2.
pub(super) fn account(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = accounts
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let mut number = |skip| Some(fields.nth(skip)?.parse::<i64>().ok()? as u32);
    Some((number(1)?, number(0)?))
}

/// Locks the file, waiting a while for whoever holds it.
fn lock(path: &Path, patience: Duration) -> Result<Option<File>, StartError> {
    let trouble = format!("cannot lock {}", path.display());
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(failed(&trouble))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(failed(trouble)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
