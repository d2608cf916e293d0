//! Nothing that is asked for is silently ignored: unknown query parameters and unknown names are refused, and several values stand between commas.

use knead::doors::routes;
use knead::openapi::document;
use knead::values::Grant;
use reqwest::Method;
use serde_json::json;

use crate::support::{App, DEEP_TISSUE, send};

/// An id that nothing has.
const NOTHING: &str = "0198c0de-0000-7000-8000-000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_refuses_a_query_parameter_that_it_does_not_know() {
    let app = App::start().await;
    let people = [
        ("client", app.client().await),
        ("therapist", app.therapist().await),
        ("admin", app.admin_with(&[Grant::Care, Grant::Owner]).await),
    ];
    let nobody = app.nobody();
    let document = document(routes);
    let (mut tried, mut changes) = (0, 0);
    for (route, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for (method, operation) in item.as_object().unwrap() {
            let roles: Vec<&str> = operation["security"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|scheme| scheme["bearer"].as_array().into_iter().flatten())
                .map(|who| who.as_str().unwrap().split(':').next().unwrap())
                .collect();
            let (_, person) = people.iter().find(|(role, _)| roles.contains(role)).unwrap_or(&people[0]);
            let path = route.replace("{date}", "2026-12-01").replace("{effective_from}", "2026-12-01");
            let path = path.replace("{code}", "AU").replace("{token}", "none");
            let segments = path.split('/').map(|part| if part.starts_with('{') { NOTHING } else { part });
            let path = format!("{}?dry~run=true", segments.collect::<Vec<_>>().join("/"));
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = person.request(method.clone(), &path).header("If-Match", "*");
            let answer = send(request.header("Idempotency-Key", "k").json(&json!({}))).await;
            let error = answer.points_to(&["/dry~0run"]).body["errors"][0].clone();
            assert_eq!(error["code"], "unknown", "{method} {route}: {error}");
            assert!(error["detail"].as_str().unwrap().starts_with("is not known here"), "{method} {route}: {error}");
            tried += 1;
            changes += usize::from(method != Method::GET);
            // Whoever may not call it is told that first.
            if !roles.is_empty() && operation["security"].as_array().unwrap().len() == 1 {
                assert_eq!(send(nobody.request(method.clone(), &path)).await.status, 401, "{method} {route}");
                if let Some((_, other)) = people.iter().find(|(role, _)| !roles.contains(role)) {
                    assert_eq!(send(other.request(method.clone(), &path)).await.status, 403, "{method} {route}");
                }
            }
        }
    }
    assert!(tried > 150 && changes > 80, "{tried} {changes}");
    // Nothing to read is no parameter.
    nobody.get("/v1/techniques?").await.is(200);
    nobody.get("/v1/techniques?&").await.is(200);
    // Whoever looks after the machine sends what they like.
    nobody.get("/livez?from=balancer").await.is(200);
}

#[tokio::test]
async fn the_known_parameters_are_named() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (path, known) in [
        ("/v1/credential-types?jurisdiction=AU", "is not known here; known are `limit`, `cursor`."),
        ("/v1/services/x?y=1", "is not known here; known are `country`."),
    ] {
        let answer = admin.get(&path.replace("/x", &format!("/{DEEP_TISSUE}"))).await.is(422);
        assert_eq!(answer.body["errors"][0]["detail"], known, "{path}");
    }
}

#[tokio::test]
async fn a_name_that_nothing_has_is_refused_where_it_would_find_nothing() {
    let app = App::start().await;
    let (admin, client) = (app.admin().await, app.client().await);
    let place = "latitude=-33.8886&longitude=151.2111&country=AU&region=NSW";
    let slots = format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&{place}");
    for (path, pointers) in [
        (format!("{slots}&technique=trigger-point"), &["/technique"][..]),
        (format!("{slots}&technique=levitation&condition=hiccups"), &["/technique", "/condition"]),
        ("/v1/therapists?condition=hiccups".to_owned(), &["/condition"]),
        (format!("/v1/therapists?service_id={NOTHING}"), &["/service_id"]),
        ("/v1/admin/credentials?type=US-TX-LTM".to_owned(), &["/type"]),
        ("/v1/admin/tasks?kind=visit_late".to_owned(), &["/kind"]),
        ("/v1/admin/tasks?subject_type=bookings".to_owned(), &["/subject_type"]),
        ("/v1/admin/roster-imports?source=us-tx".to_owned(), &["/source"]),
        ("/v1/admin/jurisdictions?parent=AU-XX".to_owned(), &["/parent"]),
        ("/v1/admin/credential-requirements?service_kind=magic".to_owned(), &["/service_kind"]),
    ] {
        admin.get(&path).await.points_to(pointers);
    }
    for path in [
        format!("{slots}&technique=trigger-point-therapy"),
        "/v1/therapists?condition=neck-pain".to_owned(),
        format!("/v1/therapists?service_id={DEEP_TISSUE}"),
    ] {
        client.get(&path).await.is(200);
    }
    for path in [
        "/v1/admin/tasks?kind=visit_overdue&subject_type=booking",
        "/v1/admin/credentials?type=US-TX-LMT",
        "/v1/admin/roster-imports?source=us-tx-tdlr",
    ] {
        admin.get(path).await.is(200);
    }
}

#[tokio::test]
async fn several_values_stand_between_commas() {
    let app = App::start().await;
    let (admin, therapist) = (app.admin().await, app.newcomer().await);
    let draft = |number: &str| json!({ "type": "US-TX-LMT", "number": number, "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    let mine = "/v1/therapists/me/credentials";
    therapist.post(mine, draft("MT123456")).await.is(201);
    let submitted = therapist.post(mine, draft("MT123457")).await.is(201).id();
    therapist.act(&format!("{mine}/{submitted}/submit")).await.is(200);
    let found = async |states: &str| {
        let page = admin.get(&format!("/v1/admin/credentials?review_state={states}")).await.is(200);
        page.body["data"].as_array().unwrap().len()
    };
    assert_eq!((found("draft").await, found("submitted").await, found("draft,submitted").await), (1, 1, 2));
    assert_eq!(found("verified,rejected").await, 0);
    for wrong in ["draft,draft", "draft,", ",", "draft,done", "draft&review_state=submitted"] {
        admin.get(&format!("/v1/admin/credentials?review_state={wrong}")).await.points_to(&["/review_state"]);
    }
    admin.get("/v1/bookings?status=requested,confirmed").await.is(200);
    admin.get("/v1/bookings?status=requested,requested").await.points_to(&["/status"]);
}
