//! What each party sees of a booking: a type for each, so that nothing can leak by a forgotten condition.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;
use utoipa::ToSchema;

use super::around::{Around, Surroundings};
use super::lifecycle::{Action, Party, Status};
use super::missed::NoShowReport;
use super::reschedule::Change;
use super::store::Event;
use super::{Booking, KeptReason};
use crate::accounts::{self, Address, AddressView, Remarks};
use crate::catalogue;
use crate::cipher::Cipher;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::events::Work;
use crate::http::{IfMatch, Reply};
use crate::ids::{AccountId, BookingId, RecipientId, ServiceId, TherapistId};
use crate::prices::policy::BookingPolicy;
use crate::prices::{CancellationTerms, PriceBreakdown};
use crate::values::{AddressKind, Gender, Money, Pressure, Rating, Zone};

/// What both parties and staff see.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Common {
    /// The booking's id.
    id: BookingId,
    /// Where it stands.
    status: Status,
    /// What is booked.
    service: ServiceRef,
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
    /// Minutes on the table.
    #[schema(example = 90)]
    duration_minutes: i16,
    /// The zone at the place.
    time_zone: Zone,
    /// What it costs, as it was agreed.
    price: Money,
    /// What the client pays as things stand: the price, or the fee where the visit ended short, or less where staff have lowered it. Null while a
    /// report that nobody came is not settled.
    charge: Option<Money>,
    /// How the price comes about.
    price_breakdown: PriceBreakdown,
    /// What calling it off costs.
    cancellation_policy: BookingPolicy,
    /// The last instant at which its client calls it off free of charge; null where that never is, and where it is under way or has ended.
    free_until: Option<DateTime<Utc>>,
    /// The policy in one sentence, by the clock of the place.
    #[schema(
        example = "Calling off is free until 1 December 2026, 14:00, then costs 100 % of the price; it costs 100 % once the therapist is on the way, and where you are not there."
    )]
    cancellation_terms: String,
    /// By when the therapist answers a request.
    respond_by: Option<DateTime<Utc>>,
    /// How it ended short, if it was called off, missed or broken off.
    cancellation: Option<Cancellation>,
    /// What became of the client's report that nobody came, where there is one: until it is settled, `cancellation` is null.
    no_show_report: Option<NoShowReport>,
    /// A longer visit that its therapist asks for, where the client has not answered.
    extension: Option<OpenExtension>,
    /// Since when its therapist, who cannot come, wants somebody else to take it over; until somebody does, its client may call it off free of charge
    /// or move it.
    handed_over_at: Option<DateTime<Utc>>,
    /// When the time on the table is expected to begin, where its therapist has told of a delay or is on the way; null before, and once they have arrived.
    expected_at: Option<DateTime<Utc>>,
    /// When it was booked.
    created_at: DateTime<Utc>,
}

/// A longer visit that its therapist asks for.
#[derive(Debug, Serialize, ToSchema)]
struct OpenExtension {
    /// Minutes on the table in all.
    #[schema(example = 90)]
    duration_minutes: i16,
    /// What the visit costs then.
    price: Money,
    /// Until when the client may agree.
    expires_at: DateTime<Utc>,
}

/// A service by its id and name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ServiceRef {
    id: ServiceId,
    #[schema(example = "Deep tissue massage")]
    name: String,
}

/// A person by their id and name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PersonRef {
    id: AccountId,
    #[schema(example = "Sam Okafor")]
    display_name: String,
}

/// A client by their id and name, with what therapists make of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ClientRef {
    #[serde(flatten)]
    person: PersonRef,
    /// How therapists rate the client.
    rating: Rating,
}

/// How a visit ended short: called off, missed or broken off.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cancellation {
    /// Who called it off, reported that the other was not there, or broke it off.
    by: Party,
    /// When.
    at: DateTime<Utc>,
    /// What the client pays for it.
    fee: Money,
    /// What the client gets back.
    refund: Money,
    /// Why, in the words of whoever did.
    reason: Option<String>,
}

