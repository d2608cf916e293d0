use std::io::Read;

use chrono::NaiveDate;
use proptest::prelude::*;

use super::compare::{List, NameMatch, compare};
use super::reader::{Outcome as Row, Reader, RejectReason, RejectedRow, RosterRow};
use super::sources::{SOURCES, Source};
use crate::credentials::checks::{Facts, Verdict};
use crate::credentials::held::Held;
use crate::credentials::review::{ReasonCode, ReviewState};
use crate::credentials::rules::{Category, Cover};
use crate::credentials::{BoardStatus, CredentialType};
use crate::ids::{CredentialId, TherapistId};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn kind(code: &str, prefix: &str) -> CredentialType {
    CredentialType {
        code: code.to_owned(),
        authority: "A board".to_owned(),
        category: Category::Licence,
        jurisdiction: None,
        number_pattern: None,
        evidence_required: false,
        renewal_months: None,
        expires: true,
        minimum_cover: Cover::default(),
        number_prefix: prefix.to_owned(),
        four_eyes: false,
        numbers_shared: false,
        recheck_days: None,
    }
}

/// What the reader makes of a file, and whether the file was cut off.
fn read(source: &'static Source, bytes: &[u8]) -> (Vec<RosterRow>, Vec<RejectedRow>, bool) {
    let prefix = match source.code {
        "us-tx-tdlr" | "us-co-dora" => "MT",
        "us-wa-doh" | "us-fl-doh" => "MA",
        _ => "",
    };
    let mut reader = Reader::new(source, kind(source.credential_type, prefix), bytes).unwrap();
    let (mut kept, mut rejected) = (Vec::new(), Vec::new());
    while let Some(row) = reader.next_row().unwrap() {
        match row {
            Row::Kept(row) => kept.push(row),
            Row::Rejected(row) => rejected.push(row),
            Row::Skipped => {}
        }
    }
    (kept, rejected, reader.is_cut())
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/rosters/", $name))
    };
}

fn source(code: &str) -> &'static Source {
    Source::find(code).unwrap()
}

#[test]
fn texas_tells_the_expiry_alone() {
    let (kept, rejected, _) = read(source("us-tx-tdlr"), fixture!("us-tx-tdlr.csv"));
    assert_eq!(
        kept.iter().map(|row| row.number.as_str()).collect::<Vec<_>>(),
        ["123456", "123457", "123458", "123459"]
    );
    assert_eq!((kept[0].name.as_str(), kept[0].line), ("OKAFOR, SAM J", 2));
    assert_eq!((kept[0].expires_on, kept[2].expires_on), (Some(day("2028-06-30")), None));
    assert_eq!(kept[3].expires_on, None, "a date that cannot be read is none, and the row counts");
    assert!(kept.iter().all(|row| row.board_status == BoardStatus::Active && row.status_text.is_none()));
    let why: Vec<_> = rejected.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!(why, [(6, RejectReason::NumberMissing)]);
}

#[test]
fn washington_tells_status_and_action() {
    let (kept, rejected, _) = read(source("us-wa-doh"), fixture!("us-wa-doh.csv"));
    let statuses: Vec<_> = kept.iter().map(|row| (row.number.as_str(), row.board_status, row.board_action)).collect();
    use BoardStatus::{Active, Suspended, Unknown};
    let expected = [
        ("60000001", Active, false),
        ("60000002", Suspended, true),
        ("60000003", Unknown, false),
        ("60000004", Active, true),
    ];
    assert_eq!(statuses, expected);
    assert_eq!((kept[0].name.as_str(), kept[0].issued_on), ("Okafor, Sam James", Some(day("2020-01-15"))));
    assert!(rejected.is_empty());
}

