use super::{CredentialLine, FoundBy, FoundPerson, Person, TherapistLine, VisitLine};
use crate::accounts::{self, Account, Sought};
use crate::bookings::lifecycle::Status;
use crate::credentials::BoardStatus;
use crate::credentials::review::ReviewState;
use crate::error::Result;
use crate::events::Work;
use crate::ids::{AccountId, BookingId, CredentialId, TherapistId};
use crate::therapists;
use crate::values::{Rating, Role, Zone};

/// The most people that one search finds.
const MOST: i64 = 100;

/// Who fits what is sought, by name: a bounded look by each thing that people may be known by, each along its index.
pub(super) async fn find(work: &mut Work, sought: &Sought, role: Option<Role>) -> Result<Vec<FoundPerson>> {
    let names = sought.in_names();
    let [number, bare] = sought.in_numbers().map_or([None, None], |[number, bare]| [Some(number), Some(bare)]);
    let (first, last) = sought.in_ids().unzip();
    let people = sqlx::query_as!(
        FoundPerson,
        r#"WITH known AS (
               (SELECT id, 'name' AS by FROM accounts
                WHERE ' ' || lower(display_name) LIKE $1 AND ' ' || lower(display_name) LIKE ALL ($2::text[])
                  AND ($9::text IS NULL OR role = $9) LIMIT $10)
               UNION ALL
               (SELECT id, 'email' FROM accounts WHERE lower(email::text) LIKE $3 AND ($9::text IS NULL OR role = $9) LIMIT $10)
               UNION ALL
               (SELECT id, 'phone' FROM accounts WHERE phone LIKE $4 AND ($9::text IS NULL OR role = $9) LIMIT $10)
               UNION ALL
               (SELECT therapist_id, 'licence_number' FROM credentials WHERE normalised_number LIKE $5 LIMIT $10)
               UNION ALL
               (SELECT therapist_id, 'licence_number' FROM credentials WHERE normalised_number LIKE $6 LIMIT $10)
               UNION ALL
               (SELECT unnest(ARRAY[client_id, therapist_id]), 'booking' FROM bookings WHERE id BETWEEN $7 AND $8 LIMIT $10)
           )
           SELECT a.id, a.role AS "role: Role", a.display_name, a.email::text AS "email!", a.phone,
                  array_agg(DISTINCT known.by ORDER BY known.by) AS "found_by!: Vec<FoundBy>"
           FROM known JOIN accounts a ON a.id = known.id
           WHERE $9::text IS NULL OR a.role = $9
           GROUP BY a.id ORDER BY a.display_name, a.id LIMIT $10"#,
        names.first(),
        &names,
        sought.in_emails(),
        sought.in_phones(),
        number,
        bare,
        first,
        last,
        role as Option<Role>,
        MOST
    )
    .fetch_all(&mut ***work)
    .await?;
    Ok(people)
}

/// A person's page; none where there is no such account.
pub(super) async fn person(work: &mut Work, id: AccountId) -> Result<Option<Person>> {
    let Some(account) = accounts::find_any(&mut ***work, id).await? else { return Ok(None) };
    let therapist = match account.role {
        Role::Therapist => Some(therapist(work, id.into()).await?),
        Role::Client | Role::Admin => None,
    };
    let (next_visits, last_visits) = (visits(work, &account, true).await?, visits(work, &account, false).await?);
    let counts = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM incidents i JOIN bookings b ON b.id = i.booking_id
                   WHERE i.resolved_at IS NULL AND (b.client_id = $1 OR b.therapist_id = $1)) AS "incidents!",
                  (SELECT max(created_at) FROM sessions WHERE account_id = $1) AS signed_in"#,
        id.0
    )
    .fetch_one(&mut ***work)
    .await?;
    let (open_incidents, last_signed_in_at) = (counts.incidents, counts.signed_in);
    Ok(Some(Person { account, therapist, next_visits, last_visits, open_incidents, last_signed_in_at }))
}

async fn therapist(work: &mut Work, id: TherapistId) -> Result<TherapistLine> {
    let now = work.now();
    let bookable = therapists::is_shown(work, id, None, now).await?;
    let row = sqlx::query!("SELECT accepting_bookings, rating_count, rating_sum FROM therapists WHERE id = $1", id.0)
        .fetch_one(&mut ***work)
        .await?;
    let credentials = sqlx::query_as!(
        CredentialLine,
        r#"SELECT id AS "id: CredentialId", type AS type_code, number, review_state AS "review_state: ReviewState",
                  board_status AS "board_status: BoardStatus", expires_on
           FROM credentials WHERE therapist_id = $1 ORDER BY id DESC LIMIT 20"#,
        id.0
    )
    .fetch_all(&mut ***work)
    .await?;
    Ok(TherapistLine {
        bookable,
        accepting_bookings: row.accepting_bookings,
        rating: Rating::of(row.rating_count, row.rating_sum),
        credentials,
    })
}

/// Ten visits of a person, on either side: those ahead, soonest first, or those that are over or were called off, latest first.
async fn visits(work: &mut Work, account: &Account, ahead: bool) -> Result<Vec<VisitLine>> {
    let (id, now) = (account.id, work.now());
    macro_rules! lines {
        ($whose:literal, $which:literal) => {
            sqlx::query_as!(
                VisitLine,
                r#"SELECT b.id AS "id: BookingId", CASE WHEN b.status = 'requested' AND b.respond_by <= $2 THEN 'expired' ELSE b.status END AS "status!: Status",
                          b.start_at, b.time_zone AS "time_zone: Zone", b.client_id AS "client_id: AccountId", c.display_name AS client_name,
                          b.therapist_id AS "therapist_id: TherapistId", t.display_name AS therapist_name, b.at_risk_since
                   FROM bookings b JOIN accounts c ON c.id = b.client_id JOIN accounts t ON t.id = b.therapist_id WHERE "# + $whose + $which,
                id.0,
                now
            )
            .fetch_all(&mut ***work)
            .await?
        };
        ($which:literal) => {
            match account.role {
                Role::Client => lines!("b.client_id = $1", $which),
                Role::Therapist => lines!("b.therapist_id = $1", $which),
                Role::Admin => Vec::new(),
            }
        };
    }
    // A visit lasts four hours at the most.
    Ok(if ahead {
        lines!(
            " AND b.start_at > $2 - interval '4 hours' AND b.start_at + make_interval(mins => b.duration_minutes) > $2
               AND (b.status IN ('confirmed', 'on_the_way', 'arrived', 'in_progress') OR (b.status = 'requested' AND b.respond_by > $2))
             ORDER BY b.start_at, b.id LIMIT 10"
        )
    } else {
        lines!(
            " AND (b.start_at + make_interval(mins => b.duration_minutes) <= $2
               OR b.status NOT IN ('requested', 'confirmed', 'on_the_way', 'arrived', 'in_progress'))
             ORDER BY b.start_at DESC, b.id LIMIT 10"
        )
    })
}
