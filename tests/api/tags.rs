//! What a booking's ETag says: all of it to whoever has a copy, and its state to whoever is about to change it.

use reqwest::Method;
use serde_json::json;

use crate::support::{App, Person, send};

const FIRST: &str = "2026-12-02T00:00:00Z";
const OTHER: &str = "2026-12-03T00:00:00Z";

async fn unless_known(who: &Person, path: &str, tag: &str) -> u16 {
    send(who.request(Method::GET, path).header("If-None-Match", tag)).await.status.as_u16()
}

fn moving(who: &Person, path: &str, tag: &str, start: &str) -> reqwest::RequestBuilder {
    let request = who.request(Method::POST, &format!("{path}/reschedule"));
    request.header("If-Match", tag).json(&json!({ "start_at": start }))
}

#[tokio::test]
async fn names_and_ratings_change_the_answer_and_stop_no_step() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let wish = client.wish(&therapist, address, FIRST);
    let booked = client.books_with_key("k", &wish).await.is(201);
    let path = booked.header("location");
    let tag = async |who: &Person| who.get(&path).await.is(200).header("etag");
    assert_eq!(tag(&client).await, booked.header("etag"));
    assert_eq!(client.books_with_key("k", &wish).await.header("etag"), booked.header("etag"), "of a replay, too");
    let seen = tag(&therapist).await;
    assert_eq!(unless_known(&therapist, &path, &seen).await, 304);

    client.change("/v1/me", json!({ "display_name": "Another name" })).await.is(200);
    let renamed = tag(&therapist).await;
    assert!(renamed != seen && unless_known(&therapist, &path, &seen).await == 200, "the answer differs");
    app.sql(&format!(
        "INSERT INTO client_ratings (client_id, rating_count, rating_sum) VALUES ('{}', 1, 4)",
        client.id
    ))
    .await
    .unwrap();
    let rated = tag(&therapist).await;
    assert!(rated != renamed && unless_known(&therapist, &path, &renamed).await == 200, "the answer differs");
    assert_eq!(unless_known(&therapist, &path, &rated).await, 304);

    // The visit is what it was, and may be moved by whoever knows that.
    for weak_or_other in [format!("W/{seen}"), "\"other\"".to_owned(), format!("\"{}\"", &seen[24..46])] {
        send(moving(&therapist, &path, &weak_or_other, OTHER)).await.refused(412, "precondition_failed");
    }
    send(moving(&therapist, &path, &seen, OTHER)).await.is(200);
    // It is another visit now, to everyone who knew the one before.
    send(moving(&therapist, &path, &rated, FIRST)).await.refused(412, "precondition_failed");
    send(moving(&client, &path, &booked.header("etag"), FIRST)).await.refused(412, "precondition_failed");
    send(moving(&client, &path, &tag(&client).await, FIRST)).await.is(200);
    let staff = tag(&admin).await;
    app.sql("UPDATE bookings SET at_risk_since = '2026-11-30T00:00:00Z'").await.unwrap();
    assert_ne!(tag(&admin).await.split('.').next(), staff.split('.').next(), "what staff alone see is theirs");
}