#[test]
fn florida_is_pipes_latin_letters_and_stray_quotes() {
    let (kept, rejected, _) = read(source("us-fl-doh"), fixture!("us-fl-doh.txt"));
    assert!(rejected.is_empty(), "{rejected:?}");
    let statuses: Vec<_> = kept.iter().map(|row| (row.number.as_str(), row.board_status, row.establishment)).collect();
    use BoardStatus::{Active, Inactive, NullAndVoid};
    let expected = [
        ("12345", Active, false),
        ("12346", Inactive, false),
        ("12347", NullAndVoid, false),
        ("12348", Active, false),
        ("MM12345", Active, true),
    ];
    assert_eq!(statuses, expected);
    assert_eq!(kept[2].name, "Núñez \"Pepe, José Jr");
    assert_eq!((kept[0].number_written.as_str(), kept[0].status_text.as_deref()), ("MA12345", Some("Clear / Active")));
    assert_eq!(kept[3].expires_on, None);
}

#[test]
fn illinois_leaves_businesses_out() {
    let (kept, rejected, _) = read(source("us-il-idfpr"), fixture!("us-il-idfpr.csv"));
    let told: Vec<_> = kept.iter().map(|row| (row.number.as_str(), row.board_status, row.board_action)).collect();
    use BoardStatus::{Active, Expired};
    assert_eq!(told, [("227012345", Active, false), ("227012346", Expired, false), ("227012347", Active, true)]);
    assert!(rejected.is_empty());
}

#[test]
fn colorado_has_a_row_for_each_case() {
    let (kept, _, _) = read(source("us-co-dora"), fixture!("us-co-dora.csv"));
    assert_eq!(kept.iter().map(|row| row.number.as_str()).collect::<Vec<_>>(), ["12345", "12346", "12346"]);
    let rows: Vec<_> = kept.into_iter().filter(|row| row.number == "12346").collect();
    let found = against("us-co-dora", "Linh Nguyen", &rows).unwrap();
    assert!(found.found.board_action);
    assert_eq!(found.verdict, Verdict::Unclear { reasons: vec![ReasonCode::DisciplinaryAction] });
}

#[test]
fn the_exclusion_list_knows_people_by_their_npi() {
    let (kept, rejected, _) = read(source("us-oig-leie"), fixture!("us-oig-leie.csv"));
    assert_eq!(kept.iter().map(|row| row.number.as_str()).collect::<Vec<_>>(), ["1234567893"]);
    assert!(rejected.is_empty());
    let found = against("us-oig-leie", "Sam Okafor", &kept).unwrap();
    assert_eq!(found.verdict, Verdict::Unclear { reasons: vec![ReasonCode::DisciplinaryAction] });
    assert_eq!(found.found.board_status, BoardStatus::Active, "nothing is said of the licence");
}

#[test]
fn a_file_that_was_cut_is_known_by_its_last_line() {
    for (code, bytes) in [
        ("us-tx-tdlr", &fixture!("us-tx-tdlr.csv")[..]),
        ("us-wa-doh", fixture!("us-wa-doh.csv")),
        ("us-fl-doh", fixture!("us-fl-doh.txt")),
        ("us-il-idfpr", fixture!("us-il-idfpr.csv")),
        ("us-co-dora", fixture!("us-co-dora.csv")),
        ("us-oig-leie", fixture!("us-oig-leie.csv")),
    ] {
        assert!(!read(source(code), bytes).2, "{code} is whole");
        assert!(
            !read(source(code), bytes.trim_ascii_end()).2 || code == "us-fl-doh",
            "{code} needs no last line break"
        );
        assert!(read(source(code), &bytes[..bytes.len() - 30]).2, "{code} was cut");
    }
    let texas = fixture!("us-tx-tdlr.csv");
    let within_quotes = texas.iter().rposition(|byte| *byte == b'"').unwrap();
    assert!(read(source("us-tx-tdlr"), &texas[..within_quotes]).2);
}

