//! The kinds of credentials that authorities give, as admins edit them.

use std::str::FromStr;

use actix_web::web::Data;
use actix_web::{get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Authority, Category, Change, Cover, NewTypeCode, NumberPrefix, rules_changed, store};
use crate::App;
use crate::auth::{As, Verifier};
use crate::credentials::store::{find_type, types};
use crate::credentials::{CredentialType, TypeCode};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::http::{IfMatch, Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::values::{Jurisdiction, bounded_number, from_text, present};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_admin_credential_types).service(create_credential_type);
    config.service(get_credential_type).service(update_credential_type);
}

bounded_number! {
    /// Months from one renewal to the next.
    RenewalMonths(i16) in 1 ..= 600, example 24;
    /// Days after which the authority is asked again.
    RecheckDays(i16) in 1 ..= 3650, example 90;
}

/// A regular expression that a whole number matches.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 200, pattern = r"^\^.*\$$", example = r"^(NVMT)?\d{4,6}$")]
struct NumberPattern(String);

impl FromStr for NumberPattern {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let inner = text.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        if text.chars().count() > 200 || text.chars().any(char::is_control) || !inner.is_some_and(is_one_branch) {
            return Err(r"must be a pattern from ^ to $ of at most 200 characters, such as ^(MT)?\d{4,6}$".to_owned());
        }
        // A pattern that grows huge when it is compiled would slow every reading of a number.
        match regex::RegexBuilder::new(text).size_limit(1 << 18).build() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("is not a regular expression that the service can use".to_owned()),
        }
    }
}

from_text!(NumberPattern);

/// Whether no branch at the top leaves the ends of the pattern: `^a|b$` matches more than whole numbers. A backslash at the
/// end would take the `$` for a letter.
fn is_one_branch(inner: &str) -> bool {
    let (mut depth, mut in_class, mut escaped) = (0, false, false);
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth -= 1,
            '|' if !in_class && depth == 0 => return false,
            _ => {}
        }
    }
    !escaped
}

/// A kind of credential as admins see it.
#[derive(Serialize, ToSchema)]
struct EditedType<'a> {
    #[serde(flatten)]
    public: &'a CredentialType,
    /// What the authority writes before the number and a therapist may leave out.
    #[schema(example = "MT")]
    number_prefix: &'a str,
    /// Whether a second admin must approve every verification.
    four_eyes: bool,
    /// Days after which the authority is asked again; null: never.
    recheck_days: Option<i16>,
}

impl<'a> From<&'a CredentialType> for EditedType<'a> {
    fn from(kind: &'a CredentialType) -> Self {
        Self {
            public: kind,
            number_prefix: &kind.number_prefix,
            four_eyes: kind.four_eyes,
            recheck_days: kind.recheck_days,
        }
    }
}

/// List credential types for editing
///
/// Every kind of credential, by code, with what only admins are told.
#[utoipa::path(tag = "Licence checks", operation_id = "list_admin_credential_types", security(("bearer" = ["admin:verifier"])), params(Part),
    responses((status = 200, description = "The types.", body = Page<EditedType>)))]
#[get("/v1/admin/credential-types")]
async fn list_admin_credential_types(app: Data<App>, _me: As<Verifier>, Query(part): Query<Part>) -> Result<Reply> {
    let types = types(&app.db).await?;
    Reply::ok(&Page::part(types.iter().map(EditedType::from).collect(), &part)?)
}

/// A new kind of credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewType {
    code: NewTypeCode,
    authority: Authority,
    category: Category,
    /// Where the authority sits; left out for types that are given everywhere.
    jurisdiction: Option<Jurisdiction>,
    /// What its numbers look like; left out where there is none.
    number_pattern: Option<NumberPattern>,
    number_prefix: Option<NumberPrefix>,
    /// Whether a document is asked for.
    evidence_required: bool,
    /// Whether it ends on a date that must be told.
    expires: bool,
    renewal_months: Option<RenewalMonths>,
    /// Whether a second admin must approve every verification.
    #[serde(default)]
    four_eyes: bool,
    /// Days after which the authority is asked again; never, where left out.
    recheck_days: Option<RecheckDays>,
    #[serde(default)]
    minimum_cover: Cover,
    /// Whether people share a number; so it is with insurances, unless said.
    numbers_shared: Option<bool>,
}

