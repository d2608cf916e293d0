//! Adults whom an account books for answer for themselves, by a link. From then on their answers are theirs: the account sees states alone.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::facts;
use super::recipients::{self, CareState, Recipient, Relation};
use super::screenings::{NewScreening, ScreeningResult, answer};
use super::store::{self, Invited};
use crate::App;
use crate::auth::{As, Client, RefreshToken, Tokens};
use crate::care::is_accounts_own_today;
use crate::care::published;
use crate::care::questions::Purpose;
use crate::care::routes::QuestionnaireView;
use crate::db::{in_batches, uninterrupted};
use crate::error::{Error, FieldError, Refusal, Result, refused};
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

/// Links that are made for one guest within [`COUNTED`] from the first of them on.
const MOST: i32 = 5;
const COUNTED: TimeDelta = TimeDelta::days(30);

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
/// Makes a link by which an adult whom the caller books for answers for themself, and shows it once. A link that was made before stops working, save for the guest's
/// own. Once the guest has answered, the caller sees neither the answers nor what comes of them: the guest has a link of their own. A guest who lost it is made another
/// one here, and begins anew: once all is answered by it that was answered before, what they said before counts no more, and nobody reads it, because the caller may
/// know the link. What they refused or withdrew stays so until the therapist records another word in person. After 5 links none is made until 30 days after the first of
/// them.
#[utoipa::path(tag = "Care", operation_id = "create_care_invitation", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient.")), request_body = Option<Nothing>,
    responses((status = 201, description = "The link.", body = CareInvitation)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded, TooManyInvitations]))))]
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
        if recipient.relation == Relation::Oneself || is_accounts_own_today(&mut work, &recipient).await? {
            return Err(Refusal::GuardianNeeded.into());
        }
        let since = work.now() - COUNTED;
        if store::count_link(&mut work, id, since).await? > MOST {
            return Err(Refusal::TooManyInvitations.into());
        }
        let is_anew = recipient.answers_alone;
        let invitation =
            CareInvitation::make(&app, &mut work, id, if is_anew { Link::Anew } else { Link::First }).await?;
        let details = json!({ "anew": recipient.answers_alone });
        work.announce(Event::new("recipient.invite", "recipient", id).with(details)).await?;
        work.commit().await?;
        Reply::created(format!("/v1/me/recipients/{id}"), &invitation)
    })
    .await
}

/// Which link of a guest it is.
#[derive(Clone, Copy)]
enum Link {
    /// The one that they answer by first.
    First,
    /// The one that they alone are shown.
    Own,
    /// One for who lost their own.
    Anew,
}

impl CareInvitation {
    /// Makes a link, in the place of one before.
    async fn make(app: &App, work: &mut Work, recipient: RecipientId, link: Link) -> Result<Self> {
        let token = RefreshToken::generate()?;
        let expires_at = work.now() + if matches!(link, Link::Own) { OWN_LASTS } else { LASTS };
        match link {
            Link::First | Link::Own => store::put_invitation(work, recipient, &token.digest(), expires_at).await?,
            Link::Anew => store::put_invitation_anew(work, recipient, &token.digest(), expires_at).await?,
        }
        let token = token.into_string();
        let url = format!("{}/v1/care-invitations/{token}", app.part::<Tokens>()?.issuer());
        Ok(Self { token, url, expires_at })
    }
}

/// The guest behind a link that can be used, locked; and the link.
async fn guest(app: &App, work: &mut Work, token: &str) -> Result<(Recipient, Invited)> {
    let now = work.now();
    let digest = RefreshToken::sent(token).digest();
    let found = store::invited(work, &digest, now).await?.ok_or(Error::NotFound)?;
    work.lock(found.recipient.0).await?;
    // Looked up again, because another link may have taken its place meanwhile.
    if store::invited(work, &digest, now).await? != Some(found) {
        return Err(Error::NotFound);
    }
    Ok((recipients::anyone(&mut ***work, &app.cipher, found.recipient).await?, found))
}

/// The guest behind a link that they alone were shown, locked: whoever booked may know any other.
///
/// # Errors
/// 404 where the link cannot be used; `care_answers_needed` where nobody has answered by it yet.
pub async fn guest_alone(app: &App, work: &mut Work, token: &str) -> Result<Recipient> {
    let (guest, link) = guest(app, work, token).await?;
    if link.own { Ok(guest) } else { Err(Refusal::CareAnswersNeeded.into()) }
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
        let (guest, link) = guest(&app, &mut work, &token).await?;
        let now = work.now();
        let put = published::questionnaires(&mut **work, now).await?.into_iter();
        let health = put.filter(|(one, _)| one.purpose == Purpose::Health);
        let view = InvitationView {
            display_name: guest.name(&mut work).await?,
            care_state: recipients::care_state(&mut work, &guest).await?,
            questionnaires: health.map(|(one, _)| one.into()).collect(),
            expires_at: link.expires_at,
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
/// used stops working, because whoever booked may know it: the answer holds another, for the guest alone, by which they can answer anew and agree for 400 days. Where
/// that one is lost, whoever booked has another link made, and the guest begins anew: everything is answered by it that was answered before and is still asked.
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
        let (guest, link) = guest(&app, &mut work, &token).await?;
        // What comes of the answers must not tell of those before: whoever booked may have used this link.
        if guest.answers_alone && !link.own {
            refuse_to_leave_out(&mut work, &guest, &new).await?;
            store::begin_anew(&mut work, guest.id).await?;
        }
        let result = answer(&app, &mut work, &guest, new).await?;
        store::set_guest(&mut work, guest.id).await?;
        // Who answers by their own link has not lost it: a link that was made meanwhile ends.
        store::delete_invitation_anew(&mut work, guest.id).await?;
        let link = CareInvitation::make(&app, &mut work, guest.id, Link::Own).await?;
        work.commit().await?;
        Reply::created(format!("/v1/care-invitations/{}", link.token), &GuestResult { result, link })
    })
    .await
}

/// Refuses to begin anew without what was answered before, as far as it is still asked: nobody makes answers count no more by leaving them out.
async fn refuse_to_leave_out(work: &mut Work, guest: &Recipient, new: &NewScreening) -> Result<()> {
    let now = work.now();
    let put = published::questionnaires(&mut ***work, now).await?;
    let is_put = |code: &String| put.iter().any(|(one, _)| one.code == *code);
    let before = facts::answered(work, guest.id).await?.into_iter().map(|answered| answered.code);
    let left_out: Vec<FieldError> = before
        .filter(|code| is_put(code) && !new.names(code))
        .map(|code| FieldError::new("/questionnaires", format!("lacks `{code}`, which was answered before.")))
        .collect();
    if left_out.is_empty() { Ok(()) } else { Err(Error::Invalid(left_out)) }
}

/// Refuses an account what is a guest's own since they answered for themself.
pub fn refuse_guests(recipient: &Recipient) -> Result<()> {
    if recipient.answers_alone { Err(Refusal::GuardianNeeded.into()) } else { Ok(()) }
}

/// Deletes links that can be used no more.
pub async fn forget_invitations(app: &App, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| store::delete_invitations(&*app.db, now)).await?;
    in_batches(|| store::delete_invitations_anew(&*app.db, now)).await
}
