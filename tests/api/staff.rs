//! What admins may do is given by owners, one by one, and holds from the next request on.

use futures_util::future::join;
use knead::values::Grant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, send};

async fn id_of(person: &Person) -> Uuid {
    person.get("/v1/me").await.is(200).id()
}

async fn put(owner: &Person, id: Uuid, grants: Value) -> Answer {
    let path = format!("/v1/admin/staff/{id}");
    let tag = owner.get(&path).await.header("etag");
    let request = owner.request(reqwest::Method::PUT, &path).header("If-Match", tag);
    send(request.json(&json!({ "grants": grants }))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_gives_and_takes_grants() {
    let app = App::start().await;
    let (owner, other) = (app.admin().await, app.admin_with(&[]).await);
    assert_eq!(owner.get("/v1/me").await.is(200).body["grants"], json!(["owner"]));
    other.get("/v1/admin/credentials").await.refused(403, "forbidden");
    other.get("/v1/admin/staff").await.refused(403, "forbidden");
    let id = id_of(&other).await;
    let changed = put(&owner, id, json!(["support", "verifier"])).await.is(200).body;
    assert_eq!(changed["grants"], json!(["verifier", "support"]), "in one order");
    other.get("/v1/admin/credentials").await.is(200);
    other.get("/v1/admin/bookings/at-risk").await.is(200);
    other.get("/v1/admin/audit").await.refused(403, "forbidden");
    let staff = owner.get("/v1/admin/staff").await.is(200).body;
    let grants: Vec<&Value> = staff["data"].as_array().unwrap().iter().map(|one| &one["grants"]).collect();
    assert!(grants.len() == 2 && grants.contains(&&json!(["owner"])), "{staff}");
    assert!(grants.contains(&&json!(["verifier", "support"])), "{staff}");
    put(&owner, id, json!([])).await.is(200);
    other.get("/v1/admin/credentials").await.refused(403, "forbidden");
    app.chain_audit().await;
    let seen = owner.get("/v1/admin/audit?action=staff.grant").await.is(200).body;
    let details: Vec<&Value> = seen["data"].as_array().unwrap().iter().map(|entry| &entry["details"]).collect();
    assert!(details.contains(&&json!({ "before": [], "after": ["verifier", "support"] })), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_leave_nobody_or_help_oneself_is_refused() {
    let app = App::start().await;
    let (owner, client) = (app.admin().await, app.client().await);
    let own = id_of(&owner).await;
    put(&owner, own, json!(["owner", "care"])).await.refused(409, "own_grants");
    let path = format!("/v1/admin/staff/{own}");
    send(owner.request(reqwest::Method::PUT, &path).json(&json!({ "grants": [] }))).await.is(428);
    let stale = owner.request(reqwest::Method::PUT, &path).header("If-Match", "\"old\"");
    send(stale.json(&json!({ "grants": [] }))).await.is(412);
    for body in
        [json!({ "grants": ["boss"] }), json!({}), json!({ "grants": null }), json!({ "grants": [], "role": "client" })]
    {
        let request = owner.request(reqwest::Method::PUT, &path).header("If-Match", "*");
        send(request.json(&body)).await.refused(422, "invalid");
    }
    for nobody in [id_of(&client).await, Uuid::now_v7()] {
        owner.get(&format!("/v1/admin/staff/{nobody}")).await.is(404);
        let path = format!("/v1/admin/staff/{nobody}");
        let request = owner.request(reqwest::Method::PUT, &path).header("If-Match", "*");
        send(request.json(&json!({ "grants": [] }))).await.is(404);
    }
    assert_eq!(client.get("/v1/me").await.is(200).body["grants"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_who_depose_each_other_one_stays() {
    let app = App::start().await;
    for _ in 0..10 {
        let (one, other) = (app.admin().await, app.admin().await);
        let (a, b) = (id_of(&one).await, id_of(&other).await);
        app.sql(&format!("UPDATE accounts SET grants = '{{}}' WHERE role = 'admin' AND id NOT IN ('{a}', '{b}')"))
            .await
            .unwrap();
        let depose = |owner: &Person, id: Uuid| {
            let request = owner.request(reqwest::Method::PUT, &format!("/v1/admin/staff/{id}")).header("If-Match", "*");
            send(request.json(&json!({ "grants": ["support"] })))
        };
        let (of_b, of_a) = join(depose(&one, b), depose(&other, a)).await;
        let done = [&of_a, &of_b].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "{} {}", of_a.text, of_b.text);
        assert_eq!(app.rows("accounts WHERE 'owner' = ANY (grants)").await, 1);
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_not_an_owners_to_read() {
    let app = App::start().await;
    let (owner, carer) = (app.admin().await, app.admin_with(&[Grant::Care]).await);
    owner.get("/v1/admin/care-rule-sets").await.is(200);
    carer.get("/v1/admin/care-rule-sets").await.is(200);
    carer.get("/v1/admin/clearances").await.is(200);
    owner.get("/v1/admin/clearances").await.refused(403, "forbidden");
}
