//! Whether an operation declares what it answers.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use knead::doors::routes;
use knead::openapi::document;
use reqwest::Method;

use super::Answer;

/// An operation, and the codes that it may answer, with their status.
struct Declared {
    id: String,
    method: String,
    segments: Vec<String>,
    codes: BTreeSet<(u16, String)>,
}

static OPERATIONS: LazyLock<Vec<Declared>> = LazyLock::new(|| {
    let document = document(routes);
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    });
    each.map(|(path, method, operation)| Declared {
        id: operation["operationId"].as_str().unwrap().to_owned(),
        method: method.to_uppercase(),
        segments: path.split('/').map(str::to_owned).collect(),
        codes: operation["responses"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(status, response)| {
                let shared = response["$ref"].as_str().map(|path| path.trim_start_matches('#'));
                let response = shared.map_or(response, |path| document.pointer(path).expect("a shared answer"));
                let codes = response["x-codes"].as_array().into_iter().flatten();
                codes.map(|code| (status.parse().unwrap(), code.as_str().unwrap().to_owned()))
            })
            .collect(),
    })
    .collect()
});

impl Declared {
    fn fits(&self, method: &str, segments: &[&str]) -> bool {
        self.method == method
            && self.segments.len() == segments.len()
            && self.segments.iter().zip(segments).all(|(own, sent)| own.starts_with('{') || own == sent)
    }

    fn placeholders(&self) -> usize {
        self.segments.iter().filter(|segment| segment.starts_with('{')).count()
    }
}

/// Fails where an operation answers with problem details that it does not declare.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    // A fault of ours is no answer that an operation could declare.
    let is_refusal = answer.status.is_client_error() || answer.status == 503;
    let Some(code) = answer.body["code"].as_str().filter(|_| is_refusal) else { return };
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let segments: Vec<&str> = path.split('/').collect();
    let fitting = OPERATIONS.iter().filter(|operation| operation.fits(method, &segments));
    // A path without ids goes before one that has them.
    let Some(Declared { id, codes, .. }) = fitting.min_by_key(|operation| operation.placeholders()) else { return };
    let status = answer.status.as_u16();
    assert!(codes.contains(&(status, code.to_owned())), "{id} does not declare {status} {code}: {}", answer.text);
}
