//! The doors of the house: what each feature opens to the outside. Every feature has the same ones; one that it does not need stays shut.

use std::collections::BTreeMap;

use utoipa_actix_web::service_config::ServiceConfig;

use crate::events::Reactions;
use crate::personal::PersonalTable;
use crate::queue::{self, Kind, Sweep};
use crate::seals::SealedTable;
use crate::{
    accounts, audit, auth, availability, blocks, bookings, calendars, care, catalogue, conversations, credentials,
    health, idempotency, messages, notices, people, prices, privacy, reviews, rosters, search, session_notes, tasks,
    therapists, treatments, worker,
};

/// What one feature opens.
struct Doors {
    /// Its operations.
    routes: &'static [fn(&mut ServiceConfig)],
    /// What it does later.
    jobs: &'static [Kind],
    /// What it deletes in the end.
    sweeps: &'static [Sweep],
    /// What it keeps sealed.
    sealed: &'static [SealedTable],
    /// What it keeps of people.
    personal: &'static [PersonalTable],
}

/// All doors shut.
const SHUT: Doors = Doors { routes: &[], jobs: &[], sweeps: &[], sealed: &[], personal: &[] };

/// Every feature, in the order in which paths are matched.
const FEATURES: &[Doors] = &[
    // Slots are asked for most.
    Doors { routes: &[search::routes], ..SHUT },
    Doors {
        routes: &[availability::routes::routes],
        jobs: availability::jobs::JOBS,
        sweeps: availability::jobs::SWEEPS,
        sealed: availability::SEALED,
        personal: availability::PERSONAL,
    },
    Doors { routes: &[health::routes], ..SHUT },
    Doors { routes: &[privacy::routes::routes], jobs: privacy::JOBS, sweeps: privacy::SWEEPS, ..SHUT },
    Doors {
        routes: &[accounts::routes::routes],
        sealed: accounts::addresses::SEALED,
        personal: accounts::closing::PERSONAL,
        ..SHUT
    },
    Doors { jobs: accounts::passwords::JOBS, sweeps: accounts::codes::SWEEPS, sealed: accounts::codes::SEALED, ..SHUT },
    Doors { routes: &[catalogue::routes::routes], ..SHUT },
    Doors { routes: &[prices::routes::routes], ..SHUT },
    Doors {
        routes: &[care::routes::routes],
        sweeps: care::SWEEPS,
        sealed: care::SEALED,
        personal: care::personal::PERSONAL,
        ..SHUT
    },
    // Before the therapists' own pages, whose last segment is an id.
    Doors {
        routes: &[credentials::routes::routes, credentials::rules::routes],
        jobs: credentials::jobs::JOBS,
        sweeps: credentials::jobs::SWEEPS,
        personal: credentials::personal::PERSONAL,
        ..SHUT
    },
    Doors {
        routes: &[calendars::routes::routes],
        jobs: calendars::jobs::JOBS,
        sealed: calendars::SEALED,
        personal: calendars::PERSONAL,
        ..SHUT
    },
    Doors { routes: &[therapists::routes::routes], personal: therapists::PERSONAL, ..SHUT },
    Doors {
        routes: &[bookings::routes::routes],
        jobs: bookings::jobs::JOBS,
        sweeps: bookings::jobs::SWEEPS,
        sealed: bookings::sealed::SEALED,
        personal: bookings::personal::PERSONAL,
    },
    Doors { routes: &[reviews::routes::routes], personal: reviews::PERSONAL, ..SHUT },
    Doors {
        routes: &[treatments::routes],
        sweeps: treatments::SWEEPS,
        personal: treatments::personal::PERSONAL,
        ..SHUT
    },
    Doors {
        routes: &[session_notes::routes::routes],
        sealed: session_notes::SEALED,
        personal: session_notes::PERSONAL,
        ..SHUT
    },
    Doors {
        routes: &[conversations::routes::routes],
        sweeps: conversations::SWEEPS,
        sealed: conversations::SEALED,
        personal: conversations::PERSONAL,
        ..SHUT
    },
    Doors { routes: &[blocks::routes::routes], sealed: blocks::SEALED, personal: blocks::PERSONAL, ..SHUT },
    Doors { routes: &[notices::routes::routes], sweeps: notices::SWEEPS, personal: notices::PERSONAL, ..SHUT },
    Doors {
        routes: &[messages::routes],
        sweeps: messages::SWEEPS,
        sealed: messages::SEALED,
        personal: messages::PERSONAL,
        ..SHUT
    },
    Doors { routes: &[audit::routes::routes], ..SHUT },
    Doors {
        routes: &[rosters::routes::routes],
        jobs: rosters::jobs::JOBS,
        sweeps: rosters::jobs::SWEEPS,
        personal: rosters::PERSONAL,
        ..SHUT
    },
    Doors { routes: &[people::routes::routes], ..SHUT },
    Doors { routes: &[tasks::routes::routes], sweeps: tasks::SWEEPS, ..SHUT },
    Doors { sweeps: auth::SWEEPS, personal: auth::PERSONAL, ..SHUT },
    Doors { sweeps: accounts::factors::SWEEPS, sealed: accounts::factors::SEALED, ..SHUT },
    Doors { sweeps: accounts::clients::SWEEPS, ..SHUT },
    Doors { sweeps: auth::guesses::SWEEPS, ..SHUT },
    Doors { sweeps: idempotency::SWEEPS, sealed: idempotency::SEALED, personal: idempotency::PERSONAL, ..SHUT },
    Doors { sweeps: queue::SWEEPS, ..SHUT },
    Doors { jobs: worker::JOBS, sweeps: worker::SWEEPS, ..SHUT },
];