/// A booking as its client sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientBooking {
    /// Which of the views of a booking this is.
    seen_as: Viewer,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    around: Around,
    therapist: PersonRef,
    /// For whom it is; null where the client had entered nobody, not even themself.
    recipient_id: Option<RecipientId>,
    /// The address as it was when the visit was booked.
    address: AddressView,
    notes: Option<String>,
    focus_areas: Vec<String>,
    pressure: Option<Pressure>,
    /// Of which gender the therapist is to be, whoever it is in the end.
    therapist_gender: Option<Gender>,
}

/// A place without its door.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suburb {
    #[schema(example = "Surry Hills")]
    locality: String,
    #[schema(example = "NSW")]
    region: String,
    #[schema(example = "2010")]
    postcode: String,
    #[schema(example = "AU")]
    country: String,
}

/// A booking as its therapist sees it, without what is for confirmed visits alone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TherapistBooking {
    /// Which of the views of a booking this is.
    seen_as: Viewer,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    around: Around,
    client: ClientRef,
    suburb: Suburb,
    /// What the therapist earns of the fee, where the visit was called off.
    therapist_share: Option<Money>,
    focus_areas: Vec<String>,
    pressure: Option<Pressure>,
}

/// The way to the door, as it was when the visit was booked; what the client calls the place is the client's own.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Door {
    kind: AddressKind,
    #[schema(example = "12 Crown Street")]
    line1: String,
    line2: Option<String>,
    #[schema(example = "Surry Hills")]
    locality: String,
    #[schema(example = "NSW")]
    region: String,
    #[schema(example = "2010")]
    postcode: String,
    #[schema(example = "AU")]
    country: String,
    #[schema(example = -33.8886)]
    latitude: f64,
    #[schema(example = 151.2111)]
    longitude: f64,
    /// How to get in.
    access_notes: Option<String>,
    /// Where to park.
    parking: Option<String>,
    /// How many stairs, and whether there is a lift.
    stairs: Option<String>,
    /// Which animals live there.
    pets: Option<String>,
}

/// A booking with the way to the door, for its therapist while the visit is on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DisclosedBooking {
    #[serde(flatten)]
    booking: TherapistBooking,
    address: Door,
    notes: Option<String>,
}

/// A booking as staff see it: who and when, and nothing of anyone's health.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AdminBooking {
    /// Which of the views of a booking this is.
    seen_as: Viewer,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    around: Around,
    client: PersonRef,
    therapist: PersonRef,
    suburb: Suburb,
    /// What the therapist earns of the fee, where the visit was called off.
    therapist_share: Option<Money>,
    /// Since when the therapist may not carry the visit out; null where nothing is known against it.
    at_risk_since: Option<DateTime<Utc>>,
    /// Of which gender the client wants the therapist to be.
    therapist_gender: Option<Gender>,
}

/// A booking as an API client sees it: where it stands, and nothing that tells of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BareBooking {
    /// Which of the views of a booking this is.
    seen_as: Viewer,
    /// The booking's id.
    id: BookingId,
    /// Where it stands.
    status: Status,
    /// Whose it is.
    client_id: AccountId,
    /// Who carries it out.
    therapist_id: TherapistId,
    /// What is booked.
    service_id: ServiceId,
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
    /// Minutes on the table.
    #[schema(example = 90)]
    duration_minutes: i16,
    /// The zone at the place.
    time_zone: Zone,
    /// By when the therapist answers a request.
    respond_by: Option<DateTime<Utc>>,
    /// When it was called off, missed or broken off, if it was.
    cancelled_at: Option<DateTime<Utc>>,
    /// When it was booked.
    created_at: DateTime<Utc>,
}

impl BareBooking {
    fn of(booking: &Booking) -> Self {
        Self {
            seen_as: Viewer::ApiClient,
            id: booking.id,
            status: booking.status,
            client_id: booking.client,
            therapist_id: booking.therapist,
            service_id: booking.service,
            start_at: booking.start_at,
            end_at: booking.end_at(),
            duration_minutes: booking.duration_minutes,
            time_zone: booking.time_zone,
            respond_by: booking.respond_by,
            cancelled_at: booking.cancelled.map(|cancelled| cancelled.at),
            created_at: booking.created_at,
        }
    }
}

