//! What an API client may do.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One part of what an API client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[sqlx(type_name = "text")]
#[schema(as = ApiScope)]
pub enum Scope {
    /// Reads what everybody may read: slots, therapists, services and what they cost.
    #[serde(rename = "slots:read")]
    #[sqlx(rename = "slots:read")]
    SlotsRead,
    /// Reads where bookings stand, and nothing that tells of a person.
    #[serde(rename = "bookings:read")]
    #[sqlx(rename = "bookings:read")]
    BookingsRead,
    /// Adds webhook endpoints, and sees and changes those that it added.
    #[serde(rename = "webhooks:manage")]
    #[sqlx(rename = "webhooks:manage")]
    WebhooksManage,
    /// Uploads authorities' lists, and sees how far they are read. Staff apply them.
    #[serde(rename = "rosters:write")]
    #[sqlx(rename = "rosters:write")]
    RostersWrite,
}

impl Scope {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::SlotsRead, Self::BookingsRead, Self::WebhooksManage, Self::RostersWrite];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The scopes of an API client. In JSON it is a list, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether `scope` is among them.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.allow(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Scope>::deserialize(deserializer)?.into())
    }
}

impl ToSchema for Scopes {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        schemas.push((<Scope as ToSchema>::name().into(), <Scope as utoipa::PartialSchema>::schema()));
    }
}

impl utoipa::PartialSchema for Scopes {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let list = utoipa::openapi::ArrayBuilder::new().items(utoipa::openapi::Ref::from_schema_name("ApiScope"));
        list.max_items(Some(Scope::ALL.len())).examples([serde_json::json!(["slots:read"])]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_list_in_order() {
        let both: Scopes = serde_json::from_str(r#"["rosters:write", "slots:read", "slots:read"]"#).expect("scopes");
        assert_eq!(serde_json::to_string(&both).expect("JSON"), r#"["slots:read","rosters:write"]"#);
        assert!(serde_json::from_str::<Scopes>(r#"["slots:write"]"#).is_err());
        for scope in Scope::ALL {
            let one = Scopes::from_iter([scope]);
            assert!(Scope::ALL.iter().all(|other| one.allow(*other) == (*other == scope)), "{scope:?}");
        }
        assert!(Scopes::default().is_empty() && !both.is_empty());
    }
}
