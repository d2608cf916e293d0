//! How alike two names are, however authorities write them.

mod short;

use unicode_normalization::UnicodeNormalization;

/// How two names compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// From 0 to 1: the product of the likeness (Jaro-Winkler) of given and family name.
    pub score: f64,
    /// Whether the given names are equal, or one is the other's initial, and the suffixes are equal: nothing less tells a son
    /// from his father, or Daniel from Daniela.
    pub agree: bool,
}

/// A name in parts that compare: lower case, without accents, punctuation, titles and suffixes.
#[derive(Debug)]
struct Name {
    /// Given name first.
    parts: Vec<String>,
    /// How many of them are given names; none where no comma tells.
    given: Option<usize>,
    /// Which of the parts must be found in the other name: the given name and the family name. What stands between is
    /// often left out.
    core: Vec<usize>,
    /// `jr`, `iii`: which of a family.
    suffix: Option<&'static str>,
}

impl Name {
    /// Reads `LAST, FIRST MIDDLE` or `First Middle Last`, with whatever stands before or behind it.
    fn read(text: &str) -> Self {
        let mut pieces: Vec<Vec<String>> =
            text.split(',').map(|piece| without_titles(tokens(piece))).filter(|piece| !piece.is_empty()).collect();
        if pieces.is_empty() {
            pieces = vec![tokens(text)];
        }
        // Behind a whole name, a comma separates what is no part of it: `Linh Do, MA` and `OKAFOR, SAM, PA`.
        while let [.., last] = &pieces[..]
            && pieces.len() > 1
            && pieces[..pieces.len() - 1].iter().map(Vec::len).sum::<usize>() > 1
            && last.iter().all(|word| is_beside(word) && suffix_of(word).is_none())
        {
            pieces.pop();
        }
        let mut suffix = None;
        let mut seen = 0;
        for piece in &mut pieces {
            piece.retain(|word| {
                seen += 1;
                // The first word is always part of the name: `J.R. Smith`.
                let found = suffix_of(word).filter(|_| seen > 1);
                suffix = suffix.or(found);
                found.is_none()
            });
        }
        pieces.retain(|piece| !piece.is_empty());
        let (parts, given) = match pieces.split_first() {
            None => (Vec::new(), None),
            Some((only, [])) => (only.clone(), None),
            Some((family, rest)) => {
                let given = rest.concat();
                let count = given.len();
                ([given, family.clone()].concat(), Some(count))
            }
        };
        // `Ana Smith-Jones` has two family names, and `Ana Smith Jones` may have a second given name.
        let hyphenated = text
            .split(',')
            .next()
            .and_then(|whole| whole.split_whitespace().last())
            .map_or(1, |word| tokens(word).len());
        let first_of_family = given.unwrap_or(parts.len().saturating_sub(hyphenated.max(1)).max(parts.len().min(1)));
        let core = (0..parts.len()).filter(|i| *i == 0 || *i >= first_of_family).collect();
        Self { parts, given, core, suffix }
    }

    /// The ways to read it: the given names, and what the family name is among. Without a comma either end may be the given
    /// name, because families come first in much of the world.
    fn readings(&self) -> Vec<(&[String], &[String])> {
        match (self.given, self.parts.len()) {
            (Some(count), _) => vec![self.parts.split_at(count)],
            (None, 0 | 1) => Vec::new(),
            (None, length) => {
                let (first, last) = (self.parts.split_at(1), self.parts.split_at(length - 1));
                vec![first, (last.1, last.0)]
            }
        }
    }

    /// How well what must be found in `other` is found there.
    fn found_in(&self, other: &Self) -> f64 {
        let mut free: Vec<&String> = other.parts.iter().collect();
        self.core.iter().map(|i| take_best(&self.parts[*i], &mut free)).product()
    }

