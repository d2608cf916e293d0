//! The address that an account has: that its owner reads its mails.

mod store;

use actix_web::post;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use self::store::Holder;
use super::codes::{self, CodePurpose, MailSetUp, MailedToken, TypedCode};
use super::{Account, factors, store as accounts};
use crate::App;
use crate::auth::{self, Anyone, As, RefreshToken};
use crate::db::uninterrupted;
use crate::error::{FieldError, Refusal, Result, refused};
use crate::events::{self, Event, Work};
use crate::http::{Json, Nothing, OrDefault, Reply};
use crate::ids::{AccountId, TherapistId};
use crate::values::{EmailAddress, Role};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(verify_email).service(resend_verification);
    config.service(change_email).service(confirm_email).service(undo_email_change);
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
/// the address before and never verified it, their account loses it: nothing of it passes on to the caller. An account with visits or verified credentials keeps it, until
/// staff know whose it is.
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
        if !give(&mut work, me.account(), &address).await? {
            work.commit().await?;
            return Err(Refusal::EmailTaken.into());
        }
        work.announce(Event::new("account.email_verified", "account", me.account())).await?;
        let account = accounts::find(&mut **work, me.account()).await?;
        work.commit().await?;
        Reply::ok(&account)
    })
    .await
}

/// Gives an account an address whose mails its owner reads. An account that holds it without having proved it is replaced. False where that one has visits or
/// verified credentials: it was made before addresses were proved, or while no mail was sent, and staff find out whose it is. The caller saves that, and refuses.
async fn give(work: &mut Work, account: AccountId, address: &str) -> Result<bool> {
    if let Some(holder) = store::other_holder(work, account, address).await? {
        if holder.is_verified || holder.role == Role::Admin {
            return Err(Refusal::EmailTaken.into());
        }
        if !replace(work, holder).await? {
            return Ok(false);
        }
    }
    let now = work.now();
    store::set(work, account, address, now).await?;
    Ok(true)
}

/// Takes its address from an account that never proved it: nobody can log in with it any more, it keeps what it has, and stands like one that is suspended.
/// False, and a word to staff, where it has visits or verified credentials. Whoever proved no address gets neither, so that nobody squats by them.
async fn replace(work: &mut Work, Holder { id, role, .. }: Holder) -> Result<bool> {
    let therapist = (role == Role::Therapist).then(|| TherapistId::from(id));
    // Locked before the row, as by whoever books or changes a therapist's time.
    work.lock(id.0).await?;
    if events::has_history(work, id, &["booking"], &["credential.verify"]).await? {
        work.announce(Event::new("account.address_disputed", "account", id).about(therapist)).await?;
        return Ok(false);
    }
    let now = work.now();
    if !store::take(work, id, now).await? {
        // It was proved meanwhile.
        return Err(Refusal::EmailTaken.into());
    }
    auth::end_sessions(work, id, None, now).await?;
    for purpose in CodePurpose::ALL {
        codes::end(work, id, purpose).await?;
    }
    work.announce(Event::new("account.replace", "account", id).about(therapist)).await?;
    Ok(true)
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

/// Another address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailChange {
    email: EmailAddress,
}

/// Change my e-mail address
///
/// Mails a code to the new address, at most five in an hour; nothing changes until it comes back to `POST /v1/me/email/confirm`. Needs the password anew.
#[utoipa::path(tag = "Accounts", operation_id = "change_email", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = EmailChange, responses((status = 202, description = "The code is on its way.")),
    extensions(("x-refusals" = json!(refused![MailNotSetUp, StepUpRequired]))))]
#[post("/v1/me/email")]
async fn change_email(app: Data<App>, me: As<Anyone>, Json(body, _): Json<EmailChange>) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    refuse_without_mail(&app)?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let account = accounts::lock(&mut work, me.account()).await?;
        if account.email == body.email.as_str() {
            return Err(FieldError::new("/email", "is the address already.").into());
        }
        codes::mail(&mut work, &app.cipher, CodePurpose::ChangeEmail, account.id, body.email.as_str()).await?;
        work.commit().await?;
        Ok(Reply::under_way())
    })
    .await
}

