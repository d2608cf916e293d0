//! Steps of a review: each saves where the credential stands, keeps up the claim on its number and what a renewal replaces, and announces
//! itself. The visits that rest on the credential follow, because bookings react.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::BoardStatus;
use super::checks::{Change, Facts, Found, Verdict};
use super::jobs::Supersede;
use super::review::{ReasonCode, ReviewAction, ReviewState, Reviewer};
use super::store::{self, Row};
use super::views::{Credential, LastDecision};
use crate::App;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::events::{Event, Party, Reason, Work};
use crate::ids::{AccountId, CredentialId, VerificationId};
use crate::queue::enqueue;
use crate::values::name;

/// Who takes a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub party: Party,
    /// None where the system acts.
    pub account: Option<AccountId>,
}

impl By {
    pub const SYSTEM: Self = Self { party: Party::System, account: None };

    pub fn admin(account: AccountId) -> Self {
        Self { party: Party::Admin, account: Some(account) }
    }

    pub fn therapist(account: AccountId) -> Self {
        Self { party: Party::Therapist, account: Some(account) }
    }
}

/// On what grounds a step is taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Grounds {
    pub codes: Vec<ReasonCode>,
    /// In the reviewer's words, for staff.
    pub note: Option<String>,
    /// In the reviewer's words, for the holder.
    pub message: Option<String>,
    pub method: Option<String>,
    pub source_url: Option<String>,
    /// The check that it rests on.
    pub check: Option<Check>,
    /// For how many minutes at least no visit is called off for it.
    pub hold_minutes: Option<i64>,
}

/// What was found, as it was recorded.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub id: VerificationId,
    pub found: Found,
}

/// Moves the row by one step, if `by` may take it.
fn step(row: &mut Row, action: ReviewAction, by: By, now: DateTime<Utc>) -> Result<()> {
    let state = row.credential.review_state;
    let (to, reviewer) = state.after(action, by.party).map_err(|error| state.bearings(error, by.party))?;
    if by.party == Party::Admin && by.account == Some(row.therapist.into()) {
        return Err(Refusal::OwnCredential.into());
    }
    let holder = row.claimed_by.filter(|_| row.claimed_until.is_some_and(|until| until > now));
    match reviewer {
        Reviewer::ClaimHolder if holder != by.account => return Err(Refusal::ClaimNotHeld.into()),
        Reviewer::SecondAdmin => match &row.approval {
            Some((first, _)) if Some(*first) == by.account => return Err(Refusal::SecondAdminNeeded.into()),
            Some((_, content)) if *content == row.content() => {}
            _ => return Err(Refusal::ContentChanged.into()),
        },
        _ if action == ReviewAction::Claim && holder.is_some() && holder != by.account => {
            return Err(Refusal::AlreadyClaimed.into());
        }
        _ => {}
    }
    let claimant = by.account.filter(|_| action == ReviewAction::Claim);
    (row.claimed_by, row.claimed_until) = (claimant, claimant.map(|_| now + store::CLAIM));
    row.approval = by.account.filter(|_| action == ReviewAction::Approve).map(|account| (account, row.content()));
    if matches!(action, ReviewAction::Submit | ReviewAction::Edit) {
        row.credential.submitted_at = Some(now);
    }
    row.credential.review_state = to;
    Ok(())
}

