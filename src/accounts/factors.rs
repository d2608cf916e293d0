//! A second factor: the code of an authenticator app, or a recovery code by whoever has lost the app.

mod store;
mod totp;

use actix_web::web::Data;
use actix_web::{delete, post};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use chrono::{DateTime, TimeDelta, Utc};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::passwords::Proved;
use super::routes::{SignedIn, sign_in};
use super::{staff, store as accounts};
use crate::App;
use crate::auth::{self, Anyone, As, Guess, Owner, RefreshToken, Whence};
use crate::cipher::Cipher;
use crate::db::{in_time, uninterrupted};
use crate::error::{Challenge, Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Party, Work, Workshop};
use crate::http::{Json, Nothing, OrDefault, Path, Reply};
use crate::ids::AccountId;
use crate::queue::Sweep;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::bounded_text;

bounded_text! {
    /// The six digits that an authenticator app shows.
    TotpCode line 1..=10, example "287082";
    /// A recovery code, as it was shown once.
    RecoveryCode line 1..=40, example "MZXW6-YTBOI-GEZDG-NBVGY";
    /// What names a log-in that waits for its second factor.
    ChallengeId line 1..=200, example "bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU";
}

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "login_challenges", run: |app, now| Box::pin(store::forget(&app.db, now)) }];

/// What is sealed here, because it opens an account.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "second_factors",
    columns: &[SealedColumn { bound_to: SECRET, row: "account_id", kept: KeptIn::Column("secret_sealed") }],
}];

const SECRET: &str = "second_factors.secret";

/// How long a log-in waits for its second factor.
const WAITS: TimeDelta = TimeDelta::minutes(5);
/// How many recovery codes there are at first.
const CODES: usize = 10;
/// How a log-in is completed.
const METHODS: &[&str] = &["totp", "recovery_code"];

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(complete_login).service(confirm_totp).service(create_totp).service(delete_totp);
    config.service(create_recovery_codes).service(reset_second_factor);
}

/// A factor that an app is to be given. Nothing asks for it before it is confirmed.
#[derive(Serialize, ToSchema)]
struct NewTotp {
    /// The secret, for whoever types it into the app (base32).
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same as an address that apps open.
    #[schema(example = "otpauth://totp/Knead:mia%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Knead")]
    otpauth_url: String,
    /// The same as a picture that apps read, in SVG.
    #[schema(example = "<svg/>")]
    qr_svg: String,
}

/// Add a second factor
///
/// Makes a secret for an authenticator app, and shows it once; `POST /v1/me/totp/confirm` turns it on. Needs the password anew.
#[utoipa::path(tag = "Accounts", operation_id = "create_totp", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = Option<Nothing>, responses((status = 201, description = "The secret.", body = NewTotp,
     headers(("Location" = String, description = "Where it is confirmed.")))),
    extensions(("x-refusals" = json!(refused![StepUpRequired, SecondFactorOn]))))]
#[post("/v1/me/totp")]
async fn create_totp(app: Data<App>, me: As<Anyone>, _: OrDefault<Nothing>) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let account = accounts::lock(&mut work, me.account()).await?;
        if store::is_on(&mut work, account.id).await? {
            return Err(Refusal::SecondFactorOn.into());
        }
        let secret = random::<{ totp::SECRET }>()?;
        let secret = totp::base32(&secret);
        let now = work.now();
        let sealed = app.cipher.seal(SECRET, account.id, &secret)?;
        store::put(&mut work, account.id, sealed, now).await?;
        work.commit().await?;
        let email: String = form_urlencoded::byte_serialize(account.email.as_bytes()).collect();
        let otpauth_url = format!("otpauth://totp/Knead:{email}?secret={secret}&issuer=Knead");
        let code = QrCode::new(&otpauth_url).map_err(|error| Error::Internal(error.to_string()))?;
        let qr_svg = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
        Reply::created("/v1/me/totp/confirm".to_owned(), &NewTotp { secret, otpauth_url, qr_svg })
    })
    .await
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("no random bytes".to_owned()))?;
    Ok(bytes)
}

