//! How a person is, in numbers: instruments that are free to use, with their scores computed here, and scores of others, which are licensed, as they are.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Activity, Instrument, Seen, store};
use crate::App;
use crate::auth::{As, Client, Parties};
use crate::bookings::lifecycle::Party;
use crate::care::{self, Recipient};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::http::{Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{BookingId, MeasureId, RecipientId};
use crate::values::{strict, tagged};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_measures).service(create_measure).service(get_progress);
}

/// The column of measures, to which they are sealed.
pub(super) const VALUE: &str = "measures.value";

/// Measures of one visit.
const MOST: i64 = 40;

/// Statements of the questionnaire by Roland and Morris (1983), each of which a person agrees to or not.
const ROLAND_MORRIS: usize = 24;

/// An activity and how well it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivityScore {
    /// The activity.
    activity: Activity,
    /// From 0 for not at all to 10 for as before.
    #[schema(minimum = 0, maximum = 10, example = 4)]
    score: u8,
}

/// A measure, by its instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "instrument", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({ "instrument": "nrs", "score": 4 }))]
enum MeasureValue {
    /// How much it hurts, on a numeric rating scale.
    Nrs {
        /// From 0 for not at all to 10 for as much as can be.
        #[schema(minimum = 0, maximum = 10, example = 4)]
        score: u8,
    },
    /// What a bad back keeps from, by Roland and Morris.
    RolandMorris {
        /// Which of the 24 statements the person agrees to today, in the order of the questionnaire.
        #[schema(min_items = 24, max_items = 24)]
        answers: Vec<bool>,
    },
    /// What a person has trouble with, on the patient-specific functional scale.
    Psfs {
        /// Three activities, the same each time.
        #[serde(deserialize_with = "strict")]
        #[schema(min_items = 3, max_items = 3)]
        activities: Vec<ActivityScore>,
    },
    /// The score of another instrument.
    Other {
        /// Which.
        name: Instrument,
        /// Its score.
        #[schema(minimum = 0, example = 22)]
        score: u16,
        /// The highest that there is.
        #[schema(minimum = 1, maximum = 1000, example = 100)]
        highest: u16,
    },
}

impl MeasureValue {
    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<FieldError> {
        let range = "lies between 0 and 10.";
        match self {
            Self::Nrs { score } => (*score > 10).then(|| FieldError::new("/value/score", range)),
            Self::RolandMorris { answers } => {
                (answers.len() != ROLAND_MORRIS).then(|| FieldError::new("/value/answers", "has 24 answers."))
            }
            Self::Psfs { activities } if activities.len() != 3 => {
                Some(FieldError::new("/value/activities", "has three activities."))
            }
            Self::Psfs { activities } => {
                let beyond = activities.iter().position(|one| one.score > 10);
                beyond.map(|i| FieldError::new(format!("/value/activities/{i}/score"), range))
            }
            Self::Other { name, .. }
                if ["nrs", "roland_morris", "psfs"].contains(&name.as_str().to_lowercase().as_str()) =>
            {
                Some(FieldError::new("/value/name", "is an instrument of its own: send its answers."))
            }
            Self::Other { score, highest, .. } => {
                let sound = (1..=1000).contains(highest) && score <= highest;
                (!sound)
                    .then(|| FieldError::new("/value/score", "lies between 0 and `highest`, which is at most 1,000."))
            }
        }
    }

    /// Its series: what is compared with what.
    fn series(&self) -> String {
        match self {
            Self::Nrs { .. } => "nrs".to_owned(),
            Self::RolandMorris { .. } => "roland_morris".to_owned(),
            Self::Psfs { .. } => "psfs".to_owned(),
            Self::Other { name, .. } => name.as_str().to_owned(),
        }
    }

    /// Its score, and the highest that there is.
    fn score(&self) -> (f64, f64) {
        match self {
            Self::Nrs { score } => (f64::from(*score), 10.0),
            Self::RolandMorris { answers } => {
                let agreed = u8::try_from(answers.iter().filter(|agreed| **agreed).count()).unwrap_or(u8::MAX);
                (f64::from(agreed), 24.0)
            }
            Self::Psfs { activities } => {
                let sum: f64 = activities.iter().map(|one| f64::from(one.score)).sum();
                (one_decimal(sum / 3.0), 10.0)
            }
            Self::Other { score, highest, .. } => (f64::from(*score), f64::from(*highest)),
        }
    }

