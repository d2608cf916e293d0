"""Receives mails with `aiosmtpd`, and reads them with Python's `email` and with `icalendar`.

Usage: mails.py KNEAD, where KNEAD is the program. The environment says how it serves: on a copy of the demo city, with a secret in
KNEAD_MAIL_EVENTS_SECRET. A client registers, verifies their address by the code that was mailed, books a visit and cancels it. Then the relay reports that
they complained.
"""

import json
import os
import queue
import re
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

from aiosmtpd.controller import Controller
from icalendar import Calendar, Event
from standardwebhooks.webhooks import Webhook

FROM = "knead@mail.example"
JSON = {"Content-Type": "application/json"}
received: "queue.Queue[tuple[str, EmailMessage]]" = queue.Queue()


class Sink:
    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert envelope.mail_from == FROM, envelope.mail_from
        received.put((envelope.rcpt_tos[0], mail))
        return "250 taken"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


BASE = f"http://127.0.0.1:{free_port()}"


def call(method: str, path: str, body: object = None, token: str = "", **headers: str) -> tuple[Any, Any]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, method=method, data=data, headers={**JSON, **headers})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "null"), answer.headers


def next_mail(to: str, about: str) -> EmailMessage:
    """The next mail to an address whose subject says what it is about; every mail on the way there is sound."""
    end = time.monotonic() + 20
    while True:
        address, mail = received.get(timeout=max(0.1, end - time.monotonic()))
        check(address, mail)
        if address == to and re.search(about, mail["Subject"]):
            print(f"{mail['Subject']}: to {to}, {len(bytes(mail))} bytes")
            return mail


def check(to: str, mail: EmailMessage) -> None:
    assert not any(part.defects for part in mail.walk()), [part.defects for part in mail.walk()]
    assert mail["From"].addresses[0].addr_spec == FROM and mail["From"].addresses[0].display_name == "Knead", mail["From"]
    assert [address.addr_spec for address in mail["To"].addresses] == [to], mail["To"]
    assert abs(mail["Date"].datetime - datetime.now(timezone.utc)) < timedelta(minutes=2), mail["Date"]
    assert re.fullmatch(r"<[0-9a-f-]{36}@127\.0\.0\.1>", mail["Message-ID"]), mail["Message-ID"]
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Subject"].strip()
    for kind in ("plain", "html"):
        assert mail.get_body((kind,)).get_content_charset() == "utf-8"
        assert text(mail, kind).strip()


def text(mail: EmailMessage, kind: str) -> str:
    return mail.get_body((kind,)).get_content()


def visit(mail: EmailMessage, method: str, to: str) -> Event:
    """The visit that a mail brings for its reader's calendar, which is the same in its body and in its attachment."""
    parts = [part for part in mail.walk() if part.get_content_type() in ("text/calendar", "application/ics")]
    assert [part.get_filename() for part in parts] == [None, "invite.ics"], parts
    assert parts[0].get_param("method") == method and parts[0].get_content_charset() == "utf-8"
    calendars = [Calendar.from_ical(part.get_payload(decode=True)) for part in parts]
    assert calendars[0].to_ical() == calendars[1].to_ical()
    assert calendars[0]["METHOD"] == method and calendars[0]["VERSION"] == "2.0"
    [event] = calendars[0].walk("VEVENT")
    assert not event.errors, event.errors
    assert str(event["ORGANIZER"]).lower() == f"mailto:{FROM}", event["ORGANIZER"]
    assert str(event["ATTENDEE"]).lower() == f"mailto:{to}", event["ATTENDEE"]
    assert event.decoded("DTSTART").utcoffset() == timedelta(0) and event["DTSTART"].to_ical().endswith(b"Z")
    return event


