//! Passwords: forgotten, set anew, changed, and proved once more.

mod store;

use std::sync::Arc;

use actix_web::post;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::codes::{self, CodePurpose, MailSetUp, MailedToken};
use super::factors::{self, RecoveryCode, SecondProof, TotpCode};
use super::routes::{SignedIn, sign_in};
use super::store as accounts;
use crate::App;
use crate::auth::{self, Anyone, As, Guess, Password, Passwords, RefreshToken, Whence, Whose};
use crate::cipher::Sealed;
use crate::db::{in_time, uninterrupted};
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Origin, Reply};
use crate::ids::{AccountId, uuid_at};
use crate::queue::{Job, Kind, Run, enqueue};
use crate::values::EmailAddress;

/// What is done here later.
pub const JOBS: &[Kind] = &[Kind::of::<SendReset>()];

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(forgot_password).service(reset_password).service(change_password).service(step_up);
}

/// The column of an address in a job.
const ASKED: &str = "jobs.reset_address";

/// Mails a token to set another password by, if an account has the address and has proved it.
#[derive(Serialize, Deserialize)]
struct SendReset {
    id: Uuid,
    address: Sealed,
}

impl Job for SendReset {
    const NAME: &'static str = "send_reset";
}

impl Run for SendReset {
    async fn run(self, app: Arc<App>) -> Result<()> {
        let address = app.cipher.open(ASKED, self.id, &self.address)?;
        let mut work = app.begin(None).await?;
        let Some(account) = store::proved(&mut work, &address).await? else { return Ok(()) };
        codes::mail_if_few(&mut work, &app.cipher, CodePurpose::ResetPassword, account, &address).await?;
        work.commit().await
    }
}

/// Whoever forgot their password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordForgotten {
    email: EmailAddress,
}

/// Forgotten password
///
/// Mails a token by which another password is set, at most five in an hour. The answer is the same, and comes as soon, whether an account has the address or not.
/// An address that was never verified gets no mail, because it may be another's than whoever registered it: register anew with it.
#[utoipa::path(tag = "Accounts", operation_id = "forgot_password", request_body = PasswordForgotten,
    responses((status = 202, description = "A mail is on its way, if an account has verified the address and the service sends mails.")))]
#[post("/v1/auth/password/forgot")]
async fn forgot_password(app: Data<App>, Json(body, _): Json<PasswordForgotten>) -> Result<Reply> {
    if app.part::<MailSetUp>()?.0 {
        uninterrupted(async move {
            let mut work = app.begin(None).await?;
            let id = uuid_at(work.now());
            let address = app.cipher.seal(ASKED, id, body.email.as_str())?;
            // The account is looked for by the job, so that the answer does not take longer where there is one.
            let now = work.now();
            enqueue(&mut work, &SendReset { id, address }, now).await?;
            work.commit().await
        })
        .await?;
    }
    Ok(Reply::under_way())
}

/// Another password, by a token that was mailed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordReset {
    token: MailedToken,
    password: Password,
}

/// Set another password
///
/// By a token that was mailed, within an hour. All sessions of the account end, and every other such token. A second factor stays.
#[utoipa::path(tag = "Accounts", operation_id = "reset_password", request_body = PasswordReset,
    responses((status = 204, description = "The password is set; log in with it.")),
    extensions(("x-refusals" = json!(refused![CodeInvalid, PasswordTooWeak]))))]
