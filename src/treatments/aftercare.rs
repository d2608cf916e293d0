//! What follows at home: recommendations that suit the person, and how they were after the visit.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{AdverseReaction, Seen, TreatmentText, store};
use crate::App;
use crate::auth::{As, Client, Parties};
use crate::bookings;
use crate::bookings::lifecycle::Party;
use crate::care::body::{Product, RegionSet};
use crate::care::{self, Limits};
use crate::db::uninterrupted;
use crate::error::{Refusal, Result, refused};
use crate::http::{Json, Path, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::BookingId;
use crate::values::Pressure;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_aftercare).service(create_aftercare_feedback);
}

/// The column of what people say after a visit, to which it is sealed.
pub(super) const CONTENT: &str = "aftercare_feedback.content";

/// What is said of one visit at the most.
const MOST: i32 = 10;

/// Something that may do good at home, and what it asks of the body.
struct Item {
    code: &'static str,
    words: &'static str,
    /// What it brings.
    product: Option<Product>,
    /// How firm it is.
    pressure: Option<Pressure>,
    /// Where, as a region or a group of them.
    regions: &'static str,
}

/// Rest and water are what people are told everywhere, and harm nobody. Of the others each is held against the person's own limits.
const ITEMS: &[Item] = &[
    Item { code: "rest", words: "Take it easy for the rest of the day.", product: None, pressure: None, regions: "" },
    Item { code: "water", words: "Drink when you are thirsty.", product: None, pressure: None, regions: "" },
    Item {
        code: "gentle_movement",
        words: "Move gently: a walk does good.",
        product: None,
        pressure: None,
        regions: "",
    },
    Item {
        code: "warmth",
        words: "A warm pack on tight muscles, for 20 minutes at the most.",
        product: Some(Product::Heat),
        pressure: None,
        regions: "",
    },
    Item {
        code: "neck_stretch",
        words: "Stretch your neck to each side, slowly and without force.",
        product: None,
        pressure: None,
        regions: "neck",
    },
    Item {
        code: "foam_rolling",
        words: "Roll tight thighs and calves on a foam roller, for a minute each.",
        product: None,
        pressure: Some(Pressure::Firm),
        regions: "legs",
    },
];

impl Item {
    fn suits(&self, limits: &Limits) -> bool {
        let regions = RegionSet::named(self.regions).unwrap_or_default();
        self.product.is_none_or(|product| !limits.products.contains(&product))
            && self.pressure.is_none_or(|firm| limits.pressure.is_none_or(|most| firm <= most))
            && !limits.regions.meets(regions)
    }
}

/// Something that may do good at home.
#[derive(Serialize, ToSchema)]
struct AftercareItem {
    /// A stable name.
    #[schema(example = "rest")]
    code: &'static str,
    /// What to do.
    #[schema(example = "Take it easy for the rest of the day.")]
    text: &'static str,
}

/// What a person says after a visit.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAftercareFeedback)]
struct Said {
    /// How they are.
    feeling: Feeling,
    /// In their words.
    text: Option<TreatmentText>,
    /// What went badly. Staff are told that something did.
    adverse_reaction: Option<AdverseReaction>,
}

/// How a person is after a visit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Feeling {
    /// Better than before.
    Better,
    /// As before.
    Same,
    /// Worse than before.
    Worse,
}

/// What a person said after a visit.
#[derive(Serialize, ToSchema)]
struct AftercareFeedback {
    #[serde(flatten)]
    said: Said,
    /// When it was said.
    given_at: DateTime<Utc>,
}

/// What follows at home, and what was said of it.
#[derive(Serialize, ToSchema)]
struct Aftercare {
    /// What may do good, of what suits the person; for the therapist until 72 hours after the visit, and empty from then on.
    items: Vec<AftercareItem>,
    /// What was said after the visit, oldest first.
    feedback: Vec<AftercareFeedback>,
}

fn row(booking: BookingId, number: i32) -> String {
    format!("{booking}/{number}")
}

