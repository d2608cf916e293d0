//! A visit that is wanted: what its fields refer to, and whether it may take place.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::Booking;
use super::holds::{self, Hold};
use super::opening::{Opened, Seen, enter};
use super::store;
use crate::App;
use crate::accounts::Address;
use crate::availability::travel::Roads;
use crate::availability::{self, Diary, Engine, Enquiry, Purpose, Rule, Visit};
use crate::bookings::bounds::Bounds;
use crate::care::{CareMode, CareQuery, VisitCare};
use crate::credentials::{Reliance, Required, required_for};
use crate::db::Tx;
use crate::error::{Error, FieldError, Refusal, Result};
use crate::events::{TimeLock, Work};
use crate::idempotency::Once;
use crate::ids::{AccountId, AddressId, BookingId, RecipientId, ServiceId, TherapistId};
use crate::prices::{self, Terms};
use crate::search::SearchCache;
use crate::values::{BookingMode, Instant, Place, Pressure, Span, wall_clock};

/// A slot, as a client names it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub therapist_id: TherapistId,
    pub service_id: ServiceId,
    /// Minutes on the table.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    pub duration_minutes: i16,
    pub start_at: Instant,
    /// One of the caller's addresses.
    pub address_id: AddressId,
    /// For whom, if not for the caller.
    pub recipient_id: Option<RecipientId>,
}

/// A visit that is wanted, with what its fields refer to.
pub(super) struct Wish {
    pub client: AccountId,
    pub therapist: TherapistId,
    pub service: ServiceId,
    pub minutes: i16,
    pub start: DateTime<Utc>,
    pub address: Address,
    /// What it is booked under.
    pub terms: Terms,
    /// For whom it is; none for the client, as far as nothing is known of them.
    pub recipient: Option<RecipientId>,
    /// The pressure that is wished for.
    pub pressure: Option<Pressure>,
    required: Required,
    /// Whether it suits the person, once that has been looked into.
    care: Look,
    /// The revision of what holds for all that this rests on, where it comes from what the process keeps.
    rulebook: Option<i64>,
    /// The revision of the therapist's diary, its reserved time aside, where it was seen in this transaction before anything was changed.
    steady: Option<i64>,
    /// When the client first asked, if not now: notice and horizon are counted from then.
    pub asked_at: Option<DateTime<Utc>>,
    /// A booking whose own time counts as free, and what is proposed for it.
    except: Option<BookingId>,
    /// Whether its client asks, who may be told why it does not suit them.
    by_client: bool,
    /// Whether it is the therapist's own doing, or what has been asked and stands: what they set for new visits from outside is not against it.
    own: bool,
}

/// A look into what is known of the person whom a visit is for.
#[derive(Clone)]
enum Look {
    /// It is still to be taken.
    Due,
    /// What came of it; none where nothing can speak against the visit.
    Taken(Option<Arc<VisitCare>>),
}

/// What a visit that may take place takes up and relies on.
pub(super) struct Decided {
    /// From set-up to pack-up.
    pub during: Span,
    /// The credentials.
    pub relied_on: Vec<Reliance>,
    /// Whether it needs the therapist's yes.
    pub mode: BookingMode,
    /// What has decided that it suits the person whom it is for, and the dates on which it lies; none where nothing was weighed.
    pub care: Option<(Arc<VisitCare>, (NaiveDate, NaiveDate))>,
}

impl Decided {
    /// Writes down what `booking` relies on from now on, and why it suits the person whom it is for.
    pub async fn record(&self, work: &mut Work, booking: BookingId) -> Result<()> {
        store::rely_on(work, booking, &self.relied_on).await?;
        self.record_care(work, booking).await
    }

    /// Writes down why `booking` suits the person whom it is for.
    pub async fn record_care(&self, work: &mut Work, booking: BookingId) -> Result<()> {
        match &self.care {
            Some((care, dates)) => care.record(work, booking, *dates).await,
            None => Ok(()),
        }
    }
}

