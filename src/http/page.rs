//! Lists in pages, each beginning after the last item of the one before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Error, FieldError, Result};

/// How many items a page holds: 1 to 100, 20 unless said.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = u8, minimum = 1, maximum = 100, default = 20)]
pub struct Limit(u8);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl Limit {
    /// A single item.
    pub const ONE: Self = Self(1);

    /// No more than `most` items, and at least one.
    pub fn at_most(self, most: usize) -> Self {
        Self(self.0.min(u8::try_from(most.max(1)).unwrap_or(u8::MAX)))
    }

    /// The number of items.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// One more than a page holds: the further item tells whether there is a next page.
    pub fn probe(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer) {
            Ok(limit @ 1..=100) => Ok(Self(limit)),
            _ => Err(serde::de::Error::custom("must be a whole number from 1 to 100")),
        }
    }
}

/// Where a page begins. Opaque to callers; ours is the sort key of the last item before it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 6000, pattern = "^[A-Za-z0-9_-]+$")]
pub struct Cursor(String);

impl Cursor {
    /// The cursor that begins after `key`.
    pub fn after(key: &impl Serialize) -> Result<Self> {
        Ok(Self(URL_SAFE_NO_PAD.encode(super::reply::body_of(key)?)))
    }

    /// The key that the page begins after. Callers can write cursors of their own, so `T` is of checked types.
    pub fn key<T: DeserializeOwned>(&self) -> Result<T> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok().filter(|bytes| bytes.len() <= 4500);
        // PostgreSQL keeps no NUL, and no key of ours has one.
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.contains("\\u0000"));
        text.and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| Error::from(FieldError::new("/cursor", "This cursor did not come from this list.")))
    }
}

/// Which page of a list is asked for, where nothing else can be said of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    pub limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    pub cursor: Option<Cursor>,
}

impl Paging {
    /// The sort key after which the page begins; none on the first.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>> {
        self.cursor.as_ref().map(Cursor::key).transpose()
    }
}

/// Which part of a short list is asked for: all of it, unless said. Such a list is bounded by a rule of its own.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    pub limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    pub cursor: Option<Cursor>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in order.
    pub data: Vec<T>,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// A list that fits on one page.
    pub fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }

    /// The part that is asked for of a list that is read whole. Its cursor counts the items before it.
    pub fn part(data: Vec<T>, part: &Part) -> Result<Self> {
        let first: usize = part.cursor.as_ref().map(Cursor::key).transpose()?.unwrap_or(0);
        let rest = data.len().saturating_sub(first);
        let count = part.limit.map_or(rest, |limit| limit.get().min(rest));
        let next_cursor = (count < rest).then(|| Cursor::after(&(first + count))).transpose()?;
        Ok(Self { data: data.into_iter().skip(first).take(count).collect(), next_cursor })
    }

    /// A page from up to [`Limit::probe`] items; `key` is an item's sort key.
    pub fn cut<K: Serialize>(mut data: Vec<T>, limit: Limit, key: impl Fn(&T) -> K) -> Result<Self> {
        let more = data.len() > limit.get();
        data.truncate(limit.get());
        let next_cursor = match data.last() {
            Some(last) if more => Some(Cursor::after(&key(last))?),
            _ => None,
        };
        Ok(Self { data, next_cursor })
    }
}
