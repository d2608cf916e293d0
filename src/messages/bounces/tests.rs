//! Reports as mail servers write them, shortened and of our own making.

use proptest::prelude::*;

use super::*;

/// As Postfix writes them.
const POSTFIX: &str = r#"Return-Path: <>
Date: Mon, 30 Nov 2026 11:02:03 +0000 (UTC)
From: MAILER-DAEMON@relay.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: knead@mail.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="4FQx9s2Lz1z9.1796040123/relay.example"
Message-Id: <20261130110203.4FQx9s3v0kz9@relay.example>

This is a MIME-encapsulated message.

--4FQx9s2Lz1z9.1796040123/relay.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered to one or more recipients.
Action: failed

--4FQx9s2Lz1z9.1796040123/relay.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example
X-Postfix-Queue-ID: 4FQx9s2Lz1z9
Arrival-Date: Mon, 30 Nov 2026 11:02:02 +0000 (UTC)

Final-Recipient: rfc822; Mia@example.org
Original-Recipient: rfc822;mia@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 <mia@example.org>: Recipient address rejected:
    User unknown

--4FQx9s2Lz1z9.1796040123/relay.example
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: Knead <knead@mail.example>
To: mia@example.org
Message-ID: <0198c0de-0000-7000-8000-000000000001@knead.example>
Subject: Your massage

...
--4FQx9s2Lz1z9.1796040123/relay.example--
"#;

/// As Exchange writes them: other names of the parts, no original address, a comment, and headers alone.
const EXCHANGE: &str = r#"From: <postmaster@corp.example>
Content-Type: multipart/report; report-type=delivery-status; boundary=_000_DSN_
Subject: Undeliverable: Your massage

--_000_DSN_
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/html; charset="us-ascii"

<p>mailbox full</p>
--inner--

--_000_DSN_
content-type: Message/Delivery-Status

Reporting-MTA: dns;corp.example
Received-From-MTA: dns;relay.example

final-recipient: RFC822;<sam.lee@corp.example>
ACTION: Failed (bad destination)
Status: 5.7.1 (delivery not authorized)
Diagnostic-Code: smtp;550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized
X-Display-Name: Sam Lee

--_000_DSN_
Content-Type: text/rfc822-headers

Message-ID:
 <0198c0de-0000-7000-8000-000000000002@knead.example>

--_000_DSN_--
"#;

/// As sendmail writes them, of two addresses: one of them was passed on, one waits.
const SENDMAIL: &str = r#"From MAILER-DAEMON Mon Nov 30 11:00:00 2026
From: Mail Delivery Subsystem <MAILER-DAEMON@relay.example>
MIME-Version: 1.0
Content-Type: MULTIPART/REPORT; REPORT-TYPE=delivery-status;
        BOUNDARY="xAU/relay.example"

--xAU/relay.example

The original message was received

--xAU/relay.example
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example


Original-Recipient: rfc822;ana@club.example
Final-Recipient: RFC822; ana@private.example
Action: failed
Status: 5.2.1
Last-Attempt-Date: Mon, 30 Nov 2026 11:00:00 GMT

Final-Recipient: RFC822; leo@example.net
Action: delayed
Status: 4.4.1
Will-Retry-Until: Sat, 5 Dec 2026 11:00:00 GMT

--xAU/relay.example--
"#;

fn addresses(mail: &str) -> Option<Vec<(String, String)>> {
    let failed = read(mail)?.failed;
    Some(failed.into_iter().map(|(address, status)| (address.as_str().to_owned(), status.0)).collect())
}

fn one(address: &str, status: &str) -> (String, String) {
    (address.to_owned(), status.to_owned())
}

#[test]
fn what_failed_for_good_is_found_however_it_is_written() {
    for text in [POSTFIX.to_owned(), POSTFIX.replace('\n', "\r\n")] {
        assert_eq!(addresses(&text), Some(vec![one("mia@example.org", "5.1.1")]));
        let delivery = read(&text).unwrap().delivery;
        assert_eq!(delivery.unwrap().to_string(), "0198c0de-0000-7000-8000-000000000001");
    }
    assert_eq!(addresses(EXCHANGE), Some(vec![one("sam.lee@corp.example", "5.7.1")]));
    assert_eq!(read(EXCHANGE).unwrap().delivery.unwrap().to_string(), "0198c0de-0000-7000-8000-000000000002");
    let passed_on = vec![one("ana@private.example", "5.2.1"), one("ana@club.example", "5.2.1")];
    assert_eq!(addresses(SENDMAIL), Some(passed_on));
    assert_eq!(read(SENDMAIL).unwrap().delivery, None);
}