#[test]
fn a_quote_that_is_never_closed_costs_little() {
    let header = "LICENSE TYPE,LICENSE NUMBER,OWNER NAME,LICENSE EXPIRATION DATE (MMDDCCYY),LICENSE SUBTYPE\n";
    let good = "Massage Therapist,123456,\"OKAFOR, SAM\",06302028,LMT\n";
    let text = format!(
        "{header}{good}Massage Therapist,7,\"OKAFOR,06302028,LMT\n{}",
        "x,y\n".repeat(10_000) + &good.repeat(1000)
    );
    let (kept, rejected, is_cut) = read(source("us-tx-tdlr"), text.as_bytes());
    assert!((1000..=1001).contains(&kept.len()), "{}", kept.len());
    assert!(!rejected.is_empty() && !is_cut);
}

#[test]
fn text_of_any_shape_becomes_clean_and_short() {
    let header = "LICENSE SUBTYPE,LICENSE TYPE,OWNER NAME,LICENSE NUMBER,LICENSE EXPIRATION DATE (MMDDCCYY)\n";
    let row = format!("a,MASSAGE THERAPIST,\" OKAFOR,\tSAM\u{0} {}\",MT 123-456,06302028\n", "X".repeat(150));
    let (kept, _, _) = read(source("us-tx-tdlr"), format!("{header}{row}").as_bytes());
    assert!(kept[0].name.starts_with("OKAFOR, SAM XXX") && kept[0].name.len() == 162);
    assert_eq!((kept[0].number.as_str(), kept[0].number_written.as_str()), ("123456", "MT 123-456"));
}

#[test]
fn a_stray_quote_takes_no_row_into_another() {
    let header =
        "licensenumber,licensetype,lastname,firstname,licensestatusdescription,licenseexpirationdate,programaction\n";
    let text = format!(
        "{header}100,MT,\"Okafor,Sam,Revoked,12/31/2027,x\n200,MT,\"Nguyen\",Linh,Active,12/31/2027,\n300,MT,Gomez,Ana,Active,12/31/2027,\n"
    );
    let (kept, rejected, _) = read(source("us-co-dora"), text.as_bytes());
    assert_eq!(kept.iter().map(|row| row.number.as_str()).collect::<Vec<_>>(), ["300"]);
    assert_eq!(rejected.iter().map(|row| row.reason).collect::<Vec<_>>(), [RejectReason::LineBreak]);
}

#[test]
fn an_address_may_have_two_lines() {
    let header = "credentialnumber,lastname,firstname,middlename,address,credentialtype,status,firstissuedate,expirationdate,actiontaken\r\n";
    let row = |number: u32, address: &str| {
        format!("MA{number:08},Okafor,Sam,,{address},Massage Therapist License,ACTIVE,01/15/2020,06/30/2028,No\r\n")
    };
    let text = [
        header.to_owned(),
        row(60_000_001, "\"1 Elm St\r\nApt 4, Seattle\""),
        row(60_000_002, "\"1 Elm St\n\nSeattle\""),
        row(60_000_003, "\"say \"\"hi\"\"\nthere\""),
        row(60_000_004, "2 Elm St"),
    ];
    let (kept, rejected, is_cut) = read(source("us-wa-doh"), text.concat().as_bytes());
    assert_eq!((kept.len(), rejected.len(), is_cut), (4, 0, false), "{rejected:?}");
    let stray =
        [header.to_owned(), row(60_000_001, "\"1 Elm St"), row(60_000_002, "2 Elm St\""), row(60_000_003, "3 Elm St")];
    let (kept, rejected, _) = read(source("us-wa-doh"), stray.concat().as_bytes());
    assert_eq!((kept.len(), rejected.len()), (1, 1));
}

