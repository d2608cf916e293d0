//! How many searches run at a time. A search costs the processor a hundred times what a look-up does: a few at once use the whole machine,
//! and more would only make everybody wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::cache::Question;
use crate::auth::Principal;
use crate::db::Together;
use crate::error::{Error, Result};
use crate::http::{Origin, Reply, Written};
use crate::ids::AccountId;

/// How many searches one caller has under way.
const OF_ONE: usize = 2;

/// How many searches of everybody are under way for each processor.
const FOR_EACH_CORE: usize = 2;

/// How long a search waits for its turn.
const TURN: Duration = Duration::from_millis(1500);

/// How often a caller with searches under way looks whether one has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Who searches: an account, or whoever calls from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Searcher {
    Account(AccountId),
    Origin(Origin),
}

/// Those who wait for one answer.
type Asked = Arc<Together<(), Written>>;

/// The searches that are under way in this process.
pub struct Searches {
    all: Arc<Semaphore>,
    each: Arc<Each<Searcher>>,
    asked: Mutex<HashMap<Question, Asked>>,
    /// Where searches run: not on the threads that read requests and write answers.
    runtime: Handle,
}

impl Searches {
    /// None under way. Searches run on the runtime that this is called on.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            all: Arc::new(Semaphore::new(FOR_EACH_CORE * cores)),
            each: Arc::new(Each { under_way: Mutex::default(), most: OF_ONE }),
            asked: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// Runs `search` for whoever asks, in its turn and off the threads of the server.
    ///
    /// # Errors
    /// 429 where the caller's other searches take too long, 503 where others keep the machine busy.
    pub async fn run<T: Send + 'static>(
        &self,
        caller: Option<Principal>,
        origin: Origin,
        search: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let who = caller.map_or(Searcher::Origin(origin), |caller| Searcher::Account(caller.account));
        let begun = Instant::now();
        let place = self.place(who, begun).await?;
        let turn = turn(&self.all, begun).await?;
        let searching = self.runtime.spawn(async move {
            let found = search.await;
            drop((turn, place));
            found
        });
        searching.await.map_err(|error| Error::Internal(error.to_string()))?
    }

    /// The same for a `question` whose answer is the same for all who ask it: those who ask while it is searched for get the next answer together.
    /// So each answer was searched for after its question was asked, and however many ask, one search is under way.
    ///
    /// # Errors
    /// As [`Self::run`]; whoever joins others needs no place of their own.
    pub(super) async fn shared<F>(
        &self,
        origin: Origin,
        question: Question,
        search: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Written>
    where
        F: Future<Output = Result<Reply>> + Send + 'static,
    {
        let asked = self.asked().get(&question).cloned();
        let place = match asked {
            Some(_) => None,
            None => Some(self.place(Searcher::Origin(origin), Instant::now()).await?),
        };
        let asked = self.asked().entry(question.clone()).or_insert_with(|| Arc::new(Together::new(1))).clone();
        let (all, runtime) = (self.all.clone(), self.runtime.clone());
        let answer = asked.ask((), move |together| {
            let (all, searching) = (all.clone(), search());
            let searching = runtime.spawn(async move {
                let turn = turn(&all, Instant::now()).await?;
                let found = searching.await?.written();
                drop(turn);
                Ok(vec![found; together.len()])
            });
            async move { searching.await.map_err(|error| Error::Internal(error.to_string()))? }
        });
        let answer = answer.await;
        drop((asked, place));
        // Nobody joins whom nobody waits for.
        self.asked().retain(|_, asked| Arc::strong_count(asked) > 1);
        answer
    }

    /// A place for `who`, who may wait for it since `begun`.
    async fn place(&self, who: Searcher, begun: Instant) -> Result<Place<Searcher>> {
        loop {
            match Each::enter(&self.each, who) {
                Some(place) => return Ok(place),
                None if begun.elapsed() < TURN => tokio::time::sleep(LOOK).await,
                None => return Err(Error::TooManyRequests(1)),
            }
        }
    }

    /// What is searched for at present, for all who ask it.
    fn asked(&self) -> MutexGuard<'_, HashMap<Question, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn among all searches, for one who has waited since `begun`.
async fn turn(all: &Arc<Semaphore>, begun: Instant) -> Result<OwnedSemaphorePermit> {
    let turn = tokio::time::timeout(TURN.saturating_sub(begun.elapsed()), all.clone().acquire_owned()).await;
    let turn = turn.ok().and_then(Result::ok);
    turn.ok_or_else(|| Error::Unavailable("searches wait for each other".to_owned()))
}

impl Default for Searches {
    fn default() -> Self {
        Self::new()
    }
}

/// How much each has under way. Who has nothing is forgotten.
struct Each<K> {
    under_way: Mutex<HashMap<K, usize>>,
    most: usize,
}

/// A place that is taken until this is dropped.
struct Place<K: Eq + Hash> {
    each: Arc<Each<K>>,
    who: K,
}

impl<K: Copy + Eq + Hash> Each<K> {
    /// Takes a place for `who`; none where they have as many as one may.
    fn enter(each: &Arc<Self>, who: K) -> Option<Place<K>> {
        let mut under_way = each.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(who).or_default();
        (*count < each.most).then(|| {
            *count += 1;
            Place { each: each.clone(), who }
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut under_way = self.each.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_few_places_and_is_forgotten_with_the_last() {
        let each = Arc::new(Each { under_way: Mutex::default(), most: 2 });
        let (first, second) = (Each::enter(&each, 'a'), Each::enter(&each, 'a'));
        assert!(first.is_some() && second.is_some());
        assert!(Each::enter(&each, 'a').is_none());
        assert!(Each::enter(&each, 'b').is_some(), "another's places are their own");
        drop(first);
        assert!(Each::enter(&each, 'a').is_some());
        drop(second);
        assert!(each.under_way.lock().unwrap().is_empty());
    }
}
