//! Gets calendars from addresses that strangers give us, and no more than is asked for. Every redirect is checked as the first address was
//! (`outbound`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use super::parsing::Reader;
use super::{CalendarUrl, Fault};
use crate::ids::TherapistId;
use crate::outbound::{Barred, Missed, Outbound};

/// How long an answer may take, redirects included, and what is small.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is large may take longer, as long as it comes at so many bytes a second.
const PACE: u64 = 1024 * 1024;
/// How often an address may lead on to another.
const MOST_REDIRECTS: usize = 3;
/// The largest calendar, in bytes.
const LARGEST: u64 = 25 * 1024 * 1024;

/// What the server called the version that was read last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What a server answers.
#[derive(Debug)]
pub enum Answer {
    /// The same as the last time.
    Unchanged,
    /// It was read, whole.
    Read(Version),
}

/// Gets calendars.
#[derive(Clone)]
pub struct Fetcher {
    outbound: Outbound,
    /// Whose calendars this process reads just now.
    busy: Arc<Mutex<HashSet<TherapistId>>>,
}

/// The turn of a therapist, whose calendars are read one after the other: nobody's take the places of all others. It ends when dropped.
pub struct Turn {
    therapist: TherapistId,
    busy: Arc<Mutex<HashSet<TherapistId>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.therapist);
    }
}

impl Fetcher {
    /// One that reaches what `outbound` reaches.
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, busy: Arc::default() }
    }

    /// The therapist's turn; none while another of their calendars is read.
    pub fn turn(&self, therapist: TherapistId) -> Option<Turn> {
        let is_free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(therapist);
        is_free.then(|| Turn { therapist, busy: self.busy.clone() })
    }

    /// Whose turn it is.
    pub fn busy(&self) -> Vec<TherapistId> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Whether `url` may be asked for, as far as can be told without resolving its host's name.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, url: &CalendarUrl) -> Result<(), Barred> {
        self.outbound.admits(&url.0)
    }

    /// Gets `url`, where it is another version than `known`, and gives it to `reader` as it comes.
    ///
    /// # Errors
    /// Why there is nothing to read.
    pub async fn get(&self, url: &CalendarUrl, known: &Version, reader: &mut Reader) -> Result<Answer, Fault> {
        let begun = Instant::now();
        match timeout(PATIENCE, self.follow(url, known)).await.unwrap_or(Err(Fault::TooSlow))? {
            Some(response) => text(response, begun, reader).await,
            None => Ok(Answer::Unchanged),
        }
    }

    /// The answer that `url` leads to; none where nothing has changed.
    async fn follow(&self, url: &CalendarUrl, known: &Version) -> Result<Option<reqwest::Response>, Fault> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(&url, known).await?;
            match response.status() {
                StatusCode::OK => return Ok(Some(response)),
                StatusCode::NOT_MODIFIED if *known != Version::default() => return Ok(None),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    url = said(response.headers(), header::LOCATION)
                        .and_then(|to| url.join(&to))
                        .ok_or(Fault::BadRedirect)?;
                }
                _ => return Err(Fault::NotServed),
            }
        }
        Err(Fault::TooManyRedirects)
    }

    async fn ask(&self, url: &CalendarUrl, known: &Version) -> Result<reqwest::Response, Fault> {
        let accepted = HeaderValue::from_static("text/calendar, */*;q=0.1");
        let mut headers = HeaderMap::from_iter([(header::ACCEPT, accepted)]);
        for (name, value) in [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).map_err(|_| Fault::Unreachable)?);
            }
        }
        self.outbound.ask(Method::GET, &url.0, headers, "").await.map_err(|missed| match missed {
            Missed::NotPublic => Fault::NotPublic,
            Missed::Unreachable => Fault::Unreachable,
        })
    }
}

/// Reads an answer, as far as it is neither too large nor too slow. Nothing of it is kept here.
async fn text(mut response: reqwest::Response, begun: Instant, reader: &mut Reader) -> Result<Answer, Fault> {
    if said(response.headers(), header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return Err(Fault::Compressed);
    }
    let version = Version {
        etag: said(response.headers(), header::ETAG),
        last_modified: said(response.headers(), header::LAST_MODIFIED),
    };
    let mut taken = 0;
    loop {
        let deadline = begun + PATIENCE + Duration::from_secs(taken / PACE);
        let part = timeout_at(deadline, response.chunk()).await.map_err(|_| Fault::TooSlow)?;
        let Some(part) = part.map_err(|_| Fault::Unreachable)? else { return Ok(Answer::Read(version)) };
        taken += u64::try_from(part.len()).unwrap_or(LARGEST);
        if taken > LARGEST {
            return Err(Fault::TooLarge);
        }
        reader.feed(&part)?;
    }
}

/// A header, where it is one that can be kept and sent back.
fn said(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= 2000).then(|| value.to_owned())
}
