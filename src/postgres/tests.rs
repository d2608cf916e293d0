use super::{binaries, home::Home, *};
use std::{os::unix::fs::MetadataExt, process::Command};

fn tell(line: &str) {
    println!("{line}");
}

#[test]
fn a_path_is_encoded_for_the_address() {
    assert_eq!(percent_encoded("/tmp/a b,ü".as_bytes()), "%2Ftmp%2Fa%20b%2C%C3%BC");
}

#[test]
fn a_long_path_gets_a_short_socket_folder() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("x".repeat(150))).unwrap();
    let sockets = home.socket_dir();
    assert!(sockets.starts_with("/tmp"));
    assert_eq!(sockets, home.socket_dir());
    // What somebody else put there beforehand is not used.
    std::os::unix::fs::symlink(folder.path(), &sockets).unwrap();
    assert!(matches!(home.private_folder(&sockets), Err(StartError::Failed(_))));
    fs::remove_file(&sockets).unwrap();
    home.private_folder(&sockets).unwrap();
    assert_eq!(fs::metadata(&sockets).unwrap().mode() & 0o777, 0o700);
    fs::remove_dir(&sockets).unwrap();
}

#[test]
fn data_of_a_version_that_is_not_installed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/PG_VERSION"), "14\n").unwrap();
    let options = Options { root: folder.path().to_owned(), durable: false, progress: tell };
    let error = Server::start_from(std::iter::empty(), &options).err().unwrap();
    assert!(matches!(&error, StartError::NoBinaries(_)));
    println!("{error}");
}

#[test]
#[ignore = "fetches 23 MB"]
fn a_fetched_server_runs_and_a_wrong_archive_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let ours = (std::env::consts::OS, std::env::consts::ARCH);
    let [mut tampered, ..] = binaries::BUILDS;
    assert_eq!(ours, ("linux", "x86_64"), "the first build is the one tried here");
    tampered.sha512 = "00";
    let refused = binaries::fetch(&home, &tampered, tell).unwrap_err();
    println!("{refused}");
    assert!(refused.contains("not the one that was pinned"));

    let options = Options { root: folder.path().to_owned(), durable: false, progress: tell };
    let began = std::time::Instant::now();
    let server = Server::start_from(std::iter::empty(), &options).unwrap();
    println!("fetched, set up and started in {:?}", began.elapsed());
    let output = Command::new(server.bin("psql"))
        .arg(server.url("postgres"))
        .args(["-Atqc", "create extension btree_gist; create extension pg_trgm; create extension citext"])
        .args(["-c", "select current_setting('server_version'), lower('Ä'), datcollate from pg_database limit 1"])
        .output()
        .unwrap();
    println!("{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("17.10|ä|"));
    server.stop().unwrap();
    let began = std::time::Instant::now();
    Server::start_from(std::iter::empty(), &options).unwrap().stop().unwrap();
    println!("started and stopped again in {:?}", began.elapsed());
}

#[test]
fn accounts_are_read_as_linux_and_macos_write_them() {
    let linux = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/sh\n";
    assert_eq!(home::account(linux, "postgres"), Some((101, 104)));
    assert_eq!(home::account(linux, "nobody"), None);
    let macos = "##\n# User Database\n##\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";
    assert_eq!(home::account(macos, "nobody"), Some((4294967294, 4294967294)));
}
