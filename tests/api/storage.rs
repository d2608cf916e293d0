//! The places where files are kept: a folder and a bucket, which must do the same.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, HttpServer, web};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use knead::error::Error;
use knead::storage::{Key, Storage};
use object_store::aws::AmazonS3Builder;
use uuid::Uuid;

use crate::commands::{knead, output};
use crate::documents::{files, sha256};

fn chunks(count: usize) -> impl Stream<Item = knead::error::Result<web::Bytes>> {
    stream::iter((0..count).map(|n| Ok(web::Bytes::from(vec![u8::try_from(n % 251).unwrap(); 100_000]))))
}

/// What every place for files must do.
async fn keeps_files(storage: &Storage) {
    let key = Key { room: "rosters", id: Uuid::now_v7() };
    let stored = storage.put_stream(key, chunks(120), 12_000_000).await.unwrap();
    let read: Vec<u8> = storage.read(key).await.unwrap().try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!((stored.size, read.len()), (12_000_000, 12_000_000));
    assert_eq!(sha256(&read), stored.sha256.map(|byte| format!("{byte:02x}")).concat());
    let (larger, broken) = (Key { id: Uuid::now_v7(), ..key }, Key { id: Uuid::now_v7(), ..key });
    assert!(matches!(storage.put_stream(larger, chunks(121), 12_000_000).await, Err(Error::TooLarge)));
    let cut = chunks(60).chain(stream::once(async { Err(Error::Timeout) }));
    assert!(matches!(storage.put_stream(broken, cut, 12_000_000).await, Err(Error::Timeout)));
    let small = Key { room: "documents", id: Uuid::now_v7() };
    storage.put(small, "small".into()).await.unwrap();
    let list = async |room| storage.list(room).try_collect::<Vec<Key>>().await.unwrap();
    assert_eq!((list("rosters").await, list("documents").await), (vec![key], vec![small]));
    for key in [key, small, small] {
        storage.delete(key).await.unwrap();
    }
    assert!(list("rosters").await.is_empty() && storage.read(key).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_keeps_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("made/here");
    keeps_files(&Storage::open(path.to_str().unwrap()).unwrap()).await;
    assert_eq!(files(folder.path()), 0, "nothing is left behind");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_that_cannot_keep_files_is_refused_at_the_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let check = |place: &str, more: &[(&str, &str)]| {
        let (_, lines, _) = output(knead().args(["config", "init"]));
        let mut command = knead();
        command
            .args(["config", "check"])
            .env("DATABASE_URL", "postgres://localhost/knead")
            .envs(lines.lines().filter_map(|line| line.split_once('=')));
        output(command.env("KNEAD_STORAGE", place).envs(more.iter().copied()))
    };
    let good = folder.path().join("good");
    assert!(check(good.to_str().unwrap(), &[]).0 && good.is_dir());
    let (ok, _, error) = check(file.to_str().unwrap(), &[]);
    assert!(!ok && error.contains("cannot be made") && error.lines().count() == 1, "{error}");
    let (ok, _, error) = check("/tmp", &[]);
    assert!(!ok && error.contains("open to everyone"), "{error}");
    let plain = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let (ok, _, error) = check("s3://bucket/knead", &[plain]);
    assert!(!ok && error.contains("AWS_ALLOW_HTTP"), "{error}");
    assert!(check("s3://bucket/knead", &[plain, ("AWS_ALLOW_HTTP", "true")]).0);
}

/// What a bucket holds: objects, and uploads under way.
#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
}

/// As much of S3 as is spoken here, for signed requests only.
async fn fake_s3(request: HttpRequest, body: web::Bytes, bucket: web::Data<Mutex<Bucket>>) -> HttpResponse {
    let signed = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if !signed.is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential=TESTKEY/")) {
        return HttpResponse::Forbidden().finish();
    }
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let key = request.path().trim_start_matches("/bucket").trim_start_matches('/').to_owned();
    let mut bucket = bucket.lock().unwrap();
    let Bucket { objects, parts } = &mut *bucket;
    let upload = query.get("uploadId");
    let xml = |body: String| HttpResponse::Ok().content_type("application/xml").body(body);
    match request.method().as_str() {
        "POST" if query.contains_key("uploads") => {
            let id = Uuid::now_v7().to_string();
            parts.insert(id.clone(), Default::default());
            xml(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
        }
        "PUT" if let Some(upload) = upload => {
            // A part may still be on its way when its upload is given up.
            let Some(upload) = parts.get_mut(upload) else { return HttpResponse::NotFound().finish() };
            upload.insert(query["partNumber"].parse().unwrap(), body.to_vec());
            HttpResponse::Ok().insert_header(("ETag", "\"part\"")).finish()
        }
        "POST" if let Some(upload) = upload => {
            objects.insert(key, parts.remove(upload).unwrap().into_values().flatten().collect());
            xml("<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>".to_owned())
        }
        "POST" if query.contains_key("delete") => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let gone = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            let gone: Vec<String> = gone
                .inspect(|key| drop(objects.remove(*key)))
                .map(|key| format!("<Deleted><Key>{key}</Key></Deleted>"))
                .collect();
            xml(format!("<DeleteResult>{}</DeleteResult>", gone.concat()))
        }
        "DELETE" => {
            match upload {
                Some(upload) => drop(parts.remove(upload)),
                None => drop(objects.remove(&key)),
            }
            HttpResponse::NoContent().finish()
        }
        "PUT" => {
            objects.insert(key, body.to_vec());
            HttpResponse::Ok().insert_header(("ETag", "\"whole\"")).finish()
        }
        _ if query.contains_key("list-type") => {
            let prefix = query.get("prefix").cloned().unwrap_or_default();
            let listed = objects.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(key, bytes)| {
                format!("<Contents><Key>{key}</Key><LastModified>2026-11-30T01:00:00.000Z</LastModified><ETag>x</ETag><Size>{}</Size></Contents>", bytes.len())
            });
            xml(format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>",
                listed.collect::<String>()
            ))
        }
        _ => match objects.get(&key) {
            Some(bytes) => HttpResponse::Ok()
                .insert_header(("ETag", "\"whole\""))
                .insert_header(("Last-Modified", "Mon, 30 Nov 2026 01:00:00 GMT"))
                .body(bytes.clone()),
            None => HttpResponse::NotFound().finish(),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_files() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let bucket = Arc::new(Mutex::new(Bucket::default()));
    let held = web::Data::from(bucket.clone());
    let server = HttpServer::new(move || {
        let limit = web::PayloadConfig::new(32 << 20);
        actix_web::App::new().app_data(held.clone()).app_data(limit).default_service(web::to(fake_s3))
    });
    let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    let builder = || {
        AmazonS3Builder::new()
            .with_bucket_name("bucket")
            .with_region("us-east-1")
            .with_endpoint(&endpoint)
            .with_access_key_id("TESTKEY")
            .with_secret_access_key("a secret of the test")
    };
    assert!(Storage::bucket(builder(), "knead").is_err(), "plain http is not spoken by accident");
    let storage = Storage::bucket(builder().with_allow_http(true), "knead").unwrap();
    let key = Key { room: "documents", id: Uuid::now_v7() };
    storage.put(key, "small".into()).await.unwrap();
    assert_eq!(bucket.lock().unwrap().objects.keys().collect::<Vec<_>>(), [&format!("knead/{key}")]);
    storage.delete(key).await.unwrap();
    keeps_files(&storage).await;
    handle.stop(false).await;
    let held = bucket.lock().unwrap();
    assert!(held.objects.is_empty() && held.parts.is_empty(), "nothing is left behind, nor under way");
}