/// A code of an authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TotpProof {
    code: TotpCode,
}

/// Codes for whoever has lost the app.
#[derive(Serialize, ToSchema)]
struct FreshRecoveryCodes {
    /// Each is good for one log-in. They are shown once.
    #[schema(example = json!(["MZXW6-YTBOI-GEZDG-NBVGY"]))]
    recovery_codes: Vec<String>,
}

impl FreshRecoveryCodes {
    /// Fresh ones, in the place of those before.
    async fn make(work: &mut Work, account: AccountId) -> Result<Self> {
        let mut recovery_codes = Vec::with_capacity(CODES);
        for _ in 0..CODES {
            let letters: Vec<char> = totp::base32(&random::<10>()?).chars().take(16).collect();
            let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
            recovery_codes.push(groups.join("-"));
        }
        let digests: Vec<Vec<u8>> = recovery_codes.iter().map(|code| code_digest(code)).collect();
        store::replace_codes(work, account, &digests).await?;
        Ok(Self { recovery_codes })
    }
}

/// The digest of a recovery code, however it is typed.
fn code_digest(code: &str) -> Vec<u8> {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    sha256(letters.to_ascii_uppercase().as_bytes())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// Turn my second factor on
///
/// By a code of the app, which shows that it has the secret. From now on each log-in asks for one. Ten recovery codes are shown once.
#[utoipa::path(tag = "Accounts", operation_id = "confirm_totp", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = TotpProof, responses((status = 200, description = "It is on.", body = FreshRecoveryCodes)),
    extensions(("x-refusals" = json!(refused![SecondFactorOn, SecondFactorOff, SecondFactorWrong]))))]
#[post("/v1/me/totp/confirm")]
async fn confirm_totp(app: Data<App>, me: As<Anyone>, Json(body, _): Json<TotpProof>) -> Result<Reply> {
    let sent = SecondProof { proof: Proof::Totp(body.code), guess: Guess::begin_second(&app, me.account()).await? };
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        // The account is locked first, as by whoever takes the factor away.
        accounts::lock(&mut work, me.account()).await?;
        let factor = store::lock(&mut work, me.account()).await?.ok_or(Refusal::SecondFactorOff)?;
        if factor.confirmed_at.is_some() {
            return Err(Refusal::SecondFactorOn.into());
        }
        sent.hold(&app, &mut work, me.account()).await?;
        let now = work.now();
        store::confirm(&mut work, me.account(), now).await?;
        let codes = FreshRecoveryCodes::make(&mut work, me.account()).await?;
        work.announce(Event::new("account.totp_added", "account", me.account())).await?;
        work.commit().await?;
        Reply::ok(&codes)
    })
    .await
}

/// Take my second factor away
///
/// With it go the recovery codes. Needs the password anew.
#[utoipa::path(tag = "Accounts", operation_id = "delete_totp", security(("bearer" = ["client", "therapist", "admin"])),
    responses((status = 204, description = "Log-ins do not ask for it any more.")),
    extensions(("x-refusals" = json!(refused![StepUpRequired]))))]
#[delete("/v1/me/totp")]
async fn delete_totp(app: Data<App>, me: As<Anyone>) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        remove(&mut work, me.account(), None).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// Takes a second factor away, and tells of it where log-ins asked for it.
async fn remove(work: &mut Work, account: AccountId, party: Option<Party>) -> Result<()> {
    accounts::lock(work, account).await?;
    if store::remove(work, account).await? {
        let told = Event::new("account.totp_removed", "account", account);
        work.announce(Event { party, ..told }).await?;
    }
    Ok(())
}

/// Takes away what was turned on since then: whoever turned it on was not the owner. The caller has locked the account.
pub(super) async fn remove_since(work: &mut Work, account: AccountId, since: DateTime<Utc>) -> Result<()> {
    let Some(factor) = store::lock(work, account).await? else { return Ok(()) };
    if factor.confirmed_at.is_none_or(|confirmed| confirmed >= since) {
        remove(work, account, None).await
    } else {
        Ok(())
    }
}