    /// From which change on studies call it one that people notice: points, and percent of the first score. None where none is known.
    fn noticed(&self) -> Option<Noticed> {
        match self {
            Self::Nrs { .. } => Some(Noticed { points: 2.0, percent: 30 }),
            Self::RolandMorris { .. } => Some(Noticed { points: 5.0, percent: 30 }),
            Self::Psfs { .. } | Self::Other { .. } => None,
        }
    }
}

fn one_decimal(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// A measure that was taken.
#[derive(Serialize, ToSchema)]
struct Measure {
    /// The measure's id.
    id: MeasureId,
    /// The visit that it was taken at.
    booking_id: BookingId,
    /// What was measured.
    value: MeasureValue,
    /// The score that it comes to.
    #[schema(example = 4.0)]
    score: f64,
    /// The highest that there is.
    #[schema(example = 10.0)]
    highest: f64,
    /// Who took it.
    taken_by: Party,
    /// When.
    taken_at: DateTime<Utc>,
}

impl Measure {
    fn opened(stored: store::StoredMeasure, person: &Recipient) -> Result<Self> {
        let value: MeasureValue = person.cipher.open_value(VALUE, stored.id, &stored.value)?;
        let (score, highest) = value.score();
        let store::StoredMeasure { id, booking_id, taken_by, taken_at, .. } = stored;
        Ok(Self { id, booking_id, value, score, highest, taken_by, taken_at })
    }
}

/// List measures
///
/// What was measured at a visit, oldest first, for its therapist, and for the account that answers for the person.
#[utoipa::path(tag = "After the visit", operation_id = "list_measures", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."), Part),
    responses((status = 200, description = "The measures.", body = Page<Measure>)))]
#[get("/v1/bookings/{id}/measures")]
async fn list_measures(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let stored = store::measures_of_booking(&mut work, id, seen.person.id).await?;
        work.commit().await?;
        let measures = stored.into_iter().map(|one| Measure::opened(one, &seen.person)).collect::<Result<Vec<_>>>()?;
        Reply::ok(&Page::part(measures, &part)?)
    })
    .await
}

/// A measure to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMeasure {
    /// What was measured.
    #[serde(deserialize_with = "tagged")]
    value: MeasureValue,
}

/// Take a measure
///
/// Before, at or after a visit that is not called off: by its therapist until 72 hours after it, or by the account that answers for the person, at any time.
#[utoipa::path(tag = "After the visit", operation_id = "create_measure", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewMeasure, responses((status = 201, description = "The measure.", body = Measure)),
    extensions(("x-refusals" = json!(refused![SessionNotesClosed, InvalidTransition, TooManyMeasures]))))]
