//! Peers that send or read too slowly, too much or nothing at all, over sockets of their own; and those who do as they should
//! meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use knead::server::Limits;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::support::{App, DEEP_TISSUE};

/// Limits that a test can wait for.
fn short() -> Limits {
    Limits {
        head: Duration::from_millis(700),
        idle: Duration::from_millis(1500),
        unsent: Duration::from_millis(800),
        unread: Duration::from_millis(800),
        linger: Duration::from_millis(700),
        of_one: 128,
        all: 700,
    }
}

/// What a test waits for at the most.
const SOON: Duration = Duration::from_secs(5);

fn address(app: &App) -> SocketAddr {
    app.url.trim_start_matches("http://").parse().unwrap()
}

async fn connected(app: &App) -> TcpStream {
    TcpStream::connect(address(app)).await.unwrap()
}

/// A connection from another address of this machine, with a small buffer for what it does not read.
async fn connected_from(app: &App, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    socket.connect(address(app)).await.unwrap()
}

/// All that still comes, until the other side ends.
async fn rest(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let read = timeout(SOON, socket.read_to_end(&mut text)).await.expect("an end");
    // Whoever goes on sending to a socket that was closed is told so after the answer.
    drop(read);
    String::from_utf8_lossy(&text).into_owned()
}

/// One answer, which names its length.
async fn answer(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let is_whole = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
        (body.len() >= length).then_some(())
    };
    while is_whole(&text).is_none() {
        let mut byte = [0; 1];
        timeout(SOON, socket.read_exact(&mut byte)).await.expect("an answer in time").expect("an answer");
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A problem with all that a problem has.
fn is_problem(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let header = |name: &str| {
        let value = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned));
        value.unwrap_or_else(|| panic!("no {name}: {answer}"))
    };
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("connection"), "close");
    assert_eq!(header("content-length"), body.len().to_string());
    assert!(!header("date").is_empty());
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code, "{answer}");
    assert_eq!(problem["type"], format!("urn:knead:problem:{code}"));
    assert_eq!(problem["request_id"], header("x-request-id"));
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{answer}");
}

/// Sends `text` byte by byte and again and again, for as long as it is taken; what is answered.
fn trickle(socket: TcpStream, text: &'static str, every: Duration) -> OwnedReadHalf {
    let (answers, mut sends) = socket.into_split();
    tokio::spawn(async move {
        for byte in text.bytes().cycle() {
            if sends.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(every).await;
        }
    });
    answers
}

