//! What the rows of a list mean for a credential.

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reader::RosterRow;
use super::sources::Source;
use crate::credentials::BoardStatus;
use crate::credentials::checks::{CheckMethod, Found, SAME_NAME, Verdict};
use crate::credentials::held::Held;
use crate::credentials::review::{ReasonCode, ReviewState};
use crate::values::names::{Likeness, likeness};

/// How old a list may be to prove that someone may practise.
const FRESH: TimeDelta = TimeDelta::days(35);
/// From here on they may be.
const CLOSE: f64 = 0.75;

/// How the name on a credential compares with that in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum NameMatch {
    /// At least 0.92, with equal given names or an initial, and equal suffixes: the same.
    Same,
    /// From 0.75: for a person to look at.
    Review,
    /// Lower: another person's.
    Mismatch,
}

impl NameMatch {
    fn of(likeness: Likeness) -> Self {
        match likeness.score {
            SAME_NAME.. if likeness.agree => Self::Same,
            CLOSE.. => Self::Review,
            _ => Self::Mismatch,
        }
    }
}

/// A list as a whole.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// Whose it is.
    pub source: &'static Source,
    /// The date that it bears.
    pub date: NaiveDate,
}

/// What a list says of a credential.
#[derive(Clone, Debug)]
pub struct Match {
    /// What stands there.
    pub found: Found,
    /// What that means.
    pub verdict: Verdict,
    /// How the names compare.
    pub name: NameMatch,
}

/// Compares a credential with the rows of its type and number. None where there is no row, which proves nothing. Of several
/// rows the one that bars is shown, else the one that is most like the name, and of these the worst.
pub fn compare(held: &Held, rows: &[RosterRow], list: List, today: NaiveDate) -> Option<Match> {
    // Whoever is ahead of the authority may date a list by their own day, which has not come there.
    let told = list.date;
    let list = List { date: told.min(today), ..list };
    // Numbers are not unique across kinds: a licence of another kind is looked at only where there is none of ours.
    let ours: Vec<RosterRow> = rows.iter().filter(|row| !row.other_kind).cloned().collect();
    let rows = if ours.is_empty() { rows } else { &ours };
    let rows: Vec<(RosterRow, Likeness)> = collapse(rows)
        .into_iter()
        .map(|row| {
            let score = likeness(&held.name, &row.name);
            (row, score)
        })
        .collect();
    let rank = |(row, score): &&(RosterRow, Likeness)| {
        let alike =
            [NameMatch::Mismatch, NameMatch::Review, NameMatch::Same].iter().position(|m| *m == NameMatch::of(*score));
        (
            alike,
            adverse(row.board_status).is_some(),
            row.board_action,
            !BoardStatus::PERMITTING.contains(&row.board_status),
        )
    };
    let bad = barring(held, &rows, list);
    let shown = bad.or_else(|| rows.iter().max_by(|a, b| rank(a).cmp(&rank(b)).then(a.1.score.total_cmp(&b.1.score))));
    let (row, score) = shown?;
    let name = NameMatch::of(*score);
    let verdict = verdict(held, row, rows.len(), bad.is_some(), name, list, today);
    let found = Found {
        method: CheckMethod::Roster,
        source: list.source.code.to_owned(),
        source_url: None,
        source_date: Some(told),
        name: Some(row.name.clone()),
        number: Some(row.number_written.clone()),
        status_text: row.status_text.clone(),
        board_status: status(held, row, list.source),
        expires_on: row.expires_on,
        board_action: row.board_action
            || rows.iter().any(|(other, score)| NameMatch::of(*score) == name && other.board_action),
        #[expect(clippy::cast_possible_truncation, reason = "it is kept as four bytes")]
        name_similarity: Some(score.score as f32),
    };
    Some(Match { found, verdict, name })
}

/// What the row says of the status. Another kind of licence says nothing of this one. Those who exclude are not the board and say nothing of it, and a list without a status
/// takes nothing back that someone found.
fn status(held: &Held, row: &RosterRow, source: &Source) -> BoardStatus {
    if row.other_kind {
        return BoardStatus::Unknown;
    }
    let known = held.facts.board_status;
    let is_silent = source.status.is_none() && row.board_status == BoardStatus::Active;
    let keeps = source.reinstated.is_some() || (is_silent && BoardStatus::PERMITTING.contains(&known));
    if keeps { known } else { row.board_status }
}

/// Rows that say the same of the same licence are one: some lists have a row for each case of discipline.
fn collapse(rows: &[RosterRow]) -> Vec<RosterRow> {
    let mut distinct: Vec<RosterRow> = Vec::new();
    for row in rows {
        let twin = distinct.iter_mut().find(|other| {
            (&other.name, other.board_status, other.expires_on, other.establishment)
                == (&row.name, row.board_status, row.expires_on, row.establishment)
        });
        match twin {
            Some(twin) => twin.board_action |= row.board_action,
            None => distinct.push(row.clone()),
        }
    }
    distinct
}