def tell() -> None:
    to = f"zoe-{time.time_ns()}@example.org"
    who = {"email": to, "password": "purple wombat lantern", "role": "client", "display_name": "Zoë Müller", "time_zone": "Australia/Sydney"}
    token = call("POST", "/v1/auth/register", who)[0]["access_token"]
    mail = next_mail(to, "is your code$")
    [code] = set(re.findall(r"\b\d{8}\b", text(mail, "plain")))
    # Whoever is sent a code may not have asked for it, and is not greeted in the words of whoever did.
    assert code in text(mail, "html") and "Zoë" not in text(mail, "plain") + text(mail, "html")
    assert call("POST", "/v1/auth/email/verify", {"code": code}, token)[0]["email_verified"] is True

    home = {"label": "Home", "kind": "home", "line1": "12 Crown Street", "locality": "Surry Hills", "region": "NSW", "postcode": "2010",
            "country": "AU", "latitude": -33.8886, "longitude": 151.2111}
    address = call("POST", "/v1/me/addresses", home, token)[0]["id"]
    service = next(one["id"] for one in call("GET", "/v1/services")[0]["data"] if one["slug"] == "deep-tissue")
    therapist = call("POST", "/v1/auth/login", {"email": "therapist@knead.example", "password": "knead-demo-city"})[0]["account"]["id"]
    today = datetime.now(timezone.utc).date()
    asked = {"from": today + timedelta(days=2), "to": today + timedelta(days=8), "duration_minutes": 90, "service_id": service,
             "address_id": address, "therapist_id": therapist}
    start = call("GET", f"/v1/slots?{urlencode(asked)}", token=token)[0]["data"][0]["slots"][0]["start_at"]
    wanted = {"therapist_id": therapist, "service_id": service, "duration_minutes": 90, "start_at": start, "address_id": address}
    booking = call("POST", "/v1/bookings", wanted, token, **{"Idempotency-Key": "mails"})[0]
    mail = next_mail(to, "^Your massage")
    invited = visit(mail, "REQUEST", to)
    assert "Zoë" in text(mail, "plain") and "Zoë" in text(mail, "html")
    assert "Crown Street" not in mail.as_string() + text(mail, "plain") + text(mail, "html")
    assert invited["UID"] == f"{booking['id']}@visits.knead" and invited["STATUS"] == "CONFIRMED", invited
    assert invited.decoded("DTSTART") == datetime.fromisoformat(start.replace("Z", "+00:00"))
    assert invited.decoded("DTEND") - invited.decoded("DTSTART") == timedelta(minutes=90)

    call("POST", f"/v1/bookings/{booking['id']}/cancel", {}, token)
    cancelled = visit(next_mail(to, "^Cancelled"), "CANCEL", to)
    assert cancelled["UID"] == invited["UID"] and cancelled["STATUS"] == "CANCELLED", cancelled
    assert int(cancelled["SEQUENCE"]) > int(invited["SEQUENCE"])
    assert cancelled.decoded("DTSTART") == invited.decoded("DTSTART")

    report = json.dumps({"events": [{"type": "complained", "email": to, "message_id": mail["Message-ID"]}]})
    now = datetime.now(timezone.utc)
    signature = Webhook(os.environ["KNEAD_MAIL_EVENTS_SECRET"]).sign("report-1", now, report)
    signed = {"webhook-id": "report-1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    call("POST", "/v1/mail-events", report.encode(), **signed)
    admin = call("POST", "/v1/auth/login", {"email": "admin@knead.example", "password": "knead-demo-city"})[0]["access_token"]
    found = call("GET", f"/v1/admin/suppressions?{urlencode({'email': to})}", token=admin)[0]["data"]
    assert [one["reason"] for one in found] == ["complained"], found
    print("the relay's report is taken: nothing is sent to the address any more")


sink = Controller(Sink(), hostname="127.0.0.1", port=free_port())
sink.start()
served = {"KNEAD_ADDR": BASE.removeprefix("http://"), "KNEAD_PUBLIC_URL": BASE, "KNEAD_MAIL_FROM": f"Knead <{FROM}>", "KNEAD_MAIL": "on",
          "KNEAD_SMTP_URL": f"smtp://127.0.0.1:{sink.port}", "KNEAD_STAFF_SECOND_FACTOR": "optional", "RUST_LOG": "warn"}
server = subprocess.Popen([sys.argv[1], "serve"], env={**os.environ, **served})
try:
    for _ in range(240):
        assert server.poll() is None, "the service ended"
        try:
            call("GET", "/readyz")
            break
        except OSError:
            time.sleep(0.25)
    tell()
finally:
    server.terminate()
    server.wait(timeout=30)
    sink.stop()