#[test]
fn letters_are_read_by_what_is_there() {
    let line = |name: &[u8]| {
        let mut line = b"12345,MT,".to_vec();
        line.extend_from_slice(name);
        line.extend_from_slice(b",Pepe,Active,12/31/2027,\n");
        line
    };
    let header =
        b"licensenumber,licensetype,lastname,firstname,licensestatusdescription,licenseexpirationdate,programaction\n";
    for (bytes, name) in [
        (&b"N\xfa\xf1ez"[..], "Núñez, Pepe"),
        ("Núñez".as_bytes(), "Núñez, Pepe"),
        (b"O\x92Brien", "O’Brien, Pepe"),
        ("Nguyễn".as_bytes(), "Nguyễn, Pepe"),
    ] {
        let (kept, _, _) = read(source("us-co-dora"), &[&header[..], &line(bytes)].concat());
        assert_eq!(kept[0].name, name);
    }
    // A mark at the beginning, and zeros where none belong.
    let marked = [b"\xef\xbb\xbf", &header[..], &line(b"Okafor")].concat();
    assert_eq!(read(source("us-co-dora"), &marked).0.len(), 1);
    let zeros = [&header[..], &line(b"Oka\0for")].concat();
    assert_eq!(read(source("us-co-dora"), &zeros).0[0].name, "Oka for, Pepe");
}

#[test]
fn illinois_writes_a_header_of_its_own() {
    let header = "License Type,Description,License Number,License Status,Business,Title,First Name,Middle,Last Name,Prefix,Suffix,Business Name,BusinessDBA,Original Issue Date,Effective Date,Expiration Date,City,State,Zip,County,Ever Disciplined,LastModifiedDate\n";
    let row = |kind: &str, description: &str, number: &str| {
        format!(
            "{kind},{description},{number},ACTIVE,N,,Sam,J,Okafor,,,,,05/01/2019,12/31/2024,12/31/2026,Chicago,IL,60601,Cook,N,11/01/2026\n"
        )
    };
    let text = [
        header.to_owned(),
        row("MASSAGE THERAPY", "LICENSED MASSAGE THERAPIST", "227.012345"),
        row("227", "", "227.012346"),
        row("LICENSED MASSAGE THERAPIST", "MASSAGE THERAPIST - TEMPORARY", "227.012347"),
        row("NURSING", "REGISTERED NURSE", "041.012345"),
    ];
    let (kept, rejected, _) = read(source("us-il-idfpr"), text.concat().as_bytes());
    assert!(rejected.is_empty(), "{rejected:?}");
    let told: Vec<_> = kept.iter().map(|row| (row.number.as_str(), row.other_kind)).collect();
    assert_eq!(told, [("227012345", false), ("227012346", false), ("227012347", true)]);
}

/// Gives its bytes a few at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.len().min(out.len()).min(self.1);
        out[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..2000), which in 0..SOURCES.len()) {
        let source = &SOURCES[which];
        let separator = char::from(source.delimiter).to_string();
        let mut file = source.columns.join(&separator).into_bytes();
        file.push(b'\n');
        file.extend_from_slice(&bytes);
        read(source, &bytes);
        read(source, &file);
    }

    #[test]
    fn how_bytes_arrive_does_not_matter(piece in 1usize..50) {
        let source = source("us-tx-tdlr");
        let bytes = fixture!("us-tx-tdlr.csv");
        let mut reader = Reader::new(source, kind("US-TX-LMT", "MT"), Trickle(bytes, piece)).unwrap();
        let mut kept = Vec::new();
        while let Some(row) = reader.next_row().unwrap() {
            if let Row::Kept(row) = row {
                kept.push(row);
            }
        }
        prop_assert_eq!(kept, read(source, bytes).0);
        prop_assert_eq!(reader.bytes(), bytes.len() as u64);
    }
}

const TODAY: &str = "2026-11-30";

fn held(name: &str, source: &Source) -> Held {
    Held {
        id: CredentialId(uuid::Uuid::nil()),
        therapist: TherapistId(uuid::Uuid::nil()),
        number: "123456".to_owned(),
        name: name.to_owned(),
        jurisdiction: source.jurisdiction.to_owned(),
        facts: Facts {
            review_state: ReviewState::Submitted,
            board_status: BoardStatus::Active,
            board_action: false,
            issued_on: None,
            expires_on: None,
            recheck_on: None,
            verification: None,
        },
        checked_on: None,
        known_to_source: false,
    }
}

