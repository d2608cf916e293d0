//! How fast messages leave: events looked through a second, mails a second to a relay that takes each at once, and webhooks a second to an endpoint that does,
//! beside the same relay fed by the mail library alone; and how long a working endpoint waits beside a thousand that never answer. Run it with
//! `cargo bench --bench messages`. `KNEAD_BENCH_MESSAGES` (5000) is how many, `KNEAD_BENCH_DEAD` (1000) how many endpoints are dead, and
//! `KNEAD_BENCH_SECONDS` (20) how long they are waited beside.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on fails")]

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use knead::App;
use knead::audit::{Keys, sequencer};
use knead::auth::{Tokens, generate_signing_key};
use knead::cipher::{Cipher, generate_data_key};
use knead::clock::Clock;
use knead::db::Db;
use knead::events::Workshop;
use knead::messages::keys::Digests;
use knead::messages::{Post, dispatcher, sender};
use knead::outbound::Outbound;
use knead::postgres::{Options, Server};
use knead::storage::Storage;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    set_permissions(&folder, Permissions::from_mode(0o755)).expect("a folder that can be reached");
    let root = folder.path().join("postgres");
    let options = Options { root, durable: true, progress: |_| {} };
    let server =
        tokio::task::spawn_blocking(move || Server::start(&options)).await.expect("a thread").expect("PostgreSQL");
    let url = knead::dev::create_database(&server, "messages").await.expect("a database");
    knead::migrate(&url).await.expect("the migrations run");
    let (relay, taken) = relay().await;
    let app = app(&url, &format!("smtp://127.0.0.1:{relay}"), folder.path().join("kept").to_str().expect("a path"));
    let count = setting("KNEAD_BENCH_MESSAGES", 5_000);

    happen(&app, count).await;
    let begun = Instant::now();
    while dispatcher::dispatch(&app).await.expect("it is planned") {}
    println!("{count} events looked through: {:.0} a second", rate(count, begun));
    let begun = Instant::now();
    sender::drain(&app).await.expect("it is sent");
    let mails = rate(count, begun);
    assert_eq!(taken.load(Ordering::SeqCst), count, "mails");
    let bare = alone(relay, count).await;
    println!("mails: {mails:.0} a second, {:.2} of what the library alone hands over ({bare:.0})", mails / bare);

    let receiver = Receiver::start().await;
    let endpoint = endpoint(&app, receiver.port).await;
    due(&app, endpoint, count).await;
    let begun = Instant::now();
    sender::drain(&app).await.expect("it is sent");
    println!("webhooks to one endpoint: {:.0} a second", rate(count, begun));
    assert_eq!(receiver.got.lock().expect("no poison").len(), count, "webhooks");

    beside_the_dead(&app, endpoint, &receiver).await;
    tokio::task::spawn_blocking(move || server.stop()).await.expect("a thread").expect("an orderly end");
}

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

fn app(url: &str, relay: &str, files: &str) -> Arc<App> {
    let db = Db::shared_out(url, 16, 2).expect("a pool");
    let shop = Workshop { db, clock: Clock::System, reactions: knead::doors::REACTIONS };
    let cipher = Cipher::new(&generate_data_key().expect("a key").into()).expect("a cipher");
    let relay = relay.parse().expect("a relay");
    let post = Post::relayed(&relay, "Knead <knead@mail.test>", "http://knead.test").expect("a relay");
    Arc::new(
        App::new(shop, cipher, Storage::open(files).expect("a folder"))
            .with(Tokens::new("http://knead.test", &generate_signing_key().expect("a key").into()).expect("tokens"))
            .with(Keys::for_signing(&generate_signing_key().expect("a key").into()).expect("keys"))
            .with(post)
            .with(Digests::default())
            .with(Outbound::with_loopback()),
    )
}

async fn execute(db: &PgPool, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(db).await.expect("the statements run");
}

