use actix_web::web::Data;
use actix_web::{get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::codes::{self, CodePurpose, MailSetUp};
use super::passwords::{self, Proved};
use super::store::Standing;
use super::{
    Account, RegistrableRole, SentToken, addresses, clients, emails, factors, sessions, staff, store, suspensions,
};
use crate::App;
use crate::auth::Passwords;
use crate::auth::Tokens;
use crate::auth::{self, Anyone, As, Password, REFRESH_GRACE, RefreshToken, Whence, Whose};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{IfMatch, Json, Reply};
use crate::ids::SessionId;
use crate::values::{DisplayName, EmailAddress, Grants, Phone, Role, Zone};

/// The operations on accounts and addresses.
pub fn routes(config: &mut ServiceConfig) {
    config.service(register).service(login).service(refresh).service(logout).service(get_me).service(update_me);
    emails::routes(config);
    passwords::routes(config);
    factors::routes(config);
    sessions::routes(config);
    addresses::routes(config);
    staff::routes(config);
    clients::routes(config);
    suspensions::routes(config);
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    email: EmailAddress,
    password: Password,
    role: RegistrableRole,
    display_name: DisplayName,
    phone: Option<Phone>,
    /// UTC unless said.
    time_zone: Option<Zone>,
}

/// Signed in: the account, an access token and the token that gets the next one.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    account: Account,
    /// A JWT (EdDSA); send it as `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds that the access token lasts.
    #[schema(example = 900)]
    expires_in: i64,
    /// Good for one use, within 30 days.
    refresh_token: String,
}

/// Begins a session of the account.
pub(super) async fn sign_in(app: &App, mut work: Work, account: Account, whence: &Whence) -> Result<SignedIn> {
    let now = app.clock.now();
    let session = auth::begin_session(&mut work, account.id, whence, now).await?;
    let token = RefreshToken::generate()?;
    auth::add_refresh_token(&mut work, session, &token, now).await?;
    signed_in(app, work, account, session, token).await
}

/// Commits, and gives an access token of the session beside `token`, its refresh token.
async fn signed_in(
    app: &App,
    work: Work,
    account: Account,
    session: SessionId,
    token: RefreshToken,
) -> Result<SignedIn> {
    let (access_token, expires_in) = app.part::<Tokens>()?.issue(account.id, session, app.clock.now())?;
    work.commit().await?;
    Ok(SignedIn { account, access_token, token_type: "Bearer", expires_in, refresh_token: token.into_string() })
}

/// Register
///
/// Makes a client's or a therapist's account and signs it in. Where the service sends mails, a code to verify the address by is on its way; until then somebody
/// else can register the address as well, and it is theirs who verifies it.
#[utoipa::path(tag = "Accounts", operation_id = "register", request_body = Registration, responses((status = 201, description = "The account was made.", body = SignedIn,
     headers(("Location" = String, description = "Where the account is found.")))),
    extensions(("x-refusals" = json!(refused![EmailTaken, PasswordTooWeak]))))]
#[post("/v1/auth/register")]
async fn register(app: Data<App>, whence: Whence, Json(new, _): Json<Registration>) -> Result<Reply> {
    let about = vec![new.email.as_str().to_owned(), new.display_name.as_str().to_owned()];
    let password_hash = app.part::<Passwords>()?.hash_new(new.password, about).await?;
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let is_mailed = app.part::<MailSetUp>()?.0;
        let is_held = store::is_held_unverified(&mut work, new.email.as_str()).await?;
        let account = store::NewAccount {
            email: new.email.as_str(),
            standing: if is_mailed && is_held { Standing::Claimed } else { Standing::Unverified },
            password_hash: &password_hash,
            role: new.role.into(),
            grants: Grants::default(),
            display_name: new.display_name.as_str(),
            phone: new.phone.as_ref().map(Phone::as_str),
            time_zone: new.time_zone.unwrap_or(Zone::UTC),
        };
        let account = store::insert(&mut work, account).await?;
        if is_mailed {
            codes::mail_if_few(&mut work, &app.cipher, CodePurpose::VerifyEmail, account.id, &account.email).await?;
        }
        Reply::created("/v1/me".to_owned(), &sign_in(&app, work, account, &whence).await?)
    })
    .await
}

/// An e-mail address and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    email: EmailAddress,
    password: Password,
}

/// Log in
///
/// A wrong password and an unknown address get the same answer, after the same time. After five wrong ones for an address from one network each delays the next
/// for longer, up to a minute; nothing locks the account. Where the account has a second factor, the right password is answered with 401
/// `second_factor_required`, and `challenge_id` names the log-in for `POST /v1/auth/login/second-factor`.
#[utoipa::path(tag = "Accounts", operation_id = "login", request_body = Login, responses((status = 200, description = "Signed in.", body = SignedIn)),
    extensions(("x-refusals" = json!(refused![WrongPassword, SecondFactorRequired, AccountSuspended]))))]