fn row() -> RosterRow {
    RosterRow {
        line: 2,
        type_code: "US-WA-LMT".to_owned(),
        number: "123456".to_owned(),
        number_written: "MA123456".to_owned(),
        name: "OKAFOR, SAM".to_owned(),
        status_text: Some("ACTIVE".to_owned()),
        board_status: BoardStatus::Active,
        issued_on: None,
        expires_on: Some(day("2027-06-30")),
        board_action: false,
        establishment: false,
        other_kind: false,
    }
}

fn against(code: &str, name: &str, rows: &[RosterRow]) -> Option<super::compare::Match> {
    let list = List { source: source(code), date: day("2026-11-28") };
    compare(&held(name, list.source), rows, list, day(TODAY))
}

fn verdict(name: &str, row: RosterRow) -> Verdict {
    against("us-wa-doh", name, &[row]).unwrap().verdict
}

#[test]
fn only_the_clean_row_is_clean() {
    use ReasonCode as R;
    let unclear = |reasons: &[ReasonCode]| Verdict::Unclear { reasons: reasons.to_vec() };
    assert_eq!(verdict("Sam Okafor", row()), Verdict::Clean);
    assert!(against("us-wa-doh", "Sam Okafor", &[]).is_none());
    assert_eq!(verdict("Samuel Okafor", row()), unclear(&[R::NameMismatch]));
    assert_eq!(verdict("Maria Gomez", row()), unclear(&[R::NameMismatch]));
    assert_eq!(verdict("Sam Okafor", RosterRow { expires_on: None, ..row() }), unclear(&[R::Illegible]));
    assert_eq!(verdict("Sam Okafor", RosterRow { board_action: true, ..row() }), unclear(&[R::DisciplinaryAction]));
    assert_eq!(verdict("Sam Okafor", RosterRow { establishment: true, ..row() }), unclear(&[R::EstablishmentNumber]));
    assert_eq!(
        verdict("Sam Okafor", RosterRow { board_status: BoardStatus::Unknown, ..row() }),
        unclear(&[R::Illegible])
    );
    let two = [row(), RosterRow { name: "GOMEZ, MARIA".to_owned(), ..row() }];
    let found = against("us-wa-doh", "Sam Okafor", &two).unwrap();
    assert_eq!((found.verdict, found.found.name.as_deref()), (unclear(&[R::DuplicateClaim]), Some("OKAFOR, SAM")));
    assert_eq!(against("us-wa-doh", "Sam Okafor", &[row(), row()]).unwrap().verdict, Verdict::Clean);
    let elsewhere = against("us-fl-doh", "Sam Okafor", &[row()]).unwrap();
    assert_eq!(elsewhere.verdict, Verdict::Clean);
    let list = List { source: source("us-wa-doh"), date: day("2026-11-28") };
    let abroad = Held { jurisdiction: "US-FL".to_owned(), ..held("Sam Okafor", list.source) };
    let found = compare(&abroad, &[row()], list, day(TODAY)).unwrap();
    assert_eq!(found.verdict, unclear(&[R::WrongJurisdiction]));
}

#[test]
fn the_bands_of_likeness_are_kept_apart() {
    let band = |name: &str| against("us-wa-doh", name, &[row()]).unwrap().name;
    assert_eq!(band("Sam Okafor"), NameMatch::Same);
    assert_eq!(band("Samuel Okafor"), NameMatch::Review);
    assert_eq!(band("Maria Gomez"), NameMatch::Mismatch);
}