/// Who reacts to what is announced, in order. Rows come with the event; what takes more comes after it.
pub const REACTIONS: Reactions = Reactions {
    follows: &[notices::table::follows, tasks::table::follows],
    effects: &[
        therapists::PROFILE,
        therapists::BOOKABLE,
        bookings::reacts::ON_CREDENTIALS,
        bookings::reacts::ON_RULES,
        bookings::reacts::ON_ANSWERS,
        bookings::reacts::ON_CONSULTATION,
        bookings::reacts::ON_CARE_RULES,
        therapists::SUSPENSION,
        messages::webhooks::ON_CLIENT_GONE,
        bookings::suspended::ON_SUSPENSION,
        bookings::handing_over::ON_TIME_OFF,
        bookings::handing_over::ON_TIME_OFF_ENDED,
    ],
};

/// Every operation there is: what the server is configured with, and what the document is made from.
pub fn routes(config: &mut ServiceConfig) {
    for routes in FEATURES.iter().flat_map(|feature| feature.routes) {
        routes(config);
    }
}

/// Every kind of job.
pub fn jobs() -> impl Iterator<Item = Kind> {
    FEATURES.iter().flat_map(|feature| feature.jobs).copied()
}

/// Every sweep.
pub fn sweeps() -> impl Iterator<Item = Sweep> {
    FEATURES.iter().flat_map(|feature| feature.sweeps).copied()
}

/// The page of consequences, in Markdown: event by event, what follows. Whoever asks "who hears of this" reads it instead of following calls.
pub fn consequences() -> String {
    let at_once = notices::table::consequences().into_iter().chain(tasks::table::consequences());
    let later = messages::table::consequences().into_iter().chain(messages::webhooks::kinds::consequences());
    let mut rows: BTreeMap<&str, [Vec<String>; 2]> = BTreeMap::new();
    for (column, (on, when, what)) in at_once.map(|row| (0, row)).chain(later.map(|row| (1, row))) {
        let when = if when.is_empty() { String::new() } else { format!(", {when}") };
        rows.entry(on).or_default()[column].push(format!("{what}{when}"));
    }
    for effect in REACTIONS.effects {
        for on in effect.on {
            rows.entry(on).or_default()[0].push(format!("then: {}", effect.what));
        }
    }
    let rows = rows.into_iter().map(|(on, [at_once, later])| {
        let on = if on.ends_with('.') { format!("{on}*") } else { on.to_owned() };
        format!("| `{on}` | {} | {} |\n", at_once.join("<br>"), later.join("<br>"))
    });
    let rows: String = rows.collect();
    format!(
        "| event | what follows in the same transaction | what is sent after it, where it still holds then |\n|---|---|---|\n{rows}"
    )
}

/// Every table that keeps something of people, in the order in which an account's rows end.
pub fn personal() -> impl Iterator<Item = &'static PersonalTable> {
    FEATURES.iter().flat_map(|feature| feature.personal)
}

/// Every table that keeps something sealed, by name.
pub fn sealed() -> Vec<SealedTable> {
    let mut tables: Vec<SealedTable> = FEATURES.iter().flat_map(|feature| feature.sealed).copied().collect();
    tables.sort_by_key(|table| table.name);
    tables
}
