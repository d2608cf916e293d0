//! One line of a calendar: a name, parameters and a value (RFC 5545, section 3.1), read as it is meant where it is not written as it should be.

use super::times::wall;

/// A property.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name, in capitals.
    pub name: String,
    /// Whether its name is written in small letters.
    pub is_small: bool,
    params: Vec<(String, String)>,
    /// Its value, as it stands.
    pub value: String,
}

impl Property {
    /// Reads a line. A zone's id that is not in quotes may have colons and commas, so where the value is a time it begins with the time.
    pub fn read(line: &str) -> Self {
        let name_end = line.find([':', ';']).unwrap_or(line.len());
        let (name, rest) = line.split_at(name_end);
        let is_small = name.contains(|c: char| c.is_ascii_lowercase());
        let name = name.to_ascii_uppercase();
        let colons = || unquoted(rest, ':');
        let at = match is_of_times(&name) {
            true => colons().find(|at| begins_with_time(rest.get(at + 1..).unwrap_or_default())),
            false => None,
        };
        // A quote that is never closed takes no value away.
        let at = at.or_else(|| colons().next()).or_else(|| rest.find(':')).unwrap_or(rest.len());
        let (params, value) = rest.split_at(at);
        let params = params.strip_prefix(';').unwrap_or(params);
        let mut cuts: Vec<usize> = unquoted(params, ';').collect();
        cuts.push(params.len());
        let mut from = 0;
        let mut read = Vec::new();
        for to in cuts {
            if let Some((key, value)) = params.get(from..to).and_then(|param| param.split_once('=')) {
                read.push((key.trim().to_ascii_uppercase(), value.trim().trim_matches('"').to_owned()));
            }
            from = to + 1;
        }
        Self { name, is_small, params: read, value: value.strip_prefix(':').unwrap_or_default().to_owned() }
    }

    /// Whether its value is a time, or lists times.
    pub fn is_of_times(&self) -> bool {
        is_of_times(&self.name)
    }

    /// A parameter, without its quotes.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter has this value, in whatever case.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.parameter(name).is_some_and(|said| said.eq_ignore_ascii_case(value))
    }
}

fn is_of_times(name: &str) -> bool {
    matches!(name, "DTSTART" | "DTEND" | "RECURRENCE-ID" | "EXDATE" | "RDATE")
}

/// Where `c` stands outside of quotes.
fn unquoted(text: &str, c: char) -> impl Iterator<Item = usize> {
    let mut is_quoted = false;
    text.char_indices().filter_map(move |(at, found)| {
        is_quoted ^= found == '"';
        (found == c && !is_quoted).then_some(at)
    })
}

fn begins_with_time(value: &str) -> bool {
    value.trim_start().split([',', '/']).next().is_some_and(|first| wall(first.trim()).is_some())
}