/// Takes away what its owner has lost, and with it the sessions of the device that was lost.
async fn forget_lost(work: &mut Work, account: AccountId, party: Party) -> Result<()> {
    remove(work, account, Some(party)).await?;
    let now = work.now();
    auth::end_sessions(work, account, None, now).await
}

/// Make other recovery codes
///
/// Ten, shown once, in the place of those before. Needs the password anew.
#[utoipa::path(tag = "Accounts", operation_id = "create_recovery_codes", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = Option<Nothing>, responses((status = 200, description = "The codes.", body = FreshRecoveryCodes)),
    extensions(("x-refusals" = json!(refused![StepUpRequired, SecondFactorOff]))))]
#[post("/v1/me/recovery-codes")]
async fn create_recovery_codes(app: Data<App>, me: As<Anyone>, _: OrDefault<Nothing>) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        accounts::lock(&mut work, me.account()).await?;
        let factor = store::lock(&mut work, me.account()).await?;
        if factor.is_none_or(|factor| factor.confirmed_at.is_none()) {
            return Err(Refusal::SecondFactorOff.into());
        }
        let codes = FreshRecoveryCodes::make(&mut work, me.account()).await?;
        work.announce(Event::new("account.recovery_codes_made", "account", me.account())).await?;
        work.commit().await?;
        Reply::ok(&codes)
    })
    .await
}

/// What shows a second factor.
enum Proof {
    Totp(TotpCode),
    Recovery(RecoveryCode),
}

impl Proof {
    /// The one of the two that was sent.
    fn of(totp: Option<TotpCode>, recovery: Option<RecoveryCode>) -> Result<Self> {
        match (totp, recovery) {
            (Some(code), None) => Ok(Self::Totp(code)),
            (None, Some(code)) => Ok(Self::Recovery(code)),
            _ => Err(FieldError::new("/totp", "is needed, or `recovery_code`, and not both.").into()),
        }
    }

    /// Uses it up, if it is the account's.
    async fn holds(&self, work: &mut Work, cipher: &Cipher, account: AccountId) -> Result<bool> {
        match self {
            Self::Totp(typed) => {
                let Some(factor) = store::lock(work, account).await? else { return Ok(false) };
                let secret = totp::bytes(&cipher.open(SECRET, account, &factor.secret)?);
                let Some(step) = totp::step_of(&secret, typed.as_str(), work.now()) else { return Ok(false) };
                store::use_step(work, account, step).await
            }
            Self::Recovery(code) => store::use_code(work, account, &code_digest(code.as_str())).await,
        }
    }
}

/// A second factor that was sent, counted as a failure until it is known to be none.
pub(super) struct SecondProof {
    proof: Proof,
    guess: Guess,
}

impl SecondProof {
    /// What was sent, if anything was. It is counted before the transaction that looks at it, which would else take two connections at a time.
    pub async fn begin(
        app: &App,
        account: AccountId,
        totp: Option<TotpCode>,
        recovery: Option<RecoveryCode>,
    ) -> Result<Option<Self>> {
        if totp.is_none() && recovery.is_none() {
            return Ok(None);
        }
        let proof = Proof::of(totp, recovery)?;
        Ok(Some(Self { proof, guess: Guess::begin_second(app, account).await? }))
    }

    /// Uses it up.
    ///
    /// # Errors
    /// `second_factor_wrong`.
    async fn hold(&self, app: &App, work: &mut Work, account: AccountId) -> Result<()> {
        if !self.proof.holds(work, &app.cipher, account).await? {
            return Err(Refusal::SecondFactorWrong.into());
        }
        let now = work.now();
        self.guess.was_right(work, now).await
    }
}

/// Asks for the second factor beside the password, where the account has one.
pub(super) async fn prove(app: &App, work: &mut Work, account: AccountId, sent: Option<SecondProof>) -> Result<()> {
    if store::is_on(work, account).await? {
        sent.ok_or(Refusal::SecondFactorWrong)?.hold(app, work, account).await?;
    }
    Ok(())
}