/// A booking, by whoever looks at it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum BookingView {
    /// For its client.
    Client(Box<ClientBooking>),
    /// For its therapist while the visit is on.
    Disclosed(Box<DisclosedBooking>),
    /// For its therapist before and after.
    Therapist(Box<TherapistBooking>),
    /// For staff.
    Admin(Box<AdminBooking>),
    /// For an API client.
    Bare(Box<BareBooking>),
}

/// A step in a booking's life, as it was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BookingEvent {
    /// When.
    at: DateTime<Utc>,
    /// By whom.
    party: Party,
    /// The step.
    action: Action,
    /// Where the booking stood; null for its beginning.
    from_status: Option<Status>,
    /// Where it went.
    to_status: Status,
    /// Why, in the party's words.
    reason: Option<String>,
    /// What it changed of what was agreed; absent where it changed none of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Change>)]
    change: Option<Json<Change>>,
}

impl BookingEvent {
    /// The step as `party` sees it.
    pub fn new(event: Event, booking: BookingId, party: Party, cipher: &Cipher) -> Result<Self> {
        let Event { reason, .. } = event;
        // What is about a person is not for the others.
        let is_private = event.party == Party::Admin
            || matches!(reason.action, Action::Reassign | Action::Complete | Action::Stop | Action::Contest);
        let told = match party {
            // Nor is what tells of health for staff.
            Party::Admin => !reason.objected,
            _ => event.party == party || !is_private,
        };
        Ok(Self {
            at: reason.at,
            party: event.party,
            action: reason.action,
            from_status: event.from_status,
            to_status: event.to_status,
            reason: if told { reason.read(booking, cipher)? } else { None },
            change: event.change,
        })
    }
}

/// What a booking itself is, without what others make of its parties: what a step that it allows is decided on. Address and
/// wishes are as they were booked.
#[derive(Serialize)]
struct State<'a> {
    /// None for whoever changes no booking.
    common: Option<&'a Common>,
    therapist: Option<AccountId>,
    at_risk_since: Option<DateTime<Utc>>,
}

impl BookingView {
    fn state(&self) -> State<'_> {
        let of = |common, therapist| State { common: Some(common), therapist, at_risk_since: None };
        match self {
            Self::Client(seen) => of(&seen.common, Some(seen.therapist.id)),
            Self::Disclosed(seen) => of(&seen.booking.common, None),
            Self::Therapist(seen) => of(&seen.common, None),
            Self::Admin(seen) => {
                State { at_risk_since: seen.at_risk_since, ..of(&seen.common, Some(seen.therapist.id)) }
            }
            Self::Bare(_) => State { common: None, therapist: None, at_risk_since: None },
        }
    }

    /// The booking as an API client sees it.
    pub fn bare(booking: &Booking) -> Self {
        Self::Bare(Box::new(BareBooking::of(booking)))
    }

    /// 200 with the booking.
    pub fn reply(&self) -> Result<Reply> {
        let reply = Reply::ok(self)?;
        // Whoever changes no booking has no use for a tag of what a change depends on.
        if matches!(self, Self::Bare(_)) { Ok(reply) } else { reply.in_state(&self.state()) }
    }

    /// 201 with the booking, found at `location` from now on.
    pub fn created(&self, location: String) -> Result<Reply> {
        Reply::created(location, self)?.in_state(&self.state())
    }

    /// Whether the caller knows the booking as it is.
    pub fn check(&self, known: &IfMatch) -> Result<()> {
        known.check_state(&self.state())
    }
}

/// For whom a booking is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BookingSeenAs)]
pub(super) enum Viewer {
    /// For its client.
    Client,
    /// For its therapist, without the door: so before it is confirmed, a day after it, and in lists.
    Therapist,
    /// For its therapist, with the door.
    Disclosed,
    /// For staff.
    Admin,
    /// For an API client.
    ApiClient,
}

