//! What the tests speak: an app with a database and a clock of its own, and the people who call it.

mod answers;
mod declared;
mod people;
pub mod smtp;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use knead::accounts::{MailSetUp, MailedCode, mailed_code};
use knead::audit::{Keys as AuditKeys, sequencer};
use knead::auth::{ApiClients, Passwords, Sessions, StaffSecondFactor, Tokens, generate_signing_key};
use knead::availability::travel::Roads;
use knead::bookings::bounds::Bounds;
use knead::bookings::jobs::LapseRequests;
use knead::calendars::Fetcher;
use knead::care::RuleCache;
use knead::cipher::{Cipher, generate_data_key};
use knead::clock::Clock;
use knead::db::Db;
use knead::events::Workshop;
use knead::http::RateLimits;
use knead::ids::MailedCodeId;
use knead::inspection::Inspector;
use knead::messages::keys::Digests;
use knead::messages::post::Kept;
use knead::messages::{MailEvents, Post, dispatcher, sender};
use knead::outbound::Outbound;
use knead::postgres::{Options, Server, StartError, reset};
use knead::privacy::RetentionYears;
use knead::queue::enqueue;
use knead::search::{SearchCache, Searches};
use knead::server::Limits;
use knead::storage::Storage;
use knead::values::Grant;
use knead::{App as Service, db, worker};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

pub use self::answers::{Answer, send};
pub use self::people::Person;

/// One throw-away server for the whole run, in memory where there is room.
static POSTGRES: LazyLock<Server> = LazyLock::new(|| {
    let base = if has_room(Path::new("/dev/shm")) { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let start = |number: usize| {
        let root = base.join(format!("knead-tests-{number}"));
        // Another run is using it, or another user's is kept there.
        if let Err(why) = reset(&root) {
            eprintln!("{}: {why}", root.display());
            return None;
        }
        match Server::start(&Options { root, durable: false, progress: |line| eprintln!("{line}") }) {
            Err(StartError::AlreadyRunning { .. }) => None,
            started => Some(started.expect("PostgreSQL starts")),
        }
    };
    let server = (0..32).find_map(start).expect("a free folder for test data");
    let url = server.url("template");
    block_on(async move {
        execute(&url.replace("/template?", "/postgres?"), "CREATE DATABASE template").await;
        knead::migrate(&url).await.expect("the migrations run");
        execute(&url, JOBS_BY_THE_TESTS_CLOCK).await;
    });
    server
});

/// The queue goes by the database's clock, which knows nothing of a test's: a job for a later moment is put off out of its sight, until
/// [`App::run_jobs`] finds that the moment has come. What goes by the machine's clock, and what failed and is tried again, is due as it is.
const JOBS_BY_THE_TESTS_CLOCK: &str = "
    CREATE SCHEMA testing;
    CREATE FUNCTION testing.put_off() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF abs(extract(epoch FROM NEW.run_at - now())) > 60 THEN
            NEW.run_at := NEW.run_at + interval '1000 years';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER put_off BEFORE INSERT ON graphile_worker._private_jobs FOR EACH ROW EXECUTE FUNCTION testing.put_off()";

/// Whether two gigabytes are free there: in a container the memory file system may be tiny.
pub fn has_room(folder: &Path) -> bool {
    let listed = Command::new("df").arg("-Pk").arg(folder).output().ok().filter(|listed| listed.status.success());
    let text = listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default();
    let free = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    free.is_some_and(|kilobytes: u64| kilobytes > 2_000_000)
}

/// Runs a future to its end on a thread of its own, whichever runtime the caller is in.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(future)).join().expect("the future ends")
    })
}

pub async fn execute(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.expect(statement);
    connection.close().await.unwrap();
}

/// A fresh database with the schema in it.
pub async fn database() -> (String, String) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let server = tokio::task::spawn_blocking(|| &*POSTGRES).await.unwrap();
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
    execute(&server.url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE template STRATEGY FILE_COPY")).await;
    (server.url(&name), name)
}

