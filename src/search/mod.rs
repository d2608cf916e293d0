//! Search: what may be booked, and with whom. Everything here reads, and nothing that it tells is promised: a booking asks anew, under
//! the lock.

mod cache;
mod candidates;
mod check;
mod explain;
mod list;
mod matching;
mod moving;
mod preview;
mod quotes;
mod readiness;
mod searches;
mod setting;
mod slots;

use utoipa_actix_web::service_config::ServiceConfig;

pub use cache::SearchCache;
pub use candidates::{Reach, reaching};
pub use searches::Searches;
pub use setting::{GivenPlace, Setting};

/// The operations that find and foretell.
pub fn routes(config: &mut ServiceConfig) {
    // Paths are matched in turn, and slots are asked for most.
    slots::routes(config);
    check::routes(config);
    preview::routes(config);
    readiness::routes(config);
    quotes::routes(config);
    list::routes(config);
}
