//! Lets an import take effect, takes it back, and holds single credentials against the list that is in effect.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::compare::List;
use super::lifecycle::{ImportState, Step};
use super::reading::{by_number, event, finding, kind_of, match_held};
use super::sources::Source;
use super::store::{self, findings, rows};
use super::{Finding, ImportNote, RosterImport, StopReason, Worker, superseded};
use crate::App;
use crate::clock::Clock;
use crate::credentials::checks::Change;
use crate::credentials::held::{Which, held, type_of};
use crate::credentials::{settle, unsettle};
use crate::error::{Error, FieldError, Refusal, Result};
use crate::events::{Event, Work, Workshop};
use crate::ids::{CredentialId, RosterImportId, TherapistId};

/// What an admin sets aside, and why.
#[derive(Debug, Default)]
pub struct Override {
    /// The rules.
    pub rules: Vec<StopReason>,
    /// Why.
    pub note: Option<ImportNote>,
}

/// Decides that an import is to take effect, or to go on doing so where it was interrupted. Whoever calls it sees to it that
/// [`apply`] runs.
///
/// # Errors
/// `roster_already_applied`, `roster_stopped`, `roster_not_previewed`, `roster_busy`.
pub async fn begin_apply(work: &mut Work, id: RosterImportId, asked: Override) -> Result<RosterImport> {
    let now = work.now();
    let mut import = store::lock(work, id).await?;
    if import.state == ImportState::Applying {
        return Ok(import);
    }
    if store::was_applied(work, &import).await? {
        return Err(Refusal::RosterAlreadyApplied.into());
    }
    let last = store::last_applied(&mut ***work, &import.source).await?;
    // Another list may have taken effect since this one was read.
    if let (Some(mapping), Some(former)) = (&mut import.mapping, last.as_ref().and_then(|last| last.mapping.as_ref())) {
        mapping.compare(former);
    }
    let source = import.list()?.source;
    if let Some(place) = asked.rules.iter().position(|rule| !rule.can_be_overridden(import.mapping.as_ref(), source)) {
        return Err(FieldError::new(format!("/override/{place}"), "cannot be overridden.").into());
    }
    if !asked.rules.is_empty() && asked.note.is_none() {
        return Err(FieldError::new("/note", "must say why the rule is set aside.").into());
    }
    let is_stopped = import.state == ImportState::Stopped;
    let covered = import.stop_reasons.iter().all(|reason| asked.rules.contains(reason));
    // Another import may have taken effect since this one was read.
    let is_cut = import.stop_reasons.contains(&StopReason::Truncated);
    let stands = import.objections(is_cut, last.as_ref()).iter().all(|reason| asked.rules.contains(reason));
    if matches!(import.state, ImportState::Previewed | ImportState::Stopped) && !(covered && stands) {
        return Err(Refusal::RosterStopped.into());
    }
    if !asked.rules.is_empty() {
        import.note = asked.note.map(|note| note.as_str().to_owned());
        import.overridden = asked.rules;
    }
    store::step(work, &mut import, if is_stopped { Step::Override } else { Step::Apply }, now).await?;
    work.announce(event(&import, "roster_import.apply")).await?;
    Ok(import)
}

/// Lets an import take effect, one therapist after the other, and goes on where it was interrupted. `tell` hears how many credentials
/// were looked at.
pub async fn apply(shop: &Workshop, id: RosterImportId, mut tell: impl FnMut(i64)) -> Result<()> {
    let (worker, list) = take_up(&shop.db, id, ImportState::Applying).await?;
    // What was handed in since the preview is compared too.
    match_held(shop, worker, list).await?;
    let mut looked_at = 0;
    while let Some((therapist, credentials)) = findings::next_to_apply(&shop.db, id).await? {
        match apply_to(shop, worker, list, therapist, &credentials).await {
            // A rule against one must not keep the others waiting.
            Err(Error::Refused(why)) if why != Refusal::InvalidTransition => {
                pass_over(shop, id, &credentials, why).await?;
            }
            outcome => outcome?,
        }
        looked_at += credentials.len().try_into().unwrap_or(0);
        tell(looked_at);
    }
    end(shop, worker, "roster_import.applied").await?;
    for outlived in store::outlived(&shop.db, list.source.code).await? {
        rows::forget(&shop.db, outlived).await?;
    }
    Ok(())
}

async fn apply_to(
    shop: &Workshop,
    worker: Worker,
    list: List,
    therapist: TherapistId,
    credentials: &[CredentialId],
) -> Result<()> {
    let mut work = shop.begin(None).await?;
    work.lock_time(therapist).await?;
    let now = work.now();
    let settled = settle_all(&mut work, worker.import, list, credentials, &shop.clock).await?;
    let changed = settled.iter().filter(|finding| has_changed(finding)).count();
    for credential in credentials.iter().filter(|id| settled.iter().all(|finding| finding.credential_id != **id)) {
        findings::pass_over(&mut work, worker.import, *credential, "The credential is not under review any more.", now)
            .await?;
    }
    store::count_findings(&mut work, worker, (0, 0, changed.try_into().unwrap_or(0)), now).await?;
    work.commit().await?;
    Ok(())
}

fn change(finding: &Finding) -> Option<Change> {
    finding.after.clone().map(|after| Change { before: finding.before.clone(), after })
}

fn has_changed(finding: &Finding) -> bool {
    change(finding).is_some_and(|change| change.is_real())
}

