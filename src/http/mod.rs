//! The manners of the API: what is read from a request, and how an answer is written.

mod compress;
mod extract;
mod page;
mod rate;
mod reply;
mod several;
mod upload;
mod wire;
mod wording;

pub use compress::{Served, compress};
pub use extract::{Fingerprint, IfMatch, Json, Nothing, OrDefault, Path, Query, Unread, json_field};
pub use page::{Cursor, Limit, Page, Paging, Part};
pub use rate::{Origin, RateLimits, Tally};
pub use reply::{Reply, Written};
pub use several::Several;
pub use upload::{SentFile, Upload, UploadLimits};
pub use wire::{BrokenBody, admit_accepted, is_api, names, problem_alone, refuse_unknown, route, wire};
