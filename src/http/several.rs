//! Several values of one query parameter.

use std::borrow::Cow;

use serde::de::{Error, IntoDeserializer};
use serde::{Deserialize, Deserializer};

/// The most values of one parameter.
const MOST: usize = 20;

/// Values separated by commas, which is the one way to write several: 1 to 20, and none twice.
pub struct Several<T>(pub Vec<T>);

impl<'de, T: for<'a> Deserialize<'a> + PartialEq> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let mut values = Vec::new();
        for value in text.split(',') {
            let value = T::deserialize(IntoDeserializer::<D::Error>::into_deserializer(value))?;
            if values.contains(&value) {
                return Err(D::Error::custom("names a value twice"));
            }
            values.push(value);
        }
        if values.len() > MOST {
            return Err(D::Error::custom("holds at most 20 values, separated by commas"));
        }
        Ok(Self(values))
    }
}