/// The bookings as `viewer` sees them.
pub(super) async fn views(
    cipher: &Cipher,
    work: &mut Work,
    bookings: Vec<Booking>,
    viewer: Viewer,
) -> Result<Vec<BookingView>> {
    let people: Vec<AccountId> = bookings.iter().flat_map(|b| [b.client, b.therapist.into()]).collect();
    let services: Vec<ServiceId> = bookings.iter().map(|booking| booking.service).collect();
    let known = Known::read(work, &people, &services, viewer).await?.around(work, &bookings).await?;
    bookings.into_iter().map(|booking| known.view(cipher, booking, viewer)).collect()
}

/// The booking as `viewer` sees it.
pub(super) async fn view_of(cipher: &Cipher, work: &mut Work, booking: Booking, viewer: Viewer) -> Result<BookingView> {
    views(cipher, work, vec![booking], viewer).await?.pop().ok_or(Error::NotFound)
}

/// What a view shows besides the booking itself.
pub(super) struct Known {
    names: HashMap<AccountId, String>,
    services: HashMap<ServiceId, String>,
    /// How therapists rate clients, for therapists alone.
    ratings: HashMap<AccountId, Rating>,
    /// What stands around the bookings; nothing where they are new.
    around: Surroundings,
}

impl Known {
    /// The same with what stands around these bookings.
    pub async fn around(self, work: &mut Work, bookings: &[Booking]) -> Result<Self> {
        Ok(Self { around: Surroundings::read(work, bookings).await?, ..self })
    }

    /// What `viewer` is shown of these people and services.
    pub async fn read(tx: &mut Tx, people: &[AccountId], services: &[ServiceId], viewer: Viewer) -> Result<Self> {
        Ok(Self {
            names: accounts::names(&mut **tx, people).await?,
            services: catalogue::names(&mut **tx, services).await?,
            ratings: match viewer {
                Viewer::Therapist | Viewer::Disclosed => accounts::ratings(tx, people).await?,
                Viewer::Client | Viewer::Admin | Viewer::ApiClient => HashMap::new(),
            },
            around: Surroundings::default(),
        })
    }

    /// What the client of a visit with `therapist` is shown, where it has been read already.
    pub fn of(therapist: (TherapistId, String), service: (ServiceId, String)) -> Self {
        let (id, name) = therapist;
        Self {
            names: [(id.into(), name)].into(),
            services: [service].into(),
            ratings: HashMap::new(),
            around: Surroundings::default(),
        }
    }

    fn person(&self, id: AccountId) -> PersonRef {
        PersonRef { id, display_name: self.names.get(&id).cloned().unwrap_or_default() }
    }

    /// The booking as `viewer` sees it.
    pub fn view(&self, cipher: &Cipher, booking: Booking, viewer: Viewer) -> Result<BookingView> {
        let name = self.services.get(&booking.service).cloned().unwrap_or_default();
        let common = Common::new(&booking, ServiceRef { id: booking.service, name }, cipher, viewer)?;
        Ok(match viewer {
            Viewer::Client => BookingView::Client(Box::new(ClientBooking {
                seen_as: viewer,
                common,
                around: self.around.of(&booking, viewer),
                therapist: self.person(booking.therapist.into()),
                recipient_id: booking.recipient,
                notes: booking.notes(cipher)?,
                focus_areas: booking.focus_areas(cipher)?,
                address: AddressView::new(booking.address, cipher)?,
                pressure: booking.pressure,
                therapist_gender: booking.therapist_gender,
            })),
            Viewer::Admin => BookingView::Admin(Box::new(AdminBooking {
                seen_as: viewer,
                common,
                around: self.around.of(&booking, viewer),
                client: self.person(booking.client),
                therapist: self.person(booking.therapist.into()),
                suburb: Suburb::of(&booking.address),
                therapist_share: booking.therapist_share(),
                at_risk_since: booking.at_risk_since,
                therapist_gender: booking.therapist_gender,
            })),
            Viewer::ApiClient => BookingView::bare(&booking),
            Viewer::Therapist => BookingView::Therapist(Box::new(self.undisclosed(common, booking, viewer, cipher)?)),
            Viewer::Disclosed => BookingView::Disclosed(Box::new(DisclosedBooking {
                notes: booking.notes(cipher)?,
                address: Door::of(booking.address.clone(), cipher)?,
                booking: self.undisclosed(common, booking, viewer, cipher)?,
            })),
        })
    }

