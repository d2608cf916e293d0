use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{get, post};
use chrono::{Datelike, NaiveDate};
use futures_util::stream::once;
use futures_util::{FutureExt, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::applying::{self, Override};
use super::jobs::{ApplyRoster, ReadRoster, RollBackRoster};
use super::lifecycle::ImportState;
use super::reading::event;
use super::sources::{SOURCES, Source};
use super::store::{self, NewImport, findings};
use super::unpack::can_be_taken;
use super::{Finding, ImportNote, OLDEST, Outcome, RosterImport, SIZE_LIMIT, StopReason, file_of};
use crate::App;
use crate::auth::{As, AsEither, RostersWrite, Verifier};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Problem, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{
    Cursor, Fingerprint, Limit, OrDefault, Page, Part, Path, Query, Reply, SentFile, Upload, UploadLimits,
};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, CredentialId, RosterImportId};
use crate::queue::enqueue;
use crate::values::{Day, bounded_text};

bounded_text! {
    /// A source's code.
    SourceCode line 2..=40, example "us-tx-tdlr";
}

/// How large a list may be, and how long it may take to arrive.
const LIMITS: UploadLimits = UploadLimits { bytes: SIZE_LIMIT, time: Duration::from_secs(1800) };

/// The operations on rosters.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_roster_sources).service(create_roster_import).service(list_roster_imports);
    config.service(list_roster_findings).service(apply_roster_import).service(roll_back_roster_import);
    config.service(discard_roster_import).service(get_roster_import);
}

/// A list that can be imported.
#[derive(Serialize, ToSchema)]
struct RosterSource {
    /// Its code.
    #[schema(example = "us-tx-tdlr")]
    code: &'static str,
    /// Who gives it out.
    authority: &'static str,
    /// Whose licences it lists.
    #[schema(example = "US-TX")]
    jurisdiction: &'static str,
    /// Where the authority sits: its dates are days there.
    #[schema(example = "America/Chicago")]
    time_zone: &'static str,
    /// The type of credential that it is compared with.
    #[schema(example = "US-TX-LMT")]
    credential_type: &'static str,
    /// What stands between two fields.
    #[schema(example = ",")]
    delimiter: char,
    /// How it is encoded.
    #[schema(example = "UTF-8")]
    encoding: &'static str,
    /// The columns that must be there, in any order. Those that tell where someone lives, how to reach them or when they
    /// were born are never read.
    columns: &'static [&'static str],
    /// What whoever relies on it should know.
    note: Option<&'static str>,
}

impl From<&'static Source> for RosterSource {
    fn from(source: &'static Source) -> Self {
        Self {
            code: source.code,
            authority: source.authority,
            jurisdiction: source.jurisdiction,
            time_zone: source.zone,
            credential_type: source.credential_type,
            delimiter: source.delimiter.into(),
            encoding: source.encoding.name(),
            columns: source.columns,
            note: source.note,
        }
    }
}

/// List roster sources
///
/// The lists that can be imported, and the columns that they must have.
#[utoipa::path(tag = "Rosters", operation_id = "list_roster_sources", security(("bearer" = ["admin:verifier"]), ("api_key" = ["rosters:write"])), params(Part),
    responses((status = 200, description = "The sources.", body = Page<RosterSource>)))]
#[get("/v1/admin/roster-sources")]
async fn list_roster_sources(_me: AsEither<Verifier, RostersWrite>, Query(part): Query<Part>) -> Result<Reply> {
    Reply::ok(&Page::part(SOURCES.iter().map(RosterSource::from).collect(), &part)?)
}

