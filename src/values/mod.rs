//! Values that check themselves when they are read: a request that holds them is already valid.

mod grants;
pub mod grid;
mod kinds;
mod money;
pub mod names;
mod place;
mod rating;
mod scopes;
mod span;
mod strict;
mod text;
mod time;
pub mod wall_clock;
mod week;
pub mod zones;

pub use grants::{Grant, Grants};
pub use kinds::{AddressKind, BookingMode, Gender, Pressure, Role, SlotAnchor, TravelMode};
pub use money::Money;
pub use place::{Country, Jurisdiction, JurisdictionCode, Latitude, Longitude, Place, Point};
pub use rating::Rating;
pub use scopes::{Scope, Scopes};
pub use span::{Span, merged, without};
pub(crate) use strict::{Strict, strict, tagged};
pub(crate) use text::bounded_text;
pub use text::{DisplayName, EmailAddress, Language, Phone, Slug};
pub(crate) use text::{checked as checked_text, is_invisible};
pub use time::{Day, Instant, IssueDay, dates_between};
pub use week::{TimeOfDay, Weekday};
pub use zones::Zone;

/// Deserialises through a string and a checking constructor.
macro_rules! from_text {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use from_text;

/// Stores a value as text and reads it back through its checking constructor.
macro_rules! stored_as_text {
    ($name:ident) => {
        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <String as sqlx::Type<sqlx::Postgres>>::type_info()
            }

            fn compatible(info: &sqlx::postgres::PgTypeInfo) -> bool {
                <String as sqlx::Type<sqlx::Postgres>>::compatible(info)
            }
        }

        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                self.to_string().encode_by_ref(buffer)
            }
        }

        impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $name {
            fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                Ok(<&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?.parse::<Self>()?)
            }
        }
    };
}
pub(crate) use stored_as_text;

/// Deserialises a number and checks its range.
macro_rules! bounded_number {
    ($($(#[doc = $doc:literal])* $name:ident($inner:ty) in $min:literal ..= $max:literal, example $example:literal;)+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <$inner>::deserialize(deserializer)?;
                // Written so that a NaN is refused too.
                if ($min..=$max).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(serde::de::Error::custom(concat!("must lie between ", $min, " and ", $max)))
                }
            }
        }

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let inner = <$inner as utoipa::PartialSchema>::schema();
                let utoipa::openapi::RefOr::T(utoipa::openapi::Schema::Object(inner)) = inner else { return inner };
                utoipa::openapi::ObjectBuilder::from(inner)
                    .description(Some(concat!($($doc),*).trim()))
                    .minimum(Some($min))
                    .maximum(Some($max))
                    .examples([$example])
                    .into()
            }
        }
    )+};
}
pub(crate) use bounded_number;

/// For `Option<Option<T>>` in a patch: absent leaves a field as it is, null empties it.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}

/// The name that the API gives to a state, a step or a party.
pub(crate) fn name(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
