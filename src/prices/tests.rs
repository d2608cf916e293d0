use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use iso_currency::Currency;
use proptest::prelude::*;
use serde_json::json;

use super::entries::{Entry, Price, Surcharge, SurchargeTerms, faults};
use super::tariff::Applicable;
use super::*;
use crate::values::{AddressKind, Money};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn terms(when: serde_json::Value, charge: serde_json::Value, group: Option<&str>) -> SurchargeTerms {
    let terms = json!({ "label": "Surcharge", "when": when, "charge": charge, "group": group });
    serde_json::from_value(terms).expect("terms")
}

fn percent(basis_points: u16) -> serde_json::Value {
    json!({ "kind": "percent", "basis_points": basis_points })
}

fn tariff(base: Money, minutes: i16, surcharges: Vec<SurchargeTerms>) -> Tariff {
    let policy =
        r#"{"version": 1, "free_within_minutes_of_booking": 60, "tiers": [{"minutes_before": 0, "fee_percent": 100}]}"#;
    let surcharges = surcharges.into_iter().enumerate();
    Tariff {
        base,
        minutes,
        price_version: 1,
        surcharges: surcharges.map(|(i, terms)| Applicable { code: format!("s{i}"), version: 1, terms }).collect(),
        holidays: vec!["2026-12-25".parse().expect("a date"), "2027-04-25".parse().expect("a date")],
        policy: serde_json::from_str(policy).expect("a policy"),
        at: at("2026-11-01T00:00:00Z"),
    }
}

fn about(zone: Tz) -> About {
    About { zone, asked_at: at("2026-11-01T00:00:00Z"), kind: None, distance_km: None }
}

fn aud(amount: i64) -> Money {
    Money { amount, currency: Currency::AUD }
}

/// What a visit at `start` costs above a base of 10,000.
fn extra(when: serde_json::Value, zone: Tz, start: &str, minutes: i16) -> i64 {
    let tariff = tariff(aud(10_000), minutes, vec![terms(when, percent(1_000), None)]);
    tariff.total(&about(zone), at(start)).amount - 10_000
}

struct VisitAt {
    start: &'static str,
    minutes: i16,
    due: bool,
}

#[test]
fn a_late_evening_is_one_on_the_clock_of_the_place() {
    let late = || json!({ "kind": "late_evening", "from": "21:00", "until": "06:00" });
    let sydney = chrono_tz::Australia::Sydney;
    // Eleven hours ahead of UTC.
    for VisitAt { start, minutes, due } in [
        VisitAt { start: "2026-12-01T09:00:00Z", minutes: 60, due: false }, // 20:00 to 21:00
        VisitAt { start: "2026-12-01T09:15:00Z", minutes: 60, due: true },  // until 21:15
        VisitAt { start: "2026-12-01T10:00:00Z", minutes: 60, due: true },  // from 21:00
        VisitAt { start: "2026-12-01T13:30:00Z", minutes: 60, due: true },  // over midnight
        VisitAt { start: "2026-12-01T18:59:00Z", minutes: 60, due: true },  // from 05:59
        VisitAt { start: "2026-12-01T19:00:00Z", minutes: 60, due: false }, // from 06:00
        VisitAt { start: "2026-12-01T10:00:00Z", minutes: 240, due: true },
    ] {
        assert_eq!(extra(late(), sydney, start, minutes) > 0, due, "{start}");
    }
    // Clocks go forward from 02:00 to 03:00 on 4 October 2026: 05:30 is an hour earlier by UTC than the day before.
    assert!(extra(late(), sydney, "2026-10-03T18:59:00Z", 60) > 0, "05:59 after the change");
    assert_eq!(extra(late(), sydney, "2026-10-03T19:00:00Z", 60), 0, "06:00 after the change");
    assert!(extra(late(), sydney, "2026-10-02T19:59:00Z", 60) > 0, "05:59 the day before");
    // By half an hour at Lord Howe, back on 5 April 2026: 20:30 is 10:00 by UTC then, and was 09:30.
    let lord_howe = chrono_tz::Australia::Lord_Howe;
    assert_eq!(extra(late(), lord_howe, "2026-04-04T08:00:00Z", 120), 0, "until 21:00 in summer");
    assert!(extra(late(), lord_howe, "2026-04-04T08:30:00Z", 120) > 0, "until 21:30 in summer");
    assert_eq!(extra(late(), lord_howe, "2026-04-05T08:30:00Z", 120), 0, "until 21:00 in winter");
}