#[test]
fn a_list_proves_nothing_when_it_is_old() {
    let at = |date: &str, row: RosterRow| {
        let list = List { source: source("us-wa-doh"), date: day(date) };
        compare(&held("Sam Okafor", list.source), &[row], list, day(TODAY)).unwrap().verdict
    };
    assert_eq!(at("2026-10-26", row()), Verdict::Clean, "35 days");
    assert_eq!(at("2026-10-25", row()), Verdict::Unclear { reasons: vec![ReasonCode::StaleSource] });
    // It may have been renewed since the list was made.
    let ended = RosterRow { expires_on: Some(day("2026-11-20")), ..row() };
    let doubts = Verdict::Unclear { reasons: vec![ReasonCode::Expired, ReasonCode::StaleSource] };
    assert_eq!(at("2026-11-20", ended.clone()), doubts);
    assert_eq!(at("2026-11-21", ended), Verdict::Adverse { reasons: vec![ReasonCode::Expired] });
    let last_day = RosterRow { expires_on: Some(day(TODAY)), ..row() };
    assert_eq!(at(TODAY, last_day), Verdict::Clean, "validity ends with its last day");
}

#[test]
fn bad_news_is_of_whoever_bears_the_name() {
    use BoardStatus as B;
    use ReasonCode as R;
    for (status, reason) in [
        (B::Suspended, R::DisciplinaryAction),
        (B::Revoked, R::DisciplinaryAction),
        (B::Surrendered, R::DisciplinaryAction),
        (B::NullAndVoid, R::DisciplinaryAction),
        (B::Expired, R::Expired),
        (B::Delinquent, R::Inactive),
        (B::Inactive, R::Inactive),
        (B::Retired, R::Inactive),
        (B::Deceased, R::Inactive),
    ] {
        let bad = RosterRow { board_status: status, ..row() };
        assert_eq!(verdict("Sam Okafor", bad.clone()), Verdict::Adverse { reasons: vec![reason] });
        let stranger = Verdict::Unclear { reasons: vec![R::NameMismatch, reason] };
        // It may be news of someone else, and is for a person to look at.
        assert_eq!(verdict("Samuel Okafor", bad.clone()), stranger);
        assert_eq!(verdict("Maria Gomez", bad), stranger);
    }
    for status in [B::Conditional, B::Probation, B::Limited, B::Temporary, B::Pending] {
        assert!(matches!(verdict("Sam Okafor", RosterRow { board_status: status, ..row() }), Verdict::Unclear { .. }));
    }
}

#[test]
fn of_several_rows_the_worst_is_shown_and_all_must_be_bad() {
    use BoardStatus as B;
    let row_of = |status, name: &str| RosterRow { board_status: status, name: name.to_owned(), ..row() };
    let found = |rows: &[RosterRow]| against("us-wa-doh", "Sam Okafor", rows).unwrap();
    let both = found(&[row_of(B::Revoked, "OKAFOR, SAM"), row_of(B::Revoked, "OKAFOR, SAM JAMES")]);
    assert!(matches!(both.verdict, Verdict::Adverse { .. }), "{:?}", both.verdict);
    for rows in [[B::Active, B::Revoked], [B::Revoked, B::Active]] {
        let mixed = found(&rows.map(|status| row_of(status, "OKAFOR, SAM")));
        assert!(matches!(mixed.verdict, Verdict::Unclear { .. }), "{:?}", mixed.verdict);
        assert_eq!(mixed.found.board_status, B::Revoked, "the worst of them");
    }
    let disciplined = RosterRow { board_action: true, expires_on: Some(day("2028-01-31")), ..row() };
    assert!(found(&[row(), disciplined]).found.board_action);
    // A stranger's row is not the holder's.
    let stranger = found(&[row_of(B::Revoked, "GOMEZ, MARIA"), row()]);
    assert_eq!(stranger.found.board_status, B::Active);
}

