//! Makes the data folder of a new server.

use super::{StartError, failed, home::Home};
use std::{
    fs::{self, File},
    path::Path,
};

/// Text compares by code point, and folds case beyond ASCII wherever the system or PostgreSQL (17 and later) can.
const LOCALES: [&[&str]; 4] = [
    &["--locale=C.UTF-8"],
    &["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
    &["--locale=C", "--lc-ctype=en_US.UTF-8"],
    &["--locale=C"],
];

/// Makes the data folder, all or nothing: beside its place first, as an interrupted `initdb` leaves half of one.
pub(super) fn initialise(home: &Home, bin: &Path, durable: bool, lock: &File) -> Result<(), StartError> {
    let side = home.join("data.new");
    let mut said = String::new();
    for locale in LOCALES {
        if side.exists() {
            fs::remove_dir_all(&side).map_err(failed(format!("cannot remove {}", side.display())))?;
        }
        home.private_folder(&side)?;
        let output = home
            .command(bin.join("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"])
            .args(locale)
            .args((!durable).then_some("--no-sync"))
            .arg("--pgdata")
            .arg(&side)
            .stdin(lock.try_clone().map_err(failed("cannot share the lock"))?)
            .output()
            .map_err(failed("cannot run initdb"))?;
        if output.status.success() {
            let moved = fs::rename(&side, home.data()).and_then(|()| File::open(home.join("."))?.sync_all());
            return moved.map_err(failed(format!("cannot make {}", home.data().display())));
        }
        said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    }
    Err(StartError::Failed(match said.contains("could not look up effective user ID") {
        true => "PostgreSQL can only be set up by a user that has an entry in /etc/passwd".to_owned(),
        false => format!("initdb failed: {said}"),
    }))
}
