//! What the words of boards mean.

use super::plain;
use crate::credentials::BoardStatus;

use BoardStatus as B;

/// Words that mean the same wherever they are used.
const COMMON: &[(&str, BoardStatus)] = &[
    ("active", B::Active),
    ("inactive", B::Inactive),
    ("expired", B::Expired),
    ("lapsed", B::Expired),
    ("suspended", B::Suspended),
    ("summary suspension", B::Suspended),
    ("revoked", B::Revoked),
    ("surrendered", B::Surrendered),
    ("relinquished", B::Surrendered),
    ("voluntary surrender", B::Surrendered),
    ("retired", B::Retired),
    ("deceased", B::Deceased),
    ("probation", B::Probation),
    ("active on probation", B::Probation),
    ("delinquent", B::Delinquent),
    ("conditional", B::Conditional),
    ("active with conditions", B::Conditional),
    ("restricted", B::Limited),
    ("active with restrictions", B::Limited),
    ("limited", B::Limited),
    ("temporary", B::Temporary),
    ("pending", B::Pending),
    ("superseded", B::Superseded),
    ("null and void", B::NullAndVoid),
    ("null void", B::NullAndVoid),
    ("nullandvoid", B::NullAndVoid),
    ("void", B::NullAndVoid),
    ("active in good standing", B::Active),
    ("current", B::Active),
    ("current active", B::Active),
    ("active current", B::Active),
    // Those who serve keep the licence without renewing it.
    ("military active", B::Active),
    ("active military", B::Active),
    ("military inactive", B::Inactive),
    ("inactive military", B::Inactive),
    ("military", B::Inactive),
    ("military exemption", B::Inactive),
    ("permanent inactive", B::Inactive),
    ("permanently inactive", B::Inactive),
    ("perm inactive", B::Inactive),
    ("voluntary inactive", B::Inactive),
    ("involuntary inactive", B::Inactive),
    ("not active", B::Inactive),
    ("closed", B::Inactive),
    ("withdrawn", B::Inactive),
    ("not renewed", B::Expired),
    ("non renewed", B::Expired),
    ("nonrenewed", B::Expired),
    ("failed to renew", B::Expired),
    ("failure to renew", B::Expired),
    ("summarily suspended", B::Suspended),
    ("summary suspended", B::Suspended),
    ("emergency suspension", B::Suspended),
    ("emergency suspended", B::Suspended),
    ("emerg suspension", B::Suspended),
    ("emerg suspended", B::Suspended),
    ("emer suspension", B::Suspended),
    ("indefinite suspension", B::Suspended),
    ("indefinitely suspended", B::Suspended),
    ("interim suspension", B::Suspended),
    ("temporary suspension", B::Suspended),
    ("temporarily suspended", B::Suspended),
    ("temp suspended", B::Suspended),
    ("suspension", B::Suspended),
    ("revocation", B::Revoked),
    ("emergency revocation", B::Revoked),
    ("permanently revoked", B::Revoked),
    ("permanent revocation", B::Revoked),
    ("refuse to renew", B::Revoked),
    ("refused to renew", B::Revoked),
    ("denied renewal", B::Revoked),
    ("voluntary relinquishment", B::Surrendered),
    ("voluntary relinquished", B::Surrendered),
    ("voluntarily relinquished", B::Surrendered),
    ("vol relinquishment", B::Surrendered),
    ("vol relinquished", B::Surrendered),
    ("relinquishment", B::Surrendered),
    ("disciplinary relinquishment", B::Surrendered),
    ("discip relinquishment", B::Surrendered),
    ("relinq", B::Surrendered),
    ("vol relinq", B::Surrendered),
    ("surrender", B::Surrendered),
    ("vol surrender", B::Surrendered),
    ("vol surrendered", B::Surrendered),
    ("voluntarily surrendered", B::Surrendered),
    ("permanent surrender", B::Surrendered),
    ("probationary", B::Probation),
    ("active probation", B::Probation),
    ("active probationary", B::Probation),
    ("on probation", B::Probation),
    ("emergency restriction", B::Limited),
    ("emerg restriction", B::Limited),
    ("active restricted", B::Limited),
    ("active limited", B::Limited),
    ("active conditional", B::Conditional),
    ("active conditions", B::Conditional),
    ("active with stipulations", B::Conditional),
    ("provisional", B::Temporary),
    ("active provisional", B::Temporary),
    ("provisional active", B::Temporary),
    ("active temporary", B::Temporary),
    ("temporary active", B::Temporary),
    ("applicant", B::Pending),
    ("application pending", B::Pending),
    ("pending renewal", B::Pending),
    ("dead", B::Deceased),
    ("holder deceased", B::Deceased),
    ("licensee deceased", B::Deceased),
];

