//! The rules as admins edit them, and what comes of an edit.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, DEEP_TISSUE, Person, WEEK, send, surry_hills};

const PLACES: &str = "/v1/admin/jurisdictions";
const TYPES: &str = "/v1/admin/credential-types";
const RULES: &str = "/v1/admin/credential-requirements";

/// A box around Surry Hills whose western edge is Crown Street.
fn inner_sydney() -> Value {
    json!({
        "code": "AU-NSW.inner-sydney", "level": "county", "name": "Inner Sydney", "boundary": {
            "type": "Polygon",
            "coordinates": [[[151.21, -33.9], [151.23, -33.9], [151.23, -33.88], [151.21, -33.88], [151.21, -33.9]]],
        },
    })
}

fn rule(jurisdiction: &str, group: &str, option: &str) -> Value {
    json!({ "jurisdiction": jurisdiction, "service_kind": "massage", "group": group, "options": [option] })
}

/// `body` with some of its fields replaced, or taken away where they are null.
fn with(mut body: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body
}

/// The last entry of the audit: the action, what it was done to, and the values before and after.
async fn last_entry(admin: &Person) -> (String, String, Value, Value) {
    let entry = admin.get("/v1/admin/audit?limit=1").await.is(200).body["data"][0].clone();
    let text = |name: &str| entry[name].as_str().unwrap().to_owned();
    assert_eq!(entry["actor_id"], json!(admin.id));
    let details = &entry["details"];
    (text("action"), text("subject_id"), details["before"].clone(), details["after"].clone())
}

async fn change(admin: &Person, method: Method, path: &str, tag: Option<&str>, body: &Value) -> Answer {
    let request = admin.request(method, path).json(body);
    send(match tag {
        Some(tag) => request.header("If-Match", tag),
        None => request,
    })
    .await
}

/// 428 without the tag, 412 with one that is stale.
async fn needs_a_fresh_tag(admin: &Person, method: Method, path: &str, body: &Value) {
    change(admin, method.clone(), path, None, body).await.refused(428, "precondition_required");
    change(admin, method, path, Some("\"stale\""), body).await.refused(412, "precondition_failed");
}

#[tokio::test]
async fn a_county_asks_for_more_inside_its_boundary_and_not_one_metre_outside() {
    let app = App::start().await;
    let (admin, therapist, client) = (app.admin().await, app.therapist().await, app.client().await);
    admin.post(PLACES, inner_sydney()).await.is(201);
    // A metre of longitude at this latitude; the locality is in the client's hand and means nothing.
    let metre = 0.000_010_8;
    let mut homes = Vec::new();
    for (longitude, locality) in [(151.21 + metre, "Elsewhere"), (151.21 - metre, "Inner Sydney")] {
        let address = with(surry_hills(), json!({ "longitude": longitude, "locality": locality }));
        homes.push((client.address(address).await, longitude));
    }
    let [(inside, inside_at), (outside, outside_at)] = homes[..] else { panic!() };
    let slots = async |longitude: f64| {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-08&to=2026-12-08&latitude=-33.8886&longitude={longitude}&country=AU&region=NSW"
        );
        client.get(&path).await.is(200).body["data"].as_array().unwrap().len()
    };
    client.books(&therapist, inside, "2026-12-07T22:00:00Z").await.is(201);
    assert_eq!((slots(inside_at).await, slots(outside_at).await), (1, 1));

    admin.post(RULES, rule("AU-NSW.inner-sydney", "permit", "AU-AHPRA")).await.is(201);
    client.books(&therapist, inside, "2026-12-08T22:00:00Z").await.refused(422, "credential_not_valid");
    let hold = client.wish(&therapist, inside, "2026-12-08T22:00:00Z");
    client.post("/v1/holds", hold).await.refused(422, "credential_not_valid");
    client.books(&therapist, outside, "2026-12-08T22:00:00Z").await.is(201);
    assert_eq!((slots(inside_at).await, slots(outside_at).await), (0, 1));
    // Only the county is narrowed: whoever meets the country's rules is still found.
    assert_eq!(app.rows("therapists WHERE may_practise_somewhere(id, '2026-12-08')").await, 1);

    // Whoever holds the permit may work on both sides.
    app.sql(&format!(
        "INSERT INTO credentials (id, therapist_id, type, number, normalised_number, name_on_credential, review_state, board_status, created_at)
         VALUES ('{}', '{}', 'AU-AHPRA', 'X', 'X', 'Test', 'verified', 'active', now())", Uuid::now_v7(), therapist.id
    )).await.unwrap();
    client.books(&therapist, inside, "2026-12-09T22:00:00Z").await.is(201);
    // One that counts in the county alone does so there.
    app.sql("UPDATE credentials SET covers_jurisdictions = '{AU-NSW.inner-sydney}' WHERE type = 'INSURANCE'")
        .await
        .unwrap();
    client.books(&therapist, inside, "2026-12-10T22:00:00Z").await.is(201);
    client.books(&therapist, outside, "2026-12-11T22:00:00Z").await.refused(422, "credential_not_valid");
    assert_eq!(app.rows("therapists WHERE may_practise_somewhere(id, '2026-12-08')").await, 1);
    // Drawn anew by two metres, the county has the other home and not this one.
    let west = json!({ "type": "Polygon", "coordinates": [[[151.2, -33.9], [151.21, -33.9], [151.21, -33.88], [151.2, -33.88], [151.2, -33.9]]] });
    admin.change(&format!("{PLACES}/AU-NSW.inner-sydney"), json!({ "boundary": west })).await.is(200);
    client.books(&therapist, inside, "2026-12-11T22:00:00Z").await.refused(422, "credential_not_valid");
    client.books(&therapist, outside, "2026-12-11T22:00:00Z").await.is(201);
}