impl Wish {
    /// What `client` wants and was `found` for it, on the terms of today.
    pub async fn new(
        work: &mut Work,
        app: &App,
        wanted: &Wanted,
        pressure: Option<Pressure>,
        client: AccountId,
        found: Opened,
    ) -> Result<Self> {
        let now = work.now();
        let unknown = |field: &str, detail: &str| Error::from(FieldError::new(format!("/{field}"), detail));
        let address = found.address.ok_or_else(|| unknown("address_id", "is not one of your addresses."))?;
        found.service.ok_or_else(|| unknown("service_id", "is not in the catalogue."))?;
        let (_, area) = found.therapist.ok_or_else(|| unknown("therapist_id", "is not a therapist."))?;
        if wanted.recipient_id.is_some() && found.recipient.is_none() {
            return Err(unknown("recipient_id", "is not one of your recipients."));
        }
        let Instant(start) = wanted.start_at;
        let (point, visit) = (address.point(), (wanted.service_id, wanted.duration_minutes));
        let place = Place { point, zone: address.time_zone, jurisdiction: address.jurisdiction.clone() };
        let span = Span::of_minutes(start, wanted.duration_minutes.into());
        let setting = app.part::<SearchCache>()?;
        let setting = setting.setting_by(work, found.rulebook, place, Some(address.kind), visit, span, now).await?;
        let setting = setting.ok_or(Refusal::ServiceNotOffered)?;
        let about = setting.about(area.map(|area| prices::kilometres(area, point)), now);
        Ok(Self {
            client,
            therapist: wanted.therapist_id,
            service: wanted.service_id,
            minutes: wanted.duration_minutes,
            start,
            terms: Terms { breakdown: setting.tariff.breakdown(&about, start), policy: setting.tariff.policy },
            address,
            recipient: found.recipient,
            pressure,
            // Of whom nothing is known, nothing has to be asked, unless the place wants answers first, or rules their age.
            care: match (found.recipient, setting.care) {
                (_, CareMode::Off) => Look::Taken(None),
                (None, CareMode::Asked | CareMode::BeforeStart) if !setting.asks_for_age => Look::Taken(None),
                _ => Look::Due,
            },
            required: setting.required,
            rulebook: Some(found.rulebook),
            steady: found.steady,
            asked_at: None,
            except: None,
            by_client: false,
            own: false,
        })
    }

    /// What a hold reserved, on the terms on which it did.
    pub async fn held(tx: &mut Tx, hold: Hold, pressure: Option<Pressure>, client: AccountId) -> Result<Self> {
        Ok(Self {
            client,
            recipient: hold.recipient,
            pressure,
            care: Look::Due,
            required: required(tx, hold.service, &hold.address).await?.ok_or(Error::NotFound)?,
            therapist: hold.therapist,
            service: hold.service,
            minutes: hold.duration_minutes,
            start: hold.start_at,
            terms: hold.terms,
            address: hold.address,
            rulebook: None,
            steady: None,
            asked_at: Some(hold.created_at),
            except: None,
            by_client: false,
            own: false,
        })
    }

    /// What `booking` requested, to be asked again.
    pub async fn requested(tx: &mut Tx, booking: &Booking) -> Result<Self> {
        Ok(Self {
            required: required(tx, booking.service, &booking.address).await?.ok_or(Error::NotFound)?,
            client: booking.client,
            recipient: booking.recipient,
            pressure: booking.pressure,
            care: Look::Due,
            therapist: booking.therapist,
            service: booking.service,
            minutes: booking.duration_minutes,
            start: booking.start_at,
            terms: Terms { breakdown: booking.breakdown.clone(), policy: booking.policy.clone() },
            address: booking.address.clone(),
            rulebook: None,
            steady: None,
            asked_at: Some(booking.asked_at.unwrap_or(booking.created_at)),
            except: Some(booking.id),
            by_client: false,
            own: false,
        })
    }

