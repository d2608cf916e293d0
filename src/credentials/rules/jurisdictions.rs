//! The places whose rules decide, as admins edit them.

use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::boundary::Boundary;
use super::store::{self, Listed};
use super::{Change, DrawnTerritory, Level, PlaceName, Territory, rules_changed};
use crate::App;
use crate::auth::{As, Verifier};
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::http::{Cursor, IfMatch, Json, Limit, Page, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::values::JurisdictionCode;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_jurisdictions).service(create_jurisdiction).service(get_jurisdiction);
    config.service(update_jurisdiction).service(delete_jurisdiction);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JurisdictionQuery {
    /// Directly within this place.
    #[param(inline)]
    parent: Option<JurisdictionCode>,
    /// Of this level.
    #[param(inline)]
    level: Option<Level>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List jurisdictions
///
/// The places whose rules decide who may practise, by code; without their boundaries.
#[utoipa::path(tag = "Licence checks", operation_id = "list_jurisdictions", security(("bearer" = ["admin:verifier"])),
    params(JurisdictionQuery),
    responses((status = 200, description = "A page of jurisdictions.", body = Page<Territory>)))]
#[get("/v1/admin/jurisdictions")]
async fn list_jurisdictions(
    app: Data<App>,
    _me: As<Verifier>,
    Query(query): Query<JurisdictionQuery>,
) -> Result<Reply> {
    if let Some(parent) = &query.parent
        && !store::knows(&*app.db, parent).await?
    {
        return Err(FieldError::new("/parent", "is not a place that the service knows.").into());
    }
    let after: Option<JurisdictionCode> = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let listed =
        Listed { parent: query.parent.as_ref(), level: query.level, after: after.as_ref(), count: query.limit.probe() };
    let found = store::territories(&app.db, listed).await?;
    Reply::ok(&Page::cut(found, query.limit, |territory| territory.code.clone())?)
}

/// A new place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewJurisdiction {
    code: JurisdictionCode,
    #[schema(example = "county")]
    level: Level,
    name: PlaceName,
    /// Where it is. Counties and cities have one; countries and regions are where the service's own map says.
    boundary: Option<Boundary>,
}

impl NewJurisdiction {
    /// The place, if its parts fit each other and its parent.
    async fn checked(self, tx: &mut Tx) -> Result<DrawnTerritory> {
        if !self.level.fits(&self.code) {
            return Err(FieldError::new("/level", "is not the level of a place with this code.").into());
        }
        let parent = match self.code.parent() {
            None => None,
            Some(parent) => {
                let detail = format!("lies in {parent}, which the service does not know.");
                Some(store::territory(&mut **tx, &parent).await?.ok_or_else(|| FieldError::new("/code", detail))?)
            }
        };
        if self.level == Level::City && parent.as_ref().is_some_and(|parent| parent.territory.level == Level::City) {
            return Err(FieldError::new("/code", "lies in a city, which has nothing below it.").into());
        }
        let drawn = DrawnTerritory {
            territory: Territory {
                level: self.level,
                parent: self.code.parent(),
                code: self.code,
                name: self.name.as_str().to_owned(),
                bbox: self.boundary.as_ref().map(|boundary| boundary.bbox().to_vec()),
            },
            boundary: self.boundary,
        };
        refuse_misplaced(&drawn, parent.as_ref())?;
        Ok(drawn)
    }
}

/// A county or city has a boundary, within the region and the county that it is named below. Where countries and regions are,
/// is not for admins to say.
fn refuse_misplaced(drawn: &DrawnTerritory, parent: Option<&DrawnTerritory>) -> Result<()> {
    let refusal = |detail: &str| Err(FieldError::new("/boundary", detail).into());
    let code = &drawn.territory.code;
    let boundary = match &drawn.boundary {
        Some(boundary) if code.is_local() => boundary,
        None if !code.is_local() => return Ok(()),
        _ => return refusal("is for counties and cities, which need one."),
    };
    let state = code.state().map_err(Error::Internal)?;
    let around = parent.and_then(|parent| parent.boundary.as_ref());
    let inside = boundary.lies_in(|point| state.holds(point))
        && around.is_none_or(|around| boundary.lies_in(|point| around.holds(point)));
    if inside { Ok(()) } else { refusal("leaves the place that it lies in.") }
}

/// Add a jurisdiction
///
/// A country or region by its ISO code, or a county or city below one, with its boundary. It has no effect before it
/// requires something.
#[utoipa::path(tag = "Licence checks", operation_id = "create_jurisdiction", security(("bearer" = ["admin:verifier"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewJurisdiction, responses((status = 201, description = "The jurisdiction.", body = DrawnTerritory,
     headers(("Location" = String, description = "Where the jurisdiction is found.")))),
    extensions(("x-refusals" = json!(refused![CodeTaken]))))]
