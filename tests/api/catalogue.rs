use serde_json::json;

use crate::support::{App, DEEP_TISSUE};

#[tokio::test]
async fn services_have_the_prices_of_the_country() {
    let app = App::start().await;
    let nobody = app.nobody();
    let services = nobody.get("/v1/services").await.is(200);
    assert_eq!(services.header("cache-control"), "public, max-age=60");
    let found = services.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|service| service["slug"] == "deep-tissue")
        .unwrap()
        .clone();
    assert_eq!(found["id"], DEEP_TISSUE);
    assert_eq!((&found["pressure_from"], &found["pressure_to"]), (&json!("firm"), &json!("deep")));
    assert!(!found["techniques"].as_array().unwrap().is_empty());
    let hour = json!({ "duration_minutes": 60, "price": { "amount": 12900, "currency": "AUD" } });
    assert!(found["durations"].as_array().unwrap().contains(&hour));
    assert_eq!(nobody.get(&format!("/v1/services/{DEEP_TISSUE}")).await.is(200).body, found);
    let yen = nobody.get(&format!("/v1/services/{DEEP_TISSUE}?country=jp")).await.is(200).body;
    assert_eq!(yen["durations"][0]["price"]["currency"], "JPY");
    let unsold = nobody.get(&format!("/v1/services/{DEEP_TISSUE}?country=FR")).await.is(200).body;
    assert_eq!(unsold["durations"], json!([]));
}

#[tokio::test]
async fn bad_parameters_are_pointed_to() {
    let app = App::start().await;
    let nobody = app.nobody();
    nobody.get("/v1/services?country=XX").await.points_to(&["/country"]);
    nobody.get("/v1/services?country=%00").await.points_to(&["/country"]);
    nobody.get("/v1/services?colour=red").await.points_to(&["/colour"]);
    nobody.get("/v1/services/not-an-id").await.refused(404, "not_found");
    nobody.get("/v1/services/%00").await.refused(404, "not_found");
    nobody.get("/v1/services/0198c0de-0000-7000-8000-000000000000").await.refused(404, "not_found");
}