#[tokio::test]
async fn a_city_in_a_county_asks_on_top_of_it() {
    let app = App::start().await;
    let (admin, therapist) = (app.admin().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    admin.post(PLACES, inner_sydney()).await.is(201);
    let city = json!({
        "code": "AU-NSW.inner-sydney.surry-hills", "level": "city", "name": "Surry Hills", "boundary": {
            "type": "MultiPolygon",
            "coordinates": [[[[151.21, -33.89], [151.215, -33.89], [151.215, -33.88], [151.21, -33.88], [151.21, -33.89]]]],
        },
    });
    let made = admin.post(PLACES, city).await.is(201);
    assert_eq!(made.body["parent"], "AU-NSW.inner-sydney");
    assert_eq!(made.body["bbox"], json!([151.21, -33.89, 151.215, -33.88]));
    admin.post(RULES, rule("AU-NSW.inner-sydney.surry-hills", "insurance", "INSURANCE")).await.is(201);
    admin.post(RULES, rule("AU-NSW.inner-sydney", "insurance", "INSURANCE")).await.is(201);
    // A county does not leave its cities.
    let elsewhere = json!({ "boundary": { "type": "Polygon",
        "coordinates": [[[151.22, -33.9], [151.23, -33.9], [151.23, -33.88], [151.22, -33.88], [151.22, -33.9]]] } });
    admin.change(&format!("{PLACES}/AU-NSW.inner-sydney"), elsewhere).await.points_to(&["/boundary"]);
    // Three places ask for an insurance, and one meets them all.
    client.books(&therapist, address, "2026-12-07T22:00:00Z").await.is(201);
    let asked = |jurisdiction: &'static str| {
        let nobody = app.nobody();
        async move {
            let path = format!("/v1/credential-requirements?jurisdiction={jurisdiction}&service_id={DEEP_TISSUE}");
            let body = nobody.get(&path).await.is(200).body;
            let places = body["data"].as_array().unwrap().clone().into_iter().filter(|r| r["group"] == "insurance");
            places.map(|requirement| requirement["jurisdiction"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(
        asked("AU-NSW.inner-sydney.surry-hills").await,
        ["AU", "AU-NSW.inner-sydney", "AU-NSW.inner-sydney.surry-hills"]
    );
    assert_eq!(asked("AU-NSW.inner-sydney").await, ["AU", "AU-NSW.inner-sydney"]);
    assert_eq!(asked("AU-NSW").await, ["AU"]);
    let unknown = format!("/v1/credential-requirements?jurisdiction=AU-NSW.nowhere&service_id={DEEP_TISSUE}");
    app.nobody().get(&unknown).await.points_to(&["/jurisdiction"]);
    // What a county asks for opens no place whose region and country ask for nothing.
    app.sql("DELETE FROM credential_requirements WHERE jurisdiction = 'AU'").await.unwrap();
    client.books(&therapist, address, "2026-12-08T22:00:00Z").await.refused(422, "credential_not_valid");
}

#[tokio::test]
async fn a_rule_holds_from_its_first_day_to_its_last() {
    let app = App::start_at("2027-02-20T01:00:00Z".parse().unwrap()).await;
    let (admin, therapist) = (app.admin().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    let permit = with(rule("AU-NSW", "permit", "AU-AHPRA"), json!({ "valid_from": "2027-03-01" }));
    let made = admin.post(RULES, permit.clone()).await.is(201);
    // Days are those of the place: in Sydney it is March at 13:00 UTC.
    therapist.works(&[("sunday", "18:00", "00:00"), ("monday", "00:00", "12:00")]).await;
    client.books(&therapist, address, "2027-02-28T11:00:00Z").await.is(201);
    client.books(&therapist, address, "2027-02-28T12:30:00Z").await.refused(422, "credential_not_valid");
    client.books(&therapist, address, "2027-02-28T13:00:00Z").await.refused(422, "credential_not_valid");

    // Moved to the week before, it is asked no more.
    admin
        .replace(
            &made.header("location"),
            with(permit, json!({ "valid_from": "2027-02-20", "valid_until": "2027-02-27" })),
        )
        .await
        .is(200);
    client.books(&therapist, address, "2027-02-28T13:15:00Z").await.is(201);
}

#[tokio::test]
async fn a_visit_past_midnight_relies_on_both_versions_of_a_rule() {
    // The first ends with the day on which the visit begins, the second begins with the next.
    let app = App::start().await;
    let (admin, therapist) = (app.admin().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    therapist.works(&[("monday", "18:00", "04:00")]).await;
    for (name, date) in [("valid_until", "2026-12-07"), ("valid_from", "2026-12-08")] {
        admin.post(RULES, with(rule("AU-NSW", "cover", "INSURANCE"), json!({ name: date }))).await.is(201);
    }
    client.books(&therapist, address, "2026-12-07T12:30:00Z").await.is(201);
    let relied = "booking_credentials WHERE \"group\" = 'cover'";
    assert_eq!(app.rows(relied).await, 2);
}

#[tokio::test]
async fn places_are_edited_and_the_edits_kept() {
    let app = App::start().await;
    let admin = app.admin().await;
    let made = admin.post(PLACES, inner_sydney()).await.is(201);
    let path = format!("{PLACES}/AU-NSW.inner-sydney");
    assert_eq!(made.header("location"), path);
    assert_eq!(admin.get(&path).await.is(200).body, made.body);
    let created = ("jurisdiction.create".to_owned(), "AU-NSW.inner-sydney".to_owned(), Value::Null, made.body.clone());
    assert_eq!(last_entry(&admin).await, created);
    admin.post(PLACES, inner_sydney()).await.refused(409, "code_taken");

    let name = json!({ "name": "Sydney, inner" });
    needs_a_fresh_tag(&admin, Method::PATCH, &path, &name).await;
    let renamed = admin.change(&path, name).await.is(200);
    assert_eq!((&renamed.body["name"], &renamed.body["boundary"]), (&json!("Sydney, inner"), &made.body["boundary"]));
    let moved = json!({ "boundary": { "type": "Polygon", "coordinates": [[[151, -34], [151.2, -34], [151.2, -33.8], [151, -34]]] } });
    let moved = admin.change(&path, moved).await.is(200);
    assert_eq!(moved.body["bbox"], json!([151.0, -34.0, 151.2, -33.8]));
    assert_eq!(
        last_entry(&admin).await,
        ("jurisdiction.update".to_owned(), "AU-NSW.inner-sydney".to_owned(), renamed.body, moved.body.clone())
    );
    assert_eq!(admin.get(&path).await.is(200).body, moved.body);

    let listed = admin.get(&format!("{PLACES}?parent=AU-NSW")).await.is(200).body;
    assert_eq!(listed["data"][0]["code"], "AU-NSW.inner-sydney");
    assert!(listed["data"][0].get("boundary").is_none() && listed["next_cursor"].is_null());
    let countries = admin.get(&format!("{PLACES}?level=country")).await.is(200).body;
    assert_eq!(countries["data"].as_array().unwrap().len(), 4);
    let mut codes = Vec::new();
    let mut next = format!("{PLACES}?parent=US&limit=20");
    loop {
        let page = admin.get(&next).await.is(200).body;
        codes.extend(page["data"].as_array().unwrap().iter().map(|place| place["code"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{PLACES}?parent=US&limit=20&cursor={cursor}");
    }
    assert_eq!((codes.len(), codes.is_sorted()), (51, true));

    // In use by a place within it, a requirement, a type or a credential, and by nothing.
    for used in ["AU-NSW", "AU", "US-TX"] {
        admin.delete(&format!("{PLACES}/{used}")).await.refused(409, "jurisdiction_in_use");
    }
    let therapist = app.therapist().await;
    app.sql("UPDATE credentials SET covers_jurisdictions = '{AU-NSW.inner-sydney}' WHERE type = 'INSURANCE'")
        .await
        .unwrap();
    admin.delete(&path).await.refused(409, "jurisdiction_in_use");
    app.sql("UPDATE credentials SET covers_jurisdictions = NULL").await.unwrap();
    let asks = admin.post(RULES, rule("AU-NSW.inner-sydney", "permit", "AU-AHPRA")).await.is(201).header("location");
    admin.delete(&path).await.refused(409, "jurisdiction_in_use");
    admin.delete(&asks).await.is(204);
    admin.delete(&path).await.is(204);
    let (action, _, before, after) = last_entry(&admin).await;
    assert_eq!((action.as_str(), before, after), ("jurisdiction.delete", moved.body, Value::Null));
    admin.get(&path).await.refused(404, "not_found");
    admin.delete(&path).await.refused(404, "not_found");
    for other in [therapist, app.client().await] {
        other.get(PLACES).await.refused(403, "forbidden");
        other.post(PLACES, inner_sydney()).await.refused(403, "forbidden");
        other.delete(&format!("{PLACES}/US-WY")).await.refused(403, "forbidden");
        change(&other, Method::PATCH, &format!("{PLACES}/US-WY"), Some("*"), &json!({}))
            .await
            .refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_place_must_be_where_it_says() {
    let app = App::start().await;
    let admin = app.admin().await;
    let ring = |coordinates: Value| json!({ "boundary": { "type": "Polygon", "coordinates": [coordinates] } });
    let far = ring(json!([[144.9, -37.8], [145, -37.8], [145, -37.7], [144.9, -37.8]]));
    for (changes, pointer) in [
        (json!({ "code": "AU-NSW.Inner" }), "/code"),
        (json!({ "code": "ZZ" }), "/code"),
        (json!({ "code": "AU-NSW.a.b.c" }), "/code"),
        (json!({ "code": "AU-NSW.nowhere.inner", "level": "city" }), "/code"),
        (json!({ "code": "AU-NSW.inner\u{0}" }), "/code"),
        (json!({ "level": "region" }), "/level"),
        (json!({ "level": "street" }), "/level"),
        (json!({ "code": "NZ-AUK", "level": "region", "boundary": null }), "/code"),
        (json!({ "code": "NZ", "level": "region", "boundary": null }), "/level"),
        (json!({ "code": "NZ", "level": "country" }), "/boundary"),
        (json!({ "name": "" }), "/name"),
        (json!({ "boundary": null }), "/boundary"),
        (ring(json!([[151.21, -33.9], [151.23, -33.9], [151.23, -33.88]])), "/boundary"),
        (ring(json!([[151.21, -133.9], [151.23, -33.9], [151.23, -33.88], [151.21, -133.9]])), "/boundary"),
        (json!({ "boundary": { "type": "Point", "coordinates": [151.21, -33.9] } }), "/boundary/type"),
        (far.clone(), "/boundary"),
        (json!({ "names": "x" }), "/names"),
    ] {
        admin.post(PLACES, with(inner_sydney(), changes)).await.points_to(&[pointer]);
    }
    let country = json!({ "code": "NZ", "level": "country", "name": "New Zealand" });
    assert_eq!(admin.post(PLACES, country).await.is(201).body["boundary"], Value::Null);
    admin.post(PLACES, inner_sydney()).await.is(201);
    let beside = with(inner_sydney(), ring(json!([[151.25, -33.9], [151.3, -33.9], [151.3, -33.88], [151.25, -33.9]])));
    let beside = with(beside, json!({ "code": "AU-NSW.inner-sydney.beside", "level": "city" }));
    admin.post(PLACES, beside).await.points_to(&["/boundary"]);
    let path = format!("{PLACES}/AU-NSW.inner-sydney");
    admin.change(&path, far).await.points_to(&["/boundary"]);
    admin.change(&path, json!({ "level": "city" })).await.points_to(&["/level"]);
    let drawn = json!({ "boundary": inner_sydney()["boundary"] });
    admin.change(&format!("{PLACES}/AU-NSW"), drawn).await.points_to(&["/boundary"]);
    admin.post(PLACES, with(inner_sydney(), json!({ "code": "AU-NSW.town", "level": "city" }))).await.is(201);
    let below = json!({ "code": "AU-NSW.town.part", "level": "city" });
    admin.post(PLACES, with(inner_sydney(), below)).await.points_to(&["/code"]);
    for (filter, pointer) in
        [("level=street", "/level"), ("parent=x", "/parent"), ("cursor=x", "/cursor"), ("limit=0", "/limit")]
    {
        admin.get(&format!("{PLACES}?{filter}")).await.points_to(&[pointer]);
    }
    for missing in ["XX", "AU-NSW.nowhere", "AU%00"] {
        admin.get(&format!("{PLACES}/{missing}")).await.refused(404, "not_found");
    }
}

fn nevada() -> Value {
    json!({
        "code": "US-NV-LMT", "authority": "Nevada State Board of Massage Therapy", "category": "licence", "jurisdiction": "US-NV",
        "number_pattern": r"^(NVMT\.)?\d{1,6}$", "number_prefix": "NVMT", "evidence_required": false, "expires": true,
        "renewal_months": 24,
    })
}

#[tokio::test]
async fn types_are_edited_and_the_edits_kept() {
    let app = App::start().await;
    let admin = app.admin().await;
    let made = admin.post(TYPES, nevada()).await.is(201);
    let path = made.header("location");
    assert_eq!(path, format!("{TYPES}/US-NV-LMT"));
    let rest = json!({ "four_eyes": false, "numbers_shared": false, "recheck_days": null, "minimum_cover": {} });
    let mut whole = with(nevada(), json!({}));
    for (name, value) in rest.as_object().unwrap() {
        whole[name] = value.clone();
    }
    assert_eq!(made.body, whole);
    assert_eq!(admin.get(&path).await.is(200).body, whole);
    let created = ("credential_type.create".to_owned(), "US-NV-LMT".to_owned(), Value::Null, whole.clone());
    assert_eq!(last_entry(&admin).await, created);
    admin.post(TYPES, nevada()).await.refused(409, "code_taken");

    let patch = json!({ "four_eyes": true, "recheck_days": 90, "renewal_months": null, "minimum_cover": { "USD": 100_000_000 } });
    needs_a_fresh_tag(&admin, Method::PATCH, &path, &patch).await;
    let patched = admin.change(&path, patch).await.is(200).body;
    assert_eq!((&patched["four_eyes"], &patched["recheck_days"]), (&json!(true), &json!(90)));
    assert_eq!((&patched["renewal_months"], &patched["authority"]), (&Value::Null, &whole["authority"]));
    let updated = ("credential_type.update".to_owned(), "US-NV-LMT".to_owned(), whole, patched.clone());
    assert_eq!(last_entry(&admin).await, updated);
    assert_eq!(admin.get(&path).await.is(200).body, patched);
    let listed = admin.get(TYPES).await.is(200).body;
    assert!(listed["data"].as_array().unwrap().contains(&patched));
    let public = app.nobody().get("/v1/credential-types").await.is(200).body;
    let shown = public["data"].as_array().unwrap().iter().find(|kind| kind["code"] == "US-NV-LMT").unwrap();
    assert_eq!(shown["minimum_cover"], json!({ "USD": 100_000_000 }));
    assert!(["four_eyes", "recheck_days", "number_prefix"].iter().all(|field| shown.get(field).is_none()));

    // Prefix and place can change while nobody holds the type, and not any more once one does.
    admin.change(&path, json!({ "number_prefix": "NV", "jurisdiction": "US-UT" })).await.is(200);
    admin.change(&path, json!({ "number_prefix": "NVMT", "jurisdiction": "US-NV" })).await.is(200);
    let therapist = app.newcomer().await;
    let mine = json!({ "type": "US-NV-LMT", "number": "NVMT.1", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    therapist.post("/v1/therapists/me/credentials", mine).await.is(201);
    admin.change(&path, json!({ "number_prefix": "NV" })).await.refused(409, "type_in_use");
    admin.change(&path, json!({ "jurisdiction": null })).await.refused(409, "type_in_use");
    admin
        .change(&path, json!({ "number_prefix": "NVMT", "number_pattern": null, "authority": "The board" }))
        .await
        .is(200);
    for other in [therapist, app.client().await] {
        other.get(TYPES).await.refused(403, "forbidden");
        other.get(&path).await.refused(403, "forbidden");
        other.post(TYPES, nevada()).await.refused(403, "forbidden");
        change(&other, Method::PATCH, &path, Some("*"), &json!({})).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_type_must_make_sense() {
    let app = App::start().await;
    let admin = app.admin().await;
    let long = format!("^{}$", "a".repeat(199));
    for (changes, pointer) in [
        (json!({ "code": "us-nv" }), "/code"),
        (json!({ "code": "U" }), "/code"),
        (json!({ "authority": "" }), "/authority"),
        (json!({ "category": "diploma" }), "/category"),
        (json!({ "jurisdiction": "US-ZZ" }), "/jurisdiction"),
        (json!({ "jurisdiction": "US-CA.los-angeles" }), "/jurisdiction"),
        (json!({ "number_pattern": r"\d+" }), "/number_pattern"),
        (json!({ "number_pattern": "^A|B$" }), "/number_pattern"),
        (json!({ "number_pattern": "^(A$" }), "/number_pattern"),
        (json!({ "number_pattern": "^(a{1000}){1000}$" }), "/number_pattern"),
        (json!({ "number_pattern": long }), "/number_pattern"),
        (json!({ "number_pattern": "^\u{0}$" }), "/number_pattern"),
        (json!({ "number_prefix": "nv." }), "/number_prefix"),
        (json!({ "renewal_months": 0 }), "/renewal_months"),
        (json!({ "recheck_days": 3651 }), "/recheck_days"),
        (json!({ "minimum_cover": { "XXZ": 1 } }), "/minimum_cover"),
        (json!({ "minimum_cover": { "AUD": -1 } }), "/minimum_cover"),
        (json!({ "expires": null }), "/expires"),
        (json!({ "colour": "red" }), "/colour"),
    ] {
        admin.post(TYPES, with(nevada(), changes.clone())).await.points_to(&[pointer]);
        // What cannot be written cannot be changed into it; a code cannot be changed at all, and nothing need be said.
        if !changes["expires"].is_null() || pointer != "/expires" {
            admin.change(&format!("{TYPES}/US-TX-LMT"), changes).await.points_to(&[pointer]);
        }
    }
    for missing in ["US-ZZ-LMT", "%00"] {
        admin.get(&format!("{TYPES}/{missing}")).await.refused(404, "not_found");
        change(&admin, Method::PATCH, &format!("{TYPES}/{missing}"), Some("*"), &json!({}))
            .await
            .refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_higher_minimum_cover_ends_an_insurance() {
    let app = App::start().await;
    let (admin, therapist) = (app.admin().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    app.sql("UPDATE credentials SET cover_amount = 500000000, cover_currency = 'AUD' WHERE type = 'INSURANCE'")
        .await
        .unwrap();
    let insurance = format!("{TYPES}/INSURANCE");
    admin.change(&insurance, json!({ "minimum_cover": { "AUD": 500_000_000 } })).await.is(200);
    client.books(&therapist, address, "2026-12-07T22:00:00Z").await.is(201);
    admin.change(&insurance, json!({ "minimum_cover": { "AUD": 500_000_001 } })).await.is(200);
    client.books(&therapist, address, "2026-12-08T22:00:00Z").await.refused(422, "credential_not_valid");
    admin.change(&insurance, json!({ "minimum_cover": { "USD": 1 } })).await.is(200);
    client.books(&therapist, address, "2026-12-08T22:00:00Z").await.refused(422, "credential_not_valid");
    admin.change(&insurance, json!({ "minimum_cover": {} })).await.is(200);
    client.books(&therapist, address, "2026-12-08T22:00:00Z").await.is(201);
}

struct Overlap {
    from: Value,
    until: Value,
    status: u16,
}

#[tokio::test]
async fn requirements_are_edited_and_the_edits_kept() {
    let app = App::start().await;
    let admin = app.admin().await;
    let body = json!({
        "jurisdiction": "US-NV", "service_kind": "massage", "group": "licence", "options": ["US-TX-LMT", "NPI"],
        "valid_from": "2027-01-01", "valid_until": "2027-12-31",
    });
    let made = admin.post(RULES, body.clone()).await.is(201);
    let path = made.header("location");
    let id = made.id().to_string();
    assert_eq!(made.body, with(body.clone(), json!({ "id": id })));
    assert_eq!(admin.get(&path).await.is(200).body, made.body);
    assert_eq!(last_entry(&admin).await, ("requirement.create".to_owned(), id.clone(), Value::Null, made.body.clone()));

    // One at a time: any day in common is one too many; the day before, the day after and other groups are free.
    for Overlap { from, until, status } in [
        Overlap { from: json!("2027-12-31"), until: Value::Null, status: 409 },
        Overlap { from: Value::Null, until: json!("2027-01-01"), status: 409 },
        Overlap { from: Value::Null, until: Value::Null, status: 409 },
        Overlap { from: json!("2027-03-01"), until: json!("2027-03-01"), status: 409 },
        Overlap { from: Value::Null, until: json!("2026-12-31"), status: 201 },
        Overlap { from: json!("2028-01-01"), until: Value::Null, status: 201 },
    ] {
        let other = with(body.clone(), json!({ "valid_from": from, "valid_until": until, "options": ["NPI"] }));
        let answer = admin.post(RULES, other).await;
        if status == 409 {
            answer.refused(409, "requirement_overlaps")
        } else {
            answer.is(status)
        };
    }
    admin.post(RULES, with(body.clone(), json!({ "group": "insurance" }))).await.is(201);
    admin.post(RULES, with(body.clone(), json!({ "jurisdiction": "US-UT" }))).await.is(201);

    let shorter = with(body.clone(), json!({ "valid_until": "2027-06-30", "options": ["NPI"] }));
    needs_a_fresh_tag(&admin, Method::PUT, &path, &shorter).await;
    let replaced = admin.replace(&path, shorter.clone()).await.is(200).body;
    assert_eq!(replaced, with(shorter.clone(), json!({ "id": id })));
    assert_eq!(last_entry(&admin).await, ("requirement.update".to_owned(), id.clone(), made.body, replaced.clone()));
    admin
        .replace(&path, with(shorter.clone(), json!({ "valid_until": null })))
        .await
        .refused(409, "requirement_overlaps");
    let elsewhere = admin.replace(&path, with(shorter, json!({ "jurisdiction": "US-WY" }))).await.is(200).body;
    assert_eq!(elsewhere["jurisdiction"], "US-WY");

    let nevada = admin.get(&format!("{RULES}?jurisdiction=US-NV&service_kind=massage")).await.is(200).body;
    assert_eq!(nevada["data"].as_array().unwrap().len(), 3);
    let mut seen = Vec::new();
    let mut next = format!("{RULES}?limit=7");
    loop {
        let page = admin.get(&next).await.is(200).body;
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{RULES}?limit=7&cursor={cursor}");
    }
    let all = app.rows("credential_requirements").await;
    assert_eq!(i64::try_from(seen.len()).unwrap(), all);
    let key = |rule: &Value| (rule["jurisdiction"].to_string(), rule["group"].to_string());
    assert!(seen.iter().map(key).is_sorted());

    admin.delete(&path).await.is(204);
    assert_eq!(last_entry(&admin).await, ("requirement.delete".to_owned(), id, elsewhere, Value::Null));
    admin.get(&path).await.refused(404, "not_found");
    admin.delete(&path).await.refused(404, "not_found");
    for other in [app.newcomer().await, app.client().await] {
        other.get(RULES).await.refused(403, "forbidden");
        other.post(RULES, body.clone()).await.refused(403, "forbidden");
        other.delete(&path).await.refused(403, "forbidden");
        change(&other, Method::PUT, &path, Some("*"), &body).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_requirement_names_what_there_is() {
    let app = App::start().await;
    let admin = app.admin().await;
    let body = rule("US-NV", "licence", "US-TX-LMT");
    let path = admin.post(RULES, body.clone()).await.is(201).header("location");
    for (changes, pointers) in [
        (json!({ "jurisdiction": "US-NV.clark" }), vec!["/jurisdiction"]),
        (json!({ "jurisdiction": "NZ" }), vec!["/jurisdiction"]),
        (json!({ "jurisdiction": "XX" }), vec!["/jurisdiction"]),
        (json!({ "service_kind": "surgery" }), vec!["/service_kind"]),
        (json!({ "service_kind": "Massage" }), vec!["/service_kind"]),
        (json!({ "group": "a b" }), vec!["/group"]),
        (json!({ "options": [] }), vec!["/options"]),
        (json!({ "options": vec!["NPI"; 21] }), vec!["/options"]),
        (json!({ "options": ["NPI", "NPI", "US-XX-LMT"] }), vec!["/options/1", "/options/2"]),
        (json!({ "options": [""] }), vec!["/options/0"]),
        (json!({ "valid_from": "2027-02-01", "valid_until": "2027-01-31" }), vec!["/valid_until"]),
        (json!({ "valid_from": "2027-02-30" }), vec!["/valid_from"]),
        (json!({ "valid_until": "2101-01-01" }), vec!["/valid_until"]),
        (
            json!({ "jurisdiction": "NZ", "service_kind": "surgery", "options": ["X-1"] }),
            vec!["/jurisdiction", "/service_kind", "/options/0"],
        ),
        (json!({ "groups": "x" }), vec!["/groups"]),
    ] {
        let wrong = with(with(body.clone(), json!({ "group": "other" })), changes);
        admin.post(RULES, wrong.clone()).await.points_to(&pointers);
        admin.replace(&path, wrong).await.points_to(&pointers);
    }
    for (filter, pointer) in
        [("jurisdiction=x", "/jurisdiction"), ("service_kind=X", "/service_kind"), ("cursor=x", "/cursor")]
    {
        admin.get(&format!("{RULES}?{filter}")).await.points_to(&[pointer]);
    }
    for missing in [Uuid::now_v7().to_string(), "x".to_owned()] {
        change(&admin, Method::PUT, &format!("{RULES}/{missing}"), Some("*"), &body).await.refused(404, "not_found");
        admin.delete(&format!("{RULES}/{missing}")).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rules_made_at_once_one_wins() {
    let app = App::start().await;
    let admins = [app.admin().await, app.admin().await];
    let bodies = (0..12)
        .map(|day| with(rule("US-NV", "licence", "NPI"), json!({ "valid_from": format!("2027-01-{:02}", day + 1) })));
    let answers = join_all(bodies.enumerate().map(|(i, body)| {
        let admin = admins[i % 2].clone();
        async move { admin.post(RULES, body).await }
    }));
    let answers = answers.await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.body["code"] == "requirement_overlaps").count();
    assert_eq!((made, refused), (1, 11), "{answers:?}");
    assert_eq!(app.rows("events WHERE kind = 'requirement.create'").await, 1);
}

#[tokio::test]
async fn a_key_makes_each_of_them_once() {
    let app = App::start().await;
    let admin = app.admin().await;
    let other = with(inner_sydney(), json!({ "name": "Another" }));
    for (path, body, another) in [
        (PLACES, inner_sydney(), other),
        (TYPES, nevada(), with(nevada(), json!({ "expires": false }))),
        (RULES, rule("US-NV", "licence", "NPI"), rule("US-NV", "insurance", "INSURANCE")),
    ] {
        let ask = async |body: &Value| {
            send(admin.request(Method::POST, path).header("Idempotency-Key", "k").json(body)).await
        };
        let first = ask(&body).await.is(201);
        app.advance(TimeDelta::minutes(1));
        let again = ask(&body).await.is(201);
        assert_eq!((again.header("idempotent-replay").as_str(), again.text), ("true", first.text));
        ask(&another).await.refused(422, "idempotency_key_reused");
    }
    assert_eq!(app.rows("events WHERE kind LIKE '%.create' AND subject_type NOT IN ('booking', 'account')").await, 3);
}

#[tokio::test]
async fn a_rule_of_one_region_hides_nobody_of_another() {
    let app = App::start().await;
    let (admin, therapist) = (app.admin().await, app.therapist().await);
    let found = async || {
        let page = app.nobody().get("/v1/therapists").await.is(200).body;
        page["data"].as_array().unwrap().iter().any(|found| found["id"] == json!(therapist.id))
    };
    assert!(found().await);
    admin.post(RULES, rule("AU-QLD", "licence", "US-TX-LMT")).await.is(201);
    assert!(found().await, "elsewhere in the country nothing has changed");
    admin.post(RULES, rule("AU", "licence", "US-TX-LMT")).await.is(201);
    assert!(!found().await);
}

#[tokio::test]
async fn a_region_of_two_names_has_the_rules_of_both() {
    let app = App::start().await;
    let admin = app.admin().await;
    let client = app.client().await;
    let therapist = app.newcomer().await;
    let profile = json!({ "base_latitude": 51.51, "base_longitude": -0.13, "service_radius_km": 15, "booking_mode": "instant", "time_zone": "Europe/London" });
    therapist.change("/v1/therapists/me", profile).await.is(200);
    let offer = json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60] }] });
    therapist.replace("/v1/therapists/me/services", offer).await.is(200);
    therapist.works(&WEEK.map(|day| (day, "09:00", "17:00"))).await;
    for code in ["UK-CNHC", "INSURANCE", "UK-DBS"] {
        app.sql(&format!(
            "INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
             VALUES (gen_random_uuid(), '{}', '{code}', 'Test', '2027-12-31', 'verified', 'active', '2026-11-01T00:00:00Z')",
            therapist.id
        ))
        .await
        .unwrap();
    }
    // The client may call the place by either name.
    let mut addresses = Vec::new();
    for region in ["LND", "ENG"] {
        let address = json!({ "label": "Home", "kind": "home", "line1": "1 Strand", "locality": "London", "region": region, "postcode": "WC2N",
                              "country": "GB", "latitude": 51.5074, "longitude": -0.1278 });
        addresses.push(client.address(address).await);
    }
    client.books(&therapist, addresses[0], "2026-12-07T10:00:00Z").await.is(201);
    admin.post(RULES, rule("GB-ENG", "licence", "US-TX-LMT")).await.is(201);
    for address in addresses {
        client.books(&therapist, address, "2026-12-08T10:00:00Z").await.refused(422, "credential_not_valid");
    }
    app.run_jobs().await;
    let at_risk = admin.get("/v1/admin/bookings/at-risk").await.is(200).body;
    assert_eq!(at_risk["data"].as_array().unwrap().len(), 1, "what was booked before hears of it too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_changes_while_a_booking_waits_holds_for_it() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    // The process knows by now what the place requires.
    let mut other = app.service.db.begin().await.unwrap();
    let lock = therapist.id.as_u64_pair().1.cast_signed();
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock).execute(&mut *other).await.unwrap();
    let waiting = {
        let (client, therapist) = (client.clone(), therapist.clone());
        tokio::spawn(async move { client.books(&therapist, address, "2026-12-02T00:00:00Z").await })
    };
    let queued = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                  WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted";
    while app.count(queued).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.sql("UPDATE credential_requirements SET options = '{NPI}' WHERE jurisdiction = 'AU'").await.unwrap();
    other.rollback().await.unwrap();
    waiting.await.unwrap().refused(422, "credential_not_valid");
}