/// Puts a log-in off until its second factor is shown, where the account has one. The log-in is named to the caller alone, and nothing of it is kept but digests.
pub(super) async fn challenge(work: &mut Work, proved: &Proved) -> Result<Option<Challenge>> {
    if !store::is_on(work, proved.account).await? {
        return Ok(None);
    }
    let token = RefreshToken::generate()?;
    let (ends, password) = (work.now() + WAITS, sha256(proved.hash.as_bytes()));
    store::challenge(work, proved.account, (&token.digest(), &password), ends).await?;
    Ok(Some(Challenge { challenge_id: token.into_string(), methods: METHODS }))
}

/// The second factor of a log-in: one of `totp` and `recovery_code`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactor {
    /// As the log-in was answered.
    challenge_id: ChallengeId,
    totp: Option<TotpCode>,
    recovery_code: Option<RecoveryCode>,
}

/// Complete a log-in
///
/// By the second factor, within five minutes of the password. No code is good twice. Ten wrong ones delay the next by five minutes, and each more for longer,
/// up to an hour; the owner is told of the tenth.
#[utoipa::path(tag = "Accounts", operation_id = "complete_login", request_body = SecondFactor,
    responses((status = 200, description = "Signed in.", body = SignedIn)),
    extensions(("x-refusals" = json!(refused![ChallengeOver, SecondFactorWrong, AccountSuspended]))))]
#[post("/v1/auth/login/second-factor")]
async fn complete_login(app: Data<App>, whence: Whence, Json(body, _): Json<SecondFactor>) -> Result<Reply> {
    let proof = Proof::of(body.totp, body.recovery_code)?;
    let digest = RefreshToken::sent(body.challenge_id.as_str()).digest();
    let known = in_time(store::challenged(&app.db, &digest, app.clock.now())).await?;
    let (id, password) = known.ok_or(Refusal::ChallengeOver)?;
    let sent = SecondProof { proof, guess: Guess::begin_second(&app, id).await? };
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let hash = accounts::hold_password(&mut work, id).await?;
        if hash.is_none_or(|hash| sha256(hash.as_bytes()) != password) {
            return Err(Refusal::ChallengeOver.into());
        }
        sent.hold(&app, &mut work, id).await?;
        if !store::use_challenge(&mut work, &digest).await? {
            return Err(Refusal::ChallengeOver.into());
        }
        if accounts::is_suspended(&mut work, id).await? {
            return Err(Refusal::AccountSuspended.into());
        }
        let account = accounts::find(&mut **work, id).await?;
        Reply::ok(&sign_in(&app, work, account, &whence).await?)
    })
    .await
}

/// Reset an admin's second factor
///
/// For an admin who has lost the app and the recovery codes: their sessions end, and the next log-in asks for the password alone.
#[utoipa::path(tag = "Accounts", operation_id = "reset_second_factor", security(("bearer" = ["admin:owner"])),
    params(("id" = AccountId, Path, description = "The account.")), request_body = Option<Nothing>,
    responses((status = 204, description = "There is none any more.")),
    extensions(("x-refusals" = json!(refused![StepUpRequired]))))]
#[post("/v1/admin/staff/{id}/reset-second-factor")]
async fn reset_second_factor(
    app: Data<App>,
    me: As<Owner>,
    Path(id): Path<AccountId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        staff::lock(&mut work, me.account()).await?;
        staff::refuse_others(&mut work, id).await?;
        forget_lost(&mut work, id, Party::Admin).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// Takes the second factor of whoever signs in with an address away and ends their sessions, in the name of whoever runs the service. It is never done by mail.
///
/// # Errors
/// Not found where nobody signs in with the address.
pub async fn reset(shop: &Workshop, email: &str) -> Result<AccountId> {
    let mut work = shop.begin(None).await?;
    let id = accounts::id_of(&mut work, email).await?.ok_or(Error::NotFound)?;
    forget_lost(&mut work, id, Party::System).await?;
    work.commit().await?;
    Ok(id)
}
