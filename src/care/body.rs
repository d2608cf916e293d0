//! Regions of the body, how one lies, and what is brought: the closed words in which limits are told.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// The code of every region. What there are two of bears its side. Genitals, anus and nipples have no code: nobody works there.
pub const REGIONS: [&str; 45] = [
    "scalp",
    "face",
    "jaw",
    "throat",
    "neck",
    "chest",
    "abdomen",
    "upper_back",
    "mid_back",
    "low_back",
    "sacrum",
    "left_shoulder",
    "right_shoulder",
    "left_upper_arm",
    "right_upper_arm",
    "left_elbow",
    "right_elbow",
    "left_forearm",
    "right_forearm",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
    "left_breast",
    "right_breast",
    "left_hip",
    "right_hip",
    "left_gluteal",
    "right_gluteal",
    "left_front_thigh",
    "right_front_thigh",
    "left_back_thigh",
    "right_back_thigh",
    "left_inner_thigh",
    "right_inner_thigh",
    "left_knee",
    "right_knee",
    "left_calf",
    "right_calf",
    "left_shin",
    "right_shin",
    "left_ankle",
    "right_ankle",
    "left_foot",
    "right_foot",
];

/// What a rule may say for several regions at once. A region without its side stands for both.
const GROUPS: [(&str, &[&str]); 5] = [
    ("arms", &["upper_arm", "elbow", "forearm", "wrist", "hand"]),
    ("back", &["upper_back", "mid_back", "low_back", "sacrum"]),
    ("legs", &["front_thigh", "back_thigh", "inner_thigh", "knee", "calf", "shin", "ankle", "foot"]),
    ("lower_legs", &["calf", "shin", "ankle", "foot"]),
    ("whole_body", &[]),
];

/// How far along a limb a region lies, counted from the trunk, of the regions that lie on one.
const LIMBS: [(&str, bool, u8); 16] = [
    ("shoulder", true, 0),
    ("upper_arm", true, 1),
    ("elbow", true, 2),
    ("forearm", true, 3),
    ("wrist", true, 4),
    ("hand", true, 5),
    ("hip", false, 0),
    ("gluteal", false, 0),
    ("front_thigh", false, 1),
    ("back_thigh", false, 1),
    ("inner_thigh", false, 1),
    ("knee", false, 2),
    ("calf", false, 3),
    ("shin", false, 3),
    ("ankle", false, 4),
    ("foot", false, 5),
];

/// A set of regions. In JSON it is a list of their codes, in the order of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionSet(u64);

impl RegionSet {
    /// Every region.
    pub const ALL: Self = Self((1 << REGIONS.len()) - 1);

    /// The regions that a code, a region without its side, or a group stands for.
    pub fn named(name: &str) -> Option<Self> {
        if name == "whole_body" {
            return Some(Self::ALL);
        }
        if let Some((_, stems)) = GROUPS.iter().find(|(group, _)| *group == name) {
            return stems.iter().map(|stem| Self::named(stem)).try_fold(Self::default(), |all, set| Some(all | set?));
        }
        let side = |code: &str| code == name || side_and_stem(code).is_some_and(|(_, stem)| stem == name);
        let found = REGIONS.iter().enumerate().filter(|(_, code)| side(code));
        let set = found.fold(0, |set, (i, _)| set | 1 << i);
        (set != 0).then_some(Self(set))
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is in it.
    pub const fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether anything is in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The codes in it.
    pub fn codes(self) -> impl Iterator<Item = &'static str> {
        REGIONS.iter().enumerate().filter(move |(i, _)| self.0 & 1 << i != 0).map(|(_, code)| *code)
    }

    /// These regions, and on a limb all that lies further from the trunk on the same side.
    pub fn with_distal(self) -> Self {
        let place = |code: &'static str| {
            let (side, stem) = side_and_stem(code)?;
            LIMBS.iter().find(|(limb, ..)| *limb == stem).map(|(_, arm, level)| (side, *arm, *level))
        };
        let from: Vec<_> = self.codes().filter_map(place).collect();
        let beyond = REGIONS.iter().enumerate().filter(|(_, code)| {
            place(code)
                .is_some_and(|(side, arm, level)| from.iter().any(|(s, a, l)| (*s, *a) == (side, arm) && level > *l))
        });
        Self(beyond.fold(self.0, |set, (i, _)| set | 1 << i))
    }
}

impl std::ops::BitOr for RegionSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

fn side_and_stem(code: &str) -> Option<(&str, &str)> {
    code.split_once('_').filter(|(side, _)| matches!(*side, "left" | "right"))
}

impl Serialize for RegionSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.codes())
    }
}

impl<'de> Deserialize<'de> for RegionSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = RegionSet;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of regions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RegionSet, A::Error> {
                let mut set = RegionSet::default();
                while let Some(name) = list.next_element::<String>()? {
                    set = set | RegionSet::named(&name).ok_or_else(|| A::Error::custom("is no region of the body"))?;
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(Names)
    }
}

impl ToSchema for RegionSet {}

impl utoipa::PartialSchema for RegionSet {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let code =
            utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).examples(["low_back"]);
        let list = utoipa::openapi::ArrayBuilder::new().items(code);
        list.description(Some("Codes of regions of the body, with a side where there are two."))
            .max_items(Some(45))
            .into()
    }
}

/// How a person can lie or sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BodyPosition)]
pub enum Position {
    /// On the front.
    Prone,
    /// On the back.
    Supine,
    /// On the side.
    SideLying,
    /// Upright.
    Seated,
}

/// What may be brought and can do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Any oil.
    Oil,
    /// Oils of nuts.
    NutOil,
    /// Oils with scent.
    EssentialOil,
    /// Latex, as in gloves and cups.
    Latex,
    /// Lotions with scent.
    ScentedLotion,
    /// Heat: stones, packs, lamps.
    Heat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_the_regions_that_they_say() {
        let codes = |name| RegionSet::named(name).map(|set| set.codes().collect::<Vec<_>>());
        assert_eq!(codes("left_calf"), Some(vec!["left_calf"]));
        assert_eq!(codes("calf"), Some(vec!["left_calf", "right_calf"]));
        assert_eq!(codes("back"), Some(vec!["upper_back", "mid_back", "low_back", "sacrum"]));
        assert_eq!(RegionSet::ALL.codes().count(), 45);
        for none in ["", "left", "left_", "left_neck", "nipple", "genitals"] {
            assert_eq!(codes(none), None, "{none}");
        }
    }

    #[test]
    fn what_lies_further_out_is_on_the_same_limb() {
        let knee = RegionSet::named("left_knee").expect("a region").with_distal();
        assert_eq!(
            knee.codes().collect::<Vec<_>>(),
            ["left_knee", "left_calf", "left_shin", "left_ankle", "left_foot"]
        );
        assert_eq!(RegionSet::named("neck").expect("a region").with_distal().codes().count(), 1);
    }
}
