use actix_web::get;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::published::{self, RuleCache};
use super::questions::{Purpose, Question, Questionnaire};
use super::{admin, clearances, consents, disclosures, people};
use crate::App;
use crate::accounts::Region;
use crate::auth::Caller;
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, Limit, Page, Part, Path, Query, Reply};
use crate::ids::ServiceId;
use crate::values::{Country, Jurisdiction};

/// The operations of care.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_questionnaires).service(get_questionnaire).service(list_care_rules);
    people::routes(config);
    clearances::routes(config);
    consents::routes(config);
    disclosures::routes(config);
    admin::routes(config);
}

/// What is asked, in one version.
#[derive(Serialize, ToSchema)]
#[schema(as = Questionnaire)]
pub struct QuestionnaireView {
    /// A stable name.
    #[schema(example = "health")]
    pub code: String,
    /// Counts from 1.
    #[schema(example = 1)]
    pub version: i32,
    /// What it is for.
    pub purpose: Purpose,
    /// What people read above it.
    #[schema(example = "Your health")]
    pub title: String,
    /// The questions, in the order in which they are put.
    pub questions: Vec<Question>,
}

impl From<Questionnaire> for QuestionnaireView {
    fn from(of: Questionnaire) -> Self {
        Self { code: of.code, version: of.version, purpose: of.purpose, title: of.title, questions: of.questions }
    }
}

/// A country and a region as a place: every place that it lies in, widest first. Nothing where nothing is said.
pub(super) fn places(country: Option<&Country>, region: Option<&Region>) -> Result<Vec<String>> {
    let Some(country) = country else {
        return match region {
            None => Ok(Vec::new()),
            Some(_) => Err(FieldError::new("/region", "needs a `country`.").into()),
        };
    };
    let code = region.map_or_else(
        || country.as_str().to_owned(),
        |region| {
            let own = region.as_str().to_ascii_uppercase();
            if own.contains('-') { own } else { format!("{}-{own}", country.as_str()) }
        },
    );
    let place: Option<Jurisdiction> =
        code.parse().ok().filter(|place: &Jurisdiction| place.country() == country.as_str());
    let place = place.ok_or_else(|| FieldError::new("/region", "is not a region of this country."))?;
    Ok(place.chain())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuestionnairesIn {
    /// The service that is to be booked; any, unless said.
    #[param(inline)]
    service_id: Option<ServiceId>,
    /// The country of the visit (ISO 3166-1 alpha-2).
    #[param(inline)]
    country: Option<Country>,
    /// The region's code within the country.
    #[param(inline)]
    region: Option<Region>,
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List questionnaires
///
/// What would be asked for a service at a place, in the versions that are in force.
#[utoipa::path(tag = "Care", operation_id = "list_questionnaires", security((), ("api_key" = ["slots:read"])), params(QuestionnairesIn),
    responses((status = 200, description = "The questionnaires.", body = Page<QuestionnaireView>)))]
#[get("/v1/questionnaires")]
async fn list_questionnaires(app: Data<App>, _caller: Caller, Query(query): Query<QuestionnairesIn>) -> Result<Reply> {
    let places = places(query.country.as_ref(), query.region.as_ref())?;
    let all = published::questionnaires(&*app.db, app.clock.now()).await?;
    let put = all.into_iter().filter(|(_, uses)| published::is_put(uses, &places, query.service_id));
    let views: Vec<QuestionnaireView> = put.map(|(questionnaire, _)| questionnaire.into()).collect();
    Ok(Reply::ok(&Page::part(views, &Part { limit: query.limit, cursor: query.cursor })?)?.public())
}

/// Show a questionnaire
///
/// One version, also of before: answers name the version that they answer.
#[utoipa::path(tag = "Care", operation_id = "get_questionnaire", security((), ("api_key" = ["slots:read"])),
    params(("code" = String, Path, description = "The questionnaire's code.", example = "health"),
           ("version" = i32, Path, description = "The version.", minimum = 1)),
    responses((status = 200, description = "The version.", body = QuestionnaireView)))]
#[get("/v1/questionnaires/{code}/versions/{version}")]
async fn get_questionnaire(
    app: Data<App>,
    _caller: Caller,
    Path((code, version)): Path<(String, i32)>,
) -> Result<Reply> {
    // No code of ours is longer, and none has what PostgreSQL does not keep.
    let code = Some(code).filter(|code| super::questions::is_code(code)).ok_or(Error::NotFound)?;
    let found = published::questionnaire(&*app.db, &code, version).await?.ok_or(Error::NotFound)?;
    Ok(Reply::ok(&QuestionnaireView::from(found))?.public())
}

/// A rule of care, in words.
#[derive(Serialize, ToSchema)]
struct CareRuleView {
    /// A stable name.
    #[schema(example = "anticoagulant")]
    code: String,
    /// The version of the rules that it is part of.
    #[schema(example = 1)]
    version: i32,
    /// What it says.
    #[schema(example = "Blood thinners: at most medium pressure, no stripping, friction or trigger points.")]
    words: String,
    /// What it rests on.
    #[schema(example = json!(["NCCIH, Massage Therapy: What You Need To Know"]))]
    sources: Vec<String>,
}

/// List rules of care
///
/// The rules that are in force, in words, with what they rest on. They come with the service as a start, and are no medical advice.
#[utoipa::path(tag = "Care", operation_id = "list_care_rules", security((), ("api_key" = ["slots:read"])), params(Part),
    responses((status = 200, description = "The rules, by code.", body = Page<CareRuleView>)))]
#[get("/v1/care-rules")]
async fn list_care_rules(app: Data<App>, _caller: Caller, Query(part): Query<Part>) -> Result<Reply> {
    let published = app.part::<RuleCache>()?.rules(&mut *app.db.acquire().await?, app.clock.now()).await?;
    let view = |rule: &super::rules::Rule| CareRuleView {
        code: rule.code.clone(),
        version: published.version,
        words: rule.words.clone(),
        sources: rule.sources.iter().filter_map(|name| published.set.sources.get(name)).cloned().collect(),
    };
    Ok(Reply::ok(&Page::part(published.rules.iter().map(view).collect(), &part)?)?.public())
}