#[test]
fn any_of_a_visit_on_a_day_counts() {
    let holiday = || json!({ "kind": "public_holiday" });
    let weekend = || json!({ "kind": "weekend", "days": ["saturday", "sunday"] });
    let sydney = chrono_tz::Australia::Sydney;
    for VisitAt { start, minutes, due } in [
        VisitAt { start: "2026-12-24T12:00:00Z", minutes: 60, due: false }, // until midnight
        VisitAt { start: "2026-12-24T12:15:00Z", minutes: 60, due: true },  // into the holiday
        VisitAt { start: "2026-12-25T12:30:00Z", minutes: 60, due: true },  // out of it
        VisitAt { start: "2026-12-25T13:00:00Z", minutes: 60, due: false }, // from midnight
    ] {
        assert_eq!(extra(holiday(), sydney, start, minutes) > 0, due, "{start}");
    }
    // Friday, 4 December 2026, and the Monday after.
    for (start, due) in [
        ("2026-12-04T12:00:00Z", false),
        ("2026-12-04T12:01:00Z", true),
        ("2026-12-06T12:59:00Z", true),
        ("2026-12-06T13:00:00Z", false),
    ] {
        assert_eq!(extra(weekend(), sydney, start, 60) > 0, due, "{start}");
    }
    assert_eq!(extra(weekend(), chrono_tz::UTC, "2026-12-04T12:01:00Z", 60), 0, "Friday noon elsewhere");
    // The night on which clocks go back in Sydney has 25 hours: 4 to 5 April 2026, a weekend to its very end.
    assert!(extra(weekend(), sydney, "2026-04-05T13:59:00Z", 60) > 0);
    assert_eq!(extra(weekend(), sydney, "2026-04-05T14:00:00Z", 60), 0);
}

#[test]
fn notice_place_and_distance_count_to_the_border() {
    let soon = || terms(json!({ "kind": "short_notice", "within_minutes": 240 }), percent(1_000), None);
    let sydney = about(chrono_tz::Australia::Sydney);
    let start = sydney.asked_at + TimeDelta::minutes(240);
    let soon = tariff(aud(10_000), 60, vec![soon()]);
    assert_eq!(soon.total(&sydney, start).amount, 10_000);
    assert_eq!(soon.total(&sydney, start - TimeDelta::microseconds(1)).amount, 11_000);

    let fixed = json!({ "kind": "fixed", "amount": { "amount": 2_000, "currency": "AUD" } });
    let hotel = tariff(aud(10_000), 60, vec![terms(json!({ "kind": "hotel" }), fixed, None)]);
    for (kind, total) in [(None, 10_000), (Some(AddressKind::Home), 10_000), (Some(AddressKind::Hotel), 12_000)] {
        assert_eq!(hotel.total(&About { kind, ..sydney }, start).amount, total, "{kind:?}");
    }

    let each = json!({ "kind": "per_km", "amount": { "amount": 150, "currency": "AUD" }, "at_most": { "amount": 700, "currency": "AUD" } });
    let far = tariff(aud(10_000), 60, vec![terms(json!({ "kind": "distance", "beyond_km": 10 }), each, None)]);
    for (distance_km, more) in
        [(None, 0), (Some(0), 0), (Some(10), 0), (Some(11), 150), (Some(14), 600), (Some(15), 700)]
    {
        assert_eq!(far.total(&About { distance_km, ..sydney }, start).amount, 10_000 + more, "{distance_km:?}");
    }
}

