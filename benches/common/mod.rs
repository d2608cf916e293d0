//! What a service sends to the database, taken from the server's own log (`log_statement = 'all'`), for pgbench to send the same.

use std::fs::read_to_string;
use std::path::Path;
use std::time::Duration;

use regex::Regex;

/// The log, once the server has written the last of it.
pub async fn settled(log: &Path) -> String {
    tokio::time::sleep(Duration::from_millis(300)).await;
    read_to_string(log).expect("the log")
}

/// A statement as the server logged it, with its parameters; `None` is NULL.
pub struct Statement {
    /// Its text, with `$1` and so on.
    pub text: String,
    /// In order.
    pub parameters: Vec<Option<String>>,
}

/// The statements in a part of the log, in order.
pub fn statements(log: &str) -> Vec<Statement> {
    let line = Regex::new(r"^\d{4}-\d\d-\d\d [^\[]*\[\d+\] (LOG|DETAIL):  (.*)$").expect("a pattern");
    let mut entries: Vec<(String, String)> = Vec::new();
    for text in log.lines() {
        match (line.captures(text), entries.last_mut()) {
            (Some(found), _) => entries.push((found[1].to_owned(), found[2].to_owned())),
            (None, Some((_, last))) => {
                last.push('\n');
                last.push_str(text.trim_start());
            }
            (None, None) => {}
        }
    }
    let mut found: Vec<Statement> = Vec::new();
    for (kind, text) in entries {
        let executed = text.strip_prefix("statement: ").or_else(|| {
            let rest = text.strip_prefix("execute ")?;
            rest.split_once(": ").map(|(_, statement)| statement)
        });
        match (kind.as_str(), executed, found.last_mut()) {
            ("LOG", Some(text), _) => found.push(Statement { text: text.to_owned(), parameters: Vec::new() }),
            ("DETAIL", _, Some(last)) => last.parameters = parameters(&text),
            _ => {}
        }
    }
    found
}

/// `parameters: $1 = 'it''s', $2 = NULL` as values.
fn parameters(text: &str) -> Vec<Option<String>> {
    let one = Regex::new(r"\$\d+ = (?:(NULL)|'((?:[^']|'')*)')").expect("a pattern");
    one.captures_iter(text).map(|found| found.get(2).map(|value| value.as_str().replace("''", "'"))).collect()
}