#[post("/v1/auth/password/reset")]
async fn reset_password(app: Data<App>, whence: Whence, Json(body, _): Json<PasswordReset>) -> Result<Reply> {
    let digest = RefreshToken::sent(body.token.as_str()).digest();
    let purpose = CodePurpose::ResetPassword;
    let owner = in_time(codes::owner(&app.db, purpose, &digest, app.clock.now())).await?;
    let id = owner.ok_or(Refusal::CodeInvalid)?;
    let known = in_time(accounts::find(&*app.db, id)).await?;
    let hash = app.part::<Passwords>()?.hash_new(body.password, vec![known.email, known.display_name]).await?;
    uninterrupted(async move {
        let mut work = app.begin(Some(id)).await?;
        accounts::lock(&mut work, id).await?;
        // Looked for again, because another token may have been used meanwhile.
        if codes::token(&mut work, &app.cipher, purpose, &digest).await?.is_none() {
            return Err(Refusal::CodeInvalid.into());
        }
        store::set(&mut work, id, &hash).await?;
        changed(&mut work, id).await?;
        let now = work.now();
        auth::know_network(&mut work, id, &whence, now).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// What follows from a new password: all sessions end, and all tokens to set another.
async fn changed(work: &mut Work, account: AccountId) -> Result<()> {
    let now = work.now();
    auth::end_sessions(work, account, None, now).await?;
    codes::end(work, account, CodePurpose::ResetPassword).await?;
    work.announce(Event::new("account.password_changed", "account", account)).await
}

/// That a password was proved, until the transaction that rests on it.
pub(super) struct Proved {
    pub account: AccountId,
    pub hash: String,
    guess: Guess,
}

impl Proved {
    /// Compares the password that somebody sent for `whose` with what `known` finds; none where it is wrong, or where there is no such account, after the
    /// same time.
    pub async fn of(
        app: &App,
        (origin, whose): (Origin, Whose<'_>),
        sent: Password,
        known: impl Future<Output = Result<Option<(AccountId, String)>>>,
    ) -> Result<Option<Self>> {
        let guess = Guess::begin(app, origin, whose).await?;
        let looked = async {
            let (account, hash) = in_time(known).await?.unzip();
            let is_right = app.part::<Passwords>()?.matches(sent, hash.clone()).await?;
            Ok(account.zip(hash).filter(|_| is_right))
        };
        match looked.await {
            Ok(Some((account, hash))) => Ok(Some(Self { account, hash, guess })),
            Ok(None) => Ok(None),
            Err(error) => {
                guess.take_back(&app.db, app.clock.now()).await?;
                Err(error)
            }
        }
    }

    /// The same of the caller's own password.
    ///
    /// # Errors
    /// `password_wrong`.
    async fn own(app: &App, me: &As<Anyone>, origin: Origin, sent: Password) -> Result<Self> {
        let known = async { Ok(store::hash(&app.db, me.account()).await?.map(|hash| (me.account(), hash))) };
        Self::of(app, (origin, Whose::Own(me.account())), sent, known)
            .await?
            .ok_or_else(|| Refusal::PasswordWrong.into())
    }

    /// Holds the password as it was proved until the transaction ends, and forgives the failures before it; whether it is still the same: it may have been
    /// changed while it was compared.
    pub async fn hold(&self, work: &mut Work) -> Result<bool> {
        let now = work.now();
        let holds = accounts::hold_password(work, self.account).await?.is_some_and(|hash| hash == self.hash);
        if holds {
            self.guess.was_right(work, now).await?;
        }
        Ok(holds)
    }
}

/// Another password, by the present one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    current_password: Password,
    password: Password,
    /// Where the account has a second factor: this one, or a recovery code.
    totp: Option<TotpCode>,
    recovery_code: Option<RecoveryCode>,
}

/// Change my password
///
/// Begins a session anew, and ends all others. Where the account has a second factor, it is asked for as well.
#[utoipa::path(tag = "Accounts", operation_id = "change_password", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = PasswordChange, responses((status = 200, description = "Signed in anew.", body = SignedIn)),
    extensions(("x-refusals" = json!(refused![PasswordWrong, PasswordTooWeak, SecondFactorWrong]))))]
#[post("/v1/auth/password/change")]
async fn change_password(
    app: Data<App>,
    me: As<Anyone>,
    whence: Whence,
    Json(body, _): Json<PasswordChange>,
) -> Result<Reply> {
    let proved = Proved::own(&app, &me, whence.origin, body.current_password).await?;
    let known = in_time(accounts::find(&*app.db, me.account())).await?;
    let about = vec![known.email, known.display_name];
    let hash = app.part::<Passwords>()?.hash_new(body.password, about).await?;
    let second = SecondProof::begin(&app, me.account(), body.totp, body.recovery_code).await?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let account = accounts::lock(&mut work, me.account()).await?;
        // Looked at again, because the account may have been suspended while the password was hashed.
        if accounts::is_suspended(&mut work, account.id).await? {
            return Err(Error::Unauthorized);
        }
        if !proved.hold(&mut work).await? {
            return Err(Refusal::PasswordWrong.into());
        }
        factors::prove(&app, &mut work, account.id, second).await?;
        store::set(&mut work, account.id, &hash).await?;
        changed(&mut work, account.id).await?;
        Reply::ok(&sign_in(&app, work, account, &whence).await?)
    })
    .await
}

/// The password once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StepUp {
    password: Password,
    /// Where the account has a second factor: this one, or a recovery code.
    totp: Option<TotpCode>,
    recovery_code: Option<RecoveryCode>,
}

/// Prove my password anew
///
/// For ten minutes the session may do what asks for the password anew, and refuses others with `step_up_required`. Whoever has just logged in need not. Where the
/// account has a second factor, it is asked for as well.
#[utoipa::path(tag = "Accounts", operation_id = "step_up", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = StepUp, responses((status = 204, description = "It is proved.")),
    extensions(("x-refusals" = json!(refused![PasswordWrong, SecondFactorWrong]))))]
#[post("/v1/auth/step-up")]
async fn step_up(app: Data<App>, me: As<Anyone>, origin: Origin, Json(body, _): Json<StepUp>) -> Result<Reply> {
    let proved = Proved::own(&app, &me, origin, body.password).await?;
    let second = SecondProof::begin(&app, me.account(), body.totp, body.recovery_code).await?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        if !proved.hold(&mut work).await? {
            return Err(Refusal::PasswordWrong.into());
        }
        factors::prove(&app, &mut work, me.account(), second).await?;
        let now = work.now();
        auth::prove(&mut work, me.principal.session, now).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
