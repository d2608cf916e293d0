//! A visit that is to be moved: the times that it could take instead, while its own counts as free, and what each costs by the versions that it was
//! booked under.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{GivenPlace, Setting};
use crate::App;
use crate::accounts::Address;
use crate::auth::Principal;
use crate::availability::{Engine, Start, Visit};
use crate::care::{CareQuery, VisitCare};
use crate::error::{Error, FieldError, Result};
use crate::ids::{AccountId, BookingId, RecipientId, ServiceId, TherapistId};
use crate::prices::policy::Agreed;
use crate::prices::{About, Policy, PriceBreakdown, unsold};
use crate::values::{Grant, Money, Place, Pressure, Role, Span, Zone};

/// A visit that is to be moved.
pub(super) struct Moving {
    pub id: BookingId,
    pub client: AccountId,
    pub therapist: TherapistId,
    pub service: ServiceId,
    pub minutes: i16,
    pub start_at: DateTime<Utc>,
    pub place: Place,
    address: Address,
    breakdown: PriceBreakdown,
    pub policy: Policy,
    created_at: DateTime<Utc>,
    least_fee: i64,
    recipient: Option<RecipientId>,
    pressure: Option<Pressure>,
    /// Whether its client asks, for whom what does not suit the recipient is left out. Nobody else learns by it.
    by_client: bool,
    /// Whether its therapist asks: what they set for others does not bind them.
    own: bool,
}

/// What a request says of the visit besides: it must be what is booked.
pub(super) struct Said<'a> {
    pub therapist: Option<TherapistId>,
    pub service: ServiceId,
    pub minutes: i16,
    pub given: &'a GivenPlace,
}

impl Moving {
    /// The visit that the caller, one of its parties or staff, would move.
    ///
    /// # Errors
    /// Points to `moving` where there is no such visit of theirs, or it is not to be moved any more; to what is said otherwise than it is booked.
    pub async fn find(
        db: &mut PgConnection,
        id: BookingId,
        caller: Option<Principal>,
        said: Said<'_>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let caller = caller.ok_or(Error::Unauthorized)?;
        let row = sqlx::query!(
            r#"SELECT client_id AS "client: AccountId", therapist_id AS "therapist: TherapistId", service_id AS "service: ServiceId", duration_minutes,
                      start_at, time_zone AS "time_zone: Zone", address AS "address: Json<Address>",
                      price_breakdown AS "breakdown: Json<PriceBreakdown>", policy AS "policy: Json<Policy>", created_at, least_fee,
                      recipient_id AS "recipient: RecipientId", pressure AS "pressure: Pressure",
                      (status = 'confirmed' OR (status = 'requested' AND respond_by > $2)) AND start_at > $2 AS "movable!"
               FROM bookings WHERE id = $1"#,
            id.0,
            now
        )
        .fetch_optional(db)
        .await?;
        let is_theirs = |client: AccountId, therapist: TherapistId| match caller.role {
            Role::Admin => caller.may_any(&[Grant::Support]),
            Role::Client => client == caller.account,
            Role::Therapist => therapist == caller.account.into(),
        };
        let row = row.filter(|row| is_theirs(row.client, row.therapist));
        let row = row.ok_or_else(|| FieldError::new("/moving", "is not one of your bookings."))?;
        if !row.movable {
            return Err(FieldError::new("/moving", "is not to be moved any more.").into());
        }
        let Said { therapist, service, minutes, given } = said;
        let given_place = given.address_id.is_some() || given.latitude.is_some() || given.longitude.is_some();
        let wrong = [
            (therapist.is_some_and(|id| id != row.therapist), "/therapist_id", "is not with whom it is booked."),
            (service != row.service, "/service_id", "is not what is booked."),
            (minutes != row.duration_minutes, "/duration_minutes", "is not for how long it is booked."),
            (given_place || given.country.is_some() || given.region.is_some(), "/moving", "stands instead of a place."),
        ];
        let wrong: Vec<FieldError> = wrong
            .iter()
            .filter(|(is_wrong, ..)| *is_wrong)
            .map(|(_, pointer, detail)| FieldError::new(*pointer, *detail))
            .collect();
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let Json(address) = row.address;
        Ok(Self {
            id,
            client: row.client,
            therapist: row.therapist,
            service,
            minutes,
            start_at: row.start_at,
            place: Place { point: address.point(), zone: row.time_zone, jurisdiction: address.jurisdiction.clone() },
            address,
            breakdown: row.breakdown.0,
            policy: row.policy.0,
            created_at: row.created_at,
            least_fee: row.least_fee,
            recipient: row.recipient,
            pressure: row.pressure,
            by_client: caller.role == Role::Client,
            own: caller.role == Role::Therapist,
        })
    }

    /// What holds for it at other starts: what is required now, and what it cost when it was booked.
    pub async fn setting(&self, db: &mut PgConnection, span: Span) -> Result<Setting> {
        let kind = Some(self.address.kind);
        let priced_at = self.breakdown.priced_at;
        let setting = Setting::at(db, self.place.clone(), kind, self.service, self.minutes, span, priced_at).await?;
        setting.ok_or_else(|| unsold().into())
    }

    /// What decides whether another start suits the person whom it is for, where its client asks.
    pub async fn care(&self, app: &App, db: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<VisitCare>> {
        if !self.by_client {
            return Ok(None);
        }
        let query = CareQuery {
            account: self.client,
            recipient: self.recipient,
            service: self.service,
            minutes: self.minutes,
            pressure: self.pressure,
            place: &self.address.jurisdiction,
            visit: Some((self.id, self.therapist)),
        };
        VisitCare::read(app, db, query, now).await
    }

    /// What the engine asks of another start.
    pub fn visit<'a>(&self, setting: &'a Setting) -> Visit<'a> {
        Visit { except: Some(self.id), ..setting.visit() }
    }

    /// What its price hangs on: a new start is asked for now.
    pub fn about(&self, start: DateTime<Utc>, now: DateTime<Utc>) -> About {
        let asked_at = if start == self.start_at { self.breakdown.asked_at } else { now };
        About {
            zone: self.place.zone,
            asked_at,
            kind: Some(self.address.kind),
            distance_km: self.breakdown.distance_km,
        }
    }

    /// What it costs at `start`, by the versions that it was booked under.
    pub fn breakdown(&self, setting: &Setting, start: DateTime<Utc>, now: DateTime<Utc>) -> PriceBreakdown {
        if start == self.start_at {
            self.breakdown.clone()
        } else {
            setting.tariff.breakdown(&self.about(start, now), start)
        }
    }

    /// The visit as it would be agreed then.
    pub fn agreed(&self, price: Money, start_at: DateTime<Utc>) -> Agreed {
        Agreed { price, booked_at: self.created_at, start_at, least_fee: self.least_fee }
    }

    /// Whether a rule that refuses a start refuses this move, too.
    pub fn is_bound(&self, rule: crate::availability::Rule) -> bool {
        !(self.own && rule.is_for_others())
    }

    /// The starts that it could be moved to within `span`, its own left out.
    pub fn starts(&self, engine: &Engine<'_>, span: Span) -> Vec<Start> {
        let mut starts = engine.starts(span);
        if self.own {
            let waived =
                engine.refused(span).into_iter().filter(|(_, rules)| rules.iter().all(|rule| !self.is_bound(*rule)));
            starts.extend(waived.map(|(at, _)| Start { at, travel: engine.travel(at) }));
            starts.sort_by_key(|start| start.at);
        }
        starts.retain(|start| start.at != self.start_at && start.at > span.start);
        starts
    }
}