    fn undisclosed(
        &self,
        common: Common,
        booking: Booking,
        viewer: Viewer,
        cipher: &Cipher,
    ) -> Result<TherapistBooking> {
        Ok(TherapistBooking {
            seen_as: viewer,
            common,
            around: self.around.of(&booking, viewer),
            client: ClientRef {
                person: self.person(booking.client),
                rating: self.ratings.get(&booking.client).copied().unwrap_or_default(),
            },
            suburb: Suburb::of(&booking.address),
            therapist_share: booking.therapist_share(),
            focus_areas: booking.focus_areas(cipher)?,
            pressure: booking.pressure,
        })
    }
}

impl Common {
    fn new(booking: &Booking, service: ServiceRef, cipher: &Cipher, viewer: Viewer) -> Result<Self> {
        let charge = booking.charge();
        let cancellation = booking.cancelled.zip(charge).map(|(cancelled, fee)| {
            // What staff wrote is about people, and not for the parties; what a therapist objects to is about health, and not for staff.
            let told = |reason: &&KeptReason| match viewer {
                Viewer::Admin => !reason.objected,
                _ => cancelled.by != Party::Admin,
            };
            let reason = booking.cancel_reason.as_ref().filter(told);
            let reason = reason.map(|reason| reason.read(booking.id, cipher)).transpose()?.flatten();
            let refund = booking.price.less(fee);
            Ok::<_, Error>(Cancellation { by: cancelled.by, at: cancelled.at, fee, refund, reason })
        });
        let mut price_breakdown = booking.breakdown.clone();
        if matches!(viewer, Viewer::Therapist | Viewer::Disclosed) {
            // Whole kilometres tell more of where the door is than the suburb does.
            price_breakdown.distance_km = None;
        }
        let CancellationTerms { cancellation_policy, free_until, cancellation_terms } = booking.cancellation_terms();
        Ok(Self {
            id: booking.id,
            status: booking.status,
            service,
            start_at: booking.start_at,
            end_at: booking.end_at(),
            duration_minutes: booking.duration_minutes,
            time_zone: booking.time_zone,
            price: booking.price,
            charge,
            price_breakdown,
            cancellation_policy,
            free_until,
            cancellation_terms,
            respond_by: booking.respond_by,
            cancellation: cancellation.transpose()?,
            no_show_report: booking.missed.map(NoShowReport::from),
            extension: booking
                .extension
                .filter(|open| booking.status.is_live() && open.minutes != booking.duration_minutes)
                .map(|open| OpenExtension {
                    duration_minutes: open.minutes,
                    price: Money { amount: open.amount, ..booking.price },
                    expires_at: open.expires_at,
                }),
            handed_over_at: booking.handed_over_at,
            expected_at: booking.expected_at,
            created_at: booking.created_at,
        })
    }
}

impl Door {
    fn of(address: Address, cipher: &Cipher) -> Result<Self> {
        let Remarks { parking, stairs, pets } = address.remarks(cipher)?;
        Ok(Self {
            access_notes: address.access_notes(cipher)?,
            kind: address.kind,
            line1: address.line1,
            line2: address.line2,
            locality: address.locality,
            region: address.region,
            postcode: address.postcode,
            country: address.country,
            latitude: address.latitude,
            longitude: address.longitude,
            parking,
            stairs,
            pets,
        })
    }
}

impl Suburb {
    fn of(address: &Address) -> Self {
        Self {
            locality: address.locality.clone(),
            region: address.region.clone(),
            postcode: address.postcode.clone(),
            country: address.country.clone(),
        }
    }
}