/// Confirm my new e-mail address
///
/// By the code that was mailed to it, within 30 minutes and five tries. The address before gets a token by which its owner takes the change back within 72 hours,
/// if they had verified it.
#[utoipa::path(tag = "Accounts", operation_id = "confirm_email", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = EmailCode, responses((status = 200, description = "The account as it is now.", body = Account)),
    extensions(("x-refusals" = json!(refused![CodeInvalid, EmailTaken]))))]
#[post("/v1/me/email/confirm")]
async fn confirm_email(app: Data<App>, me: As<Anyone>, Json(body, _): Json<EmailCode>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let before = accounts::lock(&mut work, me.account()).await?;
        let purpose = CodePurpose::ChangeEmail;
        let Some(address) = codes::typed(&mut work, &app.cipher, purpose, me.account(), &body.code).await? else {
            // The try counts.
            work.commit().await?;
            return Err(Refusal::CodeInvalid.into());
        };
        if !give(&mut work, before.id, &address).await? {
            work.commit().await?;
            return Err(Refusal::EmailTaken.into());
        }
        // They were mailed to the address before.
        for purpose in [CodePurpose::VerifyEmail, CodePurpose::ResetPassword] {
            codes::end(&mut work, before.id, purpose).await?;
        }
        if before.email_verified {
            codes::mail(&mut work, &app.cipher, CodePurpose::UndoEmailChange, before.id, &before.email).await?;
        } else {
            work.announce(Event::new("account.email_verified", "account", before.id)).await?;
        }
        let account = accounts::find(&mut **work, before.id).await?;
        work.commit().await?;
        Reply::ok(&account)
    })
    .await
}

/// A token that was mailed to an address that an account had.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailUndo {
    token: MailedToken,
}

/// Take a change of my e-mail address back
///
/// By the token that was mailed to the address before, within 72 hours. The account has that address again. Whoever changed it may know the password, so that all
/// sessions end, a second factor that was turned on since is taken away, and the password is good no more: a token to set another is mailed to the address.
#[utoipa::path(tag = "Accounts", operation_id = "undo_email_change", request_body = EmailUndo,
    responses((status = 204, description = "The address is as it was.")),
    extensions(("x-refusals" = json!(refused![CodeInvalid, EmailTaken]))))]
#[post("/v1/auth/email/undo")]
async fn undo_email_change(app: Data<App>, Json(body, _): Json<EmailUndo>) -> Result<Reply> {
    uninterrupted(async move {
        let digest = RefreshToken::sent(body.token.as_str()).digest();
        let purpose = CodePurpose::UndoEmailChange;
        let owner = codes::owner(&app.db, purpose, &digest, app.clock.now()).await?;
        let account = owner.ok_or(Refusal::CodeInvalid)?;
        let mut work = app.begin(Some(account)).await?;
        accounts::lock(&mut work, account).await?;
        let token = codes::token(&mut work, &app.cipher, purpose, &digest).await?;
        let (address, changed_at) = token.ok_or(Refusal::CodeInvalid)?;
        if !give(&mut work, account, &address).await? {
            return Err(Refusal::EmailTaken.into());
        }
        factors::remove_since(&mut work, account, changed_at).await?;
        store::take_password(&mut work, account).await?;
        let now = work.now();
        auth::end_sessions(&mut work, account, None, now).await?;
        for purpose in CodePurpose::ALL {
            codes::end(&mut work, account, purpose).await?;
        }
        work.announce(Event::new("account.email_restored", "account", account)).await?;
        codes::mail_anyway(&mut work, &app.cipher, CodePurpose::ResetPassword, account, &address).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