fn verdict(
    held: &Held,
    row: &RosterRow,
    rows: usize,
    is_barred: bool,
    name: NameMatch,
    list: List,
    today: NaiveDate,
) -> Verdict {
    use ReasonCode as R;
    if row.establishment {
        return Verdict::Unclear { reasons: vec![R::EstablishmentNumber] };
    }
    if row.other_kind {
        return Verdict::Unclear { reasons: vec![R::WrongType] };
    }
    let mut doubts = Vec::new();
    if name != NameMatch::Same {
        doubts.push(R::NameMismatch);
    }
    if rows > 1 {
        doubts.push(R::DuplicateClaim);
    }
    if !held.jurisdiction.is_empty() && held.jurisdiction != list.source.jurisdiction {
        doubts.push(R::WrongJurisdiction);
    }
    if list.source.reinstated.is_some() {
        doubts.insert(0, R::DisciplinaryAction);
        return Verdict::Unclear { reasons: doubts };
    }
    // A licence that ended after the list was made may have been renewed since.
    let ended = row.expires_on.is_some_and(|last| last < today);
    let ended_by_then = row.expires_on.is_some_and(|last| last < list.date);
    let mut news: Vec<ReasonCode> = adverse(row.board_status).into_iter().collect();
    if ended_by_then && !news.contains(&R::Expired) {
        news.push(R::Expired);
    }
    if !news.is_empty() && row.board_action && !news.contains(&R::DisciplinaryAction) {
        news.push(R::DisciplinaryAction);
    }
    // An old list, or one from before the last check, tells of what may be mended since.
    let is_stale = today - list.date > FRESH || held.checked_on.is_some_and(|checked| list.date < checked);
    if !news.is_empty() && !is_stale && is_barred {
        let other_name = (name != NameMatch::Same).then_some(R::NameMismatch);
        return Verdict::Adverse { reasons: news.into_iter().chain(other_name).collect() };
    }
    doubts.extend(news);
    let more = [
        (row.expires_on.is_none(), R::Illegible),
        (ended && !ended_by_then, R::Expired),
        (row.board_action, R::DisciplinaryAction),
        (is_stale || (ended && !ended_by_then), R::StaleSource),
    ];
    doubts.extend(more.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason));
    doubts.extend(doubt(row.board_status));
    let mut reasons: Vec<ReasonCode> = Vec::new();
    for reason in doubts {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() { Verdict::Clean } else { Verdict::Unclear { reasons } }
}

/// The row of exactly this type, place and number whose bad news are the holder's. Who only claims the number is told apart from
/// whoever has it by the name: then every row must bear it and be bad. A number that was verified is the holder's, however
/// the authority writes the name, because people marry and clerks misspell: bad news of it bars, and a person decides about
/// the name. Bad news under another name count for nothing where a good row bears the holder's; an earlier licence that ended
/// counts for nothing beside one in force; what the authority took away counts beside it.
fn barring<'a>(held: &Held, rows: &'a [(RosterRow, Likeness)], list: List) -> Option<&'a (RosterRow, Likeness)> {
    if list.source.reinstated.is_some()
        || !(held.jurisdiction.is_empty() || held.jurisdiction == list.source.jurisdiction)
    {
        return None;
    }
    let same = |score: Likeness| NameMatch::of(score) == NameMatch::Same;
    let is_bad =
        |row: &RosterRow| adverse(row.board_status).is_some() || row.expires_on.is_some_and(|last| last < list.date);
    let is_taken = |row: &RosterRow| adverse(row.board_status) == Some(ReasonCode::DisciplinaryAction);
    let people = || rows.iter().filter(|(row, _)| !row.establishment && !row.other_kind);
    let all_say_it = people().count() == rows.len() && rows.iter().all(|(row, score)| same(*score) && is_bad(row));
    let was_verified = matches!(held.facts.review_state, ReviewState::Verified | ReviewState::Suspended);
    if !all_say_it && !was_verified {
        return None;
    }
    let own_is_good = people().any(|(row, score)| same(*score) && !is_bad(row));
    let counts = |row: &RosterRow, score: Likeness| is_bad(row) && (!own_is_good || (same(score) && is_taken(row)));
    people().filter(|(row, score)| counts(row, *score)).max_by(|(a, one), (b, other)| {
        (is_taken(a), a.board_action).cmp(&(is_taken(b), b.board_action)).then(one.score.total_cmp(&other.score))
    })
}

/// Why a holder of this status must not practise.
fn adverse(status: BoardStatus) -> Option<ReasonCode> {
    use BoardStatus as B;
    match status {
        B::Expired => Some(ReasonCode::Expired),
        B::Inactive | B::Retired | B::Delinquent | B::Deceased | B::Superseded => Some(ReasonCode::Inactive),
        B::Suspended | B::Revoked | B::Surrendered | B::NullAndVoid => Some(ReasonCode::DisciplinaryAction),
        B::Active | B::Conditional | B::Probation | B::Limited | B::Temporary | B::Pending | B::Unknown => None,
    }
}

/// Why a person should look at this status.
fn doubt(status: BoardStatus) -> Option<ReasonCode> {
    use BoardStatus as B;
    match status {
        B::Unknown => Some(ReasonCode::Illegible),
        B::Conditional | B::Probation => Some(ReasonCode::DisciplinaryAction),
        B::Limited | B::Pending => Some(ReasonCode::Inactive),
        B::Temporary => Some(ReasonCode::WrongType),
        _ => None,
    }
}

/// Whether the list says something else of the credential than we hold.
pub fn differs(held: &Held, found: &Found) -> bool {
    let facts = &held.facts;
    (facts.board_status, facts.board_action, facts.expires_on)
        != (found.board_status, found.board_action, found.expires_on)
}