    /// The same, as the therapist's own doing or what has been asked and stands, or not.
    pub fn of_its_own(self, own: bool) -> Self {
        Self { own, ..self }
    }

    /// Locks the therapist's time and decides; under the client's lock. A look before it turns away whoever is plainly too late, or has too
    /// much ahead.
    pub async fn reserve(&mut self, work: &mut Work, app: &App, once: &Once) -> Result<(TimeLock, Decided)> {
        // Before the lock, because nobody else is to wait for it.
        self.look_into_care(work, app).await?;
        let table = Span::of_minutes(self.start, self.minutes.into());
        let Seen { lock, taken, answered, holds, ahead } =
            enter(work, once, self.client, self.therapist, table).await?;
        if answered {
            // The next attempt gets the answer.
            return Err(Refusal::IdempotencyKeyInFlight.into());
        }
        let bounds = app.part::<Bounds>()?;
        if taken {
            return Err(Refusal::SlotUnavailable.into());
        }
        bounds.admit(ahead, false)?;
        let lock = lock.ok_or(Refusal::SlotUnavailable)?;
        let decided = self.decide(work, app).await?;
        bounds.admit(ahead, decided.mode == BookingMode::Request)?;
        if holds {
            holds::give_way(work, &lock, self.client, decided.during).await?;
        }
        Ok((lock, decided))
    }

    /// Reads what is known of the person whom it is for, where that was not done yet.
    pub async fn look_into_care(&mut self, work: &mut Work, app: &App) -> Result<()> {
        if let Look::Due = self.care {
            let query = CareQuery {
                account: self.client,
                recipient: self.recipient,
                service: self.service,
                minutes: self.minutes,
                pressure: self.pressure,
                place: &self.address.jurisdiction,
                // What is agreed on and signed for a visit that is booked decides on another time of it as well.
                visit: self.except.map(|visit| (visit, self.therapist)),
            };
            let now = work.now();
            self.care = Look::Taken(VisitCare::read(app, work, query, now).await?.map(Arc::new));
        }
        self.by_client = work.by() == Some(self.client);
        Ok(())
    }

    fn care(&self) -> Option<&Arc<VisitCare>> {
        match &self.care {
            Look::Taken(care) => care.as_ref(),
            Look::Due => None,
        }
    }

    /// Asks the engine, under the therapist's lock.
    pub async fn decide(&mut self, work: &mut Work, app: &App) -> Result<Decided> {
        self.look_into_care(work, app).await?;
        let (now, span) = (work.now(), Span::of_minutes(self.start, 1));
        let (cache, roads) = (app.part::<SearchCache>()?, app.part::<Roads>()?);
        let read = cache.latest(work, self.therapist, self.steady, self.enquiry(), span, now).await?;
        let (diary, revision) = read.ok_or(Error::NotFound)?;
        if self.rulebook.is_some_and(|rulebook| rulebook != revision.rulebook) {
            self.required = required(work, self.service, &self.address).await?.ok_or(Error::NotFound)?;
        }
        let mut diaries = [diary];
        roads.fill(&mut ***work, &mut diaries, self.address.point(), span, now).await?;
        self.judge(&diaries[0], now)
    }

    fn enquiry(&self) -> Enquiry {
        Enquiry { visit: Some((self.service, self.minutes)), client: Some(self.client) }
    }

    /// What bears on the visit in the diaries of `therapists`.
    pub async fn diaries(
        &self,
        db: &mut PgConnection,
        roads: &Roads,
        therapists: &[TherapistId],
        now: DateTime<Utc>,
    ) -> Result<Vec<Diary>> {
        let span = Span::of_minutes(self.start, 1);
        let mut diaries = availability::diaries(&mut *db, therapists, self.enquiry(), span, now).await?;
        roads.fill(db, &mut diaries, self.address.point(), span, now).await?;
        Ok(diaries)
    }

