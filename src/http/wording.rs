//! What the parser says of a request, in words for whoever wrote the client. The parser speaks of its own types and of ours; a caller
//! knows JSON.

use serde_path_to_error::{Path, Segment};

use crate::error::FieldError;

/// The longest list of what is known that is worth reading out.
const LONGEST_LIST: usize = 300;

/// What is wrong with a request, where the parser stopped at `path` and said `message`.
pub(super) fn field_error(path: &Path, message: &str) -> FieldError {
    // The parser adds its place in the text, which the pointer tells better.
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let (code, detail) = worded(message);
    let mut pointer = pointer(path);
    // What is missing or comes twice is named in the message alone, and in a query what is unknown, too.
    let is_named = matches!(code, "missing" | "duplicate") || (code == "unknown" && pointer.is_empty());
    if let Some(name) = message.split('`').nth(1).filter(|_| is_named) {
        push(&mut pointer, name);
    }
    FieldError { code: code.into(), ..FieldError::new(pointer, detail) }
}

/// The same of a query, whose parameters are few enough to be read out.
pub(super) fn parameter_error(path: &Path, message: &str) -> FieldError {
    let error = field_error(path, message);
    match message.rsplit_once(", expected ") {
        Some((_, known)) if error.code == "unknown" => {
            let known = known.trim_start_matches("one of ").replace("` or `", "`, `");
            FieldError { detail: format!("is not known here; known are {known}."), ..error }
        }
        _ => error,
    }
}

/// What is wrong with a value of which the parser tells no more.
pub(super) fn other_type(path: &Path) -> FieldError {
    FieldError { code: WRONG_TYPE.into(), ..FieldError::new(pointer(path), OTHER_TYPE) }
}

const WRONG_TYPE: &str = "wrong_type";
const OUT_OF_RANGE: &str = "out_of_range";
const OTHER_TYPE: &str = "is of another type than is asked for.";

/// A stable code and a sentence for what the parser says. What our own types say is a sentence already.
fn worded(message: &str) -> (&'static str, String) {
    // What numbers and such say in a query, where all is text.
    match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            return (WRONG_TYPE, "must be a whole number.".to_owned());
        }
        "number too large to fit in target type" => return (OUT_OF_RANGE, "is too large.".to_owned()),
        "number too small to fit in target type" => return (OUT_OF_RANGE, "is too small.".to_owned()),
        "invalid float literal" | "cannot parse float from empty string" => {
            return (WRONG_TYPE, "must be a number.".to_owned());
        }
        "provided string was not `true` or `false`" => return (WRONG_TYPE, "must be true or false.".to_owned()),
        _ => {}
    }
    let (said, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    if said.starts_with("missing field `") {
        ("missing", "is missing.".to_owned())
    } else if said.starts_with("duplicate field `") {
        ("duplicate", "is given twice.".to_owned())
    } else if said.starts_with("unknown field `") {
        ("unknown", "is not known here.".to_owned())
    } else if said.starts_with("unknown variant `") {
        let is_short = (1..=LONGEST_LIST).contains(&expected.len());
        (
            "invalid",
            if is_short { format!("must be {expected}.") } else { "is not one of the known values.".to_owned() },
        )
    } else if said.starts_with("invalid type: ") || said.starts_with("invalid length ") {
        (WRONG_TYPE, asked_for(expected))
    } else if said.starts_with("invalid value: ") {
        (OUT_OF_RANGE, asked_for(expected))
    } else if message.starts_with("UUID parsing failed") {
        ("invalid", "must be a UUID.".to_owned())
    } else {
        ("invalid", format!("{message}."))
    }
}

/// What to send where the parser expected `kind`.
fn asked_for(kind: &str) -> String {
    macro_rules! whole {
        ($($number:ident),+) => {
            match kind {
                $(stringify!($number) => Some(($number::MIN.to_string(), $number::MAX.to_string())),)+
                _ => None,
            }
        };
    }
    if let Some((least, most)) = whole!(i8, i16, i32, i64, u8, u16, u32, u64) {
        return format!("must be a whole number between {least} and {most}.");
    }
    let sort = match kind {
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "a character" => "a string",
        "a sequence" => "an array",
        "a map" => "an object",
        _ if kind.contains("UUID") => "a UUID",
        _ if kind.starts_with("struct ") || kind.contains("tagged enum ") => "an object",
        _ => return OTHER_TYPE.to_owned(),
    };
    format!("must be {sort}.")
}

/// The path of a field as a JSON Pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } => push(&mut pointer, key),
            Segment::Enum { variant } => push(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
}