#[post("/v1/bookings/{id}/measures")]
async fn create_measure(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(NewMeasure { value }, print): Json<NewMeasure>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/bookings/{id}/measures", key, print.about(id)).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let now = work.now();
        if let Some(fault) = value.fault() {
            return Err(fault.into());
        }
        if !seen.took_place() && !seen.booking.status.is_live() {
            return Err(Refusal::InvalidTransition.into());
        }
        if seen.party == Party::Therapist && now >= seen.booking.end_at() + super::OPEN {
            return Err(Refusal::SessionNotesClosed.into());
        }
        if store::count_measures(&mut work, id).await? >= MOST {
            return Err(Refusal::TooManyMeasures.into());
        }
        let measure = MeasureId::new(now);
        let stored = store::StoredMeasure {
            id: measure,
            booking_id: id,
            value: seen.person.cipher.seal_value(VALUE, measure, &value)?,
            taken_by: seen.party,
            taken_at: now,
        };
        store::insert_measure(&mut work, seen.person.id, &stored).await?;
        work.announce(seen.event("treatment.measure", json!({}))).await?;
        let location = format!("/v1/bookings/{id}/measures");
        let reply = Reply::created(location, &Measure::opened(stored, &seen.person)?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// From which change on people notice one, as studies have it. It is no promise, and no verdict on anyone.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Noticed {
    /// In points.
    #[schema(example = 2.0)]
    points: f64,
    /// In percent of the first score.
    #[schema(example = 30)]
    percent: i32,
}

/// A score at a time.
#[derive(Debug, Serialize, ToSchema)]
struct ProgressPoint {
    /// When.
    taken_at: DateTime<Utc>,
    /// The visit.
    booking_id: BookingId,
    /// The score.
    #[schema(example = 6.0)]
    score: f64,
}

/// How one instrument's scores went.
#[derive(Debug, Serialize, ToSchema)]
struct Progress {
    /// The instrument: `nrs`, `roland_morris`, `psfs`, or the name of another one.
    #[schema(example = "nrs")]
    instrument: String,
    /// The highest score that there is.
    #[schema(example = 10.0)]
    highest: f64,
    /// The scores, oldest first.
    points: Vec<ProgressPoint>,
    /// The last score less the first.
    #[schema(example = -3.0)]
    change: f64,
    /// The same in percent of the first; null where that was 0.
    #[schema(example = -50)]
    change_percent: Option<i32>,
    /// From which change on people notice one; null where it is not known.
    noticed: Option<Noticed>,
}

#[expect(clippy::cast_possible_truncation, reason = "a score is at most 1,000")]
fn percent(change: f64, of: f64) -> Option<i32> {
    (of > 0.0).then(|| (change / of * 100.0).round() as i32)
}

fn progress(measures: &[Measure]) -> Vec<Progress> {
    let mut found: Vec<Progress> = Vec::new();
    for measure in measures {
        let point = ProgressPoint { taken_at: measure.taken_at, booking_id: measure.booking_id, score: measure.score };
        let series = measure.value.series();
        match found.iter_mut().find(|known| known.instrument == series && known.highest == measure.highest) {
            Some(known) => known.points.push(point),
            None => found.push(Progress {
                instrument: series,
                highest: measure.highest,
                points: vec![point],
                change: 0.0,
                change_percent: None,
                noticed: measure.value.noticed(),
            }),
        }
    }
    for series in &mut found {
        if let (Some(first), Some(last)) = (series.points.first(), series.points.last()) {
            series.change = one_decimal(last.score - first.score);
            series.change_percent = percent(last.score - first.score, first.score);
        }
    }
    found
}

/// Show progress
///
/// How the scores of a recipient went, instrument by instrument, in points and in percent, over the last 1,000 measures. What they mean is for people to say.
#[utoipa::path(tag = "After the visit", operation_id = "get_progress", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."), Part),
    responses((status = 200, description = "The series, in the order in which they began.", body = Page<Progress>)))]
#[get("/v1/me/recipients/{id}/progress")]
async fn get_progress(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    let mut work = app.begin(Some(me.account())).await?;
    if !care::is_recipient(&mut work, me.account(), id).await? {
        return Err(Error::NotFound);
    }
    let person = care::person(&app, &mut work, me.account(), Some(id)).await?.ok_or(Error::NotFound)?;
    if !care::is_accounts_own_today(&mut work, &person).await? {
        return Err(Error::NotFound);
    }
    let stored = store::measures_of_recipient(&mut work, id).await?;
    work.rollback().await?;
    let measures = stored.into_iter().map(|one| Measure::opened(one, &person)).collect::<Result<Vec<_>>>()?;
    Reply::ok(&Page::part(progress(&measures), &part)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_what_their_instruments_say() {
        let agreed = |count: usize| MeasureValue::RolandMorris { answers: (0..24).map(|n| n < count).collect() };
        assert_eq!(agreed(0).score(), (0.0, 24.0));
        assert_eq!(agreed(17).score(), (17.0, 24.0));
        let psfs: MeasureValue = serde_json::from_value(json!({ "instrument": "psfs", "activities": [
            { "activity": "Lifting", "score": 3 }, { "activity": "Sleeping", "score": 4 }, { "activity": "Sitting", "score": 4 }
        ] }))
        .expect("a measure");
        assert_eq!((psfs.score(), psfs.fault()), ((3.7, 10.0), None));
        for wrong in [
            json!({ "instrument": "nrs", "score": 11 }),
            json!({ "instrument": "roland_morris", "answers": [true] }),
            json!({ "instrument": "psfs", "activities": [] }),
            json!({ "instrument": "other", "name": "NDI", "score": 60, "highest": 50 }),
        ] {
            let value: MeasureValue = serde_json::from_value(wrong.clone()).expect("a form");
            assert!(value.fault().is_some(), "{wrong}");
        }
    }

    #[test]
    fn change_is_told_in_points_and_percent_and_never_of_nothing() {
        assert_eq!(percent(-3.0, 6.0), Some(-50));
        assert_eq!(percent(2.0, 0.0), None);
    }
}