/// Takes a step, with all that follows.
pub(super) async fn take(work: &mut Work, row: &mut Row, action: ReviewAction, by: By, grounds: Grounds) -> Result<()> {
    let (from_state, now) = (row.credential.review_state, work.now());
    step(row, action, by, now)?;
    let to_state = row.credential.review_state;
    if let Some(check) = &grounds.check
        && matches!(to_state, ReviewState::Verified | ReviewState::Suspended)
    {
        adopt(row, check, now);
    }
    store::save(work, row).await?;
    if action.is_decision() {
        let (reason_codes, message) = (grounds.codes.clone(), grounds.message.clone());
        let told = LastDecision { action, reason_codes, message, at: now };
        store::tell(work, row, &told).await?;
        row.credential.last_decision = Some(told);
    }
    let details = json!({
        "type": row.credential.type_code, "reason_codes": grounds.codes, "method": grounds.method, "source_url": grounds.source_url,
        "verification_id": grounds.check.map(|check| check.id), "hold_minutes": grounds.hold_minutes,
    });
    let taken = Event {
        party: Some(by.party),
        from: Some(name(&from_state)),
        to: Some(name(&to_state)),
        reason: grounds.note.map(Reason::Ours),
        ..event(format!("credential.{}", name(&action)), row, details)
    };
    match action {
        ReviewAction::Submit | ReviewAction::Edit => {
            store::release_numbers(work, row.therapist).await?;
            store::claim_number(work, row, false, now).await?;
            if is_claimed_by_another(work, row).await? {
                raise(work, "credential.duplicate_claim", row, &[ReasonCode::DuplicateClaim]).await?;
            }
        }
        ReviewAction::Withdraw | ReviewAction::Reject | ReviewAction::Revoke => {
            store::release_numbers(work, row.therapist).await?
        }
        // Whoever was found to be right owns the number.
        ReviewAction::Verify => store::claim_number(work, row, true, now).await?,
        _ => {}
    }
    if to_state == ReviewState::Verified && action != ReviewAction::RollBack {
        supersede(work, row).await?;
    }
    // Last, because visits are looked at with what this one replaces already gone.
    work.announce(taken).await
}

/// Something that happened to a credential.
pub(super) fn event(kind: impl Into<String>, row: &Row, details: Value) -> Event {
    Event::new(kind, "credential", row.credential.id).about(row.therapist).with(details)
}

/// Lets a verified credential take the place of what it renews, once it has begun everywhere: noon in Greenwich is midnight
/// at the date line. Until then both count, each for its own dates.
pub(super) async fn supersede(work: &mut Work, row: &Row) -> Result<()> {
    let now = work.now();
    let begins = row.credential.issued_on.and_then(|begins| begins.and_hms_opt(12, 0, 0)).map(|noon| noon.and_utc());
    if let Some(due) = begins.filter(|due| now < *due) {
        return enqueue(work, &Supersede { by: row.credential.id }, due).await;
    }
    for mut older in store::renewed_by(work, row).await? {
        older.superseded_by = Some(row.credential.id);
        Box::pin(take(work, &mut older, ReviewAction::Supersede, By::SYSTEM, Grounds::default())).await?;
    }
    Ok(())
}

/// The credential under its therapist's lock, since what is done to it may change what can be booked.
pub(super) async fn locked(work: &mut Work, id: CredentialId) -> Result<Option<Row>> {
    let Some(therapist) = store::holder(&mut ***work, id).await? else { return Ok(None) };
    work.lock_time(therapist).await?;
    store::lock(work, id).await
}

/// The job's part of a renewal that began later than it was verified.
pub async fn supersede_due(app: &App, by: CredentialId) -> Result<()> {
    let mut work = app.begin(None).await?;
    let row = locked(&mut work, by).await?;
    if let Some(row) = row.filter(|row| row.credential.review_state == ReviewState::Verified) {
        supersede(&mut work, &row).await?;
    }
    work.commit().await?;
    Ok(())
}

/// Whether another therapist is taken to own the number.
pub(super) async fn is_claimed_by_another(tx: &mut Tx, row: &Row) -> Result<bool> {
    Ok(store::claimant(tx, row).await?.is_some_and(|claimant| claimant != row.therapist))
}

/// The reason codes of the last decision of this kind: what was overridden then.
pub(super) async fn stated(tx: &mut Tx, row: &Row, action: ReviewAction) -> Result<Vec<ReasonCode>> {
    let decisions = store::history(tx, row.credential.id).await?;
    let last = decisions.into_iter().rfind(|decision| decision.action == action);
    Ok(last.map(|decision| decision.reason_codes).unwrap_or_default())
}