    /// Whether its client could book the visit now as it was, by estimated travel; under the therapist's lock.
    pub async fn fits_anew(mut self, work: &mut Work) -> Result<bool> {
        let (now, span) = (work.now(), Span::of_minutes(self.start, 1));
        self.asked_at = None;
        let read = availability::diaries(&mut ***work, &[self.therapist], self.enquiry(), span, now).await?;
        Ok(read.first().is_some_and(|diary| self.judge(diary, now).is_ok()))
    }

    /// Whether the visit may take place with the therapist of `diary`.
    pub fn judge(&self, diary: &Diary, now: DateTime<Utc>) -> Result<Decided> {
        // However early the client asked.
        if self.start <= now {
            return Err(Refusal::NoticeTooShort.into());
        }
        let visit = self.visit();
        let span = Span::of_minutes(self.start, 1);
        let engine = Engine::new(diary, &visit, span, self.asked_at.unwrap_or(now));
        let waived = |rule: &Rule| self.own && rule.is_for_others();
        if let Some(rule) = engine.refusals(self.start).find(|rule| !waived(rule)) {
            return Err(self.refused(rule));
        }
        let during =
            Span::of_minutes(self.start, visit.minutes).widened(diary.rules.setup_minutes, diary.rules.packup_minutes);
        self.decided(&engine, during, diary.mode)
    }

    /// Whether the visit, which has begun, may last as long as is wished; under the therapist's lock.
    pub async fn prolong(&mut self, work: &mut Work, app: &App) -> Result<Decided> {
        self.look_into_care(work, app).await?;
        let (now, roads) = (work.now(), app.part::<Roads>()?);
        let diary = self.diaries(work, roads, &[self.therapist], now).await?.pop().ok_or(Error::NotFound)?;
        let own = self.except.map(Purpose::Visit);
        let own = diary.reservations.iter().find(|reservation| Some(reservation.purpose) == own);
        let own = own.ok_or(Refusal::InvalidTransition)?.during;
        let visit = self.visit();
        let engine = Engine::new(&diary, &visit, Span::of_minutes(self.start, 1), now);
        engine.may_last(self.start, own.end).map_err(|rule| self.refused(rule))?;
        let end = Span::of_minutes(self.start, visit.minutes).widened(0, diary.rules.packup_minutes).end;
        self.decided(&engine, Span { end: own.end.max(end), ..own }, diary.mode)
    }

    fn visit(&self) -> Visit<'_> {
        Visit {
            place: self.address.point(),
            zone: self.address.time_zone,
            minutes: self.minutes.into(),
            required: &self.required,
            except: self.except,
            care: self.care().map(Arc::as_ref),
        }
    }

    /// What a rule refuses with. Why it does not suit the person is told to the client alone.
    fn refused(&self, rule: Rule) -> Error {
        match (rule, self.care()) {
            (Rule::Care, Some(care)) => {
                let (first, last) = self.dates();
                care.error(first, last, self.by_client)
            }
            _ => Refusal::from(rule).into(),
        }
    }

    /// The dates on which it lies, at its place.
    fn dates(&self) -> (NaiveDate, NaiveDate) {
        wall_clock::dates_of(self.address.time_zone, Span::of_minutes(self.start, self.minutes.into()))
    }

    fn decided(&self, engine: &Engine<'_>, during: Span, mode: BookingMode) -> Result<Decided> {
        let relied_on = engine.relied_on(self.start).ok_or(Refusal::CredentialNotValid)?;
        let care = self.care().map(|care| (care.clone(), self.dates()));
        Ok(Decided { during, relied_on: relied_on.into_iter().map(Reliance::from).collect(), mode, care })
    }
}

/// What the place of a visit requires for the service; none where there is no such service.
async fn required(tx: &mut Tx, service: ServiceId, address: &Address) -> Result<Option<Required>> {
    required_for(&mut **tx, &address.jurisdiction, address.point(), service).await
}
