//! What each place asks for, as admins edit it.

use actix_web::web::Data;
use actix_web::{delete, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Change, Group, Rule, ServiceKind, rules_changed, store};
use crate::App;
use crate::auth::{As, Verifier};
use crate::catalogue;
use crate::credentials::followed::{Foreseen, Previewing};
use crate::credentials::{Requirement, TypeCode};
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Result, refused};
use crate::events::Work;
use crate::http::{Cursor, IfMatch, Json, Limit, Page, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::RequirementId;
use crate::values::{Day, JurisdictionCode};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_admin_credential_requirements).service(create_credential_requirement);
    config.service(get_credential_requirement).service(replace_credential_requirement);
    config.service(delete_credential_requirement);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RuleQuery {
    /// Asked for by this place itself.
    #[param(inline)]
    jurisdiction: Option<JurisdictionCode>,
    /// Asked for this kind of service.
    #[param(inline)]
    service_kind: Option<ServiceKind>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List requirements for editing
///
/// Every requirement, past and future ones too, by jurisdiction, kind of service and group.
#[utoipa::path(tag = "Licence checks", operation_id = "list_admin_credential_requirements",
    security(("bearer" = ["admin:verifier"])), params(RuleQuery),
    responses((status = 200, description = "A page of requirements.", body = Page<Rule>)))]
#[get("/v1/admin/credential-requirements")]
async fn list_admin_credential_requirements(
    app: Data<App>,
    _me: As<Verifier>,
    Query(query): Query<RuleQuery>,
) -> Result<Reply> {
    let after = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let (jurisdiction, kind) = (query.jurisdiction.as_ref(), query.service_kind.as_ref());
    if let Some(jurisdiction) = jurisdiction
        && !store::knows(&*app.db, jurisdiction).await?
    {
        return Err(FieldError::new("/jurisdiction", "is not a jurisdiction that the service knows.").into());
    }
    if let Some(kind) = kind
        && !catalogue::is_kind(&*app.db, kind.as_str()).await?
    {
        return Err(FieldError::new("/service_kind", "is not a kind of service in the catalogue.").into());
    }
    let rules = store::rules(&app.db, jurisdiction, kind, after, query.limit.probe()).await?;
    Reply::ok(&Page::cut(rules, query.limit, |rule| {
        let Requirement { jurisdiction, group, .. } = &rule.requirement;
        (jurisdiction.clone(), rule.service_kind.clone(), group.clone(), rule.id)
    })?)
}

/// A requirement as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    /// The place that asks for it, and all that lies within.
    #[schema(example = "AU")]
    jurisdiction: JurisdictionCode,
    service_kind: ServiceKind,
    group: Group,
    /// Codes of credential types, of which one must be usable: 1 to 20.
    #[schema(min_items = 1, max_items = 20, example = json!(["INSURANCE"]))]
    options: Vec<TypeCode>,
    /// The first date of a visit for which it is asked, at the visit's place; left out: since ever.
    valid_from: Option<Day>,
    /// The last date; left out: until further notice.
    valid_until: Option<Day>,
}

impl RuleBody {
    /// The requirement, if what it names is there.
    async fn checked(self, tx: &mut Tx, id: RequirementId) -> Result<Rule> {
        let mut errors = Vec::new();
        if !store::knows(&mut **tx, &self.jurisdiction).await? {
            errors.push(FieldError::new("/jurisdiction", "is not a jurisdiction that the service knows."));
        }
        if !catalogue::is_kind(&mut **tx, self.service_kind.as_str()).await? {
            errors.push(FieldError::new("/service_kind", "is not a kind of service in the catalogue."));
        }
        if !(1..=20).contains(&self.options.len()) {
            return Err(FieldError::new("/options", "must name 1 to 20 credential types.").into());
        }
        let options: Vec<String> = self.options.iter().map(|code| code.as_str().to_owned()).collect();
        let unknown = store::unknown_types(tx, &options).await?;
        for (i, code) in options.iter().enumerate() {
            if unknown.contains(code) {
                errors.push(FieldError::new(format!("/options/{i}"), "is not a credential type."));
            } else if options[..i].contains(code) {
                errors.push(FieldError::new(format!("/options/{i}"), "is named twice."));
            }
        }
        if self.valid_from.zip(self.valid_until).is_some_and(|(from, until)| until < from) {
            errors.push(FieldError::new("/valid_until", "lies before `valid_from`."));
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        Ok(Rule {
            id,
            service_kind: self.service_kind.as_str().to_owned(),
            requirement: Requirement {
                jurisdiction: self.jurisdiction.as_str().to_owned(),
                group: self.group.as_str().to_owned(),
                options,
                valid_from: self.valid_from.map(|Day(date)| date),
                valid_until: self.valid_until.map(|Day(date)| date),
            },
        })
    }
}

/// The place whose rules a requirement belongs to.
fn place_of(rule: &Rule) -> Result<JurisdictionCode> {
    rule.requirement.jurisdiction.parse().map_err(Error::Internal)
}

/// What a change of a requirement is answered with: what it is now, or what would follow.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum RuleAnswer {
    Saved(Rule),
    Foreseen(Foreseen),
}

/// Begins a change, or a look at what it would do.
async fn begin(app: &App, me: &As<Verifier>, previewing: &Previewing) -> Result<Work> {
    let mut work = app.begin(Some(me.account())).await?;
    if previewing.preview {
        work.preview();
    }
    Ok(work)
}