#[test]
fn an_old_list_has_no_news_and_a_silent_one_takes_nothing_back() {
    let list = |code: &str, date: &str| List { source: source(code), date: day(date) };
    let revoked = RosterRow { board_status: BoardStatus::Revoked, ..row() };
    let at = |held: &Held, list, row: &RosterRow| compare(held, std::slice::from_ref(row), list, day(TODAY)).unwrap();
    let mut holder = held("Sam Okafor", source("us-wa-doh"));
    assert!(matches!(at(&holder, list("us-wa-doh", "2026-11-20"), &revoked).verdict, Verdict::Adverse { .. }));
    assert!(matches!(at(&holder, list("us-wa-doh", "2015-01-05"), &revoked).verdict, Verdict::Unclear { .. }));
    // Someone has looked since.
    holder.checked_on = Some(day("2026-11-21"));
    assert!(matches!(at(&holder, list("us-wa-doh", "2026-11-20"), &revoked).verdict, Verdict::Unclear { .. }));
    let clean = at(&holder, list("us-wa-doh", "2026-11-20"), &row()).verdict;
    assert_eq!(clean, Verdict::Unclear { reasons: vec![ReasonCode::StaleSource] });
    // Texas lists no status: it cannot lift a condition.
    let mut holder = held("Sam Okafor", source("us-tx-tdlr"));
    holder.facts.board_status = BoardStatus::Conditional;
    let silent = at(&holder, list("us-tx-tdlr", "2026-11-29"), &RosterRow { status_text: None, ..row() });
    assert_eq!((silent.verdict, silent.found.board_status), (Verdict::Clean, BoardStatus::Conditional));
}

#[test]
fn bad_news_of_a_verified_number_bars_whatever_the_name() {
    use BoardStatus as B;
    let of = |holder: &str, rows: &[RosterRow]| {
        let source = source("us-wa-doh");
        let mut held = held(holder, source);
        held.facts.review_state = ReviewState::Verified;
        compare(&held, rows, List { source, date: day("2026-11-28") }, day(TODAY)).unwrap()
    };
    let row_of = |status, name: &str| RosterRow { board_status: status, name: name.to_owned(), ..row() };
    for (holder, listed) in [
        ("Sam Okafor, RN", "OKAFOR, SAM"),
        ("Nguyen Thi Huong", "NGUYỄN, HƯƠNG THỊ"),
        ("Maria Garcia", "GARCIA LOPEZ, MARIA"),
        ("Ana Gomez", "SMITH, ANA"),
        ("Sam Okafor", "BAKER, THOMAS"),
        ("李小龍", "LEE, BRUCE"),
    ] {
        for status in [B::Revoked, B::Suspended, B::Surrendered, B::NullAndVoid, B::Expired, B::Inactive, B::Deceased] {
            let found = of(holder, &[row_of(status, listed)]);
            assert!(matches!(found.verdict, Verdict::Adverse { .. }), "{holder} {listed} {status:?}");
        }
        let ended = RosterRow { expires_on: Some(day("2026-11-20")), ..row_of(B::Active, listed) };
        assert!(matches!(of(holder, &[ended]).verdict, Verdict::Adverse { .. }), "{holder} {listed}");
        let good = of(holder, &[row_of(B::Active, listed)]);
        assert!(!matches!(good.verdict, Verdict::Adverse { .. }), "{holder} {listed}");
    }
    // Of several rows the bad one counts, unless a good one bears the holder's name.
    let two = [row_of(B::Revoked, "BAKER, THOMAS"), row_of(B::Active, "OKAFOR, SAMUEL")];
    let found = of("Sam Okafor", &two);
    assert!(matches!(found.verdict, Verdict::Adverse { .. }));
    assert_eq!(found.found.board_status, B::Revoked, "what bars is what is shown");
    let two = [row_of(B::Revoked, "BAKER, THOMAS"), row_of(B::Active, "OKAFOR, SAM")];
    assert!(matches!(of("Sam Okafor", &two).verdict, Verdict::Unclear { .. }));
    let two = [row_of(B::Revoked, "OKAFOR, SAM"), row_of(B::Active, "OKAFOR, SAM")];
    assert!(matches!(of("Sam Okafor", &two).verdict, Verdict::Adverse { .. }));
    let two = [row_of(B::Expired, "OKAFOR, SAM"), row_of(B::Active, "OKAFOR, SAM")];
    assert!(matches!(of("Sam Okafor", &two).verdict, Verdict::Unclear { .. }), "an earlier licence that ended");
    // The news of an establishment, or of another place, are not the holder's.
    let shop = RosterRow { establishment: true, ..row_of(B::Revoked, "OKAFOR, SAM") };
    assert!(matches!(of("Sam Okafor", &[shop]).verdict, Verdict::Unclear { .. }));
}