/// A fresh database with nothing in it; its name.
pub async fn empty_database() -> String {
    let (_, name) = database().await;
    let again = format!("DROP DATABASE {name}; CREATE DATABASE {name} TEMPLATE template0");
    for statement in again.split("; ") {
        execute(&url_of("postgres"), statement).await;
    }
    name
}

/// The instant at which most tests begin: Monday noon in Sydney.
pub fn monday_noon() -> DateTime<Utc> {
    at("2026-11-30T01:00:00Z")
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// An SQL expression for a fresh UUIDv7 of the instant that another one names.
pub fn id_at(instant: &str) -> String {
    format!("(left(least_id({instant})::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid")
}

/// A running service.
pub struct App {
    pub url: String,
    pub service: Arc<Service>,
    pub clock: Clock,
    pub database: String,
    /// Where its files are kept.
    pub files: TempDir,
    http: reqwest::Client,
    server: actix_web::dev::ServerHandle,
    keys: Keys,
}

/// What signs tokens and seals what is kept.
#[derive(Clone)]
struct Keys {
    signing: String,
    data: String,
    audit: String,
}

impl Keys {
    fn new() -> Self {
        Self {
            signing: generate_signing_key().unwrap(),
            data: generate_data_key().unwrap(),
            audit: generate_signing_key().unwrap(),
        }
    }
}

/// Room for a client who books more than anyone does.
const ROOM: Bounds = Bounds {
    max_open_visits: 10_000,
    max_open_requests: 10_000,
    max_free_cancellations: 10_000,
    max_moves: 10_000,
    max_holds_of_one: 10_000,
};

impl Drop for App {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        let drop_database = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        let url = POSTGRES.url("postgres");
        std::thread::spawn(move || block_on(async move { execute(&url, &drop_database).await }));
    }
}

/// How an app is set up.
struct Setup {
    rate_limit: bool,
    osrm: Option<reqwest::Url>,
    bounds: Bounds,
    connections: u32,
    limits: Option<Limits>,
    mail: Mail,
    staff_second_factor: StaffSecondFactor,
}

/// Where an app's mails go.
#[derive(Clone)]
enum Mail {
    Off,
    Mailbox,
    Relay(String),
}

/// As most tests want it.
const PLAIN: Setup = Setup {
    rate_limit: false,
    osrm: None,
    bounds: ROOM,
    connections: 8,
    limits: None,
    mail: Mail::Off,
    staff_second_factor: StaffSecondFactor::Optional,
};

impl App {
    pub async fn start() -> Self {
        Self::start_at(monday_noon()).await
    }

    /// An app with the bounds on a client that a service has unless it is told otherwise. Other tests need more room.
    pub async fn bounded() -> Self {
        Self::set_up(monday_noon(), Setup { bounds: Bounds::default(), ..PLAIN }).await
    }

    pub async fn start_at(now: DateTime<Utc>) -> Self {
        Self::with(now, false).await
    }

    pub async fn with(now: DateTime<Utc>, rate_limit: bool) -> Self {
        Self::routed(now, rate_limit, None).await
    }

    /// An app that asks a routing service for road times.
    pub async fn routed(now: DateTime<Utc>, rate_limit: bool, osrm: Option<reqwest::Url>) -> Self {
        Self::set_up(now, Setup { rate_limit, osrm, ..PLAIN }).await
    }

    /// An app that hands its mails to the relay at that address.
    pub async fn with_relay(relay: &str) -> Self {
        Self::set_up(monday_noon(), Setup { mail: Mail::Relay(relay.to_owned()), ..PLAIN }).await
    }

    /// An app whose connections have these limits.
    pub async fn with_limits(limits: Limits) -> Self {
        Self::set_up(monday_noon(), Setup { limits: Some(limits), ..PLAIN }).await
    }

    /// An app that sends mails; clients and therapists have verified their addresses.
    pub async fn with_mail() -> Self {
        Self::set_up(monday_noon(), Setup { mail: Mail::Mailbox, ..PLAIN }).await
    }

