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
fn letters_are_folded_wherever_they_come_from() {
    for (one, other) in [
        ("Nguyễn Thị Hương", "NGUYEN, HUONG THI"),
        ("Trần Đức Thắng", "TRAN, THANG DUC"),
        ("Đặng Ngọc Ánh", "DANG NGOC ANH"),
        ("Søren Kjærgård", "KJAERGARD, SOREN"),
        ("Łukasz Wójcik", "WOJCIK, LUKASZ"),
        ("Jürgen Groß", "GROSS, JURGEN"),
        ("İbrahim Yıldız", "YILDIZ, IBRAHIM"),
        ("Zoe\u{308} Bjo\u{308}rk", "BJÖRK, ZOË"),
        ("Þóra Ðórsdóttir", "DORSDOTTIR, THORA"),
        ("Siobhán O’Brien", "O'BRIEN, SIOBHAN"),
        ("ＳＡＭ Okafor", "OKAFOR, SAM"),
    ] {
        let found = likeness(one, other);
        assert!(found.score >= 0.92 && found.agree, "{one} {other} {found:?}");
    }
}

#[test]
fn what_stands_beside_a_name_is_none() {
    for other in [
        "Sam Okafor, Jr.",
        "Sam Okafor, LMT",
        "OKAFOR, SAM, RMT",
        "Okafor Jr, Sam",
        "Sam Okafor, RN",
        "Sam Okafor, R.N., L.M.T., BCTMB",
        "Dr. Sam Okafor",
        "Dr Sam Okafor, DC",
        "OKAFOR, DR. SAM",
        "OKAFOR LMT, SAM",
        "Sam Okafor LMT/BCTMB",
        "Ms. Sam Okafor, MA, LMT",
        "Sam Okafor (LMT)",
        "Prof. Sam Okafor, Ph.D.",
        "OKAFOR, SAM, PA",
    ] {
        assert_eq!(similarity("Sam Okafor", other), 1.0, "{other}");
    }
    // What is a title for some is a name for others.
    for (one, other) in
        [("Linh Do", "DO, LINH"), ("Yo-Yo Ma", "MA, YO-YO"), ("Ma, Jack", "Jack Ma"), ("Pa Vang", "VANG, PA")]
    {
        assert_eq!(similarity(one, other), 1.0, "{one} {other}");
    }
    assert!(similarity("Sam Okafor Jr", "OKAFOR SR, SAM") < 0.92);
    assert!(similarity("J.R. Smith", "Smith") < 0.92);
}

#[test]
fn slips_are_reviewed_and_strangers_are_not_the_same() {
    for (one, other) in [("Jon Okafor", "John Okafor"), ("Sam Okafor", "Sam Okafar"), ("S Okafor", "Sam Okafor")] {
        assert!(similarity(one, other) >= 0.92, "{one} {other} {}", similarity(one, other));
    }
    for (one, other) in [
        ("Sam Okafor", "Samuel Okafor"),
        ("Sam J Okafor", "Sam P Okafor"),
        ("Maria Garcia", "GARCIA LOPEZ, MARIA"),
        ("Maria Lopez", "GARCIA LOPEZ, MARIA"),
        ("Maria Garcia Lopez", "GARCIA, MARIA"),
        ("Ana Smith-Jones", "JONES, ANA"),
        ("Bill Okafor", "OKAFOR, WILLIAM"),
        ("Peggy Baker", "BAKER, MARGARET"),
        ("Liz Baker", "BAKER, ELIZABETH ANN"),
        ("Pepe Nuñez", "NUNEZ, JOSE"),
        ("Elena Garcia", "GARCIA, MARIA ELENA"),
        ("Bill Garcia", "GARCIA LOPEZ, WILLIAM"),
    ] {
        assert!((0.75..0.92).contains(&similarity(one, other)), "{one} {other} {}", similarity(one, other));
    }
    for (one, other) in [
        ("Sam Okafor", "Maria Okafor"),
        ("Sam Okafor", "Sam Nguyen"),
        ("Sam", "Sam Okafor"),
        ("", "Sam Okafor"),
        ("Maria Garcia", "GARCIA LOPEZ, PEDRO"),
        ("Bill Okafor", "NGUYEN, WILLIAM"),
    ] {
        assert!(similarity(one, other) < 0.75, "{one} {other} {}", similarity(one, other));
    }
}

#[test]
fn names_agree_where_given_names_and_suffixes_do() {
    for (one, other) in [
        ("Sam Okafor", "OKAFOR, SAM"),
        ("Okafor Sam", "Sam Okafor"),
        ("S. Okafor", "OKAFOR, SAM JAMES"),
        ("Sam Okafor Junior", "OKAFOR, SAM, JR"),
        ("Sam Okafor 2nd", "OKAFOR II, SAM"),
        ("Maria de la Cruz", "DELACRUZ, MARIA"),
        ("Nguyen Thi Huong", "NGUYEN, THI HUONG"),
    ] {
        assert!(likeness(one, other).agree && likeness(other, one).agree, "{one} {other}");
    }
    for (one, other) in [
        ("Daniel Moreno", "MORENO, DANIELA"),
        ("Julio Reyes", "Julia Reyes"),
        ("Sam Okafor", "OKAFOR JR, SAM"),
        ("Sam Okafor II", "OKAFOR JR, SAM"),
        ("Sam Okafor", "OKAFOR, SAMUEL"),
        ("Bill Okafor", "OKAFOR, WILLIAM"),
    ] {
        assert!(!likeness(one, other).agree && !likeness(other, one).agree, "{one} {other}");
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
        prop_assert_eq!(likeness(&name, &name), Likeness { score: 1.0, agree: true });
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