/// That others are answered, and soon.
async fn others_are_answered(app: &App) {
    let begun = Instant::now();
    app.nobody().get("/v1/services").await.is(200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

const GET: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_head_has_its_end() {
    let app = App::with_limits(short()).await;
    let every = Duration::from_millis(100);
    let after = async |first: &str| {
        let mut socket = connected(&app).await;
        socket.write_all(first.as_bytes()).await.unwrap();
        for _ in 0..first.matches("\r\n\r\n").count() {
            assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
        }
        socket
    };
    let heads =
        ["", GET, &GET.repeat(3), "GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\nx-long: ", "\r\n"];
    let ended = heads.into_iter().map(async |first| {
        let begun = Instant::now();
        let mut socket = trickle(after(first).await, "a", every);
        is_problem(&rest(&mut socket).await, 408, "request_timeout");
        assert!(begun.elapsed() < Duration::from_secs(3), "{first:?}: {:?}", begun.elapsed());
    });
    tokio::join!(join_all(ended), others_are_answered(&app));
    // Whoever says nothing is told nothing.
    let silent = ["", GET].into_iter().map(async |first| {
        let begun = Instant::now();
        assert_eq!(rest(&mut after(first).await).await, "");
        assert!(begun.elapsed() < Duration::from_secs(3), "{first:?}: {:?}", begun.elapsed());
    });
    join_all(silent).await;
    // A pause between two requests is none of a head.
    let mut socket = after(GET).await;
    sleep(Duration::from_millis(1000)).await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_an_early_answer_is_not_waited_for() {
    let app = App::with_limits(short()).await;
    let requests = [
        ("GET /v1/services HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "200"),
        ("POST /v1/bookings HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "401"),
        ("POST /v1/bookings HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", "401"),
        ("POST /nope HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "404"),
        ("PUT /v1/services HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "405"),
        ("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "200"),
    ];
    let ended = requests.into_iter().map(async |(request, status)| {
        let begun = Instant::now();
        let mut socket = connected(&app).await;
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut socket = trickle(socket, "1\r\nx\r\n", Duration::from_millis(20));
        let text = rest(&mut socket).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {text}");
        assert!(text.to_ascii_lowercase().contains("connection: close"), "{request}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{request}: {text}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{request}: {:?}", begun.elapsed());
    });
    tokio::join!(join_all(ended), others_are_answered(&app));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stands_still_is_given_up() {
    let app = App::with_limits(short()).await;
    let head = "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let framed = ["transfer-encoding: chunked\r\n\r\n5\r\n{", "content-length: 40\r\n\r\n{"];
    let ended = framed.into_iter().map(async |framed| {
        let mut socket = connected(&app).await;
        socket.write_all(format!("{head}{framed}").as_bytes()).await.unwrap();
        let begun = Instant::now();
        let text = rest(&mut socket).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    });
    tokio::join!(join_all(ended), others_are_answered(&app));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_is_ended() {
    let app = App::with_limits(short()).await;
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
    let whole = app.nobody().get("/openapi.json").await.is(200).text.len();
    for every in [None, Some(Duration::from_millis(50))] {
        let mut deaf = Vec::new();
        for _ in 0..20 {
            let mut socket = connected_from(&app, "127.0.0.1").await;
            socket.write_all(request.as_bytes()).await.unwrap();
            deaf.push(socket);
        }
        let ended = deaf.into_iter().map(async |mut socket| {
            // Takes nothing at all for a while, or next to nothing.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(2500) {
                match every {
                    Some(every) => {
                        sleep(every).await;
                        let mut byte = [0];
                        // Whatever has come of it.
                        drop(timeout(Duration::from_millis(10), socket.read(&mut byte)).await);
                    }
                    None => sleep(Duration::from_millis(100)).await,
                }
            }
            let text = rest(&mut socket).await;
            assert!(text.len() < 10 * whole, "{} bytes", text.len());
        });
        tokio::join!(join_all(ended), others_are_answered(&app));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_that_are_none_are_answered() {
    let app = App::with_limits(short()).await;
    let head = "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = format!("1;{}", "x".repeat(20_000));
    let shapes = [
        "zz\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhelloworld\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5 5\r\nhello\r\n",
        "5;a\u{0}\r\nhello\r\n",
        "ffffffffffffffffff\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nx: 1\n\r\n",
        "{\"email\": \"a@example.com\"}",
        long.as_str(),
    ];
    let answered = shapes.into_iter().flat_map(|shape| [(shape, false), (shape, true)]).map(async |(shape, apart)| {
        let mut socket = connected(&app).await;
        if apart {
            socket.write_all(head.as_bytes()).await.unwrap();
            for part in shape.as_bytes().chunks(shape.len().div_ceil(3)) {
                sleep(Duration::from_millis(20)).await;
                // It may be answered by then.
                drop(socket.write_all(part).await);
            }
        } else {
            socket.write_all(format!("{head}{shape}").as_bytes()).await.unwrap();
        }
        is_problem(&rest(&mut socket).await, 400, "malformed");
    });
    join_all(answered).await;
    // Nobody who reads no body takes it for sound either.
    let mut socket = connected(&app).await;
    socket
        .write_all(b"GET /v1/services HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        .await
        .unwrap();
    is_problem(&rest(&mut socket).await, 400, "malformed");
    others_are_answered(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_reads_no_body_answers_whatever_comes_of_it_later() {
    let app = App::with_limits(short()).await;
    let head = "GET /v1/services HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    // The operation waits for the table while the rest comes.
    let mut tx = app.service.db.begin().await.unwrap();
    sqlx::query("LOCK TABLE tariffs, services").execute(&mut *tx).await.unwrap();
    let ended = ["zz\r\n", "5\r\nhelloworld\r\n", "0\r\nno colon\r\n\r\n", "0\r\n\r\n"].map(async |late| {
        let mut socket = connected(&app).await;
        socket.write_all(head.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        socket.write_all(late.as_bytes()).await.unwrap();
        let text = rest(&mut socket).await;
        // By when the body is known to be broken, the operation may be at work, or not have begun.
        let is_whole = text.starts_with("HTTP/1.1 200 ");
        assert!(is_whole || late != "0\r\n\r\n", "{late:?}: {text}");
        if !is_whole {
            is_problem(&text, 400, "malformed");
        }
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{late:?}: {text}");
    });
    let unlocked = async {
        sleep(Duration::from_millis(300)).await;
        tx.rollback().await.unwrap();
    };
    tokio::join!(join_all(ended), unlocked);
    others_are_answered(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_answered_with_a_problem() {
    let app = App::with_limits(short()).await;
    let many: String = (0..120).map(|n| format!("x-{n}: 1\r\n")).collect();
    let shapes = [
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET /livez HTTP/3.0\r\nhost: x\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET /livez HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET /livez HTTP/1.1\r\nbad header: x\r\nhost: x\r\n\r\n".to_owned(), 400, "malformed"),
        ("GET /livez HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n".to_owned(), 400, "malformed"),
        ("POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1x\r\n\r\n{}".to_owned(), 400, "malformed"),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
            400,
            "malformed",
        ),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n".to_owned(), 400, "malformed"),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}".to_owned(), 400, "malformed"),
        ("{\"email\": 1}\r\n\r\n".to_owned(), 400, "malformed"),
        (format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many}\r\n"), 431, "headers_too_large"),
        (format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(40_000)), 431, "headers_too_large"),
        (format!("GET /{}", "x".repeat(200_000)), 431, "headers_too_large"),
    ];
    let answered = shapes.iter().flat_map(|shape| [(shape, ""), (shape, GET)]).map(async |(shape, first)| {
        let (text, status, code) = shape;
        let mut socket = connected(&app).await;
        socket.write_all(first.as_bytes()).await.unwrap();
        if !first.is_empty() {
            answer(&mut socket).await;
        }
        // It may be answered before all of it is sent.
        drop(socket.write_all(text.as_bytes()).await);
        is_problem(&rest(&mut socket).await, *status, code);
    });
    join_all(answered).await;
    // In one go with what comes before it.
    let mut socket = connected(&app).await;
    socket.write_all(format!("{GET}{GET}nonsense\r\n\r\n").as_bytes()).await.unwrap();
    for _ in 0..2 {
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
    }
    is_problem(&rest(&mut socket).await, 400, "malformed");
    // What breaks off is said to have.
    let mut socket = connected(&app).await;
    socket.write_all(b"GET /livez HTTP/1.1\r\nho").await.unwrap();
    socket.shutdown().await.unwrap();
    is_problem(&rest(&mut socket).await, 400, "malformed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_at_once_are_answered_in_turn() {
    let app = App::with_limits(short()).await;
    let login = "{\"email\": \"nobody@example.com\", \"password\": \"wrong password\"}";
    let post = "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let length = format!("{post}content-length: {}\r\n\r\n{login}", login.len());
    let chunked = format!(
        "{post}transfer-encoding: chunked\r\n\r\n5;x=y\r\n{}\r\n{:x}\r\n{}\r\n0\r\nx: y\r\n\r\n",
        &login[..5],
        login.len() - 5,
        &login[5..]
    );
    let expecting = format!("{post}expect: 100-continue\r\ncontent-length: {}\r\n\r\n{login}", login.len());
    let all = format!(
        "{GET}{length}{GET}{chunked}{chunked}{expecting}{GET}HEAD /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    for pieces in [all.len(), 1000, 7] {
        let mut socket = connected(&app).await;
        for piece in all.as_bytes().chunks(pieces) {
            socket.write_all(piece).await.unwrap();
            if pieces < 100 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        let text = rest(&mut socket).await;
        let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "401", "200", "401", "401", "100", "401", "200", "200"], "{text}");
    }
    // Half a connection is enough to be answered by.
    let mut socket = connected(&app).await;
    socket.write_all(format!("{GET}{length}").as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    let text = rest(&mut socket).await;
    assert!(text.contains("HTTP/1.1 200 ") && text.contains("HTTP/1.1 401 "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_so_many_connections_and_the_last_to_come_is_served() {
    let app = App::with_limits(Limits { of_one: 8, all: 40, head: Duration::from_secs(30), ..short() }).await;
    let crowd = |from: &'static str, size: usize| {
        let app = &app;
        async move {
            let mut crowd = Vec::new();
            for _ in 0..size {
                let mut socket = connected_from(app, from).await;
                socket.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
                crowd.push(socket);
            }
            crowd
        }
    };
    // How many are open once no more than `most` are; a machine that is busy takes its time to end the others.
    let open = async |crowd: &mut Vec<TcpStream>, most: usize| {
        let mut left = crowd.len();
        for _ in 0..15 {
            let ended =
                crowd.iter_mut().map(async |socket| timeout(Duration::from_millis(300), socket.read(&mut [0])).await);
            left = join_all(ended).await.iter().filter(|read| read.is_err()).count();
            if left <= most {
                break;
            }
        }
        left
    };
    let mut crowd_of_one = crowd("127.0.0.2", 30).await;
    assert_eq!(open(&mut crowd_of_one, 8).await, 8);
    let mut late = connected_from(&app, "127.0.0.2").await;
    late.write_all(GET.as_bytes()).await.unwrap();
    assert!(answer(&mut late).await.starts_with("HTTP/1.1 200 "));
    others_are_answered(&app).await;
    // All of them together have an end too, and those who come by this machine itself or a proxy may have all of it.
    let mut crowd_of_all = crowd("127.0.0.1", 60).await;
    let left = open(&mut crowd_of_all, 40).await;
    assert!((20..=40).contains(&left), "{left}");
    let mut other = connected_from(&app, "127.0.0.3").await;
    other.write_all(GET.as_bytes()).await.unwrap();
    assert!(answer(&mut other).await.starts_with("HTTP/1.1 200 "));
    others_are_answered(&app).await;
    // Whoever goes leaves a place.
    drop((crowd_of_one, crowd_of_all, late, other));
    sleep(Duration::from_millis(300)).await;
    let mut crowd = crowd("127.0.0.2", 8).await;
    assert_eq!(open(&mut crowd, 8).await, 8);
}

/// All kinds at once, and searches meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_callers_are_served_among_all_of_them() {
    let app = App::with_limits(short()).await;
    let (client, _) = app.client_at_home().await;
    let kinds = [
        "",
        "GET /liv",
        "GET /livez HTTP/1.1\r\nhost: x\r\n\r\nG",
        "POST /nope HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{",
        "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\nGET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n",
    ];
    let mut crowd = Vec::new();
    for kind in kinds {
        for _ in 0..25 {
            let mut socket = connected_from(&app, "127.0.0.1").await;
            socket.write_all(kind.as_bytes()).await.unwrap();
            crowd.push(socket);
        }
    }
    let slots = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-07&latitude=-33.8886&longitude=151.2111&country=AU&region=NSW"
    );
    for _ in 0..20 {
        let begun = Instant::now();
        client.get("/v1/me").await.is(200);
        client.get(&slots).await.is(200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    let ended = crowd.into_iter().map(async |mut socket| {
        sleep(Duration::from_secs(2)).await;
        rest(&mut socket).await
    });
    join_all(ended).await;
}