#[test]
fn of_a_group_the_highest_counts_and_the_others_add_up() {
    let weekend = json!({ "kind": "weekend", "days": ["friday"] });
    let holiday = json!({ "kind": "public_holiday" });
    let surcharges = vec![
        terms(weekend.clone(), percent(1_000), Some("day")),
        terms(holiday.clone(), percent(2_500), Some("day")),
        terms(holiday.clone(), percent(2_500), Some("day")),
        terms(weekend.clone(), percent(500), None),
        terms(weekend, percent(300), Some("other")),
        terms(holiday, percent(0), None),
    ];
    // Christmas 2026 is a Friday.
    let breakdown = tariff(aud(10_000), 60, surcharges).breakdown(&about(chrono_tz::UTC), at("2026-12-25T12:00:00Z"));
    let lines: Vec<_> = breakdown.lines.iter().map(|line| (line.code.as_str(), line.amount.amount)).collect();
    assert_eq!(lines, [("s1", 2_500), ("s3", 500), ("s4", 300)]);
    assert_eq!(breakdown.total.amount, 13_300);
}

#[test]
fn there_is_no_sum_of_several_currencies() {
    let monday = json!({ "kind": "weekend", "days": ["monday"] });
    let yen = json!({ "amount": 2_000, "currency": "JPY" });
    let dollars = json!({ "amount": 2_000, "currency": "AUD" });
    let fixed = json!({ "kind": "fixed", "amount": yen });
    let each = json!({ "kind": "per_km", "amount": dollars, "at_most": yen });
    let beyond = json!({ "kind": "distance", "beyond_km": 1 });
    let base = Money { amount: 12_900, currency: Currency::AUD };
    for (when, charge, of_one) in [
        (monday.clone(), fixed, false),
        (beyond, each, false),
        (monday.clone(), json!({ "kind": "fixed", "amount": dollars }), true),
        (monday, percent(1_000), true),
    ] {
        assert_eq!(tariff(base, 60, vec![terms(when, charge, None)]).is_of_one_currency(), of_one);
    }
}

struct Rounded {
    currency: Currency,
    base: i64,
    basis_points: u16,
    line: i64,
}

#[test]
fn each_line_is_rounded_half_up_in_whole_units_of_any_currency() {
    // Yen have no decimals, dinars three: a percentage knows neither.
    for Rounded { currency, base, basis_points, line } in [
        Rounded { currency: Currency::JPY, base: 9_805, basis_points: 1_000, line: 981 },
        Rounded { currency: Currency::JPY, base: 9_804, basis_points: 1_000, line: 980 },
        Rounded { currency: Currency::KWD, base: 12_345, basis_points: 1_000, line: 1_235 },
        Rounded { currency: Currency::AUD, base: 1, basis_points: 5_000, line: 1 },
        Rounded { currency: Currency::AUD, base: 1, basis_points: 4_999, line: 0 },
    ] {
        let monday = json!({ "kind": "weekend", "days": ["monday"] });
        let tariff = tariff(Money { amount: base, currency }, 60, vec![terms(monday, percent(basis_points), None)]);
        let total = tariff.total(&about(chrono_tz::UTC), at("2026-12-07T12:00:00Z"));
        assert_eq!(total, Money { amount: base + line, currency }, "{base} {basis_points}");
    }
}

struct WrongTerms {
    when: serde_json::Value,
    charge: serde_json::Value,
    pointer: &'static str,
}