    /// Whether something between given and family name has no counterpart in `other`.
    fn has_stray_middle(&self, other: &Self) -> bool {
        let middle = (0..self.parts.len()).filter(|i| !self.core.contains(i));
        middle.map(|i| &self.parts[i]).any(|part| !other.parts.iter().any(|theirs| is_short_for(part, theirs)))
    }

    /// Whether both may be read so that `given` holds of their given names, and `family` of their family names.
    fn may_be_read(
        &self,
        other: &Self,
        given: impl Fn(&[String], &[String]) -> bool,
        family: impl Fn(&[String], &[String]) -> bool,
    ) -> bool {
        let theirs = other.readings();
        self.readings().iter().any(|(mine, my_family)| {
            theirs.iter().any(|(yours, your_family)| given(mine, yours) && family(my_family, your_family))
        })
    }
}

/// Whether two families have a name in common to the letter.
fn have_one_name(one: &[String], other: &[String]) -> bool {
    one.iter().any(|a| a.chars().count() > 1 && other.contains(a)) || one.concat() == other.concat()
}

/// The same, or one the other's initial.
fn is_short_for(one: &str, other: &str) -> bool {
    let is_initial = |word: &str| word.chars().count() == 1;
    one == other || ((is_initial(one) || is_initial(other)) && one.chars().next() == other.chars().next())
}

/// Whether two families have a name in common; a slip of a letter is none.
fn share_a_name(one: &[String], other: &[String]) -> bool {
    let alike = |a: &String, b: &String| a.chars().count() > 1 && (a == b || strsim::jaro_winkler(a, b) >= 0.92);
    one.iter().any(|a| other.iter().any(|b| alike(a, b))) || one.concat() == other.concat()
}

/// Takes what is most like `part` out of `free`. An initial is as good as the name that it stands for.
fn take_best(part: &str, free: &mut Vec<&String>) -> f64 {
    let likeness = |other: &str| {
        let score = strsim::jaro_winkler(part, other);
        if is_short_for(part, other) { score.max(0.95) } else { score }
    };
    let scores = free.iter().map(|other| likeness(other)).enumerate();
    let Some((place, score)) = scores.max_by(|(_, a), (_, b)| a.total_cmp(b)) else { return 0.0 };
    free.swap_remove(place);
    score
}

/// The least likeness of names that may be one person's: one of two family names, a short form, a second given name.
const PERHAPS: f64 = 0.85;

/// How alike two names are. Their order, case, accents, punctuation and titles do not matter, and a middle name may be left
/// out or abbreviated. Two different middle names or suffixes, one of two family names, a short form of a given name, or a
/// second given name in place of the first are for a person to look at.
pub fn likeness(one: &str, other: &str) -> Likeness {
    let (one, other) = (Name::read(one), Name::read(other));
    if one.parts.is_empty() || other.parts.is_empty() {
        return Likeness { score: 0.0, agree: false };
    }
    let sorted = |name: &Name| {
        let mut parts = name.parts.clone();
        parts.sort_unstable();
        parts
    };
    // `De La Cruz` and `Delacruz`; `Nguyen Thi Huong` and `Nguyen, Thi Huong`.
    let equal = one.parts.concat() == other.parts.concat() || sorted(&one) == sorted(&other);
    let first = |names: &[String], others: &[String]| {
        names.first().zip(others.first()).is_some_and(|(one, other)| is_short_for(one, other))
    };
    let agree = one.suffix == other.suffix && (equal || one.may_be_read(&other, first, have_one_name));
    if equal && one.suffix == other.suffix {
        return Likeness { score: 1.0, agree };
    }
    let score = one.found_in(&other).min(other.found_in(&one));
    let akin = |names: &[String], others: &[String]| {
        let near = |a: &String, b: &String| {
            is_short_for(a, b) || short::may_be(a, b) || (a.chars().count() > 2 && strsim::jaro_winkler(a, b) >= 0.92)
        };
        names.iter().any(|a| others.iter().any(|b| near(a, b)))
    };
    let score = if score < PERHAPS && one.may_be_read(&other, akin, share_a_name) { PERHAPS } else { score };
    let related = one.suffix.is_some() && other.suffix.is_some() && one.suffix != other.suffix;
    let doubtful = related || (one.has_stray_middle(&other) && other.has_stray_middle(&one));
    Likeness { score: if doubtful { score.min(0.9) } else { score }, agree }
}

