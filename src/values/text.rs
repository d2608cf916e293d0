//! Bounded text. Nothing here can hold a NUL or another control character, which PostgreSQL would refuse.

use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;
use utoipa::ToSchema;

use super::from_text;

/// Trims `text` and checks it: `min` to `max` characters, none of them a control character save, where
/// `prose`, line feeds and tabs, and none that hides or turns what is read around. What is not empty can be seen.
pub(crate) fn checked(text: &str, min: usize, max: usize, prose: bool) -> Result<String, String> {
    let text = text.trim();
    let forbidden = |c: char| is_invisible(c) && !(prose && matches!(c, '\n' | '\r' | '\t'));
    if FLAGS.replace_all(text, "").chars().any(forbidden) || LOOSE_JOINER.is_match(text) {
        return Err("must not contain control or invisible characters".to_owned());
    }
    if !text.is_empty() && !text.chars().any(is_seen) {
        return Err("must contain a character that can be seen".to_owned());
    }
    let length = text.chars().count();
    if (min..=max).contains(&length) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be {min} to {max} characters long"))
    }
}

/// Patterns of Unicode's own classes, which the regex crate knows.
macro_rules! pattern {
    ($(#[doc = $doc:literal])* $name:ident $pattern:literal) => {
        $(#[doc = $doc])*
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect("a sound pattern"));
    };
}

pattern! {
    /// Controls, what Unicode says is ignored where it is not known, what turns the order of reading, separators of lines, what is no character,
    /// and letters and signs that are blank. Joiners and variation selectors stay: Persian, Hindi and emoji are written with them.
    INVISIBLE r"^[[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\x{2800}\x{FFF9}-\x{FFFC}\x{1D159}\x{16FE4}]--[\u200C\u200D\x{180B}-\x{180D}\x{180F}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]]$"
}
pattern! {
    /// What leaves a trace on paper by itself: letters, digits, punctuation and signs.
    SEEN r"^[\p{L}\p{N}\p{P}\p{S}]$"
}
pattern! {
    /// A joiner that joins nothing: one after nothing that can be seen, one before another, and one at the end of a word, save after a mark: some
    /// scripts end words so.
    LOOSE_JOINER r"(?:^|[^\p{L}\p{M}\p{N}\p{P}\p{S}])[\u200C\u200D]|[^\p{M}][\u200C\u200D](?:$|[^\p{L}\p{M}\p{N}\p{P}\p{S}])|[\u200C\u200D][\u200C\u200D]"
}
pattern! {
    /// Flags of parts of a country: a black flag, and what spells the part out in characters that are not seen by themselves.
    FLAGS r"\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{3,6}\x{E007F}"
}

/// Whether a character is a control, hides, turns what is read around, or is a blank that counts as a letter or a sign.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && INVISIBLE.is_match(c.encode_utf8(&mut [0; 4])))
}

fn is_seen(c: char) -> bool {
    c.is_ascii_graphic() || (!c.is_ascii() && SEEN.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Declares text types: `line` takes one line, `prose` keeps line breaks.
macro_rules! bounded_text {
    (@prose line) => { false };
    (@prose prose) => { true };
    ($($(#[doc = $doc:literal])* $name:ident $shape:ident $min:literal ..= $max:literal, example $example:literal;)+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text, trimmed and checked.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $crate::values::checked_text(text, $min, $max, bounded_text!(@prose $shape)).map(Self)
            }
        }

        $crate::values::from_text!($name);

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .description(Some(concat!($($doc),*).trim()))
                    .min_length(Some($min))
                    .max_length(Some($max))
                    .examples([$example])
                    .into()
            }
        }
    )+};
}
pub(crate) use bounded_text;

bounded_text! {
    /// A person's name as others see it.
    DisplayName line 1..=80, example "Mia Chen";
    /// A lower-case name in the catalogue.
    Slug line 2..=60, example "deep-tissue";
}

/// An e-mail address as a person types it, lower-cased. Deliverability is for a confirmation to show; here
/// only what could never be an address is refused. Nobody has one at `invalid` (RFC 2606), which stands for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Email, min_length = 3, max_length = 254, example = "mia@example.org")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = checked(text, 3, 254, false)?.to_lowercase();
        let plausible = text.split_once('@').is_some_and(|(local, domain)| {
            (1..=64).contains(&local.len())
                && !local.contains(['<', '>', '(', ')', '[', ']', ',', ';', ':', '"', '\\'])
                && !domain.contains('@')
                && domain.split('.').all(|label| {
                    !label.is_empty()
                        && label.len() <= 63
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                })
                && domain.rsplit('.').next() != Some("invalid")
                && !text.chars().any(char::is_whitespace)
        });
        if plausible && text.len() <= 254 { Ok(Self(text)) } else { Err("is not an e-mail address".to_owned()) }
    }
}

from_text!(EmailAddress);

/// A phone number in E.164 form, `+` and country code first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 7, max_length = 32, example = "+61412345678")]
pub struct Phone(String);

