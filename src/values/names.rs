//! How alike two names are, however authorities write them.

/// A name in parts that compare: lower case, without accents, punctuation and suffixes.
#[derive(Debug)]
struct Name {
    /// Given name first.
    parts: Vec<String>,
    /// Which of the parts must be found in the other name: the given name and the family name. What stands between is
    /// often left out.
    core: Vec<usize>,
    /// `Jr`, `III`: which of a family.
    suffix: Option<String>,
}

impl Name {
    /// Reads `LAST, FIRST MIDDLE` or `First Middle Last`.
    fn read(text: &str) -> Self {
        let (mut family, mut given) = text.split_once(',').map_or(("", text), |(family, given)| (family, given));
        let words = tokens(text);
        let suffix = words.iter().skip(1).find(|word| SUFFIXES.contains(&word.as_str())).cloned();
        // `Sam Okafor, Jr.` and `Sam Okafor, LMT` are no family name and a given name.
        if !tokens(family).is_empty() && tokens(given).iter().all(|word| is_beside(word)) {
            (family, given) = ("", family);
        }
        let (family, given) = (bare(tokens(family)), bare(tokens(given)));
        let (parts, first_of_family) = match (family.is_empty(), given.len()) {
            // A comma may also stand before nothing but a suffix.
            (true, 0) => (Vec::new(), 0),
            (true, length) => (given, length - 1),
            (false, length) => ([given, family].concat(), length),
        };
        let core = (0..parts.len()).filter(|i| *i == 0 || *i >= first_of_family).collect();
        Self { parts, core, suffix }
    }

    /// How well what must be found in `other` is found there.
    fn found_in(&self, other: &Self) -> f64 {
        let mut free: Vec<&String> = other.parts.iter().collect();
        self.core.iter().map(|i| take_best(&self.parts[*i], &mut free)).product()
    }

    /// Whether something between given and family name has no counterpart in `other`.
    fn has_stray_middle(&self, other: &Self) -> bool {
        let agrees = |a: &str, b: &str| {
            a == b || (a.chars().count() == 1 || b.chars().count() == 1) && a.chars().next() == b.chars().next()
        };
        let middle = (0..self.parts.len()).filter(|i| !self.core.contains(i));
        middle.map(|i| &self.parts[i]).any(|part| !other.parts.iter().any(|theirs| agrees(part, theirs)))
    }
}

/// Takes what is most like `part` out of `free`.
fn take_best(part: &str, free: &mut Vec<&String>) -> f64 {
    let scores = free.iter().map(|other| strsim::jaro_winkler(part, other)).enumerate();
    let Some((place, score)) = scores.max_by(|(_, a), (_, b)| a.total_cmp(b)) else { return 0.0 };
    free.swap_remove(place);
    score
}

/// How alike two names are, from 0 to 1: the product of the likeness (Jaro-Winkler) of given and family name. Their order, case,
/// accents, punctuation and suffixes do not matter, and a middle name may be left out or abbreviated. Two different
/// middle names are for a person to look at.
pub fn similarity(one: &str, other: &str) -> f64 {
    let (one, other) = (Name::read(one), Name::read(other));
    if one.parts.is_empty() || other.parts.is_empty() {
        return 0.0;
    }
    // `De La Cruz` and `Delacruz`.
    if one.parts.concat() == other.parts.concat() && one.suffix == other.suffix {
        return 1.0;
    }
    let score = one.found_in(&other).min(other.found_in(&one));
    let related = one.suffix.is_some() && other.suffix.is_some() && one.suffix != other.suffix;
    let doubtful = related || (one.has_stray_middle(&other) && other.has_stray_middle(&one));
    if doubtful { score.min(0.9) } else { score }
}

