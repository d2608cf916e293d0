//! Diaries as they are stored, and as they are for what is asked.

use chrono::{DateTime, Utc};

use super::{Diary, Enquiry, Reservation};
use crate::ids::{AccountId, ServiceId};
use crate::values::Span;

/// When a diary was read, in changes: of its own, and of what holds for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Of the diary.
    pub diary: i64,
    /// Of the diary, its reserved time aside.
    pub steady: i64,
    /// Of what holds for all.
    pub rulebook: i64,
}

/// The part of a diary that changes with each booking.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    /// When it was read.
    pub revision: Revision,
    /// Whether the therapist and the client who asks are at odds.
    pub blocked: bool,
    /// In order.
    pub reservations: Vec<Reservation>,
    /// When each of them lapses, if it does.
    pub lapses: Vec<Option<DateTime<Utc>>>,
    /// Whose hold each of them is, if it is one.
    pub holders: Vec<Option<AccountId>>,
}

/// A diary as it is stored, whatever is asked of it.
#[derive(Clone, Debug)]
pub struct StoredDiary {
    /// When it was read.
    pub revision: Revision,
    /// In which nothing is missing.
    pub span: Span,
    /// Services with minutes on the table.
    pub offers: Vec<(ServiceId, i16)>,
    /// When each of the reservations lapses, if it does.
    pub lapses: Vec<Option<DateTime<Utc>>>,
    /// Whose hold each of them is, if it is one.
    pub holders: Vec<Option<AccountId>>,
    /// The diary itself.
    pub diary: Diary,
}

impl StoredDiary {
    /// For what is asked at `now`, with the reservations that begin within `span`. Those that have lapsed are left out, and what the client
    /// who asks holds: it does not stand in their own way.
    pub fn open(self, asked: Enquiry, span: Span, now: DateTime<Utc>) -> Diary {
        let offered = asked.visit.is_some_and(|visit| self.offers.contains(&visit));
        let live = |lapses: Option<DateTime<Utc>>| lapses.is_none_or(|lapses| lapses > now);
        let others = |holder: Option<AccountId>| holder.is_none() || holder != asked.client;
        Diary { offered, ..self.with(span, |lapses, holder| live(lapses) && others(holder)) }
    }

    /// With the reservations that begin within `span` and do not lapse; nothing is asked.
    pub fn settled(self, span: Span) -> Diary {
        self.with(span, |lapses, _| lapses.is_none())
    }

    /// With the reservations that begin within `span` and count by when they lapse, and by who holds them.
    fn with(self, span: Span, counts: impl Fn(Option<DateTime<Utc>>, Option<AccountId>) -> bool) -> Diary {
        let reservations = self.diary.reservations.into_iter().zip(self.lapses.into_iter().zip(self.holders));
        let reservations = reservations.filter(|(taken, (lapses, holder))| {
            counts(*lapses, *holder) && span.start <= taken.during.start && taken.during.start < span.end
        });
        Diary { reservations: reservations.map(|(taken, _)| taken).collect(), ..self.diary }
    }

    /// When the next reservation lapses that has not at `now`, if one will.
    pub fn next_lapse(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.lapses.iter().flatten().filter(|lapse| **lapse > now).min().copied()
    }

    /// The same with the time that is reserved by now, which was read for `span`; none where more than that has changed.
    pub fn renewed(&self, reserved: Reserved, span: Span) -> Option<Self> {
        let Reserved { revision, blocked, reservations, lapses, holders } = reserved;
        let same = revision.steady == self.revision.steady && revision.rulebook == self.revision.rulebook;
        if !same || !self.span.contains(span) {
            return None;
        }
        let known = self.clone();
        Some(Self { revision, span, lapses, holders, diary: Diary { reservations, blocked, ..known.diary }, ..known })
    }

    /// As it was read, if that is still how it is, and enough for `span`.
    pub fn is_good(&self, revision: Revision, span: Span) -> bool {
        self.revision == revision && self.span.contains(span)
    }

    /// How many bytes it takes up, about, for whoever keeps many.
    pub fn bytes(&self) -> usize {
        let hours = &self.diary.hours;
        let weeks = hours.timetables.iter().map(|week| size_of_val(week) + size_of_val(week.weekly.as_slice()));
        let dates = hours.overrides.iter().map(|date| size_of_val(date) + size_of_val(date.1.as_slice()));
        let standings = self.diary.standings.iter().map(|standing| {
            let words = [&standing.jurisdictions, &standing.kinds].into_iter().flatten().flatten();
            size_of_val(standing)
                + standing.type_code.len()
                + words.map(|word| size_of_val(word) + word.len()).sum::<usize>()
        });
        size_of::<Self>()
            + self.diary.name.len()
            + weeks.chain(dates).chain(standings).sum::<usize>()
            + size_of_val(self.offers.as_slice())
            + size_of_val(self.lapses.as_slice())
            + size_of_val(self.holders.as_slice())
            + size_of_val(self.diary.time_off.as_slice())
            + size_of_val(self.diary.reservations.as_slice())
    }
}