#[test]
fn another_kind_of_licence_is_told_and_verifies_nobody() {
    let header = "credentialnumber,lastname,firstname,middlename,credentialtype,status,firstissuedate,lastissuedate,expirationdate,actiontaken\n";
    for kind in [
        "Student Massage Therapist Permit",
        "Massage Therapist Instructor",
        "Massage Therapist License, Temporary",
        "Animal Massage Practitioner",
    ] {
        let line = format!("MA60000001,Okafor,Sam,,\"{kind}\",ACTIVE,01/15/2020,01/15/2026,06/30/2028,No\n");
        let (kept, rejected, _) = read(source("us-wa-doh"), format!("{header}{line}").as_bytes());
        assert!(kept.len() == 1 && rejected.is_empty() && kept[0].other_kind, "{kind}");
        let found = against("us-wa-doh", "Sam Okafor", &kept).unwrap();
        assert_eq!(found.verdict, Verdict::Unclear { reasons: vec![ReasonCode::WrongType] }, "{kind}");
        let both = against("us-wa-doh", "Sam Okafor", &[kept[0].clone(), row()]).unwrap();
        assert_eq!(both.verdict, Verdict::Clean, "numbers are not unique across kinds");
    }
}

#[test]
fn the_system_takes_no_daniel_for_a_daniela() {
    for (holder, listed) in [
        ("Daniel Moreno", "MORENO, DANIELA"),
        ("Julio Reyes", "REYES, JULIA"),
        ("Christian Baker", "BAKER, CHRISTINA"),
        ("Sam Okafor", "OKAFOR JR, SAM"),
        ("Sam Okafor Sr.", "OKAFOR, SAM, JR"),
        ("Sam Okafor II", "OKAFOR, SAM III"),
        ("Jon Okafor", "OKAFOR, JOHN"),
        ("Francis Moss", "MOSS, FRANCES"),
        ("Marion Bell", "BELL, MARIAN"),
    ] {
        let found = against("us-wa-doh", holder, &[RosterRow { name: listed.to_owned(), ..row() }]).unwrap();
        assert_eq!(found.name, NameMatch::Review, "{holder} {listed} {:?}", found.found.name_similarity);
        assert_eq!(found.verdict, Verdict::Unclear { reasons: vec![ReasonCode::NameMismatch] }, "{holder} {listed}");
    }
    for (holder, listed) in [
        ("Dániel Moreno", "MORENO, DANIEL"),
        ("D. Moreno", "MORENO, DANIEL"),
        ("Daniel Moreno", "MORENO, D"),
        ("Sam Okafor Jr", "OKAFOR, SAM, JR."),
        ("Sam Okafor, III", "OKAFOR III, SAM JAMES"),
        ("Nguyễn Thị Hương", "NGUYEN, HUONG THI"),
        ("Dr. Sam Okafor, RN, LMT", "OKAFOR, SAM"),
    ] {
        let found = against("us-wa-doh", holder, &[RosterRow { name: listed.to_owned(), ..row() }]).unwrap();
        assert_eq!(found.verdict, Verdict::Clean, "{holder} {listed} {:?}", found.found.name_similarity);
    }
}