/// What stands against verifying: what was found now and since it was submitted, and another's claim on the number.
pub(super) async fn concerns(tx: &mut Tx, row: &Row, found: &Found) -> Result<Vec<ReasonCode>> {
    let mut concerns: Vec<ReasonCode> = found.concerns().collect();
    for check in store::since(tx, row).await? {
        concerns.extend(check.concerns());
    }
    if is_claimed_by_another(tx, row).await? {
        concerns.push(ReasonCode::DuplicateClaim);
    }
    // What was taken out of force does not come back by being entered again.
    if store::was_barred(tx, row).await? {
        concerns.push(ReasonCode::DisciplinaryAction);
    }
    Ok(concerns)
}

/// Writes what was found onto the row.
pub(super) fn adopt(row: &mut Row, check: &Check, now: DateTime<Utc>) {
    let Check { id, found } = check;
    row.credential.board_status = found.board_status;
    // The authority knows better than the holder when it ends, and that it had begun by then.
    row.credential.expires_on = found.expires_on.or(row.credential.expires_on);
    row.credential.issued_on =
        row.credential.issued_on.filter(|begins| row.credential.expires_on.is_none_or(|ends| *begins <= ends));
    row.board_action = found.board_action;
    row.verification = Some(*id);
    row.recheck_on = row.kind.recheck_days.map(|days| (now + TimeDelta::days(days.into())).date_naive());
}

/// Takes over what the holder of a verified licence changed beside its name, number and type: what narrows it holds at once, and
/// what widens it is told to staff, because the authority knows better than the holder.
pub(super) async fn amend(work: &mut Work, row: &mut Row, former: &Credential) -> Result<()> {
    let told = keep_narrow(&mut row.credential, former);
    if row.credential != *former {
        store::save(work, row).await?;
        // What was said of it is none of what changed.
        let plain = |credential: &Credential| Credential { last_decision: None, ..credential.clone() };
        let details = json!({ "before": plain(former), "after": plain(&row.credential) });
        let updated = Event { party: Some(Party::Therapist), ..event("credential.updated", row, details) };
        work.announce(updated).await?;
    }
    if !told.is_empty() {
        work.announce(event("credential.told_by_holder", row, json!({ "told": told }))).await?;
    }
    Ok(())
}

/// Puts back what would widen a licence, and gives it.
fn keep_narrow(credential: &mut Credential, former: &Credential) -> Map<String, Value> {
    let mut told = Map::new();
    let is_within = |now: &Option<Vec<String>>, before: &Option<Vec<String>>| match (now, before) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(now), Some(before)) => now.iter().all(|place| before.contains(place)),
    };
    let earlier = credential
        .expires_on
        .map_or(former.expires_on.is_none(), |ends| former.expires_on.is_none_or(|ended| ends <= ended));
    let later = credential
        .issued_on
        .map_or(former.issued_on.is_none(), |begins| former.issued_on.is_none_or(|began| began <= begins));
    macro_rules! keep {
        ($($field:ident if $narrow:expr),+ $(,)?) => {$(
            if !$narrow {
                told.insert(stringify!($field).to_owned(), json!(credential.$field));
                credential.$field = former.$field.clone();
            }
        )+};
    }
    keep!(
        expires_on if earlier,
        issued_on if later,
        issuing_jurisdiction if credential.issuing_jurisdiction == former.issuing_jurisdiction,
        cover if credential.cover == former.cover,
        covers_jurisdictions if is_within(&credential.covers_jurisdictions, &former.covers_jurisdictions),
        covers_kinds if is_within(&credential.covers_kinds, &former.covers_kinds),
    );
    told
}

/// Tells staff of something about a credential that they should look at.
pub(super) async fn raise(work: &mut Work, kind: &'static str, row: &Row, reasons: &[ReasonCode]) -> Result<()> {
    let details = json!({ "review_state": row.credential.review_state, "reason_codes": reasons });
    work.announce(event(kind, row, details)).await
}

