//! Examples, made from the examples of their parts.

use serde_json::{Value, json};

/// A value that fits `schema`, from the examples of its parts.
pub(super) fn example(schema: &Value, components: &Value, depth: usize) -> Value {
    // No schema of ours nests so deep; one that held itself would.
    if depth > 24 {
        return Value::Null;
    }
    let inner = |schema: &Value| example(schema, components, depth + 1);
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)).or_else(|| schema.get("default"))
    {
        return example.clone();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return inner(&components[name]);
    }
    if let Some(value) = schema["enum"].get(0).or_else(|| schema.get("const")) {
        return value.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(options) = schema[choice].as_array() {
            let present = options.iter().find(|option| option["type"] != "null");
            return present.map(&inner).unwrap_or_default();
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(&inner).filter_map(|part| part.as_object().cloned());
        return Value::Object(parts.flatten().collect());
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            Value::Object(properties.iter().map(|(name, schema)| (name.clone(), inner(schema))).collect())
        }
        Some("array") => json!([inner(&schema["items"])]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => json!("0198c0de-0000-7000-8000-000000000000"),
            Some("date-time") => json!("2026-12-01T00:30:00Z"),
            Some("date") => json!("2026-12-01"),
            _ => json!("text"),
        },
        _ => Value::Null,
    }
}