#[post("/v1/auth/login")]
async fn login(app: Data<App>, whence: Whence, Json(login, _): Json<Login>) -> Result<Reply> {
    let known = store::login(&app.db, login.email.as_str());
    let proved = Proved::of(&app, (whence.origin, Whose::Address(login.email.as_str())), login.password, known).await?;
    let proved = proved.ok_or(Refusal::WrongPassword)?;
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        if !proved.hold(&mut work).await? {
            return Err(Refusal::WrongPassword.into());
        }
        if store::is_suspended(&mut work, proved.account).await? {
            work.commit().await?;
            return Err(Refusal::AccountSuspended.into());
        }
        if let Some(challenge) = factors::challenge(&mut work, &proved).await? {
            work.commit().await?;
            return Err(Error::RefusedLogin(Refusal::SecondFactorRequired, Box::new(challenge)));
        }
        let account = store::find(&mut **work, proved.account).await?;
        Reply::ok(&sign_in(&app, work, account, &whence).await?)
    })
    .await
}

/// A refresh token, as log-in or refresh gave it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: SentToken,
}

/// Refresh
///
/// Exchanges a refresh token for a new pair of tokens. A token is good once; for ten seconds after its first use, and while the
/// new refresh token is unused, it may be shown again, since the answer can get lost: the same refresh token is the answer. Shown later it has
/// been copied: its session ends, with every token of it.
#[utoipa::path(tag = "Accounts", operation_id = "refresh", request_body = Refresh, responses((status = 200, description = "A new pair of tokens.", body = SignedIn)),
    extensions(("x-refusals" = json!(refused![RefreshTokenInvalid]))))]
#[post("/v1/auth/refresh")]
async fn refresh(app: Data<App>, whence: Whence, Json(body, _): Json<Refresh>) -> Result<Reply> {
    uninterrupted(async move {
        let token = RefreshToken::sent(body.refresh_token.as_str());
        let successor = app.part::<Tokens>()?.successor(&token);
        let mut work = app.begin(None).await?;
        match auth::use_refresh_token(&mut work, &token, &successor, &whence, app.clock.now()).await? {
            Some((account, session)) => {
                let account = store::find(&mut **work, account).await?;
                Reply::ok(&signed_in(&app, work, account, session, successor).await?)
            }
            None => {
                // The end of the session, where there was one, must last.
                work.commit().await?;
                tracing::info!(grace = %REFRESH_GRACE, "refresh token refused");
                Err(Refusal::RefreshTokenInvalid.into())
            }
        }
    })
    .await
}

/// Log out
///
/// Ends the session of a refresh token, and its access tokens at once. A token that is unknown, or was exchanged for another one before, is
/// answered alike and ends nothing.
#[utoipa::path(tag = "Accounts", operation_id = "logout", request_body = Refresh,
    responses((status = 204, description = "The session has ended, if the token was its latest.")))]
#[post("/v1/auth/logout")]
async fn logout(app: Data<App>, Json(body, _): Json<Refresh>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let token = RefreshToken::sent(body.refresh_token.as_str());
        auth::log_out(&mut work, &token, &app.part::<Tokens>()?.successor(&token), app.clock.now()).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// Show me
///
/// The caller's own account.
#[utoipa::path(tag = "Accounts", operation_id = "get_me", security(("bearer" = ["client", "therapist", "admin"])),
    responses((status = 200, description = "The caller's account.", body = Account)))]
#[get("/v1/me")]
async fn get_me(app: Data<App>, me: As<Anyone>) -> Result<Reply> {
    Reply::ok(&store::find(&*app.db, me.account()).await?)
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountPatch {
    display_name: Option<DisplayName>,
    /// Null removes the number.
    #[serde(default, deserialize_with = "crate::values::present")]
    #[schema(value_type = Option<Phone>)]
    phone: Option<Option<Phone>>,
    time_zone: Option<Zone>,
}

/// Change me
///
/// Changes the caller's own account.
#[utoipa::path(tag = "Accounts", operation_id = "update_me", security(("bearer" = ["client", "therapist", "admin"])),
    params(("If-Match" = String, Header, description = "The ETag of the account as it was read.")),
    request_body = AccountPatch,
    responses((status = 200, description = "The account as it is now.", body = Account)))]
#[patch("/v1/me")]
async fn update_me(
    app: Data<App>,
    me: As<Anyone>,
    if_match: IfMatch,
    Json(patch, _): Json<AccountPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        // A therapist's zone is that of the working hours.
        if me.principal.role == Role::Therapist {
            work.lock_time(me.account().into()).await?;
        }
        let mut account = store::lock(&mut work, me.account()).await?;
        if_match.check(&account)?;
        if let Some(name) = patch.display_name {
            account.display_name = name.as_str().to_owned();
        }
        if let Some(phone) = patch.phone {
            account.phone = phone.map(|phone| phone.as_str().to_owned());
        }
        if let Some(zone) = patch.time_zone {
            account.time_zone = zone;
        }
        store::update(&mut work, &account).await?;
        work.commit().await?;
        Reply::ok(&account)
    })
    .await
}
