//! Whether the service lives and can work, and the keys that verify its tokens.

use actix_web::get;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::App;
use crate::auth::Tokens;
use crate::error::{Problem, Result};
use crate::http::Reply;
use crate::values::zones::rules;

/// The operations for those who run the service.
pub fn routes(config: &mut ServiceConfig) {
    config.service(get_liveness).service(get_readiness).service(get_jwks);
}

/// How the service is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// How the service is, and what it goes by.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The release of the IANA database whose rules of time zones this process goes by, or `unknown`.
    #[schema(example = "2026f")]
    time_zones: String,
}

/// Liveness
///
/// Answers as long as the process can answer at all.
#[utoipa::path(tag = "Operations", operation_id = "get_liveness",
    responses((status = 200, description = "The process answers.", body = Health)))]
#[get("/livez")]
async fn get_liveness() -> Result<Reply> {
    Reply::ok(&Health { status: "ok" })
}

/// Readiness
///
/// Answers 200 while the database can be used.
#[utoipa::path(tag = "Operations", operation_id = "get_readiness", responses(
    (status = 200, description = "The service can work.", body = Readiness),
    (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json")))]
#[get("/readyz")]
async fn get_readiness(app: Data<App>) -> Result<Reply> {
    sqlx::query_scalar!(r#"SELECT 1 AS "one!""#).fetch_one(&*app.db).await?;
    Reply::ok(&Readiness { status: "ok", time_zones: rules::current().version() })
}

/// A public key (RFC 8037).
#[derive(Serialize, ToSchema)]
struct Jwk {
    /// `OKP`.
    #[schema(example = "OKP")]
    kty: String,
    /// `Ed25519`.
    #[schema(example = "Ed25519")]
    crv: String,
    /// `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: String,
    /// `EdDSA`.
    #[schema(example = "EdDSA")]
    alg: String,
    /// Names the key.
    #[schema(example = "Zm9vYmFyYmF6cXV4")]
    kid: String,
    /// The key itself, base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    x: String,
}

/// A JWK Set (RFC 7517).
#[derive(Serialize, ToSchema)]
struct Jwks {
    /// The keys.
    keys: Vec<Jwk>,
}

/// Public keys
///
/// The keys that verify access tokens (RFC 7517).
#[utoipa::path(tag = "Operations", operation_id = "get_jwks",
    responses((status = 200, description = "The keys.", body = Jwks)))]
#[get("/.well-known/jwks.json")]
async fn get_jwks(app: Data<App>) -> Result<Reply> {
    Ok(Reply::ok(&app.part::<Tokens>()?.jwks())?.public())
}
