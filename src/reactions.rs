//! Who reacts to what is announced: the one list.

use crate::events::Reactions;
use crate::{bookings, notices, tasks, therapists};

/// Everyone, in order. Rows come with the event; what takes more comes after it.
pub const REACTIONS: Reactions = Reactions {
    follows: &[notices::table::follows, tasks::table::follows],
    effects: &[therapists::PROFILE, bookings::reacts::ON_CREDENTIALS, bookings::reacts::ON_RULES],
};