/// A list, with what is to be known of it before its rows.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read part by part")]
struct RosterForm {
    /// The source's code.
    #[schema(example = "us-tx-tdlr")]
    source: String,
    /// The date that the list bears, a day where its authority sits; today there if it is left out.
    #[schema(value_type = Option<String>, format = Date, example = "2026-11-30")]
    source_date: Option<String>,
    /// The list as the authority gives it out: text, or a .gz or .zip of the one list. It comes last.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Upload a roster
///
/// Takes an authority's list of up to 1 GB, as text in any of the usual encodings, or packed as .gz or .zip. A job reads it: watch `rows_read` until `state` is `previewed`, or `stopped` by a rule.
/// Nothing changes before it is applied. The file that was applied last is recognised, and refused.
#[utoipa::path(tag = "Rosters", operation_id = "create_roster_import", security(("bearer" = ["admin:verifier"]), ("api_key" = ["rosters:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body(content = RosterForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "The import, waiting to be read.", body = RosterImport,
     headers(("Location" = String, description = "Where its progress is found."))),
    (status = 413, description = "The file is larger than 1 GB.", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The form is wrong: `roster_source_unknown`, a date in the future, a file that is empty or packed in another way.", body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![RosterAlreadyApplied]))))]
#[post("/v1/admin/roster-imports")]
async fn create_roster_import(
    app: Data<App>,
    me: AsEither<Verifier, RostersWrite>,
    key: IdempotencyKey,
    upload: Upload,
) -> Result<Reply> {
    let SentFile { fields, name, chunks } = upload.open(&["source", "source_date"], LIMITS).await?;
    let now = app.clock.now();
    let source = source_of(fields.get("source").map(String::as_str))?;
    let source_date = date_of(fields.get("source_date").map(String::as_str), source.today(now), now.date_naive())?;
    let id = RosterImportId::new(now);
    let stored = app.storage.put_stream(file_of(id), takeable(chunks), SIZE_LIMIT).await?;
    let file_name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
    let unit = app.clone();
    let outcome = uninterrupted(async move {
        let import = NewImport {
            id,
            source: source.code,
            file_name: file_name.as_deref().filter(|name| !name.is_empty()),
            sha256: stored.sha256,
            size: stored.size,
            source_date,
            uploaded_by: me.account(),
        };
        add(&unit, me.actor(), key, &import).await
    })
    .await;
    // Where it is not known whether the row stands, the file stays.
    if !matches!(outcome, Ok(_) | Err(Error::Unavailable(_) | Error::Internal(_))) {
        app.storage.delete(file_of(id)).await?;
    }
    outcome
}

/// Adds the import; the second half says whether it did, or repeated an answer.
async fn add(app: &App, me: AccountId, key: IdempotencyKey, new: &NewImport<'_>) -> Result<Reply> {
    let now = app.clock.now();
    let print = Fingerprint::of(&[new.source.as_bytes(), new.source_date.to_string().as_bytes(), &new.sha256].concat());
    let mut work = app.begin(Some(me)).await?;
    let once = Once::claim(&mut work, "POST /v1/admin/roster-imports", key, print).await?;
    let import = receive(&mut work, new, now).await?;
    enqueue(&mut work, &ReadRoster { import: new.id }, now).await?;
    let reply = Reply::created(format!("/v1/admin/roster-imports/{}", new.id), &import)?;
    once.keep(&mut work, &reply).await?;
    work.commit().await?;
    Ok(reply)
}

/// Takes an import down that has come; `roster_already_applied` where it is the one that is in effect.
pub(super) async fn receive(
    work: &mut Work,
    new: &NewImport<'_>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<RosterImport> {
    store::insert(work, new, now).await?;
    let import = store::lock(work, new.id).await?;
    if store::was_applied(work, &import).await? {
        return Err(Refusal::RosterAlreadyApplied.into());
    }
    work.announce(event(&import, "roster_import.uploaded")).await?;
    Ok(import)
}

fn source_of(code: Option<&str>) -> Result<&'static Source> {
    let code = code.ok_or_else(|| FieldError::new("/source", "is missing."))?;
    Source::find(code).ok_or_else(|| {
        FieldError {
            pointer: "/source".to_owned(),
            code: "roster_source_unknown".into(),
            detail: "There is no such source; see /v1/admin/roster-sources.".to_owned(),
        }
        .into()
    })
}