/// Add a credential type
///
/// It can be entered by therapists at once, and required of them.
#[utoipa::path(tag = "Licence checks", operation_id = "create_credential_type", security(("bearer" = ["admin:verifier"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewType, responses((status = 201, description = "The type.", body = EditedType,
     headers(("Location" = String, description = "Where the type is found.")))),
    extensions(("x-refusals" = json!(refused![CodeTaken]))))]
#[post("/v1/admin/credential-types")]
async fn create_credential_type(
    app: Data<App>,
    me: As<Verifier>,
    key: IdempotencyKey,
    Json(new, print): Json<NewType>,
) -> Result<Reply> {
    let kind = CredentialType {
        code: new.code.as_str().to_owned(),
        authority: new.authority.as_str().to_owned(),
        category: new.category,
        jurisdiction: new.jurisdiction,
        number_pattern: new.number_pattern.map(|NumberPattern(pattern)| pattern),
        evidence_required: new.evidence_required,
        renewal_months: new.renewal_months.map(|RenewalMonths(months)| months),
        expires: new.expires,
        minimum_cover: new.minimum_cover,
        numbers_shared: new.numbers_shared.unwrap_or(new.category == Category::Insurance),
        number_prefix: new.number_prefix.map(|prefix| prefix.as_str().to_owned()).unwrap_or_default(),
        four_eyes: new.four_eyes,
        recheck_days: new.recheck_days.map(|RecheckDays(days)| days),
    };
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/credential-types", key, print).await?;
        store::lock(&mut work).await?;
        if find_type(&mut **work, &kind.code).await?.is_some() {
            return Err(Refusal::CodeTaken.into());
        }
        store::save_type(&mut work, &kind).await?;
        let after = EditedType::from(&kind);
        let reply = Reply::created(format!("/v1/admin/credential-types/{}", kind.code), &after)?;
        once.keep(&mut work, &reply).await?;
        let (kind, subject) = ("credential_type.create", kind.code.as_str());
        Change { kind, subject, before: None, after: Some(&after) }.announce(&mut work).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a credential type
///
/// One kind of credential, with what only admins are told.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential_type", security(("bearer" = ["admin:verifier"])),
    params(("code" = TypeCode, Path, description = "The type.")),
    responses((status = 200, description = "The type.", body = EditedType)))]
#[get("/v1/admin/credential-types/{code}")]
async fn get_credential_type(app: Data<App>, _me: As<Verifier>, Path(code): Path<TypeCode>) -> Result<Reply> {
    let kind = find_type(&*app.db, code.as_str()).await?.ok_or(Error::NotFound)?;
    Reply::ok(&EditedType::from(&kind))
}

/// What to change; what is left out stays, null empties an optional field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TypePatch {
    authority: Option<Authority>,
    category: Option<Category>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jurisdiction>)]
    jurisdiction: Option<Option<Jurisdiction>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<NumberPattern>)]
    number_pattern: Option<Option<NumberPattern>>,
    number_prefix: Option<NumberPrefix>,
    evidence_required: Option<bool>,
    expires: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<RenewalMonths>)]
    renewal_months: Option<Option<RenewalMonths>>,
    four_eyes: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<RecheckDays>)]
    recheck_days: Option<Option<RecheckDays>>,
    minimum_cover: Option<Cover>,
    numbers_shared: Option<bool>,
}

