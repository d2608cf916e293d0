//! Uploads: what slow callers hold, what an account may send and keep, and what it is told.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::documents::{files, png};
use crate::support::{App, Person, send};

const MINE: &str = "/v1/therapists/me/credentials";

async fn draft(therapist: &Person) -> String {
    let body = json!({ "type": "US-TX-LMT", "number": "MT123456", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    format!("{MINE}/{}", therapist.post(MINE, body).await.is(201).id())
}

/// An upload that has begun, with the first bytes of a picture, and never says more by itself.
async fn begun(app: &App, therapist: &Person, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: knead.test\r\nAuthorization: Bearer {}\r\nContent-Length: 5000000\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n",
        therapist.token.as_deref().unwrap()
    );
    socket.write_all(&[head.as_bytes(), &png()[..16]].concat()).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_uploads_keep_nobody_else_waiting() {
    let app = App::start().await;
    let mut slow = Vec::new();
    let mut first = None;
    for _ in 0..8 {
        let therapist = app.newcomer().await;
        let path = format!("{}/documents", draft(&therapist).await);
        for _ in 0..4 {
            slow.push(begun(&app, &therapist, &path).await);
        }
        first.get_or_insert((therapist, path));
    }
    let (therapist, path) = first.unwrap();
    // Each of them is at the service once this account is refused a fifth.
    let deadline = Instant::now() + Duration::from_secs(5);
    let refused = loop {
        let answer = therapist.upload(&path, "a.png", &png()).await;
        if answer.status != 201 {
            break answer;
        }
        assert!(Instant::now() < deadline, "a fifth upload at a time");
        therapist.delete(&answer.header("location")).await.is(204);
    };
    assert_eq!(refused.header("retry-after"), "1");
    refused.refused(429, "too_many_uploads");

    let other = app.newcomer().await;
    let others = format!("{}/documents", draft(&other).await);
    let begin = Instant::now();
    other.upload(&others, "a.png", &png()).await.is(201);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());

    // Whoever hangs up gives the place back.
    drop(slow);
    let deadline = Instant::now() + Duration::from_secs(5);
    while therapist.upload(&path, "a.png", &png()).await.status != 201 {
        assert!(Instant::now() < deadline, "the places are not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_trickles_is_given_up() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let socket = begun(&app, &therapist, &path).await;
    let (mut answers, mut sends) = socket.into_split();
    let trickle = tokio::spawn(async move {
        while sends.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(14), answers.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    trickle.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_form_is_said_in_our_words() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let head = "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
    for (content_type, body, detail) in [
        (
            "multipart/form-data",
            "--x--".to_owned(),
            "The Content-Type of a form must name its boundary: multipart/form-data; boundary=...",
        ),
        (
            "multipart/form-data; boundary=x",
            format!("{head}%PDF-1.5"),
            "The form ends too early: its last boundary is missing.",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.5\r\n--x--\r\n".to_owned(),
            "Each part of the form needs a header of its own: Content-Disposition: form-data; name=\"...\".",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"file\"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n".to_owned(),
            "A part of the form must not be a form itself.",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent Disposition\r\n\r\n--x--\r\n".to_owned(),
            "The headers of a part of the form could not be read.",
        ),
    ] {
        let answer =
            send(therapist.request(Method::POST, &path).header("Content-Type", content_type).body(body.clone())).await;
        assert_eq!(answer.body["detail"], detail, "{body}");
        answer.refused(400, "malformed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_wait_for_a_decision_are_counted() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let mut drafts = Vec::new();
    for _ in 0..29 {
        drafts.push(draft(&therapist).await);
    }
    let body = json!({ "type": "US-TX-LMT", "number": "MT123456", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    let both = join_all([therapist.post(MINE, body.clone()), therapist.post(MINE, body.clone())]).await;
    let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "of two at once one is the last");
    therapist.post(MINE, body.clone()).await.refused(422, "too_many_open_credentials");
    therapist.act(&format!("{}/withdraw", drafts[0])).await.is(200);
    therapist.post(MINE, body).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_account_keeps_is_counted_until_it_is_deleted() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let (one, other) = (draft(&therapist).await, draft(&therapist).await);
    let (path, others) = (format!("{one}/documents"), format!("{other}/documents"));
    let size = i64::try_from(png().len()).unwrap();
    let kept = therapist.upload(&path, "a.png", &png()).await.is(201).body["size"].as_i64().unwrap();
    assert!(kept <= 2 * size);
    // All but what a file and a half need.
    let large = knead::ids::uuid_at(app.now());
    let id = one.rsplit('/').next().unwrap();
    app.sql(&format!(
        "INSERT INTO credential_documents (id, credential_id, sent_sha256, sha256, size, media_type, name, pages, uploaded_at)
         VALUES ('{large}', '{id}', sha256('a'), sha256('a'), {}, 'application/pdf', 'a.pdf', 1, '{}')",
        200 * 1024 * 1024 - kept - kept * 3 / 2,
        app.now()
    ))
    .await
    .unwrap();
    let both = join_all([therapist.upload(&path, "a.png", &png()), therapist.upload(&others, "b.png", &png())]).await;
    let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "of two at once one is the last");
    therapist.upload(&others, "c.png", &png()).await.refused(422, "too_much_evidence");
    assert_eq!(files(app.files.path()), 2);
    app.newcomer().await;
    therapist.delete(&format!("{path}/{large}")).await.is(204);
    therapist.upload(&others, "c.png", &png()).await.is(201);
}