/// The score of [`likeness`].
pub fn similarity(one: &str, other: &str) -> f64 {
    likeness(one, other).score
}

fn tokens(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    // NFKD would make a blank and a mark of it.
    let text = text.replace('´', "'");
    for c in text.chars().flat_map(char::to_lowercase).nfkd() {
        match c {
            // `O'Brien` is one word, `Jr.` a suffix.
            '\'' | '’' | '‘' | '`' | '.' | 'ʼ' | 'ʻ' | 'ʹ' | '′' => {}
            // A mark belongs to the letter before it.
            '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' => {}
            '\u{fe20}'..='\u{fe2f}' => {}
            c if c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c) => fold(c, &mut plain),
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Which of a family someone is.
fn suffix_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "jr" | "junior" | "jnr" => "jr",
        "sr" | "senior" | "snr" => "sr",
        "ii" | "2nd" => "ii",
        "iii" | "3rd" => "iii",
        "iv" | "4th" => "iv",
        _ => return None,
    })
}

/// What stands before a name and is none.
const BEFORE: &[&str] =
    &["dr", "mr", "mrs", "ms", "miss", "mx", "prof", "professor", "rev", "reverend", "sir", "madam", "doctor", "dame"];
/// What stands beside a name and is none, wherever it stands.
const TITLES: &[&str] = &[
    "lmt", "rmt", "cmt", "lmbt", "lmp", "rmp", "lcmt", "esq", "bctmb", "nctmb", "nctm", "ncbtmb", "bcmt", "cnmt",
    "mmp", "cmp", "hhp", "rn", "lpn", "lvn", "bsn", "msn", "aprn", "arnp", "crnp", "fnp", "dnp", "cna", "cpt", "dpt",
    "otr", "cota", "atc", "dc", "phd", "edd", "md", "dds", "mph", "mba", "cscs", "lcsw", "lmft", "rdn", "pta", "clt",
    "mlt", "dr", "mr", "mrs", "lmtp",
];
/// What is a title behind a comma, and may be a name elsewhere: Yo-Yo Ma, Linh Do.
const PERHAPS_TITLES: &[&str] =
    &["ma", "ms", "do", "pa", "np", "bs", "ba", "bsc", "msc", "lac", "rd", "ot", "mt", "pt", "nd", "aas"];

fn is_beside(word: &str) -> bool {
    suffix_of(word).is_some() || [BEFORE, TITLES, PERHAPS_TITLES].iter().any(|titles| titles.contains(&word))
}

/// The words without titles.
fn without_titles(words: Vec<String>) -> Vec<String> {
    let begins = words.iter().take_while(|word| BEFORE.contains(&word.as_str())).count();
    let begins = if begins < words.len() { begins } else { 0 };
    words.into_iter().skip(begins).filter(|word| !TITLES.contains(&word.as_str())).collect()
}

/// A lower-case letter that no mark makes of another.
fn fold(c: char, plain: &mut String) {
    let letters = match c {
        'đ' | 'ð' | 'ɖ' => "d",
        'ħ' => "h",
        'ı' | 'ɨ' => "i",
        'ł' | 'ƚ' => "l",
        'ŋ' => "n",
        'ø' => "o",
        'ŧ' => "t",
        'ƀ' => "b",
        'ǥ' => "g",
        'ƶ' => "z",
        'ơ' => "o",
        'ư' => "u",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'þ' => "th",
        'ĸ' => "k",
        'ə' => "e",
        _ => return plain.push(c),
    };
    plain.push_str(letters);
}

#[cfg(test)]
mod tests;
