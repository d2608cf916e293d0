//! What an admin may do.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One part of what staff do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Grant {
    /// Verifies licences, and says which ones a place requires.
    Verifier,
    /// Looks after people and their visits.
    Support,
    /// Sets prices and terms, and looks after money.
    Finance,
    /// Reads the letters of healthcare providers. The grant must be given by name: an owner does not have it.
    Care,
    /// Reads what was done.
    Auditor,
    /// Gives grants to others, and does what every other grant allows but `care`.
    Owner,
}

impl Grant {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Verifier, Self::Support, Self::Finance, Self::Care, Self::Auditor, Self::Owner];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The grants of an account. In JSON it is a list, in order. Nobody but an admin has any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants(u8);

impl Grants {
    /// Whether `grant` is among them by name.
    pub const fn names(self, grant: Grant) -> bool {
        self.0 & grant.bit() != 0
    }

    /// Whether they allow what `grant` allows. An owner's allow everything but to read what people tell of their health.
    pub const fn allow(self, grant: Grant) -> bool {
        self.names(grant) || (self.names(Grant::Owner) && !matches!(grant, Grant::Care))
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Grant> {
        Grant::ALL.into_iter().filter(move |grant| self.names(*grant))
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().fold(0, |bits, grant| bits | grant.bit()))
    }
}

impl From<Vec<Grant>> for Grants {
    fn from(grants: Vec<Grant>) -> Self {
        grants.into_iter().collect()
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Grant>::deserialize(deserializer)?.into())
    }
}

impl ToSchema for Grants {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        schemas.push((<Grant as ToSchema>::name().into(), <Grant as utoipa::PartialSchema>::schema()));
    }
}

impl utoipa::PartialSchema for Grants {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let list = utoipa::openapi::ArrayBuilder::new().items(utoipa::openapi::Ref::from_schema_name("Grant"));
        list.max_items(Some(Grant::ALL.len())).examples([serde_json::json!(["support"])]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_does_what_others_do_but_reads_no_letters() {
        let owner = Grants::from_iter([Grant::Owner]);
        for grant in Grant::ALL {
            assert_eq!(owner.allow(grant), grant != Grant::Care, "{grant:?}");
            let one = Grants::from_iter([grant]);
            assert!(Grant::ALL.iter().all(|other| one.names(*other) == (*other == grant)), "{grant:?}");
            assert!(!Grants::default().allow(grant));
        }
    }

    #[test]
    fn grants_are_a_list_in_order() {
        let both: Grants = serde_json::from_str(r#"["owner", "care", "owner"]"#).expect("grants");
        assert_eq!(serde_json::to_string(&both).expect("JSON"), r#"["care","owner"]"#);
        assert!(serde_json::from_str::<Grants>(r#"["boss"]"#).is_err());
    }
}