/// So many things happen, each to an account of its own, that somebody is written of; and they are chained.
async fn happen(app: &App, count: usize) {
    let statements = format!(
        "INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at, email_verified_at)
         SELECT (left(least_id(now())::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, 'client-' || n || '@knead.test', '', 'client',
                'Client ' || n, 'Australia/Sydney', now(), now() FROM generate_series(1, {count}) n;
         INSERT INTO events (id, at, kind, subject_type, subject_id, number, client_id, details)
         SELECT (left(least_id(now())::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, now(), 'clearance.accept', 'clearance',
                gen_random_uuid()::text, 1, id, '{{}}' FROM accounts;
         ANALYZE"
    );
    execute(&app.db, &statements).await;
    while sequencer::chain(&app.db, app.part::<Keys>().expect("keys"), app.clock.now()).await.expect("it is chained") {}
}

/// An endpoint at that port.
async fn endpoint(app: &App, port: u16) -> Uuid {
    let id = Uuid::now_v7();
    let seal = |column: &str, text: &str| app.cipher.seal(column, id, text).expect("it is sealed");
    sqlx::query(
        "INSERT INTO webhook_endpoints (id, owner_id, url, kinds, secret_sealed, key_sealed, public_key, created_at, updated_at)
         VALUES ($1, (SELECT id FROM accounts LIMIT 1), $2, '{}', $3, $4, '', now(), now())",
    )
    .bind(id)
    .bind(format!("http://127.0.0.1:{port}/hooks"))
    .bind(seal("webhook_endpoints.secret", &format!("whsec_{}", STANDARD.encode([7; 32]))))
    .bind(seal("webhook_endpoints.key", &format!("whsk_{}", STANDARD.encode([9; 32]))))
    .execute(&*app.db)
    .await
    .expect("an endpoint");
    id
}

/// So many messages are due to an endpoint, each in a lane of its own.
async fn due(app: &App, endpoint: Uuid, count: usize) {
    let statements = format!(
        "INSERT INTO deliveries (id, once, event_kind, message, endpoint_id, class, channel, lane, due_at, expires_at, valid, created_at)
         SELECT id, id::text, 'booking.accept', 'booking.confirmed', '{endpoint}', 'webhook', 'webhook', id::text, now(), now() + interval '3 days',
                jsonb_build_object('type', 'booking.confirmed', 'timestamp', now(), 'data', jsonb_build_object('booking_id', id)), now()
         FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, {count})) AS new"
    );
    execute(&app.db, &statements).await;
}

/// How long messages to a working endpoint wait, beside endpoints that take a connection and never answer.
async fn beside_the_dead(app: &Arc<App>, working: Uuid, receiver: &Receiver) {
    let (dead, seconds) = (setting("KNEAD_BENCH_DEAD", 1_000), setting("KNEAD_BENCH_SECONDS", 20));
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = silent.accept().await {
            held.push(socket);
        }
    });
    for _ in 0..dead {
        let endpoint = endpoint(app, port).await;
        due(app, endpoint, 20).await;
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(sender::run(app.clone(), async { drop(stopped.await) }));
    receiver.got.lock().expect("no poison").clear();
    let mut asked = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        due(app, working, 1).await;
        asked += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.send(()).expect("somebody is told");
    let mut waited: Vec<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM ended_at - created_at)::float8 * 1000 FROM deliveries WHERE endpoint_id = $1 AND state = 'sent'
         ORDER BY created_at DESC LIMIT $2",
    )
    .bind(working)
    .bind(i64::from(asked))
    .fetch_all(&*app.db)
    .await
    .expect("the messages");
    waited.sort_by(f64::total_cmp);
    let at = |share: f64| waited[((waited.len() - 1) as f64 * share) as usize];
    println!(
        "beside {dead} endpoints that never answer: {} of {asked} messages to a working one were sent, p50 {:.0} ms, p99 {:.0} ms, the longest {:.0} ms \
         (it is looked for what is due every 500 ms)",
        waited.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    running.abort();
}

/// A relay that takes every mail at once: its port, and how many it took.
async fn relay() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let taken = counted.clone();
            tokio::spawn(async move { drop(take(socket, &taken).await) });
        }
    });
    (port, taken)
}

async fn take(socket: TcpStream, taken: &AtomicUsize) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (reading, mut writing) = socket.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 relay.test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.get(..4) {
            Some("EHLO") => b"250-relay.test\r\n250 8BITMIME\r\n",
            Some("DATA") => {
                writing.write_all(b"354 go on\r\n").await?;
                while lines.next_line().await?.is_some_and(|line| line != ".") {}
                taken.fetch_add(1, Ordering::SeqCst);
                b"250 taken\r\n"
            }
            Some("QUIT") => return writing.write_all(b"221 bye\r\n").await,
            _ => b"250 fine\r\n",
        };
        writing.write_all(answer).await?;
    }
    Ok(())
}

/// Mails a second that the library alone hands over, as many at once.
async fn alone(port: u16, count: usize) -> f64 {
    let relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(port).build();
    let mail = Message::builder()
        .from("knead@mail.test".parse().expect("an address"))
        .to("client@knead.test".parse().expect("an address"))
        .subject("There is something for you in Knead")
        .body("x".repeat(3_000))
        .expect("a mail");
    let begun = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(32, |_| {
            let (relay, mail) = (relay.clone(), mail.clone());
            async move {
                relay.send(mail).await.expect("it is taken");
            }
        })
        .await;
    rate(count, begun)
}

/// An endpoint that takes everything at once.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Instant>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let noted = got.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let noted = noted.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 4096];
                    let mut read = 0;
                    while let Ok(more) = socket.read(&mut buffer[read..]).await {
                        read += more;
                        if more == 0 || buffer[..read].ends_with(b"}") {
                            break;
                        }
                    }
                    noted.lock().expect("no poison").push(Instant::now());
                    drop(socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await);
                });
            }
        });
        Self { port, got }
    }
}
