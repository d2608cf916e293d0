//! The address that an account has: that its owner reads its mails.

mod store;

use actix_web::post;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::codes::{self, CodePurpose, MailSetUp, TypedCode};
use super::{Account, store as accounts};
use crate::App;
use crate::auth::{self, Anyone, As};
use crate::db::uninterrupted;
use crate::error::{Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Nothing, OrDefault, Reply};
use crate::ids::AccountId;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(verify_email).service(resend_verification);
}

/// Refuses what takes a mail where none are sent.
fn refuse_without_mail(app: &App) -> Result<()> {
    if app.part::<MailSetUp>()?.0 { Ok(()) } else { Err(Refusal::MailNotSetUp.into()) }
}

/// A code that was mailed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailCode {
    /// The eight digits.
    code: TypedCode,
}

/// Verify my e-mail address
///
/// Shows by the code that was mailed that the caller reads the mails of their address. A code is good for 30 minutes and five tries. If somebody else registered
/// the address before and never verified it, their account loses it: nothing of it passes on to the caller.
#[utoipa::path(tag = "Accounts", operation_id = "verify_email", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = EmailCode, responses((status = 200, description = "The account as it is now.", body = Account)),
    extensions(("x-refusals" = json!(refused![CodeInvalid, EmailTaken]))))]
#[post("/v1/auth/email/verify")]
async fn verify_email(app: Data<App>, me: As<Anyone>, Json(body, _): Json<EmailCode>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        accounts::lock(&mut work, me.account()).await?;
        let purpose = CodePurpose::VerifyEmail;
        let Some(address) = codes::typed(&mut work, &app.cipher, purpose, me.account(), &body.code).await? else {
            // The try counts.
            work.commit().await?;
            return Err(Refusal::CodeInvalid.into());
        };
        give(&mut work, me.account(), &address).await?;
        work.announce(Event::new("account.email_verified", "account", me.account())).await?;
        let account = accounts::find(&mut **work, me.account()).await?;
        work.commit().await?;
        Reply::ok(&account)
    })
    .await
}

/// Gives an account an address whose mails its owner reads. An account that holds it without having proved it is replaced.
async fn give(work: &mut Work, account: AccountId, address: &str) -> Result<()> {
    if let Some((holder, is_verified)) = store::other_holder(work, account, address).await? {
        if is_verified {
            return Err(Refusal::EmailTaken.into());
        }
        replace(work, holder).await?;
    }
    let now = work.now();
    store::set(work, account, address, now).await
}

/// Takes its address from an account that never proved it: nobody can log in with it any more, and it keeps what it has.
async fn replace(work: &mut Work, account: AccountId) -> Result<()> {
    let now = work.now();
    store::take(work, account).await?;
    auth::end_sessions(work, account, None, now).await?;
    for purpose in [CodePurpose::VerifyEmail, CodePurpose::ChangeEmail] {
        codes::end(work, account, purpose).await?;
    }
    work.announce(Event::new("account.replace", "account", account)).await
}

/// Mail me another code
///
/// Mails another code to verify the caller's address by, in the place of the one before; at most five in an hour. Where the address is verified already, nothing
/// is mailed.
#[utoipa::path(tag = "Accounts", operation_id = "resend_verification", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = Option<Nothing>, responses((status = 204, description = "The code is on its way, unless none is needed.")),
    extensions(("x-refusals" = json!(refused![MailNotSetUp]))))]
#[post("/v1/auth/email/resend")]
async fn resend_verification(app: Data<App>, me: As<Anyone>, _: OrDefault<Nothing>) -> Result<Reply> {
    refuse_without_mail(&app)?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let account = accounts::lock(&mut work, me.account()).await?;
        if !account.email_verified {
            codes::mail(&mut work, &app.cipher, CodePurpose::VerifyEmail, account.id, &account.email).await?;
        }
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