#[test]
fn what_admins_get_wrong_is_pointed_to() {
    let now = at("2026-11-01T00:00:00Z");
    let surcharge = |terms: serde_json::Value| -> Surcharge {
        let surcharge = json!({ "jurisdiction": "AU", "code": "test", "terms": terms, "version": 1, "effective_from": "2026-12-01T00:00:00Z" });
        serde_json::from_value(surcharge).expect("a surcharge")
    };
    let terms =
        |when: serde_json::Value, charge: serde_json::Value| json!({ "label": "Test", "when": when, "charge": charge });
    let money = |amount: i64| json!({ "amount": amount, "currency": "AUD" });
    for WrongTerms { when, charge, pointer } in [
        WrongTerms { when: json!({ "kind": "hotel" }), charge: percent(10_001), pointer: "/terms/charge/basis_points" },
        WrongTerms {
            when: json!({ "kind": "hotel" }),
            charge: json!({ "kind": "fixed", "amount": money(-1) }),
            pointer: "/terms/charge/amount/amount",
        },
        WrongTerms {
            when: json!({ "kind": "hotel" }),
            charge: json!({ "kind": "fixed", "amount": money(100_000_001) }),
            pointer: "/terms/charge/amount/amount",
        },
        WrongTerms {
            when: json!({ "kind": "hotel" }),
            charge: json!({ "kind": "per_km", "amount": money(1), "at_most": money(1) }),
            pointer: "/terms/charge/kind",
        },
        WrongTerms {
            when: json!({ "kind": "distance", "beyond_km": 5 }),
            charge: percent(1),
            pointer: "/terms/charge/kind",
        },
        WrongTerms {
            when: json!({ "kind": "distance", "beyond_km": -1 }),
            charge: json!({ "kind": "per_km", "amount": money(1), "at_most": money(1) }),
            pointer: "/terms/when/beyond_km",
        },
        WrongTerms {
            when: json!({ "kind": "distance", "beyond_km": 1 }),
            charge: json!({ "kind": "per_km", "amount": money(1), "at_most": money(-1) }),
            pointer: "/terms/charge/at_most/amount",
        },
        WrongTerms {
            when: json!({ "kind": "late_evening", "from": "21:00", "until": "00:59" }),
            charge: percent(1),
            pointer: "/terms/when/until",
        },
        WrongTerms {
            when: json!({ "kind": "late_evening", "from": "21:00", "until": "21:00" }),
            charge: percent(1),
            pointer: "/terms/when/until",
        },
        WrongTerms { when: json!({ "kind": "weekend", "days": [] }), charge: percent(1), pointer: "/terms/when/days" },
        WrongTerms {
            when: json!({ "kind": "short_notice", "within_minutes": 0 }),
            charge: percent(1),
            pointer: "/terms/when/within_minutes",
        },
    ] {
        let found = faults(&surcharge(terms(when, charge)), now);
        assert_eq!(found.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
    }
    let price = |minutes: i16, amount: i64, version: i32, from: &str| -> Price {
        let service = "019b76da-a800-7c02-8b52-6f1d8e203c02";
        let price = json!({ "service_id": service, "country": "AU", "duration_minutes": minutes, "price": money(amount), "version": version, "effective_from": from });
        serde_json::from_value(price).expect("a price")
    };
    let good = "2026-11-01T00:01:00Z";
    for (price, pointers) in [
        (price(60, 1, 1, good), [].as_slice()),
        (price(14, 1, 1, good), &["/duration_minutes"]),
        (price(241, 1, 1, good), &["/duration_minutes"]),
        (price(60, 0, 1, good), &["/price/amount"]),
        (price(60, -1, 1, good), &["/price/amount"]),
        (price(60, 100_000_001, 1, good), &["/price/amount"]),
        (price(60, 1, 0, good), &["/version"]),
        (price(60, 1, 1, "2026-11-01T00:00:59Z"), &["/effective_from"]),
        (price(60, -1, -1, "2020-01-01T00:00:00Z"), &["/price/amount", "/version", "/effective_from"]),
    ] {
        let found = faults(&price, now);
        assert_eq!(found.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), pointers);
    }
    assert_eq!(price(60, 1, 1, good).subject(), "019b76da-a800-7c02-8b52-6f1d8e203c02/60");
}