#[post("/v1/admin/jurisdictions")]
async fn create_jurisdiction(
    app: Data<App>,
    me: As<Verifier>,
    key: IdempotencyKey,
    Json(new, print): Json<NewJurisdiction>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/admin/jurisdictions", key, print).await?;
        store::lock(&mut work).await?;
        if store::knows(&mut **work, &new.code).await? {
            return Err(Refusal::CodeTaken.into());
        }
        let drawn = new.checked(&mut work).await?;
        store::save_territory(&mut work, &drawn).await?;
        let subject = drawn.territory.code.as_str();
        let reply = Reply::created(format!("/v1/admin/jurisdictions/{subject}"), &drawn)?;
        once.keep(&mut work, &reply).await?;
        let kind = "jurisdiction.create";
        Change { kind, subject, before: None, after: Some(&drawn) }.announce(&mut work).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a jurisdiction
///
/// A place, with its boundary.
#[utoipa::path(tag = "Licence checks", operation_id = "get_jurisdiction", security(("bearer" = ["admin:verifier"])),
    params(("code" = JurisdictionCode, Path, description = "The jurisdiction.")),
    responses((status = 200, description = "The jurisdiction.", body = DrawnTerritory)))]
#[get("/v1/admin/jurisdictions/{code}")]
async fn get_jurisdiction(app: Data<App>, _me: As<Verifier>, Path(code): Path<JurisdictionCode>) -> Result<Reply> {
    Reply::ok(&store::territory(&*app.db, &code).await?.ok_or(Error::NotFound)?)
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JurisdictionPatch {
    name: Option<PlaceName>,
    /// Where it is, of counties and cities.
    boundary: Option<Boundary>,
}

/// Change a jurisdiction
///
/// A new boundary decides from now on which visits the rules of a county or city are for. Visits that are booked are held
/// against it anew.
#[utoipa::path(tag = "Licence checks", operation_id = "update_jurisdiction", security(("bearer" = ["admin:verifier"])),
    params(("code" = JurisdictionCode, Path, description = "The jurisdiction."),
           ("If-Match" = String, Header, description = "The ETag of the jurisdiction as it was read.")),
    request_body = JurisdictionPatch,
    responses((status = 200, description = "The jurisdiction as it is now.", body = DrawnTerritory)))]
#[patch("/v1/admin/jurisdictions/{code}")]
async fn update_jurisdiction(
    app: Data<App>,
    me: As<Verifier>,
    Path(code): Path<JurisdictionCode>,
    if_match: IfMatch,
    Json(patch, _): Json<JurisdictionPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        store::lock(&mut work).await?;
        let before = store::territory(&mut **work, &code).await?.ok_or(Error::NotFound)?;
        if_match.check(&before)?;
        let mut after = before.clone();
        if let Some(name) = patch.name {
            after.territory.name = name.as_str().to_owned();
        }
        if let Some(boundary) = patch.boundary {
            after.territory.bbox = Some(boundary.bbox().to_vec());
            after.boundary = Some(boundary);
            let parent = match &after.territory.parent {
                Some(parent) => store::territory(&mut **work, parent).await?,
                None => None,
            };
            refuse_misplaced(&after, parent.as_ref())?;
            for child in store::within(&mut work, &code).await? {
                if refuse_misplaced(&child, Some(&after)).is_err() {
                    let detail = format!("leaves out {}, which lies in it.", child.territory.code.as_str());
                    return Err(FieldError::new("/boundary", detail).into());
                }
            }
        }
        store::save_territory(&mut work, &after).await?;
        if after.boundary != before.boundary {
            rules_changed(&mut work, Some(&code)).await?;
        }
        let (kind, subject) = ("jurisdiction.update", code.as_str());
        let change = Change { kind, subject, before: Some(&before), after: Some(&after) };
        change.announce(&mut work).await?;
        work.commit().await?;
        Reply::ok(&after)
    })
    .await
}

/// Remove a jurisdiction
///
/// Only one that nothing names any more.
#[utoipa::path(tag = "Licence checks", operation_id = "delete_jurisdiction", security(("bearer" = ["admin:verifier"])),
    params(("code" = JurisdictionCode, Path, description = "The jurisdiction.")),
    responses((status = 204, description = "The jurisdiction is gone.")),
    extensions(("x-refusals" = json!(refused![JurisdictionInUse]))))]
#[delete("/v1/admin/jurisdictions/{code}")]
async fn delete_jurisdiction(app: Data<App>, me: As<Verifier>, Path(code): Path<JurisdictionCode>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        store::lock(&mut work).await?;
        let before = store::territory(&mut **work, &code).await?.ok_or(Error::NotFound)?;
        store::delete_territory(&mut work, &code).await?;
        let (kind, subject) = ("jurisdiction.delete", code.as_str());
        Change { kind, subject, before: Some(&before), after: None }.announce(&mut work).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