impl Phone {
    /// The number in E.164 form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Phone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = checked(text, 7, 32, false)?;
        let refusal = || "is not a phone number with its country code, such as +61412345678".to_owned();
        if !text.starts_with('+') {
            return Err(refusal());
        }
        phonelib::normalize_phone_number(&text)
            .filter(|number| (7..=16).contains(&number.len()))
            .map(Self)
            .ok_or_else(refusal)
    }
}

from_text!(Phone);

/// A language tag (BCP 47) of the short form: a language, and a region where it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[a-z]{2,3}(-[A-Z]{2})?$", example = "en")]
pub struct Language(String);

impl Language {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (language, region) = text.split_once('-').map_or((text, None), |(l, r)| (l, Some(r)));
        let known = matches!(language.len(), 2 | 3)
            && language.bytes().all(|b| b.is_ascii_lowercase())
            && region.is_none_or(|r| r.len() == 2 && r.bytes().all(|b| b.is_ascii_uppercase()));
        if known { Ok(Self(text.to_owned())) } else { Err("is not a language tag such as en or pt-BR".to_owned()) }
    }
}

from_text!(Language);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_lengths_are_refused() {
        assert!(checked("a\0b", 1, 10, true).is_err());
        assert!(checked("a\nb", 1, 10, false).is_err());
        assert_eq!(checked(" a\nb ", 1, 10, true), Ok("a\nb".to_owned()));
        assert!(checked("   ", 1, 10, false).is_err());
        assert!(checked("ééé", 1, 2, false).is_err());
    }

    #[test]
    fn what_is_shown_can_be_seen_and_reads_as_it_is_written() {
        let blank = [
            '\u{AD}',
            '\u{34F}',
            '\u{61C}',
            '\u{115F}',
            '\u{1160}',
            '\u{17B4}',
            '\u{17B5}',
            '\u{180E}',
            '\u{200B}',
            '\u{200E}',
            '\u{200F}',
            '\u{2028}',
            '\u{2029}',
            '\u{202A}',
            '\u{202E}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{2069}',
            '\u{206F}',
            '\u{2800}',
            '\u{3164}',
            '\u{FEFF}',
            '\u{FFA0}',
            '\u{FFF9}',
            '\u{FFFC}',
            '\u{FFFE}',
            '\u{1BCA0}',
            '\u{1D159}',
            '\u{1D173}',
            '\u{16FE4}',
            '\u{E0001}',
            '\u{E0020}',
            '\u{E0FFF}',
            '\u{7F}',
            '\u{85}',
        ];
        for c in blank {
            for text in [format!("{c}"), format!("a{c}b"), format!("{c}{c}{c}"), format!("é{c}é")] {
                assert!(checked(&text, 1, 80, false).is_err() && checked(&text, 1, 80, true).is_err(), "{c:?}");
            }
        }
        // Nothing to be seen, joiners that join nothing, marks without a letter.
        for text in [
            "\u{200D}",
            "\u{200C}\u{200D}",
            "\u{FE0F}",
            "\u{E0100}",
            "\u{301}",
            "\u{301}\u{302}",
            "Mia\u{200D}",
            "\u{200C}Mia",
            "Mia \u{200D} Chen",
            "Mi\u{200D}\u{200D}a",
            "\u{A0}\u{3000}",
            "Mia\u{E0067}\u{E0062}",
        ] {
            assert!(checked(text, 1, 80, false).is_err(), "{text:?}");
        }
        // Persian, Hindi, Malayalam, emoji of several, a keycap, a flag of a part of a country, a Japanese name with a variant, Arabic, Hebrew, Korean.
        for text in [
            "می\u{200C}خواهم",
            "क्\u{200D}ष",
            "അവന്\u{200D}",
            "👩\u{200D}⚕\u{FE0F}",
            "👩🏽\u{200D}🤝\u{200D}👨🏼",
            "1\u{FE0F}\u{20E3}",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "葛\u{E0100}城",
            "محمد",
            "דוד",
            "김민지",
            "Nguyễn Thị Hương",
            "O\u{301}scar",
            "X Æ A-12",
            "李",
            "❤\u{FE0F}",
            "-",
        ] {
            assert_eq!(checked(text, 1, 80, false).as_deref(), Ok(text));
        }
    }

    #[test]
    fn addresses_and_numbers_that_cannot_exist_are_refused() {
        for bad in
            ["a", "a@", "@b", "a@b@c", "a b@c.de", "a@b..c", "a@-b.c", "a\0@b.c", "<a>@b.c", "a@invalid", "a@b.Invalid"]
        {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad:?}");
        }
        assert_eq!("Mia@Example.org".parse::<EmailAddress>().map(|e| e.0), Ok("mia@example.org".to_owned()));
        assert!("0412345678".parse::<Phone>().is_err());
        assert_eq!("+61 412 345 678".parse::<Phone>().map(|p| p.0), Ok("+61412345678".to_owned()));
        assert!("+1".parse::<Phone>().is_err());
    }
}