/// Asks staff to look at what a list says, unless a person has decided about just this row for this credential: by resolving
/// the task, or by verifying or reinstating with the row at hand. A row that changes is asked about anew.
async fn ask(work: &mut Work, kind: &'static str, row: &Row, found: &Found, reasons: &[ReasonCode]) -> Result<()> {
    let seen = row.seen(found);
    if store::is_decided(work, row, found, &seen).await? {
        return Ok(());
    }
    let details = json!({ "review_state": row.credential.review_state, "reason_codes": reasons, "row": seen });
    work.announce(event(kind, row, details)).await
}

/// What staff are asked about an unclear finding: bad news are not to hide behind a task about a name.
fn unclear(found: &Found) -> &'static str {
    let is_known = found.board_status != BoardStatus::Unknown;
    if is_known && !BoardStatus::PERMITTING.contains(&found.board_status) {
        "credential.adverse_finding"
    } else {
        "credential.finding_unclear"
    }
}

/// Lets `verdict` on what was `found` take effect, as far as the credential stands now; its therapist's lock is taken. Only
/// what the system may do by itself is done: a submitted credential is verified where the verdict is clean and nothing
/// stands against it, and a verified one is suspended where it is adverse; all else becomes a task. What was found is
/// recorded in any case, and visits follow in the same transaction. None where there is no such credential, or none that is
/// handed in and not yet done with.
pub async fn settle(
    work: &mut Work,
    credential: CredentialId,
    found: &Found,
    verdict: &Verdict,
) -> Result<Option<Change>> {
    let now = work.now();
    let Some(mut row) = store::lock(work, credential).await? else { return Ok(None) };
    let before = row.facts();
    if before.review_state == ReviewState::Draft || before.review_state.has_ended() {
        return Ok(None);
    }
    let may_verify = *verdict == Verdict::Clean
        && before.review_state == ReviewState::Submitted
        && !row.kind.four_eyes
        && concerns(work, &row, found).await?.is_empty();
    let id = store::record_check(work, credential, found, None, now).await?;
    let check = Check { id, found: found.clone() };
    let grounds = |codes: &[ReasonCode]| Grounds {
        codes: codes.to_vec(),
        method: Some("roster".to_owned()),
        check: Some(check.clone()),
        ..Grounds::default()
    };
    match (verdict, before.review_state) {
        (Verdict::Clean, ReviewState::Submitted) if may_verify => {
            let grounds = grounds(&[ReasonCode::VerifiedPrimarySource]);
            take(work, &mut row, ReviewAction::Verify, By::SYSTEM, grounds).await?;
        }
        (Verdict::Clean, ReviewState::Verified) => {
            adopt(&mut row, &check, now);
            keep_up(work, &row, &before).await?;
        }
        // Whoever was suspended is reinstated by a person.
        (Verdict::Clean, ReviewState::Suspended) => {
            ask(work, "credential.reinstatement_possible", &row, found, &[]).await?;
        }
        (Verdict::Clean, _) => {}
        (Verdict::Adverse { reasons }, ReviewState::Verified) => {
            take(work, &mut row, ReviewAction::Suspend, By::SYSTEM, grounds(reasons)).await?;
            raise(work, "credential.suspended_by_roster", &row, reasons).await?;
        }
        (Verdict::Adverse { .. }, ReviewState::Suspended) => {
            adopt(&mut row, &check, now);
            store::save(work, &row).await?;
        }
        (Verdict::Adverse { reasons }, _) => ask(work, "credential.adverse_finding", &row, found, reasons).await?,
        // Words that we do not know are no permission, and others than these permit nothing.
        (Verdict::Unclear { reasons }, ReviewState::Verified) if bars(found, reasons) => {
            if is_name_settled(work, &row, found, reasons).await? {
                adopt(&mut row, &check, now);
            } else {
                (row.credential.board_status, row.verification) = (found.board_status, Some(id));
            }
            keep_up(work, &row, &before).await?;
            let kind = if found.board_status == BoardStatus::Unknown {
                "credential.status_unknown"
            } else {
                "credential.status_not_permitting"
            };
            ask(work, kind, &row, found, reasons).await?;
        }
        // A list from before the last check has no news.
        (Verdict::Unclear { reasons }, ReviewState::Verified) if reasons == &[ReasonCode::StaleSource] => {}
        // What is unclear of a row takes nothing from what is clear of it: a holder with an old board action has a new end.
        (Verdict::Unclear { reasons }, ReviewState::Verified) if is_own(found, reasons) => {
            if is_name_settled(work, &row, found, reasons).await? {
                adopt(&mut row, &check, now);
                keep_up(work, &row, &before).await?;
            }
            ask(work, unclear(found), &row, found, reasons).await?;
        }
        (Verdict::Unclear { reasons }, _) => ask(work, unclear(found), &row, found, reasons).await?,
    }
    Ok(Some(Change { before, after: row.facts() }))
}

