//! Evidence: what is taken, what is refused, who reads it, and where it is kept.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::TimeDelta;
use futures_util::TryStreamExt;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage};
use knead::error::Error;
use knead::storage::Key;
use lopdf::content::Content;
use lopdf::{Dictionary, Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream, dictionary};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, App, Person, send};

const MINE: &str = "/v1/therapists/me/credentials";

/// A PDF of empty pages, with `extra` in its catalogue.
fn pdf_with(pages: usize, extra: Dictionary) -> Vec<u8> {
    let mut document = Document::with_version("1.5");
    let tree = document.new_object_id();
    let content = document.add_object(Stream::new(Dictionary::new(), Content { operations: vec![] }.encode().unwrap()));
    let kids: Vec<Object> = (0..pages)
        .map(|_| {
            let page = dictionary! { "Type" => "Page", "Parent" => tree, "Contents" => content, "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()] };
            document.add_object(page).into()
        })
        .collect();
    let count = i64::try_from(pages).unwrap();
    document.objects.insert(tree, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }.into());
    let mut catalogue = dictionary! { "Type" => "Catalog", "Pages" => tree };
    catalogue.extend(&extra);
    let catalogue = document.add_object(catalogue);
    document.trailer.set("Root", catalogue);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

pub fn pdf(pages: usize) -> Vec<u8> {
    pdf_with(pages, Dictionary::new())
}

/// A picture with a red half on the left and a blue one on the right.
fn halves() -> RgbImage {
    RgbImage::from_fn(64, 32, |x, _| if x < 32 { Rgb([250, 0, 0]) } else { Rgb([0, 0, 250]) })
}

pub fn png() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    halves().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A JPEG as a phone makes it, lying on its side (orientation 6), with the place where it was taken.
fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    halves().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95)).unwrap();
    let mut exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x02".to_vec();
    // Orientation: SHORT, one value, 6. Then where the GPS data begin.
    exif.extend_from_slice(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
    exif.extend_from_slice(b"\x88\x25\0\x04\0\0\0\x01\0\0\0\x26\0\0\0\0");
    // One entry: the map datum, ASCII.
    exif.extend_from_slice(b"\0\x01\0\x12\0\x02\0\0\0\x16\0\0\0\x38\0\0\0\0GPS-WAS-HERE-33.8981,S\0");
    let mut segment = vec![0xFF, 0xE1];
    segment.extend_from_slice(&u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
    segment.extend_from_slice(&exif);
    bytes.splice(2..2, segment);
    bytes
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn virus() -> String {
    // Never whole in a file of ours.
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

async fn draft(therapist: &Person) -> String {
    let body = json!({ "type": "US-TX-LMT", "number": "MT123456", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    format!("{MINE}/{}", therapist.post(MINE, body).await.is(201).id())
}

/// How many files there are, also half-written ones.
pub fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

pub async fn download(person: &Person, path: &str, accept: &str) -> (Answer, Vec<u8>) {
    let response = person.request(Method::GET, path).header("Accept", accept).send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap().to_vec();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or_default();
    (Answer { status, headers, text, body }, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_kept_and_served_as_an_attachment() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let credential = draft(&therapist).await;
    let path = format!("{credential}/documents");
    let sent = pdf(2);
    let made = therapist.upload(&path, "My licence.PDF", &sent).await.is(201);
    assert_eq!((&made.body["media_type"], &made.body["name"]), (&json!("application/pdf"), &json!("My licence.pdf")));
    assert_eq!((&made.body["size"], &made.body["pages"]), (&json!(sent.len()), &json!(2)));
    assert_eq!((&made.body["sha256"], &made.body["sent_sha256"]), (&json!(sha256(&sent)), &json!(sha256(&sent))));
    assert_eq!(therapist.get(&path).await.is(200).body["data"], json!([made.body]));

    let mine = made.header("location");
    for accept in ["application/pdf", "*/*", "application/json, application/*;q=0.9", "image/*, text/html;q=0.5"] {
        let (answer, bytes) = download(&therapist, &mine, accept).await;
        assert_eq!((answer.status.as_u16(), &bytes), (200, &sent), "{accept}");
        assert_eq!(answer.header("content-type"), "application/pdf");
        assert_eq!(answer.header("content-disposition"), "attachment; filename*=UTF-8''My%20licence.pdf");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-security-policy"), "sandbox");
        assert_eq!(answer.header("content-length"), sent.len().to_string());
        assert!(answer.headers.get("etag").is_none(), "as the document says");
    }
    for accept in ["text/html", "application/json"] {
        download(&therapist, &mine, accept).await.0.refused(406, "not_acceptable");
    }
    download(&therapist, &path, "application/pdf").await.0.refused(406, "not_acceptable");

    let admins = mine.replace(MINE, "/v1/admin/credentials");
    assert_eq!(download(&admin, &admins, "application/pdf").await.1, sent);
    let listed = admin.get(&path.replace(MINE, "/v1/admin/credentials")).await.is(200).body;
    assert_eq!((&listed["data"][0]["sha256"], &listed["data"][0]["shared_with"]), (&made.body["sha256"], &json!([])));

    let audited =
        admin.get(&format!("/v1/admin/audit?subject_type=document&subject_id={}", made.id())).await.is(200).body;
    let entries: Vec<(&str, &Value)> =
        audited["data"].as_array().unwrap().iter().map(|e| (e["action"].as_str().unwrap(), &e["actor_id"])).collect();
    let owner = json!(therapist.id);
    let read = ("document.read", &owner);
    assert_eq!(entries, [("document.read", &json!(admin.id)), read, read, read, read, ("document.upload", &owner)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_lose_their_metadata_and_stand_upright() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let sent = jpeg();
    let made = therapist.upload(&path, "photo.html", &sent).await.is(201);
    assert_eq!((&made.body["media_type"], &made.body["name"]), (&json!("image/jpeg"), &json!("photo.jpg")));
    assert_eq!(made.body["sent_sha256"], sha256(&sent));
    let (_, kept) = download(&therapist, &made.header("location"), "image/*").await;
    assert_eq!((made.body["sha256"].clone(), made.body["size"].clone()), (json!(sha256(&kept)), json!(kept.len())));
    for trace in ["GPS-WAS-HERE", "Exif"] {
        let found = |bytes: &[u8]| bytes.windows(trace.len()).any(|window| window == trace.as_bytes());
        assert!(found(&sent) && !found(&kept), "{trace}");
    }
    // It lay on its left side: what was left is up.
    let upright = image::load_from_memory(&kept).unwrap().to_rgb8();
    assert_eq!(upright.dimensions(), (32, 64));
    assert!(upright.get_pixel(16, 8)[0] > 200 && upright.get_pixel(16, 56)[2] > 200);

    let plain = png();
    let iend = plain.len() - 12;
    let note = b"\0\0\0\x0BtEXtNote\0secret\x20\xBF\xC5\xAA";
    // The checksum of a chunk that is no picture may be wrong; it is dropped all the same.
    let sent = joined(&[&plain[..iend], note, &plain[iend..]]);
    let made = therapist.upload(&path, "scan.png", &sent).await.is(201);
    assert_eq!((&made.body["width"], &made.body["height"]), (&json!(64), &json!(32)));
    let (_, kept) = download(&therapist, &made.header("location"), "image/png").await;
    assert!(!kept.windows(6).any(|window| window == b"secret"));
    assert_eq!(image::load_from_memory(&kept).unwrap().to_rgb8(), halves());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_attacks_is_refused_and_nothing_is_kept() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let (document, photo, picture) = (pdf(1), jpeg(), png());
    let action = |kind: &str| {
        pdf_with(1, dictionary! { "OpenAction" => dictionary! { "S" => kind, "F" => Object::string_literal("x") } })
    };
    let replaced = |from: &str, to: &str| {
        // Of one length, so that every place in the file stays where it is.
        assert_eq!(from.len(), to.len());
        let at = document.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
        joined(&[&document[..at], to.as_bytes(), &document[at + from.len()..]])
    };
    // The dimensions stand after the signature and the head of the first chunk.
    let mut giant = picture.clone();
    giant[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut checksum = flate_crc(&giant[12..29]).to_be_bytes().to_vec();
    giant.splice(29..33, checksum.drain(..));
    let mut wide = photo.clone();
    let frame = wide.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    wide[frame + 5..frame + 9].copy_from_slice(&[0x2E, 0xE0, 0x2E, 0xE0]);
    let zip = b"PK\x03\x04\x0A\0\0\0\0\0PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let late_zip = replaced("/MediaBox[0 0 595 842]", "PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let html = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let attacks: Vec<(&str, &str, Vec<u8>)> = vec![
        ("document_empty", "empty", vec![]),
        ("document_type_unsupported", "HTML", html.to_vec()),
        ("document_type_unsupported", "SVG", svg.to_vec()),
        ("document_type_unsupported", "SVG with a prolog", joined(&[b"<?xml version=\"1.0\"?>", svg])),
        ("document_type_unsupported", "ZIP", zip.to_vec()),
        ("document_type_unsupported", "GIF", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
        ("document_type_unsupported", "GIF with a script", joined(&[b"GIF89a/*", html, b"*/=1;"])),
        ("document_type_unsupported", "text", b"My licence is MT123456.".to_vec()),
        ("document_unreadable", "the magic of PNG", joined(&[&picture[..8], &[7; 500]])),
        ("document_unreadable", "the magic of JPEG", joined(&[&photo[..4], &[7; 500]])),
        ("document_unreadable", "the magic of PDF", joined(&[b"%PDF-1.5\n", &[7; 500]])),
        ("document_unreadable", "half a PNG", picture[..picture.len() / 2].to_vec()),
        ("document_unreadable", "half a JPEG", photo[..photo.len() / 2].to_vec()),
        ("document_unreadable", "half a PDF", document[..document.len() / 2].to_vec()),
        ("document_unreadable", "a PDF of nothing", b"%PDF-1.5\n%%EOF\n".to_vec()),
        ("document_unreadable", "a PDF of no page", pdf(0)),
        ("document_unsafe", "HTML and PDF", joined(&[html, &document])),
        ("document_type_unsupported", "much rubbish and PDF", joined(&[&[0; 1100], &document])),
        ("document_unsafe", "PDF and HTML", joined(&[&document, html])),
        ("document_unsafe", "PDF and ZIP", joined(&[&document, zip])),
        ("document_unsafe", "PDF with HTML in a comment", joined(&[b"%PDF-1.5\n%", html, b"\n", &document[9..]])),
        ("document_unsafe", "PDF with a ZIP in an object", late_zip),
        ("document_unsafe", "JPEG and ZIP", joined(&[&photo, zip])),
        ("document_unsafe", "PNG and HTML", joined(&[&picture, html])),
        ("document_active", "JavaScript", action("JavaScript")),
        ("document_active", "Launch", action("Launch")),
        ("document_active", "SubmitForm", action("SubmitForm")),
        (
            "document_active",
            "JS alone",
            pdf_with(1, dictionary! { "AA" => dictionary! { "JS" => Object::string_literal("x") } }),
        ),
        (
            "document_active",
            "XFA",
            pdf_with(1, dictionary! { "AcroForm" => dictionary! { "XFA" => Object::Array(vec![]) } }),
        ),
        (
            "document_has_files",
            "a file within",
            pdf_with(1, dictionary! { "Names" => dictionary! { "EmbeddedFiles" => dictionary! {} } }),
        ),
        ("document_active", "an escaped name", replaced("/MediaBox[0 0 595 842]", "/S/J#61vaScript/B[595]")),
        ("document_encrypted", "encryption", encrypted()),
        ("document_unsafe", "a virus", virus().into_bytes()),
        ("document_unsafe", "PDF with a virus", joined(&[b"%PDF-1.5\n%", virus().as_bytes(), b"\n", &document[9..]])),
        ("document_too_large", "a PNG of 65,536 by 65,536", giant),
        ("document_too_large", "a JPEG of 12,000 by 12,000", wide),
        ("document_too_long", "31 pages", pdf(31)),
        ("document_too_long", "1,000 pages", pdf(1000)),
    ];
    for (code, what, bytes) in &attacks {
        let answer = therapist.upload(&path, "licence.pdf", bytes).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (422, Some(*code)),
            "{what}: {}",
            answer.text
        );
    }
    therapist
        .upload(&path, "licence.pdf", &joined(&[&document, &vec![b' '; 10 << 20]]))
        .await
        .refused(413, "payload_too_large");
    assert_eq!(app.rows("credential_documents").await, 0);
    assert_eq!(files(app.files.path()), 0);
    // What they are made of is good by itself.
    for good in [&document, &photo, &picture, &pdf(30)] {
        therapist.upload(&path, "licence.pdf", good).await.is(201);
    }
    assert_eq!(files(app.files.path()), 4);
}

/// A PDF written by hand: its objects one by one, and what ends the lines of its table.
fn written(objects: &[&str], end: &str) -> Vec<u8> {
    let (mut body, mut table) = ("%PDF-1.7\n".to_owned(), format!("0000000000 65535 f{end}"));
    for (at, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n{end}", body.len());
        body += &format!("{} 0 obj\n{object}\nendobj\n", at + 1);
    }
    let (size, at) = (objects.len() + 1, body.len());
    body += &format!("xref\n0 {size}\n{table}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{at}\n%%EOF\n");
    body.into_bytes()
}

const PAGE: [&str; 3] = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Annots[4 0 R]>>",
];

/// A PDF that anybody opens and only its owner may change.
fn open_to_readers(user_password: &str) -> Vec<u8> {
    let mut document = Document::load_mem(&pdf(1)).unwrap();
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", Object::Array(vec![id.clone(), id]));
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password,
        key_length: 128,
        permissions: Permissions::PRINTABLE,
    };
    document.encrypt(&EncryptionState::try_from(version).unwrap()).unwrap();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// A PDF of 15,000 objects, most of them in streams.
fn many_objects() -> Vec<u8> {
    let mut document = Document::load_mem(&pdf(1)).unwrap();
    let some = |document: &mut Document| -> Vec<Object> {
        (0..100).map(|n| document.add_object(dictionary! { "Type" => "ExtGState", "LW" => n }).into()).collect()
    };
    let all: Vec<Object> = (0..150)
        .map(|_| {
            let some = some(&mut document);
            document.add_object(some).into()
        })
        .collect();
    document.catalog_mut().unwrap().set("Many", all);
    let mut bytes = Vec::new();
    document.save_modern(&mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_every_viewer_opens_is_taken_and_written_anew() {
    let link = "<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(https://board.example/Launch)>>>>";
    let rights = "<</Type/TransformParams/V/2.2/Form[/FillIn/Import]/EF[/Create/Delete/Modify/Import]>>";
    let note = "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]/Contents(see /JavaScript and /Movie)>>";
    let plain = pdf(1);
    let (photo, picture) = (jpeg(), png());
    let inspector = knead::inspection::Inspector::new();
    let as_kind = |format: ImageFormat| {
        let mut bytes = Cursor::new(Vec::new());
        halves().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    for (what, bytes, start) in [
        ("a blank after the version", joined(&[b"%PDF-1.5 \n", &plain[9..]]), "%PDF"),
        ("lines of 19 bytes", written(&[&PAGE[..], &[note]].concat(), "\n"), "%PDF"),
        ("a link that ends in /Launch", written(&[&PAGE[..], &[link]].concat(), " \n"), "%PDF"),
        ("what may be done with files", written(&[&PAGE[..], &[rights]].concat(), "\n"), "%PDF"),
        ("junk before the header", joined(&[b"X-Mailer: board\r\n\r\n", &plain]), "%PDF"),
        ("junk after the end", joined(&[&plain, b"\0\0\0"]), "%PDF"),
        ("an empty password", open_to_readers(""), "%PDF"),
        ("15,000 objects", many_objects(), "%PDF"),
        ("a JPEG and a byte", joined(&[&photo, b"\0"]), "\u{FFFD}\u{FFFD}"),
        ("a JPEG and another", joined(&[&photo, &photo]), "\u{FFFD}\u{FFFD}"),
        ("a PNG and what a camera leaves", joined(&[&picture, &[7; 5000]]), "\u{FFFD}PNG"),
        ("WebP", as_kind(ImageFormat::WebP), "\u{FFFD}\u{FFFD}"),
        ("TIFF", as_kind(ImageFormat::Tiff), "\u{FFFD}\u{FFFD}"),
    ] {
        let kept = inspector.inspect(bytes.clone().into()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(String::from_utf8_lossy(&kept.bytes).starts_with(start), "{what}");
        if start == "%PDF" && what != "15,000 objects" {
            assert_ne!(kept.bytes, bytes, "{what}");
            let again = inspector.inspect(kept.bytes.clone().into()).await.unwrap().bytes;
            let read = Document::load_mem(&again).unwrap();
            assert_eq!((read.get_pages().len(), read.is_encrypted()), (1, false), "{what}");
        }
    }
    for (code, bytes) in [
        ("document_encrypted", open_to_readers("user")),
        ("document_heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
        (
            "document_active",
            written(&[&PAGE[..], &["<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/Launch>>>>"]].concat(), "\n"),
        ),
        (
            "document_has_files",
            written(&[&PAGE[..], &["<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]>>"]].concat(), "\n"),
        ),
        ("document_has_files", written(&[&PAGE[..], &["<</Type/Filespec/EF<</F 9 0 R>>>>"]].concat(), "\n")),
        ("document_has_files", written(&[&PAGE[..], &["<</Type/Filespec/EF 9 0 R>>"]].concat(), "\n")),
    ] {
        let Err(Error::Refused(refusal)) = inspector.inspect(bytes.into()).await else { panic!("{code}") };
        assert_eq!(refusal.code(), code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_version_held_is_not_kept() {
    // The script stands in the file, yet nothing refers to it.
    let bytes = joined(&[b"%PDF-1.5\n%/S/JavaScript/JS(app.alert\n", &pdf(1)[9..]]);
    let inspector = knead::inspection::Inspector::new();
    let kept = inspector.inspect(bytes.into()).await.expect("a page").bytes;
    assert!(!String::from_utf8_lossy(&kept).contains("JavaScript"));
    assert_eq!(Document::load_mem(&kept).unwrap().get_pages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_any_kind_is_refused_in_good_order() {
    let inspector = knead::inspection::Inspector::new();
    // Not random, so that what fails once fails again.
    let mut seed = 1_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for whole in [pdf(3), jpeg(), png()] {
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                bytes[at] = u8::try_from(next(256)).unwrap();
            }
            let found = inspector.inspect(bytes.into()).await;
            assert!(matches!(found, Ok(_) | Err(Error::Refused(_))), "{found:?}");
        }
    }
}

/// The checksum of a chunk of PNG (ISO 3309).
fn flate_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn encrypted() -> Vec<u8> {
    let mut document = Document::load_mem(&pdf(1)).unwrap();
    let encryption = document.add_object(dictionary! { "Filter" => "Standard", "V" => 1, "R" => 2, "P" => -4 });
    document.trailer.set("Encrypt", encryption);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_one_file_and_nothing_else() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let file = pdf(1);
    let part = ("file", Some("a.pdf"), file.as_slice());
    send(therapist.form(&path, &[])).await.points_to(&["/file"]);
    send(therapist.form(&path, &[("colour", None, b"red")])).await.points_to(&["/colour"]);
    send(therapist.form(&path, &[("a/b", None, b"red"), part])).await.points_to(&["/a~1b"]);
    send(therapist.form(&path, &[part, ("colour", None, b"red")])).await.points_to(&["/colour"]);
    send(therapist.form(&path, &[part, part])).await.points_to(&["/file"]);
    therapist.post(&path, json!({})).await.refused(415, "unsupported_media_type");
    let posted = |content_type: &str, body: &'static str| {
        therapist.request(Method::POST, &path).header("Content-Type", content_type).body(body)
    };
    send(posted("multipart/mixed; boundary=x", "--x--")).await.refused(415, "unsupported_media_type");
    send(posted("multipart/form-data", "--x--")).await.refused(400, "malformed");
    send(posted("multipart/form-data; boundary=x", "rubbish")).await.refused(400, "malformed");
    let cut = "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n%PDF-1.5";
    send(posted("multipart/form-data; boundary=x", cut)).await.refused(400, "malformed");
    let nameless = "--x\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.5\r\n--x--\r\n";
    send(posted("multipart/form-data; boundary=x", nameless)).await.refused(400, "malformed");
    for name in ["../../../etc/cron.d/evil", "..\\..\\evil.exe", "/etc/passwd", "evil.php%00.pdf", "..", ""] {
        let made = therapist.upload(&path, name, &file).await.is(201);
        let shown = made.body["name"].as_str().unwrap();
        assert!(shown.ends_with(".pdf") && !shown.contains(['/', '\\']) && !shown.starts_with('.'), "{shown}");
        let stored = format!("kept/documents/{}", made.id());
        assert!(app.files.path().join(&stored).is_file(), "{stored}");
        therapist.delete(&made.header("location")).await.is(204);
    }
    assert_eq!(files(app.files.path()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_stalls_is_given_up() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let mut socket = tokio::net::TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: knead.test\r\nAuthorization: Bearer {}\r\nContent-Length: 5000\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n%PDF",
        therapist.token.as_deref().unwrap()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(14), socket.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_reads_or_changes_evidence() {
    let app = App::start().await;
    let (therapist, other) = (app.newcomer().await, app.newcomer().await);
    let (client, nobody, admin) = (app.client().await, app.nobody(), app.admin().await);
    let path = format!("{}/documents", draft(&therapist).await);
    let file = pdf(1);
    let mine = therapist.upload(&path, "a.pdf", &file).await.is(201).header("location");
    let admins = mine.replace(MINE, "/v1/admin/credentials");
    for (person, status) in [(&nobody, 401), (&client, 403), (&admin, 403), (&other, 404)] {
        person.upload(&path, "a.pdf", &file).await.is(status);
        person.get(&path).await.is(status);
        person.get(&mine).await.is(status);
        person.delete(&mine).await.is(status);
    }
    for (person, status) in [(&nobody, 401), (&client, 403), (&therapist, 403)] {
        person.get(&admins).await.is(status);
        person.get(&path.replace(MINE, "/v1/admin/credentials")).await.is(status);
    }
    // A document is found under its own credential only.
    let elsewhere = format!("{}/documents/{}", draft(&therapist).await, mine.rsplit('/').next().unwrap());
    therapist.get(&elsewhere).await.refused(404, "not_found");
    admin.get(&elsewhere.replace(MINE, "/v1/admin/credentials")).await.refused(404, "not_found");
    therapist.get(&format!("{path}/nonsense")).await.refused(404, "not_found");
    assert_eq!(app.rows("events WHERE kind = 'document.read'").await, 0);
    assert_eq!(files(app.files.path()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_comes_and_goes_only_before_a_decision() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let credential = draft(&therapist).await;
    let path = format!("{credential}/documents");
    let admins = credential.replace(MINE, "/v1/admin/credentials");
    let mistaken = therapist.upload(&path, "a.pdf", &pdf(1)).await.is(201).header("location");
    therapist.delete(&mistaken).await.is(204);
    therapist.delete(&mistaken).await.refused(404, "not_found");
    therapist.get(&mistaken).await.refused(404, "not_found");
    assert_eq!(files(app.files.path()), 0, "never handed in");
    assert_eq!(admin.get(&format!("{admins}/documents")).await.is(200).body["data"], json!([]));

    let handed_in = therapist.upload(&path, "b.pdf", &pdf(2)).await.is(201).header("location");
    app.advance(TimeDelta::minutes(1));
    therapist.act(&format!("{credential}/submit")).await.is(200);
    therapist.upload(&path, "c.pdf", &pdf(1)).await.refused(409, "invalid_transition");
    therapist.delete(&handed_in).await.refused(409, "invalid_transition");
    therapist.get(&handed_in).await.is(200);

    admin.act(&format!("{admins}/claim")).await.is(200);
    admin.post(&format!("{admins}/request-info"), json!({ "reason_codes": ["illegible"] })).await.is(200);
    therapist.delete(&handed_in).await.is(204);
    therapist.get(&handed_in).await.refused(404, "not_found");
    let listed = admin.get(&format!("{admins}/documents")).await.is(200).body;
    assert!(listed["data"][0]["removed_at"].is_string(), "reviewers keep what they have seen");
    admin.get(&handed_in.replace(MINE, "/v1/admin/credentials")).await.is(200);
    assert_eq!(files(app.files.path()), 1);

    for pages in 1..=10 {
        therapist.upload(&path, "d.pdf", &pdf(pages)).await.is(201);
    }
    therapist.upload(&path, "e.pdf", &pdf(11)).await.refused(422, "too_many_documents");
    assert_eq!(files(app.files.path()), 11);
    for statement in [
        "UPDATE credential_documents SET name = 'x'",
        "UPDATE credential_documents SET removed_at = NULL WHERE removed_at IS NOT NULL",
        "DELETE FROM credential_documents",
        "TRUNCATE credential_documents",
    ] {
        let refused = app.sql(statement).await.expect_err(statement).to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_upload_is_one_document() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let second_path = format!("{}/documents", draft(&therapist).await);
    let (file, other) = (pdf(1), pdf(2));
    let upload = async |path: &str, bytes: &[u8]| {
        send(therapist.form(path, &[("file", Some("a.pdf"), bytes)]).header("Idempotency-Key", "one")).await
    };
    let first = upload(&path, &file).await.is(201);
    let again = upload(&path, &file).await.is(201);
    assert_eq!((&again.text, again.header("idempotent-replay").as_str()), (&first.text, "true"));
    upload(&path, &other).await.refused(422, "idempotency_key_reused");
    upload(&second_path, &file).await.refused(422, "idempotency_key_reused");
    assert_eq!((app.rows("credential_documents").await, files(app.files.path())), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_of_two_therapists_raises_one_task() {
    let app = App::start().await;
    let (first, second, admin) = (app.newcomer().await, app.newcomer().await, app.admin().await);
    let (theirs, ours) = (draft(&first).await, draft(&second).await);
    let file = jpeg();
    first.upload(&format!("{theirs}/documents"), "a.jpg", &file).await.is(201);
    first.upload(&format!("{theirs}/documents"), "again.jpg", &file).await.is(201);
    let tasks = "tasks WHERE kind = 'evidence_shared'";
    assert_eq!(app.rows(tasks).await, 0, "one's own file is no fraud");
    second.upload(&format!("{ours}/documents"), "b.jpg", &file).await.is(201);
    // The same picture without its metadata is the same picture.
    let bare = joined(&[&file[..2], &file[4 + usize::from(u16::from_be_bytes([file[4], file[5]]))..]]);
    assert_ne!(sha256(&bare), sha256(&file));
    assert_eq!(app.rows(tasks).await, 1);
    let about =
        format!("tasks WHERE subject_type = 'credential' AND subject_id = '{}'", ours.rsplit('/').next().unwrap());
    assert_eq!(app.rows(&about).await, 1);
    let listed = admin.get(&format!("{}/documents", ours.replace(MINE, "/v1/admin/credentials"))).await.is(200).body;
    assert_eq!(listed["data"][0]["shared_with"], json!([theirs.rsplit('/').next().unwrap()]));
    let mine = second.get(&format!("{ours}/documents")).await.is(200).text;
    assert!(!mine.contains("shared_with"), "whom it is shared with is for admins");

    // Two at once: the one that comes second is seen.
    let scan = pdf(3);
    let (theirs, ours) = (format!("{}/documents", draft(&first).await), format!("{}/documents", draft(&second).await));
    let (one, two) = tokio::join!(first.upload(&theirs, "s.pdf", &scan), second.upload(&ours, "s.pdf", &scan));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (201, 201));
    assert_eq!(app.rows(tasks).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_row_names_is_swept_after_a_day() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let path = format!("{}/documents", draft(&therapist).await);
    let kept = therapist.upload(&path, "a.pdf", &pdf(1)).await.is(201);
    let orphan = Key { room: "documents", id: knead::ids::uuid_at(app.now()) };
    app.service.storage.put(orphan, "half-way".into()).await.unwrap();
    let sweep = async || knead::credentials::documents::forget_orphans(&app.service, app.now()).await.unwrap();
    app.advance(TimeDelta::hours(23));
    sweep().await;
    assert_eq!(files(app.files.path()), 2, "an upload may be under way");
    app.advance(TimeDelta::hours(2));
    sweep().await;
    let left: Vec<Key> = app.service.storage.list("documents").try_collect().await.unwrap();
    assert_eq!(left, [Key { room: "documents", id: kept.id() }]);
}
