//! Clearances: what healthcare providers say of massage for a person. The person's account enters what a letter says, and staff who may read letters
//! look whether it says so.

mod introduced;
mod letters;
mod review;
mod routes;
mod store;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use introduced::introduce_clearance;
pub(super) use letters::FACTS;
pub use letters::forget_letters;
pub use store::accepted;

use super::decide::{Clearance, ServiceProfile, after};
use super::rules::{Effect, Limit, Provider};
use super::{Rules, checks};
use crate::App;
use crate::db::in_batches;
use crate::error::{FieldError, Result};
use crate::events::Party;
use crate::values::{bounded_text, name};

pub(super) fn routes(config: &mut ServiceConfig) {
    routes::routes(config);
    letters::routes(config);
    review::routes(config);
}

bounded_text! {
    /// What a healthcare provider is called.
    ProviderName line 1..=120, example "Dr. Lea Brandt, Surry Hills";
    /// What a reviewer says to the person.
    ReviewMessage prose 1..=1000, example "The second page of the letter is missing.";
}

/// The column of what a clearance says, to which it is sealed.
pub(super) const TERMS: &str = "clearances.terms";
/// The column of what reviewers say to the person.
pub(super) const MESSAGE: &str = "clearances.message";

/// For how many days after its date a letter counts at the most; rules say less.
const LONGEST: i32 = 730;

/// Where a clearance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ClearanceState {
    /// Entered and not handed in.
    Draft,
    /// Waiting for a reviewer.
    Submitted,
    /// A reviewer has it.
    InReview,
    /// Waiting for the account to add something.
    InfoRequested,
    /// It counts.
    Accepted,
    /// It does not say so.
    Rejected,
    /// Taken back by the account.
    Withdrawn,
    /// Accepted once, and taken out of force by a reviewer.
    Revoked,
}

/// A step of a clearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearanceStep {
    /// The account changes what it entered, or the letters.
    Edit,
    /// The account hands it in.
    Submit,
    /// The account takes it back.
    Withdraw,
    /// A reviewer takes it up, for 30 minutes.
    Claim,
    /// A reviewer puts it back.
    Release,
    /// A reviewer has read the letter, and it says so.
    Accept,
    /// It does not.
    Reject,
    /// A reviewer asks for more.
    RequestInfo,
    /// A reviewer takes out of force what was accepted.
    Revoke,
}

/// What leads where: from, step, who takes it, to. Steps that are not listed do not exist. Reviewers decide on what they have claimed.
pub const TABLE: &[(ClearanceState, ClearanceStep, Party, ClearanceState)] = {
    use ClearanceState as S;
    use ClearanceStep as A;
    use Party::{Admin, Client};
    &[
        (S::Draft, A::Edit, Client, S::Draft),
        (S::InfoRequested, A::Edit, Client, S::InfoRequested),
        (S::Draft, A::Submit, Client, S::Submitted),
        (S::InfoRequested, A::Submit, Client, S::Submitted),
        (S::Draft, A::Withdraw, Client, S::Withdrawn),
        (S::Submitted, A::Withdraw, Client, S::Withdrawn),
        (S::InReview, A::Withdraw, Client, S::Withdrawn),
        (S::InfoRequested, A::Withdraw, Client, S::Withdrawn),
        (S::Accepted, A::Withdraw, Client, S::Withdrawn),
        (S::Submitted, A::Claim, Admin, S::InReview),
        // A claim that has lapsed leaves its clearance in review: another reviewer may take it up.
        (S::InReview, A::Claim, Admin, S::InReview),
        (S::InReview, A::Release, Admin, S::Submitted),
        (S::InReview, A::Accept, Admin, S::Accepted),
        (S::InReview, A::Reject, Admin, S::Rejected),
        (S::InReview, A::RequestInfo, Admin, S::InfoRequested),
        (S::Accepted, A::Revoke, Admin, S::Revoked),
    ]
};

impl ClearanceState {
    /// Where a step leads from here; none where `party` cannot take it.
    fn after(self, step: ClearanceStep, party: Party) -> Option<Self> {
        TABLE.iter().find(|row| (row.0, row.1, row.2) == (self, step, party)).map(|row| row.3)
    }
}