/// Tells what would follow, and drops it all.
async fn foreseen(work: Work) -> Result<Reply> {
    let foreseen = RuleAnswer::Foreseen(Foreseen::of(&work));
    work.rollback().await?;
    Reply::ok(&foreseen)
}

/// Add a requirement
///
/// A rule that changes on a date is two requirements of one group, of which the first ends the day before the second
/// begins. Visits that are booked are held against it.
#[utoipa::path(tag = "Licence checks", operation_id = "create_credential_requirement", security(("bearer" = ["admin:verifier"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat."), Previewing),
    request_body = RuleBody, responses(
    (status = 200, description = "With `preview`: what would follow.", body = Foreseen),
    (status = 201, description = "The requirement.", body = Rule,
     headers(("Location" = String, description = "Where the requirement is found.")))),
    extensions(("x-refusals" = json!(refused![RequirementOverlaps]))))]
#[post("/v1/admin/credential-requirements")]
async fn create_credential_requirement(
    app: Data<App>,
    me: As<Verifier>,
    key: IdempotencyKey,
    Query(previewing): Query<Previewing>,
    Json(new, print): Json<RuleBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = begin(&app, &me, &previewing).await?;
        let route = "POST /v1/admin/credential-requirements";
        let once = Once::claim(&mut work, route, key, print).await?;
        store::lock(&mut work).await?;
        let rule = new.checked(&mut work, RequirementId::new(now)).await?;
        store::save_rule(&mut work, &rule).await?;
        rules_changed(&mut work, Some(&place_of(&rule)?)).await?;
        if work.is_preview() {
            return foreseen(work).await;
        }
        let subject = &rule.id.to_string();
        let reply = Reply::created(format!("/v1/admin/credential-requirements/{subject}"), &rule)?;
        once.keep(&mut work, &reply).await?;
        let kind = "requirement.create";
        Change { kind, subject, before: None, after: Some(&rule) }.announce(&mut work).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a requirement
///
/// One requirement.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential_requirement", security(("bearer" = ["admin:verifier"])),
    params(("id" = RequirementId, Path, description = "The requirement.")),
    responses((status = 200, description = "The requirement.", body = Rule)))]
#[get("/v1/admin/credential-requirements/{id}")]
async fn get_credential_requirement(app: Data<App>, _me: As<Verifier>, Path(id): Path<RequirementId>) -> Result<Reply> {
    Reply::ok(&store::rule(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// Replace a requirement
///
/// Visits that are booked are held against it anew. To change a rule from a date on, let it end and add another.
#[utoipa::path(tag = "Licence checks", operation_id = "replace_credential_requirement", security(("bearer" = ["admin:verifier"])),
    params(("id" = RequirementId, Path, description = "The requirement."),
           ("If-Match" = String, Header, description = "The ETag of the requirement as it was read."), Previewing),
    request_body = RuleBody,
    responses((status = 200, description = "The requirement as it is now; with `preview`, what would follow.", body = RuleAnswer)),
    extensions(("x-refusals" = json!(refused![RequirementOverlaps]))))]
#[put("/v1/admin/credential-requirements/{id}")]
async fn replace_credential_requirement(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<RequirementId>,
    if_match: IfMatch,
    Query(previewing): Query<Previewing>,
    Json(body, _): Json<RuleBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = begin(&app, &me, &previewing).await?;
        store::lock(&mut work).await?;
        let before = store::rule(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if_match.check(&before)?;
        let after = body.checked(&mut work, id).await?;
        store::save_rule(&mut work, &after).await?;
        let (left, entered) = (place_of(&before)?, place_of(&after)?);
        rules_changed(&mut work, Some(&entered)).await?;
        if left != entered {
            rules_changed(&mut work, Some(&left)).await?;
        }
        if work.is_preview() {
            return foreseen(work).await;
        }
        let (kind, subject) = ("requirement.update", &*id.to_string());
        let change = Change { kind, subject, before: Some(&before), after: Some(&after) };
        change.announce(&mut work).await?;
        work.commit().await?;
        Reply::ok(&RuleAnswer::Saved(after))
    })
    .await
}

/// Remove a requirement
///
/// It is asked for no more, as if it had never been. A place that is left without any requirement is not served.
#[utoipa::path(tag = "Licence checks", operation_id = "delete_credential_requirement", security(("bearer" = ["admin:verifier"])),
    params(("id" = RequirementId, Path, description = "The requirement."), Previewing),
    responses((status = 200, description = "With `preview`: what would follow.", body = Foreseen),
              (status = 204, description = "The requirement is gone.")))]
#[delete("/v1/admin/credential-requirements/{id}")]
async fn delete_credential_requirement(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<RequirementId>,
    Query(previewing): Query<Previewing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = begin(&app, &me, &previewing).await?;
        store::lock(&mut work).await?;
        let before = store::rule(&mut **work, id).await?.ok_or(Error::NotFound)?;
        store::delete_rule(&mut work, id).await?;
        rules_changed(&mut work, Some(&place_of(&before)?)).await?;
        if work.is_preview() {
            return foreseen(work).await;
        }
        let (kind, subject) = ("requirement.delete", &*id.to_string());
        Change { kind, subject, before: Some(&before), after: None }.announce(&mut work).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
