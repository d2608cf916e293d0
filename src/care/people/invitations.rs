//! Adults whom an account books for answer for themselves, by a link. From then on their answers are theirs: the account sees states alone.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::recipients::{self, CareState, Recipient, Relation};
use super::screenings::{NewScreening, ScreeningResult, answer};
use super::store;
use crate::App;
use crate::auth::{As, Client, RefreshToken, Tokens};
use crate::care::is_accounts_own_today;
use crate::care::published;
use crate::care::questions::Purpose;
use crate::care::routes::QuestionnaireView;
use crate::db::{in_batches, uninterrupted};
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Nothing, OrDefault, Path, Reply};
use crate::ids::RecipientId;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(create_care_invitation).service(get_care_invitation).service(answer_care_invitation);
}

/// How long a link can be used.
const LASTS: TimeDelta = TimeDelta::days(14);
/// How long the link can be used that a guest gets for themself once they have answered.
const OWN_LASTS: TimeDelta = TimeDelta::days(400);

/// A link for an adult guest.
#[derive(Serialize, ToSchema)]
struct CareInvitation {
    /// The secret, which is shown once.
    #[schema(example = "bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU")]
    token: String,
    /// Where the guest reads what is asked.
    #[schema(example = "https://knead.example/v1/care-invitations/bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU")]
    url: String,
    /// Until when it can be used.
    expires_at: DateTime<Utc>,
}

/// Invite a guest to answer
///
/// Makes a link by which an adult whom the caller books for answers for themself, and shows it once. A link that was made before stops working. Once the guest has
/// answered, the caller sees neither the answers nor what comes of them, and can neither answer in their stead nor make another link: the guest has one of their own.
#[utoipa::path(tag = "Care", operation_id = "create_care_invitation", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient.")), request_body = Option<Nothing>,
    responses((status = 201, description = "The link.", body = CareInvitation)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[post("/v1/me/recipients/{id}/invitations")]
async fn create_care_invitation(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let recipient = recipients::lock(&mut work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        if recipient.relation == Relation::Oneself || is_accounts_own_today(&mut work, &recipient).await? {
            return Err(Refusal::GuardianNeeded.into());
        }
        let invitation = CareInvitation::make(&app, &mut work, id, LASTS).await?;
        work.announce(Event::new("recipient.invite", "recipient", id)).await?;
        work.commit().await?;
        Reply::created(format!("/v1/me/recipients/{id}"), &invitation)
    })
    .await
}

impl CareInvitation {
    /// Makes a link, in the place of one before.
    async fn make(app: &App, work: &mut Work, recipient: RecipientId, lasts: TimeDelta) -> Result<Self> {
        let token = RefreshToken::generate()?;
        let expires_at = work.now() + lasts;
        store::put_invitation(work, recipient, &token.digest(), expires_at).await?;
        let token = token.into_string();
        let url = format!("{}/v1/care-invitations/{token}", app.part::<Tokens>()?.issuer());
        Ok(Self { token, url, expires_at })
    }
}

/// The guest behind a link that can be used, locked.
async fn guest(app: &App, work: &mut Work, token: &str) -> Result<Recipient> {
    let now = work.now();
    let digest = RefreshToken::sent(token).digest();
    let id = store::invited(work, &digest, now).await?.ok_or(Error::NotFound)?;
    work.lock(id.0).await?;
    // Looked up again, because another link may have taken its place meanwhile.
    if store::invited(work, &digest, now).await? != Some(id) {
        return Err(Error::NotFound);
    }
    recipients::anyone(&mut ***work, &app.cipher, id).await
}

/// What a guest is asked.
#[derive(Serialize, ToSchema)]
struct InvitationView {
    /// The name that the booker knows the guest by.
    #[schema(example = "Ines")]
    display_name: String,
    /// Whether the questions of health were answered.
    care_state: CareState,
    /// What is asked about health.
    questionnaires: Vec<QuestionnaireView>,
    /// Until when the link can be used.
    expires_at: DateTime<Utc>,
}

/// Read what a guest is asked
///
/// For whoever has the link: what is asked about health. What was answered before is not shown.
#[utoipa::path(tag = "Care", operation_id = "get_care_invitation",
    params(("token" = String, Path, description = "The secret.")),
    responses((status = 200, description = "What is asked.", body = InvitationView)))]
#[get("/v1/care-invitations/{token}")]
async fn get_care_invitation(app: Data<App>, Path(token): Path<String>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let guest = guest(&app, &mut work, &token).await?;
        let now = work.now();
        let put = published::questionnaires(&mut **work, now).await?.into_iter();
        let health = put.filter(|(one, _)| one.purpose == Purpose::Health);
        let view = InvitationView {
            display_name: guest.name(&mut work).await?,
            care_state: recipients::care_state(&mut work, &guest).await?,
            questionnaires: health.map(|(one, _)| one.into()).collect(),
            expires_at: store::invitation_end(&mut work, guest.id).await?.ok_or(Error::NotFound)?,
        };
        work.commit().await?;
        Reply::ok(&view)
    })
    .await
}

/// What a guest answered, and what comes of it.
#[derive(Serialize, ToSchema)]
struct GuestResult {
    #[serde(flatten)]
    result: ScreeningResult,
    /// The guest's own link from now on.
    link: CareInvitation,
}

/// Answer as a guest
///
/// The guest answers for themself, as `POST /v1/me/recipients/{id}/screenings` does, and is told what comes of it. Whoever booked sees neither. The link that was
/// used stops working, because whoever booked may know it: the answer holds another, for the guest alone, by which they can answer anew for 400 days. Nobody can
/// make another one for a guest, who has to be entered anew where it is lost.
#[utoipa::path(tag = "Care", operation_id = "answer_care_invitation",
    params(("token" = String, Path, description = "The secret.")),
    request_body = NewScreening, responses((status = 201, description = "What was answered, and what comes of it.", body = GuestResult)),
    extensions(("x-refusals" = json!(refused![QuestionnaireOutdated, TooManyScreenings]))))]
#[post("/v1/care-invitations/{token}/screenings")]
async fn answer_care_invitation(
    app: Data<App>,
    Path(token): Path<String>,
    Json(new, _): Json<NewScreening>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let guest = guest(&app, &mut work, &token).await?;
        let result = answer(&app, &mut work, &guest, new).await?;
        store::set_guest(&mut work, guest.id).await?;
        let link = CareInvitation::make(&app, &mut work, guest.id, OWN_LASTS).await?;
        work.commit().await?;
        Reply::created(format!("/v1/care-invitations/{}", link.token), &GuestResult { result, link })
    })
    .await
}

/// Refuses an account what is a guest's own since they answered for themself.
pub fn refuse_guests(recipient: &Recipient) -> Result<()> {
    if recipient.answers_alone { Err(Refusal::GuardianNeeded.into()) } else { Ok(()) }
}

/// Deletes links that can be used no more.
pub async fn forget_invitations(app: &App, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| store::delete_invitations(&*app.db, now)).await
}