/// The table in Markdown, for the documentation.
pub fn markdown() -> String {
    let rows = TABLE
        .iter()
        .map(|(from, step, by, to)| format!("| {} | {} | {} | {} |\n", name(from), name(step), name(by), name(to)));
    format!("| from | step | by | to |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

/// Who gave a clearance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearanceProvider {
    /// What they are. A specialist's word is worth a doctor's, and a doctor's a provider's.
    pub kind: Provider,
    /// What they are called.
    pub name: ProviderName,
}

/// What a letter says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClearanceTerms)]
pub struct Terms {
    /// The rules that it speaks of, by code: those that `needs.clearances` of a decision names. 1 to 20.
    #[schema(example = json!(["pregnant_early"]))]
    pub rules: BTreeSet<String>,
    /// Who wrote it.
    pub provider: ClearanceProvider,
    /// The services that it names, by slug; empty where it speaks of massage as such.
    #[serde(default)]
    #[schema(example = json!(["swedish"]))]
    pub services: BTreeSet<String>,
    /// Its date, which is the first day on which it counts.
    pub given_on: NaiveDate,
    /// The last day on which it counts: at most 730 days later. Rules may say less.
    pub until: NaiveDate,
    /// What it limits.
    #[serde(default)]
    pub limits: Limit,
}

impl Terms {
    /// As a decision asks.
    fn clearance(&self) -> Clearance {
        Clearance {
            rules: self.rules.clone(),
            from: self.provider.kind,
            services: self.services.clone(),
            given_on: self.given_on,
            until: self.until,
            limit: self.limits.clone(),
        }
    }

    /// Those of its rules that it lifts on some day from `today` on, by code: the provider is who the rule asks for, and it names what the rule wants named.
    fn lifts(&self, rules: &Rules, today: NaiveDate) -> BTreeSet<String> {
        let clearance = self.clearance();
        let needs = rules.iter().flat_map(|rule| rule.effects.iter().map(move |effect| (rule, effect)));
        let lifted = needs.filter(|(rule, effect)| match effect {
            Effect::Clearance(need) => clearance.lifts(&rule.code, need) && clearance.last_day(need) >= today,
            _ => false,
        });
        lifted.map(|(rule, _)| rule.code.clone()).collect()
    }

    /// What is wrong with it, with pointers below `at`.
    fn faults(&self, known: &Known<'_>, today: NaiveDate, at: &str) -> Vec<FieldError> {
        let mut found = Vec::new();
        let mut expect = |holds: bool, field: &str, why: &str| {
            if !holds {
                found.push(FieldError::new(format!("{at}{field}"), why));
            }
        };
        let asks = |code: &String| {
            let rule = known.rules.iter().find(|rule| rule.code == *code);
            rule.is_some_and(|rule| rule.effects.iter().any(|effect| matches!(effect, Effect::Clearance(_))))
        };
        expect((1..=20).contains(&self.rules.len()), "/rules", "names 1 to 20 rules.");
        expect(self.rules.iter().all(asks), "/rules", "names a rule that asks for no clearance.");
        let is_service = |slug: &String| known.services.iter().any(|service| service.slug == *slug);
        expect(self.services.iter().all(is_service), "/services", "names a service that is not in the catalogue.");
        expect(self.given_on <= today, "/given_on", "lies ahead.");
        let most = after(self.given_on, LONGEST);
        expect((self.given_on..=most).contains(&self.until), "/until", "lies on `given_on` or at most 730 days later.");
        // A letter says which regions it means; answers to questions are not in it.
        expect(self.limits.answered.is_empty(), "/limits/answered", "is for rules; name the regions.");
        for why in checks::limit_faults(&self.limits, known.techniques) {
            expect(false, "/limits", why);
        }
        found
    }
}

/// What letters may speak of.
struct Known<'a> {
    rules: &'a Rules,
    services: &'a [ServiceProfile],
    techniques: &'a BTreeSet<String>,
}

/// How long it is kept what never counted and nobody goes on with.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(90);

/// Deletes clearances with their letters that never counted and that nobody has gone on with for long.
pub async fn forget_clearances(app: &App, now: DateTime<Utc>) -> Result<()> {
    in_batches(|| store::delete_unused(&*app.db, now - KEPT)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_party_leads_to_one_place_and_what_has_ended_stays_so() {
        for (n, row) in TABLE.iter().enumerate() {
            use ClearanceState::{Rejected, Revoked, Withdrawn};
            assert!(![Rejected, Revoked, Withdrawn].contains(&row.0), "{row:?}");
            let same = TABLE[n + 1..].iter().filter(|other| (other.0, other.1, other.2) == (row.0, row.1, row.2));
            assert_eq!(same.count(), 0, "{row:?}");
        }
    }

    #[test]
    fn staff_neither_write_nor_hand_in_and_clients_do_not_decide() {
        use ClearanceStep as A;
        for row in TABLE {
            let own = matches!(row.1, A::Edit | A::Submit | A::Withdraw);
            assert_eq!(row.2 == Party::Client, own, "{row:?}");
        }
    }
}