    /// An app whose staff need a second factor.
    pub async fn with_strict_staff() -> Self {
        let staff_second_factor = StaffSecondFactor::Required;
        Self::set_up(monday_noon(), Setup { staff_second_factor, ..PLAIN }).await
    }

    async fn set_up(now: DateTime<Utc>, setup: Setup) -> Self {
        let (_, database) = database().await;
        Self::serve(database, Clock::manual(now), Keys::new(), setup)
    }

    /// The keys that seal what is kept.
    pub fn data_keys(&self) -> &str {
        &self.keys.data
    }

    /// What another process on the same database is started with.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", url_of(&self.database)),
            ("KNEAD_SIGNING_KEY", self.keys.signing.clone()),
            ("KNEAD_DATA_KEYS", self.keys.data.clone()),
            ("KNEAD_AUDIT_KEY", self.keys.audit.clone()),
            ("KNEAD_PUBLIC_URL", "http://knead.test".to_owned()),
            ("KNEAD_RATE_LIMIT", "off".to_owned()),
            ("KNEAD_MAIL", "off".to_owned()),
            ("KNEAD_STAFF_SECOND_FACTOR", "optional".to_owned()),
        ]
    }

    /// The key that signs the audit.
    pub fn audit_key(&self) -> &str {
        &self.keys.audit
    }

    /// Another process on the same database, with these keys to sign the audit.
    pub fn signing_audit_by(&self, audit: String) -> Self {
        let keys = Keys { audit, ..self.keys.clone() };
        Self::serve(self.database.clone(), self.clock.clone(), keys, PLAIN)
    }

    /// Chains all that has been committed, as the sequencer does.
    pub async fn chain_audit(&self) {
        while sequencer::chain(&self.service.db, self.audit_keys(), self.now()).await.unwrap() {}
    }

    /// Plans what is to be sent of all that has happened, and sends what is due, as the worker does.
    pub async fn send_messages(&self) {
        self.chain_audit().await;
        while dispatcher::dispatch(&self.service).await.unwrap() {}
        sender::drain(&self.service).await.unwrap();
    }

    /// The mails that were sent so far, oldest first.
    pub fn mails(&self) -> Vec<Kept> {
        let mut mails = self.service.part::<Post>().unwrap().mailbox().expect("a mailbox");
        mails.reverse();
        mails
    }

    /// Another process on the same database, with these keys to seal what is kept.
    pub fn beside(&self, data_keys: String) -> Self {
        Self::serve(self.database.clone(), self.clock.clone(), Keys { data: data_keys, ..self.keys.clone() }, PLAIN)
    }

    /// Another process on the same database, with so many connections.
    pub fn with_pool(&self, connections: u32) -> Self {
        let setup = Setup { connections, ..PLAIN };
        Self::serve(self.database.clone(), self.clock.clone(), self.keys.clone(), setup)
    }

    fn serve(database: String, clock: Clock, keys: Keys, setup: Setup) -> Self {
        let Setup { rate_limit, osrm, bounds, connections, limits, mail, staff_second_factor } = setup;
        let db = Db::from(db::pool(&url_of(&database), connections).unwrap());
        let files = TempDir::new().unwrap();
        let roads = Roads::new(&db, osrm.as_ref()).unwrap();
        let shop = Workshop { db, clock: clock.clone(), reactions: knead::doors::REACTIONS };
        let cipher = Cipher::new(&keys.data.clone().into()).unwrap();
        let storage = Storage::open(files.path().join("kept").to_str().unwrap()).unwrap();
        let post = match &mail {
            Mail::Off => Post::off("http://knead.test"),
            Mail::Mailbox => Post::kept("http://knead.test"),
            Mail::Relay(relay) => {
                Post::relayed(&relay.parse().unwrap(), "Knead <knead@mail.test>", "http://knead.test")
            }
        };
        // Who sends no mails hears of none.
        let mail_events = match &mail {
            Mail::Off => MailEvents::default(),
            Mail::Mailbox | Mail::Relay(_) => MailEvents::new(&MAIL_EVENTS_SECRET.to_owned().into()).unwrap(),
        };
        let service = Service::new(shop, cipher, storage)
            .with(Tokens::new("http://knead.test", &keys.signing.clone().into()).unwrap())
            .with(Passwords::new().unwrap())
            .with(RateLimits::new(rate_limit, vec!["127.0.0.1".parse().unwrap()]))
            .with(AuditKeys::new(&keys.audit.clone().into()).unwrap())
            .with(roads)
            .with(Searches::new())
            .with(SearchCache::default())
            .with(Sessions::default())
            .with(ApiClients::default())
            .with(RuleCache::default())
            .with(Fetcher::new(Outbound::with_loopback()))
            .with(Outbound::with_loopback())
            .with(Inspector::new())
            .with(RetentionYears::default())
            .with(MailSetUp(!matches!(mail, Mail::Off)))
            .with(post.unwrap())
            .with(Digests::default())
            .with(mail_events)
            .with(staff_second_factor)
            .with(bounds);
        let service = Arc::new(service);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let limits = limits.unwrap_or_default();
        let server = knead::server::limited_server(service.clone(), listener, 2, limits).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, service, clock, database, files, http: reqwest::Client::new(), server: handle, keys }
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// What signs the audit.
    pub fn audit_keys(&self) -> &AuditKeys {
        self.service.part().unwrap()
    }

    /// Carries out every job that is due by the app's clock, and looks for requests that have lapsed, as each minute does.
    pub async fn run_jobs(&self) {
        let mut tx = self.service.db.begin().await.unwrap();
        enqueue(&mut tx, &LapseRequests, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        let due = "UPDATE graphile_worker._private_jobs SET run_at = now() - interval '1 second'
                   WHERE run_at < '2500-01-01' OR run_at - interval '1000 years' <= $1";
        sqlx::query(due).bind(self.now()).execute(&*self.service.db).await.unwrap();
        worker::workers(&self.service, std::future::pending()).await.unwrap().run_once().await.unwrap();
    }

    pub async fn jobs_waiting(&self) -> i64 {
        self.rows("graphile_worker._private_jobs").await
    }

    /// How many rows there are in a table, or in whatever may follow FROM.
    pub async fn rows(&self, of: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {of}"));
        sqlx::query_scalar(count).fetch_one(&*self.service.db).await.expect(of)
    }

    /// The number that a query answers with.
    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&*self.service.db).await.expect(query)
    }

    /// Fails unless what happened to each thing is counted from 1 without a gap, and each event's id is of the instant that it happened at.
    pub async fn events_are_in_order(&self) {
        let uncounted = "SELECT count(*) FROM (
                             SELECT number, row_number() OVER (PARTITION BY subject_type, subject_id ORDER BY position) AS nth FROM events
                         ) e WHERE number <> nth";
        assert_eq!(self.count(uncounted).await, 0, "an event that is counted wrongly");
        let astray =
            "SELECT count(*) FROM events WHERE id < least_id(at) OR id >= least_id(at + interval '1 millisecond')";
        assert_eq!(self.count(astray).await, 0, "an event whose id is of another time");
    }

    pub async fn sql(&self, statement: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&*self.service.db).await.map(drop)
    }

    /// Someone without an account.
    pub fn nobody(&self) -> Person {
        Person::nobody(self)
    }

    async fn register(&self, role: &str) -> Person {
        let email = format!("{role}-{}@knead.test", Uuid::now_v7());
        let body = json!({ "email": email, "password": PASSWORD, "role": role, "display_name": format!("Test {role}"), "time_zone": "Australia/Sydney" });
        let answer = self.nobody().post("/v1/auth/register", body).await.is(201);
        let person = self.nobody().signed_in(&answer);
        if self.service.part::<MailSetUp>().unwrap().0 {
            let code = self.mailed("account.verification_asked", person.id).await.unwrap().code;
            person.post("/v1/auth/email/verify", json!({ "code": code })).await.is(200);
        }
        person
    }

    /// The latest code of a kind that was mailed to an account, while it can be used.
    pub async fn mailed(&self, kind: &str, account: Uuid) -> Option<MailedCode> {
        let query =
            "SELECT details ->> 'code' FROM events WHERE kind = $1 AND subject_id = $2 ORDER BY position DESC LIMIT 1";
        let id: Option<String> = sqlx::query_scalar(query)
            .bind(kind)
            .bind(account.to_string())
            .fetch_optional(&*self.service.db)
            .await
            .unwrap();
        let id = MailedCodeId(id?.parse().unwrap());
        mailed_code(&self.service.db, &self.service.cipher, id, self.now()).await.unwrap()
    }

    pub async fn client(&self) -> Person {
        self.register("client").await
    }

    /// A therapist who has only registered.
    pub async fn newcomer(&self) -> Person {
        self.register("therapist").await
    }

    /// A therapist in Newtown who works from nine to five, every day, at once and for everything, fully licensed.
    pub async fn therapist(&self) -> Person {
        let therapist = self.newcomer().await;
        therapist
            .change("/v1/therapists/me", json!({
                "base_latitude": -33.8981, "base_longitude": 151.1743, "service_radius_km": 15, "booking_mode": "instant",
                "time_zone": "Australia/Sydney", "gender": "female", "languages": ["en"],
            }))
            .await
            .is(200);
        therapist
            .replace(
                "/v1/therapists/me/services",
                json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60, 90] }] }),
            )
            .await
            .is(200);
        therapist.works(&WEEK.map(|day| (day, "09:00", "17:00"))).await;
        self.license(&therapist, "2027-12-31").await;
        // The service would have told them as it verified the last one.
        self.sql(&format!("INSERT INTO bookable_therapists VALUES ('{}', '{}')", therapist.id, self.now()))
            .await
            .unwrap();
        therapist
    }

    /// Gives a therapist the five credentials that Australia asks for, verified.
    pub async fn license(&self, therapist: &Person, expires_on: &str) {
        for code in ["AU-QUAL", "AU-ASSOC", "INSURANCE", "POLICE-CHECK", "FIRST-AID"] {
            let expires_on = (code != "AU-QUAL").then_some(expires_on);
            sqlx::query(
                "INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
                 VALUES ($1, $2, $3, 'Test', $4::date, 'verified', 'active', $5)",
            )
            .bind(Uuid::now_v7())
            .bind(therapist.id)
            .bind(code)
            .bind(expires_on)
            .bind(self.now())
            .execute(&*self.service.db)
            .await
            .unwrap();
        }
    }

    /// An owner.
    pub async fn admin(&self) -> Person {
        self.admin_with(&[Grant::Owner]).await
    }

    /// An admin with these grants.
    pub async fn admin_with(&self, grants: &[Grant]) -> Person {
        let email = format!("admin-{}@knead.test", Uuid::now_v7());
        let password = knead::auth::Password::new(PASSWORD).unwrap();
        let hash = self.service.part::<Passwords>().unwrap().hash(password).await.unwrap();
        knead::accounts::create_admin(&self.service.workshop(), &email, &hash, grants.iter().copied().collect())
            .await
            .unwrap();
        self.nobody().log_in(&email).await
    }

    /// A client with an address in Surry Hills, four kilometres from Newtown.
    pub async fn client_at_home(&self) -> (Person, Uuid) {
        let client = self.client().await;
        let address = client.address(surry_hills()).await;
        (client, address)
    }
}

/// Signs reports of what came back of mails.
pub const MAIL_EVENTS_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub const PASSWORD: &str = "correct horse battery";
pub const DEEP_TISSUE: &str = "019b76da-a800-7c02-8b52-6f1d8e203c02";
pub const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

pub fn surry_hills() -> Value {
    json!({
        "label": "Home", "kind": "home", "line1": "12 Crown Street", "locality": "Surry Hills", "region": "NSW",
        "postcode": "2010", "country": "AU", "latitude": -33.8886, "longitude": 151.2111, "access_notes": "Ring 4.",
    })
}

/// The URL of a test's database.
pub fn url_of(database: &str) -> String {
    POSTGRES.url(database)
}

/// Numbers that depend on the seed alone (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("a small number")
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}
