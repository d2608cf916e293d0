//! Who saw what of a person's health. The person's account can read it.

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::people::recipients::{self, Recipient};
use super::people::refuse_guests;
use crate::App;
use crate::accounts;
use crate::auth::{As, Client};
use crate::error::{Result, refused};
use crate::events::Work;
use crate::http::{Page, Paging, Path, Query, Reply};
use crate::ids::{AccountId, BookingId, ClearanceId, LetterId, RecipientId, uuid_at};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_care_disclosures);
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// The sheet of a visit.
    Sheet(BookingId),
    /// What an account says that a letter says.
    Clearance(ClearanceId),
    /// A letter.
    Letter(LetterId),
}

/// What kind of thing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum SeenKind {
    /// The sheet of a visit, by its therapist.
    Sheet,
    /// A clearance, by a reviewer.
    Clearance,
    /// A letter, by a reviewer.
    Letter,
}

impl Seen {
    fn parts(self) -> (SeenKind, Uuid) {
        match self {
            Self::Sheet(booking) => (SeenKind::Sheet, booking.0),
            Self::Clearance(clearance) => (SeenKind::Clearance, clearance.0),
            Self::Letter(letter) => (SeenKind::Letter, letter.0),
        }
    }
}

/// Within so long a further look at the same is the same look: an app that asks again and again tells nothing new.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// Writes down that somebody saw something of a person's health, once an hour for each.
pub async fn record(work: &mut Work, recipient: RecipientId, by: AccountId, seen: Seen) -> Result<()> {
    let (now, (what, subject)) = (work.now(), seen.parts());
    sqlx::query!(
        "INSERT INTO care_disclosures (id, recipient_id, account_id, what, subject_id, seen_at)
         SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (
             SELECT FROM care_disclosures WHERE recipient_id = $2 AND account_id = $3 AND what = $4 AND subject_id = $5 AND seen_at > $7 AND id >= least_id($7))",
        uuid_at(now),
        recipient.0,
        by.0,
        what as SeenKind,
        subject,
        now,
        now - AGAIN,
    )
    .execute(&mut ***work)
    .await?;
    Ok(())
}

/// Writes down that the therapist of a visit was shown what to heed at it.
pub async fn record_look(work: &mut Work, person: &Recipient, visit: BookingId, by: AccountId) -> Result<()> {
    record(work, person.id, by, Seen::Sheet(visit)).await
}

/// The letters of a person that somebody has read.
pub async fn letters_read(work: &mut Work, recipient: RecipientId, by: AccountId) -> Result<Vec<LetterId>> {
    let read = sqlx::query_scalar!(
        r#"SELECT DISTINCT subject_id AS "letter: LetterId" FROM care_disclosures WHERE recipient_id = $1 AND account_id = $2 AND what = 'letter'"#,
        recipient.0,
        by.0
    )
    .fetch_all(&mut ***work)
    .await?;
    Ok(read)
}

/// A look as it is kept.
struct Look {
    id: Uuid,
    what: SeenKind,
    subject_id: Uuid,
    account: AccountId,
    seen_at: DateTime<Utc>,
}

/// A look at something of a person's health.
#[derive(Serialize, ToSchema)]
struct CareDisclosure {
    /// The look's id.
    id: Uuid,
    /// What was seen.
    what: SeenKind,
    /// The booking, the clearance or the letter.
    subject_id: Uuid,
    /// Who saw it, by the name that others see.
    #[schema(example = "Sam Okafor")]
    seen_by: String,
    /// When.
    seen_at: DateTime<Utc>,
}

/// List who saw what
///
/// Every look of somebody else at what a recipient tells of their health: therapists at the sheets of their visits, and staff at clearances and letters. The latest first.
#[utoipa::path(tag = "Care", operation_id = "list_care_disclosures", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."), Paging),
    responses((status = 200, description = "A page of looks.", body = Page<CareDisclosure>)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/disclosures")]
async fn list_care_disclosures(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    Query(query): Query<Paging>,
) -> Result<Reply> {
    // What was there to be seen of a guest is the guest's own.
    refuse_guests(&recipients::find(&*app.db, &app.cipher, me.account(), id).await?)?;
    let found = sqlx::query_as!(
        Look,
        r#"SELECT id, what AS "what: SeenKind", subject_id, account_id AS "account: AccountId", seen_at FROM care_disclosures
           WHERE recipient_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"#,
        id.0,
        query.after::<Uuid>()?,
        query.limit.probe()
    )
    .fetch_all(&*app.db)
    .await?;
    let Page { data, next_cursor } = Page::cut(found, query.limit, |look| look.id)?;
    let by: Vec<AccountId> = data.iter().map(|look| look.account).collect();
    let names = accounts::names(&*app.db, &by).await?;
    let shown = data.into_iter().map(|look| CareDisclosure {
        id: look.id,
        what: look.what,
        subject_id: look.subject_id,
        seen_by: names.get(&look.account).cloned().unwrap_or_default(),
        seen_at: look.seen_at,
    });
    Reply::ok(&Page { data: shown.collect::<Vec<_>>(), next_cursor })
}