/// Any surcharges that could be entered in a country of this currency.
fn any_terms() -> impl Strategy<Value = SurchargeTerms> {
    let clock = || (0_i32..24, 0_i32..60).prop_map(|(hours, minutes)| format!("{hours:02}:{minutes:02}"));
    let money = |amount: i64| json!({ "amount": amount, "currency": "JPY" });
    let days = prop::collection::vec(prop::sample::select(vec!["monday", "saturday", "sunday"]), 1..4);
    let plain = prop_oneof![
        (clock(), clock()).prop_map(|(from, until)| json!({ "kind": "late_evening", "from": from, "until": until })),
        days.prop_map(|days| json!({ "kind": "weekend", "days": days })),
        Just(json!({ "kind": "public_holiday" })),
        Just(json!({ "kind": "hotel" })),
        (1_i64..=43_200).prop_map(|minutes| json!({ "kind": "short_notice", "within_minutes": minutes })),
    ];
    let amount = || 0_i64..=100_000_000;
    let charge = prop_oneof![
        (0_u16..=10_000).prop_map(percent),
        amount().prop_map(move |amount| json!({ "kind": "fixed", "amount": money(amount) })),
    ];
    let group = || prop::option::of(prop::sample::select(vec!["day", "other"]));
    let by_distance = (0_i32..=500, amount(), amount(), group()).prop_map(move |(beyond_km, each, most, group)| {
        let charge = json!({ "kind": "per_km", "amount": money(each), "at_most": money(most) });
        terms(json!({ "kind": "distance", "beyond_km": beyond_km }), charge, group)
    });
    prop_oneof![4 => (plain, charge, group()).prop_map(|(when, charge, group)| terms(when, charge, group)), 1 => by_distance]
}

prop_compose! {
    fn any_about()(
        zone in prop::sample::select(vec![chrono_tz::Australia::Sydney, chrono_tz::Australia::Lord_Howe, chrono_tz::Asia::Tokyo, chrono_tz::America::St_Johns]),
        hotel in any::<bool>(), distance_km in prop::option::of(0_i32..=20_100), notice in 0_i64..100_000,
    ) -> About {
        let kind = if hotel { AddressKind::Hotel } else { AddressKind::Home };
        About { zone, asked_at: at("2026-11-01T00:00:00Z") - TimeDelta::minutes(notice), kind: Some(kind), distance_km }
    }
}

proptest! {
    #[test]
    fn the_total_is_the_sum_of_its_lines_and_more_never_costs_less(
        surcharges in prop::collection::vec(any_terms(), 0..8), about in any_about(),
        base in 1_i64..=100_000_000, dearer in 0_i64..=100_000_000, further in 0_i32..100,
        minutes in 15_i16..=240, after in 0_i64..400 * 24 * 60,
    ) {
        let start = at("2026-11-01T00:00:00Z") + TimeDelta::minutes(after);
        let money = |amount| Money { amount, currency: Currency::JPY };
        let priced = tariff(money(base), minutes, surcharges);
        let breakdown = priced.breakdown(&about, start);
        let lines: i64 = breakdown.lines.iter().map(|line| line.amount.amount).sum();
        prop_assert!(breakdown.lines.iter().all(|line| line.amount.amount > 0 && line.amount.currency == Currency::JPY));
        prop_assert_eq!(breakdown.total, money(base + lines));
        prop_assert_eq!(breakdown.total, priced.total(&about, start));
        prop_assert!(breakdown.total.amount <= 1_000_000_000_000, "what the database holds");
        prop_assert_eq!(&breakdown, &priced.breakdown(&about, start), "the same again");

        let (total, mut more) = (breakdown.total.amount, priced.clone());
        more.base = money((base + dearer).min(100_000_000));
        prop_assert!(more.total(&about, start).amount >= total, "a higher base");
        let afar = About { distance_km: about.distance_km.map(|km| km + further), ..about };
        prop_assert!(priced.total(&afar, start).amount >= total, "a longer way");
        let hasty = About { asked_at: about.asked_at + TimeDelta::minutes(further.into()), ..about };
        prop_assert!(priced.total(&hasty, start).amount >= total, "a shorter notice");
        let mut fewer = priced.clone();
        fewer.surcharges.pop();
        prop_assert!(fewer.total(&about, start).amount <= total, "one surcharge less");
    }

    #[test]
    fn a_share_is_exact_and_halves_go_up(amount in 0_i64..=1_000_000_000_000, basis_points in 0_u16..=10_000) {
        let share = i128::from(aud(amount).share(basis_points).amount);
        let twice = 2 * i128::from(amount) * i128::from(basis_points);
        // Within half a unit, a half itself upwards.
        prop_assert!(2 * share * 10_000 - 10_000 <= twice && twice < 2 * share * 10_000 + 10_000);
    }
}
