//! The wording of messages, by language, in Fluent. The files are part of the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use serde::{Deserialize, Serialize};
use unic_langid::LanguageIdentifier;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::values::{Span, Zone};

/// A language that messages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Locale {
    /// English, for whoever has not said otherwise.
    #[default]
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
}

impl Locale {
    /// All of them, each with its file.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::En, include_str!("wording/en.ftl")),
        (Self::De, include_str!("wording/de.ftl")),
        (Self::Fr, include_str!("wording/fr.ftl")),
        (Self::Es, include_str!("wording/es.ftl")),
    ];

    /// The language's tag (BCP 47).
    pub fn tag(self) -> String {
        crate::values::name(&self)
    }
}

static BUNDLES: LazyLock<HashMap<Locale, Result<FluentBundle<FluentResource>, String>>> =
    LazyLock::new(|| Locale::ALL.into_iter().map(|(locale, text)| (locale, bundle(locale, text))).collect());

fn bundle(locale: Locale, text: &str) -> Result<FluentBundle<FluentResource>, String> {
    let language: LanguageIdentifier = locale.tag().parse().map_err(|error| format!("{error}"))?;
    let resource = FluentResource::try_new(text.to_owned()).map_err(|(_, errors)| format!("{errors:?}"))?;
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // All our languages run from left to right. Marks around names would show in subjects.
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).map_err(|errors| format!("{errors:?}"))?;
    Ok(bundle)
}

/// What is said in one language.
#[derive(Clone, Copy)]
pub struct Words(Locale);

impl Words {
    /// Words in that language.
    pub const fn of(locale: Locale) -> Self {
        Self(locale)
    }

    /// The language.
    pub const fn locale(self) -> Locale {
        self.0
    }

    /// A word or a phrase that stands for itself.
    pub fn word(self, id: &str) -> Result<String> {
        self.say(id, None, &FluentArgs::new())
    }

    /// A phrase, or a part of a message, with what it is about.
    ///
    /// # Errors
    /// 500 where the language lacks it, or it asks for something that is not there. A test holds all languages complete.
    pub fn say(self, id: &str, part: Option<&str>, args: &FluentArgs<'_>) -> Result<String> {
        let lacking = |why: &str| Error::Internal(format!("the wording {id} in {:?}: {why}", self.0));
        let bundle = match BUNDLES.get(&self.0) {
            Some(Ok(bundle)) => bundle,
            Some(Err(why)) => return Err(lacking(why)),
            None => return Err(lacking("there is no such language")),
        };
        let message = bundle.get_message(id);
        let pattern = match part {
            Some(part) => message.and_then(|message| message.get_attribute(part)).map(|attribute| attribute.value()),
            None => message.and_then(|message| message.value()),
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern.ok_or_else(|| lacking("it is missing"))?, Some(args), &mut errors);
        if errors.is_empty() { Ok(text.into_owned()) } else { Err(lacking(&format!("{errors:?}"))) }
    }

    /// A date, with the day of the week.
    pub fn date(self, date: NaiveDate) -> Result<String> {
        let mut args = FluentArgs::new();
        args.set("weekday", self.word(&format!("weekday_{}", date.weekday().number_from_monday()))?);
        // As text: numbers would be grouped.
        args.set("day", date.day().to_string());
        args.set("month", self.word(&format!("month_{}", date.month()))?);
        args.set("year", date.year().to_string());
        self.say("date", None, &args)
    }

    /// From when until when, by the clock in that zone.
    pub fn span(self, zone: Zone, span: Span) -> Result<String> {
        let mut args = FluentArgs::new();
        args.set("date", self.date(zone.wall(span.start).date())?);
        args.set("from", time(zone, span.start));
        args.set("until", time(zone, span.end));
        self.say("when_at", None, &args)
    }
}

/// What a clock in that zone shows.
fn time(zone: Zone, instant: DateTime<Utc>) -> String {
    zone.wall(instant).format("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fluent_bundle::FluentResource;

    use super::*;
    use crate::messages::table;

    /// What a file says: the names of its entries, the parts of each, and what each asks for.
    fn entries(text: &str) -> BTreeSet<String> {
        assert!(FluentResource::try_new(text.to_owned()).is_ok());
        let text = text.replace("\n        ", " ").replace("\n       *", " *");
        let mut found = BTreeSet::new();
        let mut name = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && line.contains('=')) {
            let (key, value) = line.split_once('=').unwrap();
            if !line.starts_with(' ') {
                name = key.trim().to_owned();
            }
            let whole = if line.starts_with(' ') { format!("{name}{}", key.trim()) } else { name.clone() };
            let asked = value.split('$').skip(1).map(|rest| rest.split([' ', '}']).next().unwrap().to_owned());
            found.insert(format!("{whole} {:?}", asked.collect::<BTreeSet<_>>()));
        }
        found
    }

    #[test]
    fn every_language_says_the_same_things() {
        let english = entries(Locale::ALL[0].1);
        assert!(english.len() > 100);
        for (locale, text) in Locale::ALL {
            // A language may name the date or the other one where English does not; it may not lack anything.
            let names = |entries: &BTreeSet<String>| -> BTreeSet<String> {
                entries.iter().map(|entry| entry.split(' ').next().unwrap().to_owned()).collect()
            };
            assert_eq!(names(&entries(text)), names(&english), "{locale:?}");
        }
    }

    #[test]
    fn every_message_is_worded_in_every_language_for_both_sides() {
        for (locale, _) in Locale::ALL {
            for message in table::messages() {
                for side in ["client", "therapist"] {
                    let mut args = FluentArgs::new();
                    for (name, value) in [("side", side), ("other", "Amy"), ("date", "10"), ("code", "12345678")] {
                        args.set(name, value);
                    }
                    for part in ["subject", "lead"] {
                        let text = Words::of(locale).say(message, Some(part), &args).unwrap();
                        assert!(!text.trim().is_empty() && !text.contains('{'), "{message} {locale:?}: {text}");
                    }
                    assert!(Words::of(locale).say(message, Some("subject"), &args).unwrap().chars().count() <= 78);
                }
            }
        }
    }

    #[test]
    fn dates_are_written_as_the_language_has_them() {
        let day = NaiveDate::from_ymd_opt(2026, 12, 10).unwrap();
        let said = |locale| Words::of(locale).date(day).unwrap();
        assert_eq!(said(Locale::En), "Thursday, 10 December 2026");
        assert_eq!(said(Locale::De), "Donnerstag, 10. Dezember 2026");
        assert_eq!(said(Locale::Fr), "jeudi 10 décembre 2026");
        assert_eq!(said(Locale::Es), "jueves, 10 de diciembre de 2026");
    }
}
