//! Whoever rings is found: by any thing that they may be known by, by staff alone, and each look is written down.

use serde_json::{Value, json};

use crate::support::{App, Person};

/// Names of who is found, and by what.
async fn found(admin: &Person, query: &str) -> Vec<(String, Value)> {
    let page = admin.get(&format!("/v1/admin/accounts?{query}")).await.is(200).body;
    let people = page["data"].as_array().unwrap().iter();
    people.map(|one| (one["display_name"].as_str().unwrap().to_owned(), one["found_by"].clone())).collect()
}

fn named(people: &[(String, Value)]) -> Vec<&str> {
    people.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_by_what_they_are_known_by() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let names = [
        (&client, json!({ "display_name": "Tom Reed", "phone": "+61412345678" })),
        (&therapist, json!({ "display_name": "Anna Tomlin-Reedy" })),
    ];
    for (person, change) in names {
        person.change("/v1/me", change).await.is(200);
    }
    app.sql("UPDATE credentials SET number = 'POL 77-1234', normalised_number = 'POL771234' WHERE type = 'INSURANCE'")
        .await
        .unwrap();
    let booking = client.books(&therapist, address, "2026-12-03T03:00:00Z").await.is(201).id().to_string();

    assert_eq!(found(&admin, "q=tom%20reed").await, [("Tom Reed".to_owned(), json!(["name"]))]);
    assert_eq!(named(&found(&admin, "q=REED%20T").await), ["Tom Reed"], "in any order and case");
    assert_eq!(named(&found(&admin, "q=tom").await), ["Anna Tomlin-Reedy", "Tom Reed"]);
    assert_eq!(named(&found(&admin, "q=tom&role=therapist").await), ["Anna Tomlin-Reedy"]);
    assert_eq!(named(&found(&admin, "q=om").await), Vec::<&str>::new(), "words from their beginnings");
    let email = client.email.to_uppercase().replace('@', "%40");
    assert_eq!(found(&admin, &format!("q={email}")).await, [("Tom Reed".to_owned(), json!(["email"]))]);
    for phone in ["0412%20345%20678", "%2B61412345678", "345678"] {
        assert_eq!(found(&admin, &format!("q={phone}")).await, [("Tom Reed".to_owned(), json!(["phone"]))], "{phone}");
    }
    for number in ["pol%2077-12", "POL771234"] {
        assert_eq!(
            found(&admin, &format!("q={number}")).await,
            [("Anna Tomlin-Reedy".to_owned(), json!(["licence_number"]))],
            "{number}"
        );
    }
    for id in [&booking[..], &booking[..18]] {
        let people = found(&admin, &format!("q={id}")).await;
        assert_eq!(named(&people), ["Anna Tomlin-Reedy", "Tom Reed"], "{id}");
        assert_eq!(people[0].1, json!(["booking"]));
    }
    for nobody in ["q=%25%25", "q=__", "q=zz%27%20OR%201%3D1"] {
        assert_eq!(named(&found(&admin, nobody).await), Vec::<&str>::new(), "{nobody}");
    }
    admin.get("/v1/admin/accounts").await.points_to(&["/q"]);
    admin.get("/v1/admin/accounts?q=a").await.points_to(&["/q"]);
    admin.get("/v1/admin/accounts?q=tom&role=owner").await.points_to(&["/role"]);
    let first = admin.get("/v1/admin/accounts?q=tom&limit=1").await.is(200).body;
    let next = first["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/v1/admin/accounts?q=tom&limit=1&cursor={next}")).await.is(200).body;
    assert_eq!((&second["data"][0]["display_name"], &second["next_cursor"]), (&json!("Tom Reed"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_shown_on_one_page_and_each_look_is_written_down() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let ahead = client.books(&therapist, address, "2026-12-03T03:00:00Z").await.is(201).id();
    let gone = client.books(&therapist, address, "2026-12-02T03:00:00Z").await.is(201).id();
    client.post(&format!("/v1/bookings/{gone}/cancel"), json!({})).await.is(200);

    let page = admin.get(&format!("/v1/admin/accounts/{}", client.id)).await.is(200).body;
    assert_eq!(
        (&page["email"], &page["role"], &page["therapist"]),
        (&json!(client.email), &json!("client"), &Value::Null)
    );
    let ids = |list: &str| page[list].as_array().unwrap().iter().map(|visit| visit["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids("next_visits"), ids("last_visits")), (vec![json!(ahead)], vec![json!(gone)]));
    assert_eq!(page["next_visits"][0]["therapist_name"], "Test therapist");
    assert_eq!((&page["open_incidents"], &page["last_signed_in_at"]), (&json!(0), &json!("2026-11-30T01:00:00Z")));

    let path = format!("/v1/admin/accounts/{}", therapist.id);
    let page = admin.get(&path).await.is(200).body;
    assert_eq!(
        (&page["therapist"]["bookable"], &page["therapist"]["accepting_bookings"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(page["therapist"]["credentials"].as_array().unwrap().len(), 5);
    assert_eq!(page["next_visits"][0]["id"], json!(ahead));
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    assert_eq!(admin.get(&path).await.is(200).body["therapist"]["bookable"], false);

    admin.get("/v1/admin/accounts?q=test").await.is(200);
    let looks = admin.get(&format!("/v1/admin/audit?action=account.read&actor_id={}", admin.id)).await.is(200).body;
    let seen: Vec<&Value> = looks["data"].as_array().unwrap().iter().map(|look| &look["subject_id"]).collect();
    assert_eq!(seen, [&json!(therapist.id), &json!(therapist.id), &json!(client.id)]);
    let searches = admin.get("/v1/admin/audit?action=account.search").await.is(200).body;
    let search = &searches["data"][0];
    let mut shown: Vec<String> = serde_json::from_value(search["details"]["shown"].clone()).unwrap();
    shown.sort();
    let mut expected = [client.id.to_string(), therapist.id.to_string()];
    expected.sort();
    assert_eq!(shown, expected);
    assert!(!search.to_string().contains("\"test\""), "what was asked is not kept");

    for (person, status) in [(&app.nobody(), 401), (&client, 403), (&therapist, 403)] {
        person.get(&path).await.is(status);
        person.get("/v1/admin/accounts?q=tom").await.is(status);
    }
    admin.get("/v1/admin/accounts/0198c0de-0000-7000-8000-000000000000").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_find_credentials_and_bookings_by_name_and_number() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    client.change("/v1/me", json!({ "display_name": "Tom Reed" })).await.is(200);
    therapist.change("/v1/me", json!({ "display_name": "Anna Lind" })).await.is(200);
    app.sql("UPDATE credentials SET number = 'POL 77-1234', normalised_number = 'POL771234', name_on_credential = 'A. Lindqvist' WHERE type = 'INSURANCE'").await.unwrap();
    let booking = client.books(&therapist, address, "2026-12-03T03:00:00Z").await.is(201).id().to_string();
    let count = async |path: &str| admin.get(path).await.is(200).body["data"].as_array().unwrap().len();

    assert_eq!(count("/v1/admin/credentials?q=anna").await, 5, "by the therapist's name");
    assert_eq!(count("/v1/admin/credentials?q=lindqv").await, 1, "by the name on it");
    assert_eq!(count("/v1/admin/credentials?number=pol-77").await, 1);
    assert_eq!(count("/v1/admin/credentials?number=POL771234").await, 1);
    assert_eq!(count("/v1/admin/credentials?number=771234").await, 0);
    assert_eq!(count("/v1/admin/credentials?q=anna&type=INSURANCE&number=pol77").await, 1);
    admin.get("/v1/admin/credentials?number=x").await.points_to(&["/number"]);

    for path in ["q=reed", "q=anna%20lind", "q=anna&status=confirmed"].map(|query| format!("/v1/bookings?{query}")) {
        assert_eq!(count(&path).await, 1, "{path}");
    }
    assert_eq!(count("/v1/bookings?q=smith").await, 0);
    assert_eq!(count(&format!("/v1/bookings?number={booking}")).await, 1);
    assert_eq!(count(&format!("/v1/bookings?number={}", &booking[..13])).await, 1);
    assert_eq!(count("/v1/bookings?number=ffffffff&sort=-created_at").await, 0);
    admin.get("/v1/bookings?number=1234567").await.points_to(&["/number"]);
    for person in [&client, &therapist] {
        person.get("/v1/bookings?q=anna").await.points_to(&["/q"]);
        person.get(&format!("/v1/bookings?number={booking}")).await.points_to(&["/number"]);
    }
    app.sql("INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
             SELECT gen_random_uuid(), 'reed' || n || '@knead.test', 'x', 'client', 'Reed ' || n, 'UTC', now() FROM generate_series(1, 20) n").await.unwrap();
    admin.get("/v1/bookings?q=reed").await.points_to(&["/q"]);
    assert_eq!(count("/v1/bookings?q=tom%20reed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_booked_is_seen_by_themself_and_by_staff() {
    let app = App::start().await;
    let (newcomer, admin, client) = (app.newcomer().await, app.admin().await, app.client().await);
    let path = format!("/v1/therapists/{}", newcomer.id);
    for person in [&newcomer, &admin] {
        let seen = person.get(&path).await.is(200).body;
        assert_eq!(
            (&seen["bookable"], &seen["area"], &seen["display_name"]),
            (&json!(false), &Value::Null, &json!("Test therapist"))
        );
    }
    for person in [&client, &app.nobody(), &app.newcomer().await] {
        person.get(&path).await.refused(404, "not_found");
    }
    let therapist = app.therapist().await;
    let shown = client.get(&format!("/v1/therapists/{}", therapist.id)).await.is(200).body;
    assert_eq!((&shown["bookable"], shown["area"].is_object()), (&json!(true), true));
}
