//! Answers that are sent compressed, and what their tags are good for.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Answer, App, Person, send};

/// What was answered to a GET that sends these headers, as it came over the wire.
async fn raw(person: &Person, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
    let request =
        headers.iter().fold(person.request(Method::GET, path), |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap().to_vec())
}

fn unpacked(packed: &[u8]) -> Value {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
    serde_json::from_str(&text).expect("JSON")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn long_answers_are_compressed_for_whoever_takes_them_so() {
    let app = App::start().await;
    let client = app.client().await;
    let plain = client.get("/v1/services").await.is(200);
    assert_eq!((plain.header("vary"), plain.text.len() > 1024), ("accept-encoding".to_owned(), true));
    for path in ["/v1/services", "/openapi.json"] {
        let plain = client.get(path).await.is(200);
        let (status, headers, packed) = raw(&client, path, &[("accept-encoding", "br, gzip;q=0.8")]).await;
        assert_eq!((status, header(&headers, "content-encoding")), (200, "gzip"), "{path}");
        assert_eq!(header(&headers, "vary"), "accept-encoding", "{path}");
        assert_eq!(header(&headers, "content-length"), packed.len().to_string(), "{path}");
        assert_eq!(header(&headers, "content-type"), "application/json", "{path}");
        assert!(packed.len() * 2 < plain.text.len(), "{path}: {} of {}", packed.len(), plain.text.len());
        assert_eq!(unpacked(&packed), plain.body, "{path}");
        for refusing in ["", "identity", "br", "gzip;q=0"] {
            let (_, headers, bytes) = raw(&client, path, &[("accept-encoding", refusing)]).await;
            assert_eq!(header(&headers, "content-encoding"), "", "{path}: {refusing}");
            assert_eq!(bytes, plain.text.as_bytes(), "{path}: {refusing}");
        }
    }
    // Short ones are not worth it, and what is secret is left alone.
    let (_, headers, _) = raw(&client, "/v1/me", &[("accept-encoding", "gzip")]).await;
    assert_eq!((header(&headers, "content-encoding"), header(&headers, "vary")), ("", "accept-encoding"));
    // Each file of the page is compressed once. A picture is as large as before.
    for (file, encoding) in
        [("", "gzip"), ("swagger-ui.css", "gzip"), ("swagger-ui-bundle.js", "gzip"), ("favicon-32x32.png", "")]
    {
        let path = format!("/docs/{file}");
        let (_, _, plain) = raw(&client, &path, &[]).await;
        for _ in 0..2 {
            let (status, headers, bytes) = raw(&client, &path, &[("accept-encoding", "gzip, br")]).await;
            assert_eq!((status, header(&headers, "content-encoding")), (200, encoding), "{path}");
            assert_eq!((header(&headers, "vary"), header(&headers, "etag")), ("accept-encoding", ""), "{path}");
            if encoding.is_empty() {
                assert_eq!(bytes, plain, "{path}");
            } else {
                let mut text = Vec::new();
                GzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("gzip");
                assert!(text == plain && bytes.len() * 2 < plain.len(), "{path}: {} of {}", bytes.len(), plain.len());
            }
        }
    }
    client.get("/docs/nothing.js").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_compressed_answer_has_a_tag_that_is_good_for_what_any_is() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let weekly: Vec<Value> = ["monday", "tuesday", "wednesday", "thursday", "friday"]
        .into_iter()
        .flat_map(|day| {
            (8..18).step_by(2).map(
                move |hour| json!({ "day": day, "start": format!("{hour:02}:00"), "end": format!("{hour:02}:45") }),
            )
        })
        .collect();
    const PATH: &str = "/v1/therapists/me/schedule";
    therapist.replace(PATH, json!({ "time_zone": "Australia/Sydney", "weekly": weekly })).await.is(200);
    let plain = therapist.get(PATH).await.is(200).header("etag");
    let (_, headers, packed) = raw(&therapist, PATH, &[("accept-encoding", "gzip")]).await;
    let tag = header(&headers, "etag").to_owned();
    assert_eq!(header(&headers, "content-encoding"), "gzip");
    assert_ne!(tag, plain, "other bytes have another tag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for known in [tag.as_str(), plain.as_str(), &format!("\"other\", W/{tag}")] {
        let (status, headers, body) =
            raw(&therapist, PATH, &[("accept-encoding", "gzip"), ("if-none-match", known)]).await;
        assert_eq!((status, body.len(), header(&headers, "vary")), (304, 0, "accept-encoding"), "{known}");
        assert!(known.ends_with(header(&headers, "etag")), "{known}");
    }
    let replace = async |tag: &str, weekly: &[Value]| -> Answer {
        let body = json!({ "time_zone": "Australia/Sydney", "weekly": weekly });
        send(therapist.request(Method::PUT, PATH).header("if-match", tag).json(&body)).await
    };
    replace(&tag, &weekly[1..]).await.is(200);
    replace(&tag, &weekly[2..]).await.refused(412, "precondition_failed");
    replace(&format!("W/{tag}"), &weekly[1..]).await.refused(412, "precondition_failed");
    assert!(unpacked(&packed)["weekly"].is_array());
}