/// First words that bar whatever follows them: `Suspended Due to ..`. No word permits by itself.
const BEGINNINGS: &[(&str, BoardStatus)] = &[
    ("suspended", B::Suspended),
    ("suspension", B::Suspended),
    ("revoked", B::Revoked),
    ("surrendered", B::Surrendered),
    ("relinquished", B::Surrendered),
    ("expired", B::Expired),
    ("lapsed", B::Expired),
    ("delinquent", B::Delinquent),
    ("inactive", B::Inactive),
    ("probation", B::Probation),
    ("deceased", B::Deceased),
];

/// Words that turn round what stands before them: a suspension that was lifted is none.
const TURNS: [&str; 8] = ["stayed", "stay", "lifted", "terminated", "removed", "ended", "vacated", "dismissed"];

/// What `text` means: by the authority's `own` words, or by those that all use.
pub(super) fn meaning(own: &[(&str, BoardStatus)], text: &str) -> BoardStatus {
    let text = plain(text);
    let found = own.iter().chain(COMMON).find(|(words, _)| *words == text);
    let begins = || {
        let mut words = text.split(' ');
        let first = words.next().unwrap_or_default();
        let turned = words.any(|word| TURNS.contains(&word));
        BEGINNINGS.iter().find(|(word, _)| !turned && *word == first)
    };
    found.or_else(begins).map_or(BoardStatus::Unknown, |(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn source(code: &str) -> &'static Source {
        Source::find(code).unwrap()
    }

    #[test]
    fn words_mean_what_the_authority_means() {
        let florida = source("us-fl-doh");
        assert_eq!(florida.board_status(Some("Clear"), Some("Active")), BoardStatus::Active);
        assert_eq!(florida.board_status(Some("CLEAR"), Some("Inactive")), BoardStatus::Inactive);
        assert_eq!(florida.board_status(Some("Clear"), Some("")), BoardStatus::Unknown);
        assert_eq!(florida.board_status(Some("Null and Void"), Some("Active")), BoardStatus::NullAndVoid);
        let washington = source("us-wa-doh");
        assert_eq!(washington.board_status(Some("SUSPENDED"), None), BoardStatus::Suspended);
        assert_eq!(washington.board_status(Some("Flourishing"), None), BoardStatus::Unknown);
        assert_eq!(washington.board_status(Some(""), None), BoardStatus::Unknown);
        assert_eq!(source("us-co-dora").board_status(Some("Active - With Conditions"), None), BoardStatus::Conditional);
        assert_eq!(source("us-tx-tdlr").board_status(None, None), BoardStatus::Active);
    }

    #[test]
    fn the_words_of_boards_are_known() {
        for code in ["us-wa-doh", "us-il-idfpr", "us-co-dora"] {
            for (words, means) in [
                ("Military Active", B::Active),
                ("Active - Military", B::Active),
                ("Emerg Suspension", B::Suspended),
                ("EMERGENCY SUSPENSION", B::Suspended),
                ("Null & Void", B::NullAndVoid),
                ("NULL AND VOID", B::NullAndVoid),
                ("Vol Relinquishment", B::Surrendered),
                ("Vol. Relinquishment", B::Surrendered),
                ("Voluntary Relinquishment", B::Surrendered),
                ("Suspended Due to Non-Payment of Child Support", B::Suspended),
                ("Suspended Due To Tax", B::Suspended),
                ("SUSPENDED (pending hearing)", B::Suspended),
                ("Suspended - Indefinite", B::Suspended),
                ("Revoked - Disciplinary", B::Revoked),
                ("PERMANENT INACTIVE", B::Inactive),
                ("Perm. Inactive", B::Inactive),
                ("Active Provisional", B::Temporary),
                ("Active/Provisional", B::Temporary),
                ("Active Probationary", B::Probation),
                ("Probation with Stipulations", B::Probation),
                ("Expired - Non-Renewed", B::Expired),
                ("Not Renewed", B::Expired),
                ("Inactive by Request", B::Inactive),
                ("Deceased", B::Deceased),
                // What is not known for sure permits nothing.
                ("Suspension Lifted", B::Unknown),
                ("Revoked, Stayed", B::Unknown),
                ("Active Until Further Notice", B::Unknown),
                ("Activated", B::Unknown),
            ] {
                assert_eq!(source(code).board_status(Some(words), None), means, "{code} {words}");
            }
        }
        let florida = |first, second| source("us-fl-doh").board_status(Some(first), Some(second));
        assert_eq!(florida("Military Active", "Active"), B::Active);
        assert_eq!(florida("Clear", "Military Active"), B::Active);
        assert_eq!(florida("Emerg Suspension", "Active"), B::Suspended);
        assert_eq!(florida("Clear", "Suspended Due to Default"), B::Suspended);
        assert_eq!(florida("Conditional", "Active"), B::Conditional);
    }
}