async fn pass_over(shop: &Workshop, import: RosterImportId, credentials: &[CredentialId], why: Refusal) -> Result<()> {
    let mut tx = shop.begin(None).await?;
    for credential in credentials {
        findings::pass_over(&mut tx, import, *credential, why.code(), shop.clock.now()).await?;
        let details = json!({ "import_id": import, "code": why.code() });
        tx.announce(Event::new("credential.finding_not_applied", "credential", *credential).with(details)).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Compares credentials of one therapist, whose lock is taken, with an import, and lets what is found take effect. They are compared
/// anew: what matters is how they stand now.
async fn settle_all(
    work: &mut Work,
    import: RosterImportId,
    list: List,
    credentials: &[CredentialId],
    clock: &Clock,
) -> Result<Vec<Finding>> {
    let source = list.source;
    let kind = kind_of(&mut ***work, list).await?;
    let held = held(&mut ***work, &kind, source.code, Which::Ids(credentials)).await?;
    let numbers: Vec<String> = held.iter().map(|held| held.number.clone()).collect();
    let rows = by_number(rows::of_numbers(&mut ***work, import, source.credential_type, &numbers).await?);
    let now = clock.now();
    let mut settled = Vec::new();
    for held in held {
        let is_missed = held.known_to_source && source.reinstated.is_none();
        let mut finding = finding(held, &rows, list, clock);
        match (&finding.found, &finding.verdict) {
            (Some(found), Some(verdict)) => {
                if let Some(change) = settle(work, finding.credential_id, found, verdict).await? {
                    (finding.before, finding.after) = (change.before, Some(change.after));
                }
            }
            _ if is_missed => {
                let details = json!({ "import_id": import, "source": source.code });
                let missing = Event::new("credential.row_missing", "credential", finding.credential_id);
                work.announce(missing.with(details)).await?;
            }
            _ => {}
        }
        finding.applied_at = Some(now);
        findings::record(work, import, &finding).await?;
        settled.push(finding);
    }
    Ok(settled)
}

/// Compares one credential with the list that is in effect, and lets what is found take effect. Nothing happens where its type
/// has no list, or none was applied.
pub async fn check(app: &App, credential: CredentialId) -> Result<()> {
    let Some((type_code, therapist)) = type_of(&*app.db, credential).await? else { return Ok(()) };
    let Some(source) = Source::of_type(&type_code) else { return Ok(()) };
    let mut work = app.begin(None).await?;
    work.lock_time(therapist).await?;
    while let Some(import) = store::last_applied(&mut **work, source.code).await? {
        // Whoever takes the import back waits for this, because what rests on it must be among what is undone.
        if store::hold_applied(&mut work, import.id).await? {
            settle_all(&mut work, import.id, import.list()?, &[credential], &app.clock).await?;
            break;
        }
    }
    work.commit().await?;
    Ok(())
}

/// Decides that an import is to be taken back, or that this goes on. Whoever calls it sees to it that [`roll_back`] runs.
///
/// # Errors
/// `roster_not_latest`, `roster_busy`, `invalid_transition`.
pub async fn begin_roll_back(work: &mut Work, id: RosterImportId) -> Result<RosterImport> {
    let now = work.now();
    let mut import = store::lock(work, id).await?;
    if import.state == ImportState::RollingBack {
        return Ok(import);
    }
    let last = store::last_applied(&mut ***work, &import.source).await?;
    if import.state == ImportState::Applied && last.is_some_and(|last| last.id != id) {
        return Err(Refusal::RosterNotLatest.into());
    }
    store::step(work, &mut import, Step::RollBack, now).await?;
    work.announce(event(&import, "roster_import.roll_back")).await?;
    Ok(import)
}

/// Takes back what an import changed, newest first, where it still stands as the import left it.
pub async fn roll_back(shop: &Workshop, id: RosterImportId) -> Result<()> {
    let (worker, list) = take_up(&shop.db, id, ImportState::RollingBack).await?;
    while let Some(finding) = findings::next_to_undo(&shop.db, id).await? {
        let mut work = shop.begin(None).await?;
        work.lock_time(finding.therapist_id).await?;
        let now = work.now();
        let change = change(&finding).filter(|change| change.before != change.after);
        let is_undone = match change {
            Some(change) => unsettle(&mut work, finding.credential_id, &change).await?,
            None => true,
        };
        let why_not = (!is_undone).then_some("The credential has changed since, and stays as it is.");
        findings::undo(&mut work, id, finding.credential_id, why_not, now).await?;
        store::count_findings(&mut work, worker, (0, 0, 0), now).await?;
        work.commit().await?;
    }
    end(shop, worker, "roster_import.rolled_back").await?;
    for outlived in store::outlived(&shop.db, list.source.code).await? {
        rows::forget(&shop.db, outlived).await?;
    }
    Ok(())
}

/// Puts an import aside.
pub async fn discard(work: &mut Work, id: RosterImportId) -> Result<RosterImport> {
    let now = work.now();
    let mut import = store::lock(work, id).await?;
    store::step(work, &mut import, Step::Discard, now).await?;
    work.announce(event(&import, "roster_import.discarded")).await?;
    Ok(import)
}

/// Marks an import in `state` as this worker's.
async fn take_up(db: &PgPool, id: RosterImportId, state: ImportState) -> Result<(Worker, List)> {
    let worker = Worker { import: id, mark: Uuid::now_v7() };
    let mut tx = db.begin().await?;
    let import = store::lock(&mut tx, id).await?;
    if import.state != state {
        return Err(superseded());
    }
    store::mark(&mut tx, worker).await?;
    tx.commit().await?;
    Ok((worker, import.list()?))
}

async fn end(shop: &Workshop, worker: Worker, action: &'static str) -> Result<()> {
    let mut tx = shop.begin(None).await?;
    let mut import = store::lock_marked(&mut tx, worker).await?;
    let now = shop.clock.now();
    store::step(&mut tx, &mut import, Step::Finish, now).await?;
    tx.announce(event(&import, action)).await?;
    tx.commit().await?;
    Ok(())
}