/// The date that a list bears: today, where its authority sits, if it is not told, and never later.
pub(super) fn date_of(text: Option<&str>, today: NaiveDate, latest: NaiveDate) -> Result<NaiveDate> {
    let wrong = |why: String| Error::from(FieldError::new("/source_date", format!("{why}.")));
    match text.map(str::parse::<Day>) {
        None => Ok(today),
        Some(Err(why)) => Err(wrong(why)),
        Some(Ok(Day(date))) if date.year() < OLDEST => Err(wrong("lies before 2000".to_owned())),
        Some(Ok(Day(date))) if date > latest.max(today) => Err(wrong("lies in the future".to_owned())),
        Some(Ok(Day(date))) => Ok(date),
    }
}

/// Refuses a file that is empty, or packed in a way that is not unpacked here, by its first bytes.
fn takeable(mut chunks: impl Stream<Item = Result<Bytes>> + Unpin) -> impl Stream<Item = Result<Bytes>> {
    let wrong = |detail: &str| Error::from(FieldError::new("/file", detail));
    async move {
        let first = chunks.next().await.unwrap_or_else(|| Err(wrong("is empty.")));
        let first = first.and_then(|first| {
            let detail = "must be text, or packed as .gz or .zip.";
            if can_be_taken(&first) { Ok(first) } else { Err(wrong(detail)) }
        });
        once(async { first }).chain(chunks)
    }
    .into_stream()
    .flatten()
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ImportsQuery {
    /// Of this source.
    #[param(inline)]
    source: Option<SourceCode>,
    /// In this state.
    #[param(inline)]
    state: Option<ImportState>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List imports
///
/// Newest first.
#[utoipa::path(tag = "Rosters", operation_id = "list_roster_imports", security(("bearer" = ["admin:verifier"]), ("api_key" = ["rosters:write"])), params(ImportsQuery),
    responses((status = 200, description = "A page of imports.", body = Page<RosterImport>)))]
#[get("/v1/admin/roster-imports")]
async fn list_roster_imports(
    app: Data<App>,
    _me: AsEither<Verifier, RostersWrite>,
    Query(query): Query<ImportsQuery>,
) -> Result<Reply> {
    let before = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let source = query.source.as_ref().map(SourceCode::as_str);
    if source.is_some_and(|source| SOURCES.iter().all(|known| known.code != source)) {
        return Err(FieldError::new("/source", "is not a source of rosters.").into());
    }
    let imports = store::list(&app.db, source, query.state, before, query.limit.probe()).await?;
    Reply::ok(&Page::cut(imports, query.limit, |import| import.id)?)
}

/// An import, with how many findings of each kind it has.
#[derive(Serialize, ToSchema)]
struct ImportDetail {
    #[serde(flatten)]
    import: RosterImport,
    /// Findings by outcome.
    outcomes: Outcomes,
}

/// How many credentials came out how.
#[derive(Default, Serialize, ToSchema)]
struct Outcomes {
    /// Nothing stands against them.
    clean: i64,
    /// Their holders must not practise.
    adverse: i64,
    /// For a person to look at.
    unclear: i64,
    /// Not in the list.
    absent: i64,
}

/// Show an import
///
/// How far it has been read, how its columns are used, which rows cannot be used, what it would change, and what stops it.
#[utoipa::path(tag = "Rosters", operation_id = "get_roster_import", security(("bearer" = ["admin:verifier"]), ("api_key" = ["rosters:write"])),
    params(("id" = RosterImportId, Path, description = "The import.")),
    responses((status = 200, description = "The import.", body = ImportDetail)))]
#[get("/v1/admin/roster-imports/{id}")]
async fn get_roster_import(
    app: Data<App>,
    _me: AsEither<Verifier, RostersWrite>,
    Path(id): Path<RosterImportId>,
) -> Result<Reply> {
    let import = store::find(&app.db, id).await?.ok_or(Error::NotFound)?;
    let mut outcomes = Outcomes::default();
    for (outcome, count) in findings::counts(&app.db, id).await? {
        match outcome {
            Outcome::Clean => outcomes.clean = count,
            Outcome::Adverse => outcomes.adverse = count,
            Outcome::Unclear => outcomes.unclear = count,
            Outcome::Absent => outcomes.absent = count,
        }
    }
    Reply::ok(&ImportDetail { import, outcomes })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FindingsQuery {
    /// With this outcome.
    #[param(inline)]
    verdict: Option<Outcome>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List findings
///
/// What an import says of each credential of ours, and what came of it.
#[utoipa::path(tag = "Rosters", operation_id = "list_roster_findings", security(("bearer" = ["admin:verifier"])),
    params(("id" = RosterImportId, Path, description = "The import."), FindingsQuery),
    responses((status = 200, description = "A page of findings.", body = Page<Finding>)))]
