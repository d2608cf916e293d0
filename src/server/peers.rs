//! How many connections each address has, and who goes when there are too many: whoever has kept us waiting longest.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::limits::Limits;
use crate::http::Origin;

/// The connections of this process by address.
pub(super) struct Peers {
    /// Connections of everybody, and of one address.
    all: usize,
    of_one: usize,
    begun: Instant,
    seated: Mutex<Seated>,
}

#[derive(Default)]
struct Seated {
    count: usize,
    by_origin: HashMap<Origin, Vec<Arc<Seat>>>,
}

/// A connection, as seen from others.
pub(super) struct Seat {
    /// Since when its peer keeps us waiting, in milliseconds from the beginning of the process, and one more; 0 where we
    /// keep the peer waiting.
    waiting: AtomicU64,
    given_up: AtomicBool,
    waker: AtomicWaker,
    begun: Instant,
}

impl Seat {
    /// The peer is to move from now on, if it was not before.
    pub(super) fn wait(&self) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
            self.waiting.store(now + 1, Ordering::Relaxed);
        }
    }

    /// The peer has moved.
    pub(super) fn moved(&self) {
        self.waiting.store(0, Ordering::Relaxed);
    }

    /// Whether the connection is to end, because another takes its place. `waker` is told when it is.
    pub(super) fn is_given_up(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.given_up.load(Ordering::Acquire)
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// A place that a connection has until this is dropped.
pub(super) struct Place {
    peers: Arc<Peers>,
    origin: Origin,
    pub(super) seat: Arc<Seat>,
}

impl Peers {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { all: limits.all, of_one: limits.of_one, begun: Instant::now(), seated: Mutex::default() }
    }

    fn seated(&self) -> MutexGuard<'_, Seated> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `peer`; `many` call through it where `is_gate`. Where an address has all of its places,
    /// or there are no more at all, the connection that has kept us waiting longest gives up its own. None where we keep all
    /// of them waiting.
    pub(super) fn admit(peers: &Arc<Self>, peer: IpAddr, is_gate: bool) -> Option<Place> {
        let origin = Origin::from(peer);
        let most = if is_gate { peers.all } else { peers.of_one.min(peers.all) };
        let mut seated = peers.seated();
        let crowded = if seated.by_origin.get(&origin).is_some_and(|seats| seats.len() >= most) {
            Some(origin)
        } else if seated.count >= peers.all {
            // Whoever has most of them.
            let waited_for = seated.by_origin.iter().filter(|(_, seats)| longest(seats).is_some());
            Some(waited_for.max_by_key(|(_, seats)| seats.len()).map(|(origin, _)| *origin)?)
        } else {
            None
        };
        if let Some(crowded) = crowded {
            let seats = seated.by_origin.get_mut(&crowded)?;
            seats.swap_remove(longest(seats)?).give_up();
            seated.count -= 1;
        }
        let seat = Arc::new(Seat {
            waiting: AtomicU64::default(),
            given_up: AtomicBool::default(),
            waker: AtomicWaker::new(),
            begun: peers.begun,
        });
        seat.wait();
        seated.by_origin.entry(origin).or_default().push(seat.clone());
        seated.count += 1;
        drop(seated);
        Some(Place { peers: peers.clone(), origin, seat })
    }
}

/// Which of them has kept us waiting longest.
fn longest(seats: &[Arc<Seat>]) -> Option<usize> {
    let waiting = seats.iter().map(|seat| seat.waiting.load(Ordering::Relaxed)).enumerate();
    waiting.filter(|(_, since)| *since > 0).min_by_key(|(_, since)| *since).map(|(index, _)| index)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut seated = self.peers.seated();
        let Some(seats) = seated.by_origin.get_mut(&self.origin) else { return };
        // Whoever was given up has none any more.
        let Some(index) = seats.iter().position(|seat| Arc::ptr_eq(seat, &self.seat)) else {
            if seats.is_empty() {
                seated.by_origin.remove(&self.origin);
            }
            return;
        };
        seats.swap_remove(index);
        if seats.is_empty() {
            seated.by_origin.remove(&self.origin);
        }
        seated.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    fn peers(all: usize, of_one: usize) -> Arc<Peers> {
        Arc::new(Peers::new(&Limits { all, of_one, ..Limits::default() }))
    }

    fn is_given_up(place: &Place) -> bool {
        place.seat.is_given_up(&noop_waker())
    }

    #[test]
    fn whoever_has_kept_us_waiting_longest_gives_up_its_place() {
        let peers = peers(100, 3);
        let admit = |peer: &str| Peers::admit(&peers, peer.parse().unwrap(), false);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(admit("203.0.113.7").unwrap());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // The first is answered at present.
        places[0].seat.moved();
        let other = admit("203.0.113.8").unwrap();
        places.push(admit("203.0.113.7").unwrap());
        assert_eq!(places.iter().map(is_given_up).collect::<Vec<_>>(), [false, true, false, false]);
        assert!(!is_given_up(&other), "others keep theirs");
        for place in &places {
            place.seat.moved();
        }
        assert!(admit("203.0.113.7").is_none(), "all of them are answered at present");
        drop(places);
        drop(other);
        assert!(peers.seated().by_origin.is_empty());
        assert_eq!(peers.seated().count, 0);
    }

    #[test]
    fn when_all_places_are_taken_it_is_the_crowd_that_gives_one_up() {
        let peers = peers(5, 4);
        let admit = |peer: &str, is_gate| Peers::admit(&peers, peer.parse().unwrap(), is_gate);
        let first = admit("2001:db8::1", false).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
        let crowd: Vec<_> = (0..4).map(|n| admit(&format!("2001:db8:1::{n}"), false).unwrap()).collect();
        let new = admit("203.0.113.7", false).unwrap();
        assert_eq!(crowd.iter().filter(|place| is_given_up(place)).count(), 1);
        assert!(!is_given_up(&first) && !is_given_up(&new));
        // Those who come by a proxy share all there is.
        let gate: Vec<_> = (0..6).map(|_| admit("127.0.0.1", true)).collect();
        assert!(gate.iter().all(Option::is_some));
        drop((first, crowd, new, gate));
        assert_eq!(peers.seated().count, 0);
    }
}
