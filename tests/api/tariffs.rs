//! Versions of prices, surcharges, policies and holidays, as admins add and withdraw them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::prices::{aud, line, lines, price, there, with};
use crate::support::{Answer, App, DEEP_TISSUE};

#[tokio::test]
async fn versions_follow_one_another_and_history_is_fixed() {
    let app = App::start().await;
    let (admin, rival) = (app.admin().await, app.admin().await);
    let prices = "/v1/admin/prices";
    let added = admin.post(prices, price(&app, 15_000, 2)).await.is(201);
    assert_eq!((&added.body["version"], &added.body["created_by"]), (&json!(2), &json!(admin.id)));
    rival
        .post(prices, with(price(&app, 16_000, 2), json!({ "effective_from": "2027-01-01T00:00:00Z" })))
        .await
        .refused(409, "version_taken");
    rival
        .post(prices, with(price(&app, 16_000, 4), json!({ "effective_from": "2027-01-01T00:00:00Z" })))
        .await
        .refused(409, "version_taken");
    rival.post(prices, price(&app, 16_000, 3)).await.points_to(&["/effective_from"]);
    for past in ["2020-01-01T00:00:00Z", "2026-11-30T01:00:00Z", "2026-11-30T01:00:59Z"] {
        rival
            .post(prices, with(price(&app, 16_000, 3), json!({ "effective_from": past })))
            .await
            .points_to(&["/effective_from"]);
    }

    // Withdrawn, it never was; its number is not given again.
    let location = added.header("location");
    rival.delete(&location).await.is(204);
    rival.delete(&location).await.is(204);
    assert!(admin.get(&location).await.is(200).body["withdrawn_at"].is_string());
    rival.post(prices, price(&app, 16_000, 2)).await.refused(409, "version_taken");
    let third = rival.post(prices, price(&app, 16_000, 3)).await.is(201).header("location");
    app.advance(TimeDelta::days(1) - TimeDelta::seconds(59));
    rival.delete(&third).await.refused(409, "version_in_force");
    app.advance(TimeDelta::days(300));
    rival.delete(&third).await.refused(409, "version_in_force");

    let list = |at: &str| format!("{prices}?place=AU&limit=100&at={at}");
    let of_an_hour = |answer: Answer| -> Vec<Value> {
        let found = answer.is(200).body["data"].as_array().unwrap().clone();
        found
            .into_iter()
            .filter(|price| price["service_id"] == DEEP_TISSUE && price["duration_minutes"] == 60)
            .collect()
    };
    for (at, amount) in
        [("2026-12-01T00:59:59Z", 12_900), ("2026-12-01T01:00:00Z", 16_000), ("2030-01-01T00:00:00Z", 16_000)]
    {
        let found = of_an_hour(rival.get(&list(at)).await);
        assert_eq!((found.len(), &found[0]["price"]), (1, &aud(amount)), "{at}");
    }
    let mut path = format!("{prices}?place=AU&limit=7");
    let mut all = Vec::new();
    loop {
        let page = rival.get(&path).await.is(200);
        all.extend(page.body["data"].as_array().unwrap().clone());
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("{prices}?place=AU&limit=7&cursor={cursor}");
    }
    let hours = all.iter().filter(|price| price["service_id"] == DEEP_TISSUE && price["duration_minutes"] == 60);
    assert_eq!(hours.map(|price| price["version"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    let audited = rival.get("/v1/admin/audit?subject_type=price").await.is(200).body;
    let actions: Vec<&str> =
        audited["data"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["price.create", "price.withdraw", "price.create"], "newest first");
    for statement in [
        "UPDATE tariffs SET entry = '{}' WHERE kind = 'surcharge'",
        "UPDATE tariffs SET effective_from = effective_from + interval '1 day' WHERE version = 1",
        "DELETE FROM tariffs",
        "TRUNCATE tariffs",
    ] {
        app.sql(statement).await.expect_err(statement);
    }
}

#[tokio::test]
async fn of_admins_who_write_at_once_one_is_first() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut racers = JoinSet::new();
    for i in 0..16 {
        let (admin, body) = (admin.clone(), price(&app, 13_000 + i, 2));
        let body = with(body, json!({ "effective_from": app.now() + TimeDelta::days(1 + i) }));
        racers.spawn(async move { admin.post("/v1/admin/prices", body).await });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for lost in answers.into_iter().filter(|answer| answer.status != 201) {
        lost.refused(409, "version_taken");
    }
    assert_eq!(app.rows("tariffs WHERE kind = 'price' AND version = 2").await, 1);
}

#[tokio::test]
async fn a_request_of_an_admin_is_safe_to_repeat() {
    let app = App::start().await;
    let admin = app.admin().await;
    let send = |body: Value| {
        let request =
            admin.request(reqwest::Method::POST, "/v1/admin/prices").header("Idempotency-Key", "a").json(&body);
        crate::support::send(request)
    };
    let first = send(price(&app, 15_000, 2)).await.is(201);
    assert_eq!(send(price(&app, 15_000, 2)).await.is(201).text, first.text);
    send(price(&app, 15_001, 2)).await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn what_admins_get_wrong_is_pointed_to() {
    let app = App::start().await;
    let admin = app.admin().await;
    let prices = "/v1/admin/prices";
    for (change, pointer) in [
        (json!({ "price": aud(-1) }), "/price/amount"),
        (json!({ "price": aud(0) }), "/price/amount"),
        (json!({ "price": aud(100_000_001) }), "/price/amount"),
        (json!({ "price": { "amount": 129.5, "currency": "AUD" } }), "/price/amount"),
        (json!({ "price": { "amount": "129", "currency": "AUD" } }), "/price/amount"),
        (json!({ "price": { "amount": 12_900, "currency": "ZZZ" } }), "/price/currency"),
        (json!({ "price": { "amount": 12_900, "currency": "USD" } }), "/price/currency"),
        (json!({ "country": "XX" }), "/country"),
        (json!({ "country": "Australia" }), "/country"),
        (json!({ "service_id": admin.id }), "/service_id"),
        (json!({ "duration_minutes": 0 }), "/duration_minutes"),
        (json!({ "duration_minutes": 70_000 }), "/duration_minutes"),
        (json!({ "version": 0 }), "/version"),
        (json!({ "version": 3_000_000_000_u32 }), "/version"),
        (json!({ "effective_from": "soon" }), "/effective_from"),
        (json!({ "effective_from": "2999-01-01T00:00:00Z" }), "/effective_from"),
        (json!({ "colour": "red" }), "/colour"),
    ] {
        admin.post(prices, with(price(&app, 15_000, 2), change)).await.points_to(&[pointer]);
    }
    let later = app.now() + TimeDelta::days(1);
    let surcharge = |terms: Value| json!({ "jurisdiction": "AU-NSW", "code": "weekend", "terms": terms, "version": 1, "effective_from": later });
    let terms = |charge: Value| json!({ "label": "Weekend", "when": { "kind": "weekend", "days": ["sunday"] }, "charge": charge });
    let percent = |basis_points: i64| json!({ "kind": "percent", "basis_points": basis_points });
    let surcharges = "/v1/admin/surcharges";
    for (body, pointer) in [
        (surcharge(terms(percent(10_001))), "/terms/charge/basis_points"),
        (surcharge(terms(percent(-1))), "/terms/charge"),
        (
            surcharge(terms(json!({ "kind": "fixed", "amount": { "amount": 5, "currency": "USD" } }))),
            "/terms/charge/amount/currency",
        ),
        (surcharge(terms(json!({ "kind": "gift" }))), "/terms/charge/kind"),
        (with(surcharge(terms(percent(1))), json!({ "jurisdiction": "AU-XX" })), "/jurisdiction"),
        (with(surcharge(terms(percent(1))), json!({ "code": "Week end" })), "/code"),
        (surcharge(with(terms(percent(1)), json!({ "label": "" }))), "/terms/label"),
        (surcharge(with(terms(percent(1)), json!({ "label": "a\u{0}b" }))), "/terms/label"),
        // Nothing is sold in France: a fixed amount has no currency there.
        (
            with(
                surcharge(terms(json!({ "kind": "fixed", "amount": { "amount": 5, "currency": "EUR" } }))),
                json!({ "jurisdiction": "FR" }),
            ),
            "/terms/charge/amount/currency",
        ),
    ] {
        admin.post(surcharges, body).await.points_to(&[pointer]);
    }
    let everywhere = json!({ "country": null, "terms": null, "version": 2, "effective_from": later });
    admin.post("/v1/admin/cancellation-policies", everywhere).await.points_to(&["/terms"]);
    let holiday =
        json!({ "jurisdiction": "AU", "date": "2026-02-30", "name": "None", "version": 1, "effective_from": later });
    admin.post("/v1/admin/public-holidays", holiday).await.points_to(&["/date"]);
    admin.get(&format!("{prices}?place=XX")).await.points_to(&["/place"]);
    admin.get(&format!("{prices}?at=now")).await.points_to(&["/at"]);
    admin.get(&format!("{prices}?cursor=abc")).await.points_to(&["/cursor"]);
    assert_eq!(app.rows("tariffs WHERE created_by IS NOT NULL").await, 0);
    // What is a price is no surcharge, whatever its id.
    let price = admin.post(prices, price(&app, 15_000, 2)).await.is(201).id();
    for path in [surcharges, "/v1/admin/cancellation-policies", "/v1/admin/public-holidays"] {
        admin.get(&format!("{path}/{price}")).await.refused(404, "not_found");
        admin.delete(&format!("{path}/{price}")).await.refused(404, "not_found");
    }
    for (path, body) in [(prices, json!({})), (surcharges, json!({}))] {
        for person in [app.client().await, app.newcomer().await] {
            person.post(path, body.clone()).await.refused(403, "forbidden");
            person.get(path).await.refused(403, "forbidden");
            person.delete(&format!("{path}/{price}")).await.refused(403, "forbidden");
        }
        app.nobody().post(path, body).await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_region_has_its_own_surcharges_and_holidays() {
    let app = App::start().await;
    let admin = app.admin().await;
    let soon = app.now() + TimeDelta::minutes(1);
    let wednesday = json!({ "kind": "weekend", "days": ["wednesday"] });
    let terms = json!({ "label": "Midweek", "when": wednesday, "charge": { "kind": "percent", "basis_points": 50 } });
    let surcharge =
        json!({ "jurisdiction": "AU-NSW", "code": "weekend", "terms": terms, "version": 1, "effective_from": soon });
    let surcharge = admin.post("/v1/admin/surcharges", surcharge).await.is(201);
    let holiday = |name: Value, version: i32, from: DateTime<Utc>| json!({ "jurisdiction": "AU-NSW", "date": "2026-12-08", "name": name, "version": version, "effective_from": from });
    admin.post("/v1/admin/public-holidays", holiday(json!("Show Day"), 1, soon)).await.is(201);
    admin.post("/v1/admin/public-holidays", holiday(Value::Null, 2, soon + TimeDelta::hours(1))).await.is(201);
    let melbourne =
        |start: &str| with(there(start), json!({ "latitude": -37.81, "longitude": 144.96, "region": "VIC" }));
    let (saturday, wednesday, show_day) = ("2026-12-05T02:00:00Z", "2026-12-09T02:00:00Z", "2026-12-08T02:00:00Z");
    let lines_of = async |body: Value| lines(&app.nobody().post("/v1/quotes", body).await.is(200).body);
    assert_eq!(lines_of(there(show_day)).await, []);
    app.advance(TimeDelta::minutes(1));
    assert_eq!(lines_of(there(wednesday)).await, [line("weekend", 65)], "64.5, rounded up");
    assert_eq!(lines_of(there(saturday)).await, [], "the region's instead of the country's");
    assert_eq!(lines_of(melbourne(saturday)).await, [line("weekend", 1_290)]);
    assert_eq!(lines_of(there(show_day)).await, [line("public_holiday", 3_225)]);
    assert_eq!(lines_of(melbourne(show_day)).await, []);
    app.advance(TimeDelta::hours(1));
    assert_eq!(lines_of(there(show_day)).await, [], "none after all");
    let listed = admin.get("/v1/admin/surcharges?place=AU-NSW").await.is(200).body;
    assert_eq!(listed["data"], json!([surcharge.body]));
}

#[tokio::test]
async fn a_countrys_currency_can_be_put_right_until_an_amount_in_it_takes_effect() {
    let app = App::start().await;
    let admin = app.admin().await;
    let french = |currency: &str, version: i64| {
        let amount = json!({ "amount": 2_000, "currency": currency });
        with(price(&app, 2_000, 1), json!({ "country": "FR", "price": amount, "version": version }))
    };
    let first = admin.post("/v1/admin/prices", french("EUR", 1)).await.is(201).header("location");
    let terms = json!({
        "label": "Hotel", "when": { "kind": "hotel" }, "charge": { "kind": "fixed", "amount": { "amount": 500, "currency": "EUR" } }, "group": null
    });
    let surcharge = json!({
        "jurisdiction": "FR-IDF", "code": "hotel", "terms": terms, "version": 1, "effective_from": "2026-12-01T01:00:00Z"
    });
    let surcharge = admin.post("/v1/admin/surcharges", surcharge).await.is(201).header("location");
    for location in [&first, &surcharge] {
        let refused = admin.post("/v1/admin/prices", french("JPY", 2)).await.points_to(&["/price/currency"]);
        assert_eq!(
            refused.body["errors"][0]["detail"],
            "must be EUR, as the country's other amounts; withdraw all of these to change it."
        );
        admin.delete(location).await.is(204);
    }
    // Nothing was ever priced by what was withdrawn.
    admin.post("/v1/admin/prices", french("JPY", 2)).await.is(201);
    admin.post("/v1/admin/prices", french("EUR", 3)).await.points_to(&["/price/currency"]);

    // What has been in force is fixed, also once it is sold no more.
    app.advance(TimeDelta::days(2));
    let ended = with(french("JPY", 3), json!({ "price": null, "effective_from": app.now() + TimeDelta::hours(1) }));
    admin.post("/v1/admin/prices", ended).await.is(201);
    let later = with(french("EUR", 4), json!({ "effective_from": app.now() + TimeDelta::days(1) }));
    let refused = admin.post("/v1/admin/prices", later).await.points_to(&["/price/currency"]);
    assert_eq!(
        refused.body["errors"][0]["detail"],
        "must be JPY: amounts of the country have been in force in it, which is fixed."
    );
}
