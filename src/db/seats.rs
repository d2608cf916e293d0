//! A pool for each thread that serves.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::PgPool;

use super::pool;

/// Connections of a thread, at the least.
const LEAST: u32 = 2;

thread_local! {
    /// Which of the pools this thread uses: the first, unless it has taken a seat.
    static SEAT: Cell<usize> = const { Cell::new(0) };
}

/// The database, as each thread reaches it. A connection wakes the thread that it was made on when an answer arrives, and if another thread waits for that
/// answer, it is woken in turn, for each statement. So each thread that serves has connections of its own, and all others share some.
#[derive(Clone)]
pub struct Db(Arc<Seats>);

struct Seats {
    pools: Vec<PgPool>,
    taken: AtomicUsize,
}

impl Db {
    /// Up to `size` connections to `url`: half of them for so many threads that take a seat, two for each at the least, and half for all others.
    /// Connects when first used.
    pub fn shared_out(url: &str, size: u32, seats: usize) -> Result<Self, sqlx::Error> {
        let half = size.div_ceil(2);
        let each = u32::try_from(seats).map_or(LEAST, |seats| (half / seats.max(1)).max(LEAST));
        let mut pools = vec![pool(url, half)?];
        for _ in 0..seats {
            pools.push(pool(url, each)?);
        }
        Ok(Self(Arc::new(Seats { pools, taken: AtomicUsize::new(0) })))
    }

    /// Gives this thread connections of its own from now on, for as long as it lives.
    pub fn take_seat(&self) {
        let others = self.0.pools.len() - 1;
        if others > 0 {
            SEAT.set(1 + self.0.taken.fetch_add(1, Ordering::Relaxed) % others);
        }
    }

    /// Ends all connections, once they are given back.
    pub async fn close(&self) {
        for pool in &self.0.pools {
            pool.close().await;
        }
    }
}

impl From<PgPool> for Db {
    /// One pool for every thread.
    fn from(pool: PgPool) -> Self {
        Self(Arc::new(Seats { pools: vec![pool], taken: AtomicUsize::new(0) }))
    }
}

impl Deref for Db {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        let pools = &self.0.pools;
        pools.get(SEAT.get()).unwrap_or(&pools[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_thread_that_takes_a_seat_has_connections_of_its_own_and_all_others_share() {
        let most = |db: &Db| db.options().get_max_connections();
        let db = Db::shared_out("postgres://localhost/knead", 16, 2).expect("pools");
        assert_eq!(most(&db), 8, "half of all, for whoever has no seat");
        let seat = || {
            let db = db.clone();
            std::thread::spawn(move || {
                db.take_seat();
                (SEAT.get(), most(&db))
            })
        };
        let (first, second) = (seat().join().expect("a seat"), seat().join().expect("a seat"));
        assert_eq!((first, second), ((1, 4), (2, 4)));
        assert_eq!(most(&db), 8, "nothing has changed for this thread");
        let small = Db::shared_out("postgres://localhost/knead", 2, 16).expect("pools");
        small.take_seat();
        assert_eq!(most(&small), LEAST);
    }
}