#[test]
fn what_may_work_again_changes_nothing() {
    for (was, is) in [
        ("Status: 5.1.1", "Status: 4.2.2"),
        ("Status: 5.1.1", "Status: 2.1.5"),
        ("Status: 5.1.1", "Status: 5.1"),
        ("Status: 5.1.1\n", ""),
        ("Action: failed\nStatus", "Action: delayed\nStatus"),
        ("Action: failed\nStatus", "Action: relayed\nStatus"),
        ("Action: failed\nStatus", "Status"),
    ] {
        let text = POSTFIX.replace(was, is);
        assert_ne!(text, POSTFIX);
        assert_eq!(addresses(&text), Some(Vec::new()), "{is}");
    }
    let elsewhere = POSTFIX.replace("rfc822;", "x400;");
    assert_eq!(addresses(&elsewhere), Some(Vec::new()), "an address of another network");
}

#[test]
fn only_what_a_relay_reports_is_a_report() {
    let without_status = POSTFIX.replace("message/delivery-status", "text/plain");
    let mixed = POSTFIX.replace("multipart/report", "multipart/mixed");
    let complaint = POSTFIX.replace("message/delivery-status", "message/feedback-report");
    let of_nobody = POSTFIX.replace("Final-Recipient", "X-Recipient");
    let unbounded = POSTFIX.replace("boundary=", "border=");
    let quoted = format!("Subject: Fwd: undelivered\nContent-Type: text/plain\n\n{POSTFIX}");
    for text in ["", "\n", "hello", &without_status, &mixed, &complaint, &of_nobody, &unbounded, &quoted] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_report_that_is_cut_off_says_what_it_said_before() {
    let end = POSTFIX.find("Remote-MTA").unwrap();
    assert_eq!(addresses(&POSTFIX[..end]), Some(vec![one("mia@example.org", "5.1.1")]));
    assert_eq!(read(&POSTFIX[..POSTFIX.find("Reporting-MTA").unwrap()]), None);
}

#[test]
fn a_report_about_many_is_believed_about_a_hundred() {
    let group = |n: usize| format!("\nFinal-Recipient: rfc822; a{n}@example.org\nAction: failed\nStatus: 5.1.1\n");
    let many: String = (0..1000).map(group).collect();
    let text = POSTFIX.replace("\nFinal-Recipient", &format!("{many}\nFinal-Recipient"));
    assert_eq!(addresses(&text).unwrap().len(), 100);
}

#[test]
fn a_status_has_a_class_and_two_numbers() {
    for good in ["5.1.1", "4.2.2", "2.0.0", "5.999.100"] {
        assert!(good.parse::<MailStatus>().is_ok(), "{good}");
    }
    for bad in ["", "5", "5.1", "5.1.1.1", "3.1.1", "5.1.1000", "5..1", "5.1.x", " 5.1.1", "5.1.+1", "550"] {
        assert!(bad.parse::<MailStatus>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        read(&text);
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_damage_makes_it_panic_or_believe_in_others(
        which in 0..3usize,
        (from, length) in (0..2500usize, 0..200usize),
        put in "(--|\r\n|\n\n|:|;|=|\"|boundary|Status: 4.0.0\n|ü|[!-~ ]){0,8}",
    ) {
        let text: Vec<char> = [POSTFIX, EXCHANGE, SENDMAIL][which].chars().collect();
        let (from, to) = (from.min(text.len()), (from + length).min(text.len()));
        let damaged: String = text[..from].iter().chain(&put.chars().collect::<Vec<_>>()).chain(&text[to..]).collect();
        for (address, status) in read(&damaged).map(|report| report.failed).unwrap_or_default() {
            prop_assert!(status.is_permanent());
            prop_assert!(damaged.to_lowercase().contains(address.as_str()));
        }
    }
}