/// Show the aftercare
///
/// What may do good at home after the visit, of what suits the person by the same rules as the visit itself, and what was said after it. For its therapist, and for
/// the account that answers for the person. It is no medical advice.
#[utoipa::path(tag = "After the visit", operation_id = "get_aftercare", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The aftercare.", body = Aftercare)))]
#[get("/v1/bookings/{id}/aftercare")]
async fn get_aftercare(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let now = work.now();
        // What suits is decided by what is answered now, and that is a therapist's to know for as long as the sheet is.
        let is_shown = seen.party == Party::Client || bookings::care::shows_sheet(&seen.booking, now);
        let limits = bookings::care::limits(&app, &mut work, &seen.booking).await?.unwrap_or_default();
        if is_shown && seen.party == Party::Therapist {
            care::record_look(&mut work, &seen.person, id, me.account()).await?;
            work.announce(seen.event("treatment.read_aftercare", json!({}))).await?;
        }
        let stored = store::feedback(&mut work, id, seen.person.id).await?;
        work.commit().await?;
        let suiting = ITEMS.iter().filter(|item| is_shown && item.suits(&limits));
        let opened = |one: store::StoredFeedback| {
            let said = seen.person.cipher.open_value(CONTENT, row(id, one.number), &one.content)?;
            Ok(AftercareFeedback { said, given_at: one.given_at })
        };
        Reply::ok(&Aftercare {
            items: suiting.map(|item| AftercareItem { code: item.code, text: item.words }).collect(),
            feedback: stored.into_iter().map(opened).collect::<Result<_>>()?,
        })
    })
    .await
}

/// Say how it was
///
/// How the person is after the visit, at any time after it began. Where something went badly, staff are told that it did, and not what; the therapist reads it.
#[utoipa::path(tag = "After the visit", operation_id = "create_aftercare_feedback", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Said, responses((status = 201, description = "What was said.", body = AftercareFeedback)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooManyFeedbacks]))))]
#[post("/v1/bookings/{id}/aftercare/feedback")]
async fn create_aftercare_feedback(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(said, print): Json<Said>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/bookings/{id}/aftercare/feedback", key, print.about(id)).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let now = work.now();
        if !seen.took_place() {
            return Err(Refusal::InvalidTransition.into());
        }
        let number = store::last_feedback(&mut work, id).await? + 1;
        if number > MOST {
            return Err(Refusal::TooManyFeedbacks.into());
        }
        let content = seen.person.cipher.seal_value(CONTENT, row(id, number), &said)?;
        let stored = store::StoredFeedback { number, content, given_at: now };
        store::insert_feedback(&mut work, id, seen.person.id, &stored).await?;
        work.announce(seen.event("treatment.feedback", json!({}))).await?;
        if said.adverse_reaction.is_some() {
            seen.raise(&app, &mut work, &me.principal, true).await?;
        }
        let location = format!("/v1/bookings/{id}/aftercare");
        let reply = Reply::created(location, &AftercareFeedback { said, given_at: now })?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_names_regions_that_there_are_and_none_speaks_of_toxins() {
        for item in ITEMS {
            assert!(item.regions.is_empty() || RegionSet::named(item.regions).is_some(), "{}", item.code);
            assert!(!item.words.to_lowercase().contains("toxin"), "{}", item.code);
        }
    }

    #[test]
    fn what_a_person_avoids_is_not_recommended() {
        let of =
            |limits: &Limits| ITEMS.iter().filter(|item| item.suits(limits)).map(|item| item.code).collect::<Vec<_>>();
        assert_eq!(of(&Limits::default()).len(), ITEMS.len());
        let light = Limits { pressure: Some(Pressure::Light), ..Limits::default() };
        assert!(!of(&light).contains(&"foam_rolling"));
        let cool = Limits { products: [Product::Heat].into(), ..Limits::default() };
        assert!(!of(&cool).contains(&"warmth"));
        let calf = Limits { regions: RegionSet::named("left_calf").expect("a region"), ..Limits::default() };
        assert_eq!(of(&calf), ["rest", "water", "gentle_movement", "warmth", "neck_stretch"]);
    }
}
