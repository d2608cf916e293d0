//! Many questions in one statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{in_time, late};
use crate::error::Result;

/// Questions that go with one statement, at the most.
const MOST: usize = 256;

/// Asks at once for what many ask at the same time. While a statement is under way, what is asked meanwhile gathers, and goes with the next
/// one. So each answer was read after its question was asked, and the busier the service is, the less a question costs.
pub struct Together<Q, A>(Arc<Gathering<Q, A>>);

struct Gathering<Q, A> {
    /// How many statements are under way at a time.
    at_once: usize,
    state: Mutex<State<Q, A>>,
}

struct State<Q, A> {
    under_way: usize,
    waiting: Vec<Asked<Q, A>>,
}

/// A question, and where its answer is waited for.
type Asked<Q, A> = (Q, oneshot::Sender<Result<A>>);

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// Nothing is asked yet; so many statements may be under way at a time.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Gathering { at_once, state: Mutex::new(State { under_way: 0, waiting: Vec::new() }) }))
    }

    /// The answer to `question`, which `read` gives: one for each of those that it is handed, in their order.
    ///
    /// # Errors
    /// 503 where the database does not answer in time. Whatever else `read` fails with, all fail with who asked at that time.
    pub async fn ask<R>(&self, question: Q, read: impl Fn(Vec<Q>) -> R + Send + 'static) -> Result<A>
    where
        R: Future<Output = Result<Vec<A>>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        if let Some(series) = self.0.take_in((question, tell)) {
            tokio::spawn(series.run(read));
        }
        told.await.map_err(|_| late())?
    }
}

impl<Q, A> Gathering<Q, A> {
    fn state(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a question in, and begins a series of statements where as many are not under way as may be.
    fn take_in(self: &Arc<Self>, asked: Asked<Q, A>) -> Option<Series<Q, A>> {
        let mut state = self.state();
        state.waiting.push(asked);
        let begins = state.under_way < self.at_once;
        state.under_way += usize::from(begins);
        drop(state);
        begins.then(|| Series { of: self.clone(), ended: false })
    }
}

/// Statements one after the other, until nothing waits.
struct Series<Q, A> {
    of: Arc<Gathering<Q, A>>,
    ended: bool,
}

impl<Q, A> Series<Q, A> {
    async fn run<R>(mut self, read: impl Fn(Vec<Q>) -> R)
    where
        R: Future<Output = Result<Vec<A>>>,
    {
        while let Some(asked) = self.next() {
            let (questions, waiting): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            match in_time(read(questions)).await {
                // Whoever has hung up meanwhile hears nothing, and whoever gets no answer is told by the end of the channel.
                Ok(answers) => waiting.into_iter().zip(answers).for_each(|(tell, answer)| drop(tell.send(Ok(answer)))),
                Err(error) => waiting.into_iter().for_each(|tell| drop(tell.send(Err(error.for_another())))),
            }
        }
    }

    /// What goes with the next statement; none where nothing waits, which ends the series.
    fn next(&mut self) -> Option<Vec<Asked<Q, A>>> {
        let mut state = self.of.state();
        if state.waiting.is_empty() {
            // Under the same lock: who asks from now on begins a series.
            state.under_way -= 1;
            self.ended = true;
            return None;
        }
        let count = state.waiting.len().min(MOST);
        Some(state.waiting.drain(..count).collect())
    }
}

impl<Q, A> Drop for Series<Q, A> {
    fn drop(&mut self) {
        if !self.ended {
            self.of.state().under_way -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;
    use crate::error::Error;

    #[tokio::test]
    async fn what_is_asked_meanwhile_goes_with_the_next_statement_and_each_gets_their_own_answer() {
        let statements = Arc::new(AtomicUsize::new(0));
        let together = Arc::new(Together::<usize, usize>::new(1));
        let mut callers = JoinSet::new();
        for n in 0..100 {
            let (together, statements) = (together.clone(), statements.clone());
            callers.spawn(async move {
                let read = move |asked: Vec<usize>| {
                    let statements = statements.clone();
                    async move {
                        statements.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        Ok(asked.into_iter().map(|n| n * 10).collect())
                    }
                };
                (n, together.ask(n, read).await)
            });
        }
        for (n, answer) in callers.join_all().await {
            assert_eq!(answer.ok(), Some(n * 10));
        }
        assert!(statements.load(Ordering::SeqCst) <= 3, "the first alone, and the others after it");
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_asked_and_to_nobody_later() {
        let together = Together::<bool, ()>::new(1);
        let read = |asked: Vec<bool>| async move {
            if asked.contains(&true) { Err(Error::Unavailable("away".to_owned())) } else { Ok(vec![(); asked.len()]) }
        };
        assert!(matches!(together.ask(true, read).await, Err(Error::Unavailable(_))));
        assert!(together.ask(false, read).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_breaks_off_a_statement_holds_nobody_else_up() {
        let together = Together::<bool, ()>::new(1);
        let read = |asked: Vec<bool>| async move {
            assert!(!asked.contains(&true), "a fault");
            Ok(vec![(); asked.len()])
        };
        assert!(together.ask(true, read).await.is_err());
        assert!(together.ask(false, read).await.is_ok());
    }
}