fn tokens(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            // `O'Brien` is one word, `Jr.` a suffix.
            '\'' | '’' | '‘' | '`' | '.' => {}
            c if c.is_alphanumeric() => fold(c, &mut plain),
            // A combining accent belongs to the letter before it.
            '\u{300}'..='\u{36f}' => {}
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Which of a family someone is.
const SUFFIXES: [&str; 5] = ["jr", "sr", "ii", "iii", "iv"];
/// What stands behind a name and is none.
const TITLES: [&str; 6] = ["lmt", "rmt", "cmt", "lmbt", "lmp", "esq"];

fn is_beside(word: &str) -> bool {
    SUFFIXES.contains(&word) || TITLES.contains(&word)
}

/// The words without what stands beside a name. The first one is always part of it: `J.R. Smith`.
fn bare(words: Vec<String>) -> Vec<String> {
    words.into_iter().enumerate().filter(|(i, word)| *i == 0 || !is_beside(word)).map(|(_, word)| word).collect()
}

/// A lower-case letter without its accent.
fn fold(c: char, plain: &mut String) {
    let letters = match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ţ' | 'ť' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'þ' => "th",
        _ => return plain.push(c),
    };
    plain.push_str(letters);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_name_is_written_in_many_ways() {
        for other in [
            "OKAFOR, SAM",
            "sam okafor",
            "Okafor Sam",
            "OKAFOR, SAM JAMES",
            "Sam J. Okafor",
            "OKAFOR JR, SAM",
            "Okafor, Sam, III",
            "SÄM ÓKAFOR",
            "Sam  O'Kafor",
        ] {
            assert_eq!(similarity("Sam Okafor", other), 1.0, "{other}");
        }
        assert_eq!(similarity("Maria de la Cruz", "DELACRUZ, MARIA"), 1.0);
        assert_eq!(similarity("Maria Garcia-Lopez", "GARCIA LOPEZ, MARIA"), 1.0);
        assert_eq!(similarity("Sam J Okafor", "OKAFOR, SAM JAMES"), 1.0);
    }

    #[test]
    fn what_stands_beside_a_name_is_none() {
        for other in ["Sam Okafor, Jr.", "Sam Okafor, LMT", "OKAFOR, SAM, RMT", "Okafor Jr, Sam"] {
            assert_eq!(similarity("Sam Okafor", other), 1.0, "{other}");
        }
        assert!(similarity("Sam Okafor Jr", "OKAFOR SR, SAM") < 0.92);
        assert!(similarity("J.R. Smith", "Smith") < 0.92);
    }

    #[test]
    fn slips_are_reviewed_and_strangers_are_not_the_same() {
        for (one, other) in [("Jon Okafor", "John Okafor"), ("Sam Okafor", "Sam Okafar")] {
            assert!(similarity(one, other) >= 0.92, "{one} {other} {}", similarity(one, other));
        }
        for (one, other) in
            [("Sam Okafor", "Samuel Okafor"), ("S Okafor", "Sam Okafor"), ("Sam J Okafor", "Sam P Okafor")]
        {
            assert!((0.75..0.92).contains(&similarity(one, other)), "{one} {other} {}", similarity(one, other));
        }
        for (one, other) in
            [("Sam Okafor", "Maria Okafor"), ("Sam Okafor", "Sam Nguyen"), ("Sam", "Sam Okafor"), ("", "Sam Okafor")]
        {
            assert!(similarity(one, other) < 0.75, "{one} {other} {}", similarity(one, other));
        }
    }

    proptest! {
        #[test]
        fn likeness_is_mutual_and_bounded(one in "\\PC{0,30}", other in "\\PC{0,30}") {
            let score = similarity(&one, &other);
            prop_assert!((0.0..=1.0).contains(&score));
            prop_assert_eq!(score, similarity(&other, &one));
        }

        #[test]
        fn a_name_is_like_itself(name in "\\PC{0,20}[a-z]\\PC{0,20}") {
            prop_assert_eq!(similarity(&name, &name), 1.0);
        }

        #[test]
        fn order_and_case_do_not_matter(given in "[a-z]{2,9}", middle in "[a-z]{2,9}", family in "[a-z]{4,9}") {
            // `Okafor, Jr` is Okafor the younger, and not J. R. Okafor.
            prop_assume!(![&given, &middle, &family].into_iter().any(|word| is_beside(word)));
            let plain = format!("{given} {middle} {family}");
            prop_assert_eq!(similarity(&plain, &format!("{family}, {given} {middle}").to_uppercase()), 1.0);
            prop_assert_eq!(similarity(&plain, &format!("{family} {given}")), 1.0);
        }
    }
}