#[get("/v1/admin/roster-imports/{id}/findings")]
async fn list_roster_findings(
    app: Data<App>,
    _me: As<Verifier>,
    Path(id): Path<RosterImportId>,
    Query(query): Query<FindingsQuery>,
) -> Result<Reply> {
    store::find(&app.db, id).await?.ok_or(Error::NotFound)?;
    let after: Option<CredentialId> = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let found = findings::list(&app.db, id, query.verdict, after, query.limit.probe()).await?;
    Reply::ok(&Page::cut(found, query.limit, |finding| finding.credential_id)?)
}

/// Which rules are set aside, and why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    /// Rules that stopped it; `rows_fell` can be set aside, and `header_changed` where the list is of use without what is missing.
    #[serde(default, rename = "override")]
    #[schema(max_items = 7, example = json!(["rows_fell"]))]
    rules: Vec<StopReason>,
    /// Why; needed where a rule is set aside.
    note: Option<ImportNote>,
}

/// Apply an import
///
/// Lets it take effect by a job, therapist by therapist: what is clean and was submitted is verified, whoever may not practise any more
/// is suspended, and the rest is for a person to look at. An import that was interrupted goes on where it was.
#[utoipa::path(tag = "Rosters", operation_id = "apply_roster_import", security(("bearer" = ["admin:verifier"])),
    params(("id" = RosterImportId, Path, description = "The import.")), request_body = Option<ApplyBody>,
    responses((status = 202, description = "The import, taking effect.", body = RosterImport)),
    extensions(("x-refusals" = json!(refused![RosterNotPreviewed, RosterStopped, RosterAlreadyApplied, RosterBusy]))))]
#[post("/v1/admin/roster-imports/{id}/apply")]
async fn apply_roster_import(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<RosterImportId>,
    OrDefault(body): OrDefault<ApplyBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = app.clock.now();
        let asked = Override { rules: body.rules, note: body.note };
        let import = applying::begin_apply(&mut work, id, asked).await?;
        enqueue(&mut work, &ApplyRoster { import: id }, now).await?;
        work.commit().await?;
        Reply::accepted(&import)
    })
    .await
}

/// Roll an import back
///
/// Takes back by a job what it changed, newest first, where that still stands. What was cancelled meanwhile stays cancelled.
#[utoipa::path(tag = "Rosters", operation_id = "roll_back_roster_import", security(("bearer" = ["admin:verifier"])),
    params(("id" = RosterImportId, Path, description = "The import.")),
    responses((status = 202, description = "The import, being taken back.", body = RosterImport)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, RosterNotLatest, RosterBusy]))))]
#[post("/v1/admin/roster-imports/{id}/roll-back")]
async fn roll_back_roster_import(app: Data<App>, me: As<Verifier>, Path(id): Path<RosterImportId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = app.clock.now();
        let import = applying::begin_roll_back(&mut work, id).await?;
        enqueue(&mut work, &RollBackRoster { import: id }, now).await?;
        work.commit().await?;
        Reply::accepted(&import)
    })
    .await
}

/// Discard an import
///
/// Puts an import aside that was read and not applied.
#[utoipa::path(tag = "Rosters", operation_id = "discard_roster_import", security(("bearer" = ["admin:verifier"])),
    params(("id" = RosterImportId, Path, description = "The import.")),
    responses((status = 200, description = "The import, put aside.", body = RosterImport)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/admin/roster-imports/{id}/discard")]
async fn discard_roster_import(app: Data<App>, me: As<Verifier>, Path(id): Path<RosterImportId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let import = applying::discard(&mut work, id).await?;
        work.commit().await?;
        Reply::ok(&import)
    })
    .await
}