/// Whether a status that permits nothing is this credential's, and of this time. Another name does not make it another's,
/// because the number was verified: a person decides about the name.
fn bars(found: &Found, reasons: &[ReasonCode]) -> bool {
    is_own(found, reasons) && !BoardStatus::PERMITTING.contains(&found.board_status)
}

/// Whether the row is surely about this credential, the name aside, and of this time.
fn is_own(found: &Found, reasons: &[ReasonCode]) -> bool {
    use ReasonCode::{DuplicateClaim, EstablishmentNumber, StaleSource, WrongJurisdiction, WrongType};
    let doubtful = [DuplicateClaim, EstablishmentNumber, StaleSource, WrongJurisdiction];
    // A temporary licence is one of our type; another kind of licence has no status of ours.
    let other_kind = reasons.contains(&WrongType) && found.board_status != BoardStatus::Temporary;
    !other_kind && !reasons.iter().any(|reason| doubtful.contains(reason))
}

/// Whether the name in the row is the holder's, as far as the system or a person has found. Without that no good news of it count.
async fn is_name_settled(tx: &mut Tx, row: &Row, found: &Found, reasons: &[ReasonCode]) -> Result<bool> {
    let mismatch = ReasonCode::NameMismatch;
    Ok(!reasons.contains(&mismatch)
        || !found.concerns().any(|concern| concern == mismatch)
        || stated(tx, row, ReviewAction::Verify).await?.contains(&mismatch)
        || store::is_decided(tx, row, found, &row.seen(found)).await?)
}

/// Saves what a check found of a credential that stays where it is; visits follow where it matters.
pub(super) async fn keep_up(work: &mut Work, row: &Row, before: &Facts) -> Result<()> {
    store::save(work, row).await?;
    let change = Change { before: before.clone(), after: row.facts() };
    if change.is_real() {
        work.announce(event("credential.updated", row, json!(change))).await?;
    }
    Ok(())
}

/// Takes a [`settle`]d change back, where the credential still stands as that left it; false where it does not. What was
/// cancelled meanwhile stays cancelled.
pub async fn unsettle(work: &mut Work, credential: CredentialId, change: &Change) -> Result<bool> {
    let Some(mut row) = store::lock(work, credential).await? else { return Ok(false) };
    if row.facts() != change.after {
        return Ok(false);
    }
    let before = change.before.clone();
    let review_state = before.review_state;
    (row.credential.board_status, row.board_action) = (before.board_status, before.board_action);
    (row.credential.issued_on, row.credential.expires_on) = (before.issued_on, before.expires_on);
    (row.recheck_on, row.verification) = (before.recheck_on, before.verification);
    if review_state == change.after.review_state {
        let undone = Change { before: change.after.clone(), after: row.facts() };
        store::save(work, &row).await?;
        work.announce(event("credential.rolled_back", &row, json!(undone))).await?;
    } else {
        let grounds = Grounds { codes: vec![ReasonCode::StaleSource], ..Grounds::default() };
        // What it had replaced is in force again before visits are looked at without it.
        for mut older in store::superseded_by(work, &row).await? {
            older.superseded_by = None;
            take(work, &mut older, ReviewAction::RollBack, By::SYSTEM, grounds.clone()).await?;
        }
        take(work, &mut row, ReviewAction::RollBack, By::SYSTEM, grounds).await?;
    }
    Ok(true)
}