impl TypePatch {
    fn apply(self, before: &CredentialType) -> CredentialType {
        let mut after = before.clone();
        macro_rules! set {
            ($($field:ident = $value:expr),+ $(,)?) => {$(if let Some(value) = $value { after.$field = value; })+};
        }
        set!(
            authority = self.authority.map(|authority| authority.as_str().to_owned()),
            category = self.category,
            jurisdiction = self.jurisdiction,
            number_pattern = self.number_pattern.map(|pattern| pattern.map(|NumberPattern(pattern)| pattern)),
            number_prefix = self.number_prefix.map(|prefix| prefix.as_str().to_owned()),
            evidence_required = self.evidence_required,
            expires = self.expires,
            renewal_months = self.renewal_months.map(|months| months.map(|RenewalMonths(months)| months)),
            four_eyes = self.four_eyes,
            recheck_days = self.recheck_days.map(|days| days.map(|RecheckDays(days)| days)),
            minimum_cover = self.minimum_cover,
            numbers_shared = self.numbers_shared,
        );
        after
    }
}

/// Change a credential type
///
/// A number's prefix, the place of the authority and whether numbers are shared tell one number from another, and cannot change once credentials of
/// the type exist. A higher minimum cover may leave visits without an insurance; they are looked at anew.
#[utoipa::path(tag = "Licence checks", operation_id = "update_credential_type", security(("bearer" = ["admin:verifier"])),
    params(("code" = TypeCode, Path, description = "The type."),
           ("If-Match" = String, Header, description = "The ETag of the type as it was read.")),
    request_body = TypePatch, responses((status = 200, description = "The type as it is now.", body = EditedType)),
    extensions(("x-refusals" = json!(refused![TypeInUse]))))]
#[patch("/v1/admin/credential-types/{code}")]
async fn update_credential_type(
    app: Data<App>,
    me: As<Verifier>,
    Path(code): Path<TypeCode>,
    if_match: IfMatch,
    Json(patch, _): Json<TypePatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        store::lock(&mut work).await?;
        let before = find_type(&mut **work, code.as_str()).await?.ok_or(Error::NotFound)?;
        if_match.check(&EditedType::from(&before))?;
        let after = patch.apply(&before);
        let renumbered = after.number_prefix != before.number_prefix
            || after.jurisdiction != before.jurisdiction
            || after.numbers_shared != before.numbers_shared;
        if renumbered && store::is_held(&mut work, code.as_str()).await? {
            return Err(Refusal::TypeInUse.into());
        }
        store::save_type(&mut work, &after).await?;
        if after.minimum_cover != before.minimum_cover {
            rules_changed(&mut work, None).await?;
        }
        let (before, after) = (EditedType::from(&before), EditedType::from(&after));
        let (kind, subject) = ("credential_type.update", code.as_str());
        let change = Change { kind, subject, before: Some(&before), after: Some(&after) };
        change.announce(&mut work).await?;
        work.commit().await?;
        Reply::ok(&after)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_numbers() {
        for good in [r"^\d{4,6}$", r"^(MT)?\d{4,6}$", "^(A|B)$", "^[|]$", r"^\|$", "^$"] {
            assert!(good.parse::<NumberPattern>().is_ok(), "{good}");
        }
        let long = format!("^{}$", "a".repeat(199));
        for bad in
            ["", "^", r"\d+", r"^\d+", r"\d+$", "^A|B$", r"^A\$", "^(A$", "^[A$", "^A)|(B$", "^(a{1000}){1000}$", &long]
        {
            assert!(bad.parse::<NumberPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cover_is_in_known_currencies() {
        let cover = |json: &str| serde_json::from_str::<Cover>(json);
        assert!(cover(r#"{"AUD": 500000000, "USD": 0}"#).is_ok() && cover("{}").is_ok());
        for bad in [r#"{"XYZ": 1}"#, r#"{"aud": 1}"#, r#"{"AUD": -1}"#, r#"{"AUD": 1.5}"#, r#"{"AUD": 100000000001}"#] {
            assert!(cover(bad).is_err(), "{bad}");
        }
    }
}
