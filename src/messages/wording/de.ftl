# Deutsch.

weekday_1 = Montag
weekday_2 = Dienstag
weekday_3 = Mittwoch
weekday_4 = Donnerstag
weekday_5 = Freitag
weekday_6 = Samstag
weekday_7 = Sonntag
month_1 = Januar
month_2 = Februar
month_3 = März
month_4 = April
month_5 = Mai
month_6 = Juni
month_7 = Juli
month_8 = August
month_9 = September
month_10 = Oktober
month_11 = November
month_12 = Dezember
date = { $weekday }, { $day }. { $month } { $year }

hello = Guten Tag { $name },
when = Wann
when_at = { $date }, { $from } bis { $until } Uhr
zone = Zeitzone
at_home = Nach Ihrer Uhr
with = Mit
where = Wo
proposed = Vorschlag
expires = Gültig bis
credential = Nachweis
code = Ihr Code
open_visit = Termin öffnen
open_app = Knead öffnen
choose_password = Neues Passwort wählen
undo = Änderung zurücknehmen
footer = Sie erhalten diese Nachricht, weil Sie ein Konto bei Knead haben. Die genaue Adresse und alles zur Gesundheit bleiben in der App.
footer_settings = Worüber wir Ihnen schreiben, und in welcher Sprache:
unsubscribe = Keine Erinnerungen mehr:
unsubscribe_title = Erinnerungen an Termine
unsubscribe_ask = Möchten Sie keine Erinnerungen mehr per E-Mail?
unsubscribe_button = Keine Erinnerungen mehr
unsubscribe_done = Sie erhalten keine Erinnerungen mehr per E-Mail. In den Einstellungen der App können Sie sie wieder einschalten.

visit_booked =
    .subject = { $side ->
        [client] Ihre Massage am { $date }
       *[therapist] Neuer Termin am { $date }
    }
    .lead = { $side ->
        [client] Ihr Termin ist gebucht. { $other } kommt zu Ihnen.
       *[therapist] { $other } hat einen Termin bei Ihnen gebucht.
    }
visit_requested =
    .subject = Termin am { $date }: ja oder nein?
    .lead = { $other } wünscht sich einen Termin. Die Zeit ist für Sie reserviert, bis Sie antworten oder die Frist abläuft.
request_sent =
    .subject = Ihre Anfrage für { $date }
    .lead = Wir haben { $other } gefragt. Die Zeit bleibt so lange für Sie reserviert, und wir schreiben wieder, sobald es eine Antwort gibt.
visit_confirmed =
    .subject = { $side ->
        [client] Bestätigt: Ihre Massage am { $date }
       *[therapist] Bestätigt: Ihr Termin am { $date }
    }
    .lead = { $side ->
        [client] { $other } hat zugesagt und kommt zu Ihnen.
       *[therapist] Sie haben den Termin mit { $other } bestätigt.
    }
request_declined =
    .subject = Kein Termin am { $date }
    .lead = { $other } kann zu dieser Zeit nicht kommen. Es wird nichts berechnet. Vielleicht ist jemand anderes frei.
request_expired =
    .subject = Keine Antwort für { $date }
    .lead = { $other } hat nicht rechtzeitig geantwortet, deshalb ist die Anfrage verfallen. Es wird nichts berechnet. Vielleicht ist jemand anderes frei.
visit_cancelled =
    .subject = Abgesagt: Termin am { $date }
    .lead = Der Termin mit { $other } ist abgesagt. Ob und was das kostet, steht beim Termin.
visit_called_off =
    .subject = Fällt aus: Termin am { $date }
    .lead = Der Termin mit { $other } kann nicht stattfinden, wir mussten ihn absagen. { $side ->
        [client] Ob und was das kostet, steht beim Termin.
       *[therapist] Der Grund steht beim Termin.
    }
visit_moved =
    .subject = Verschoben: Ihr Termin ist jetzt am { $date }
    .lead = Der Termin mit { $other } hat eine andere Zeit.
visit_reassigned =
    .subject = Am { $date } kommt jemand anderes
    .lead = { $other } übernimmt Ihren Termin zur selben Zeit. Sie können ihn kostenlos absagen.
visit_taken_over =
    .subject = Sie übernehmen einen Termin am { $date }
    .lead = Der Termin mit { $other } ist jetzt Ihrer.
visit_given_away =
    .subject = Der Termin am { $date } ist nicht mehr Ihrer
    .lead = Jemand anderes übernimmt ihn. Sie müssen nichts mehr tun.
time_proposed =
    .subject = Eine andere Zeit für Ihren Termin am { $date }?
    .lead = { $other } schlägt eine andere Zeit vor. Bis Sie zustimmen, bleibt der Termin, wie er ist.
proposal_declined =
    .subject = Der Termin am { $date } bleibt, wie er ist
    .lead = { $other } ist mit der anderen Zeit nicht einverstanden. Der Termin bleibt, wie er war.
proposal_withdrawn =
    .subject = Der Termin am { $date } bleibt, wie er ist
    .lead = { $other } hat den Vorschlag einer anderen Zeit zurückgenommen. Der Termin bleibt, wie er war.
visit_delayed =
    .subject = { $other } kommt am { $date } später
    .lead = { $other } verspätet sich. Wann Ihr Termin voraussichtlich beginnt, steht beim Termin.
visit_extended =
    .subject = Der Termin am { $date } dauert länger
    .lead = Der Termin mit { $other } hat ein neues Ende.
visit_at_risk =
    .subject = Ihr Termin am { $date } ist gefährdet
    .lead = Zurzeit dürfen Sie den Termin mit { $other } nicht ausführen, weil ein Nachweis fehlt oder nicht mehr gilt. Bleibt es dabei, wird der Termin abgesagt.
visit_restored =
    .subject = Ihr Termin am { $date } ist wieder sicher
    .lead = Sie dürfen den Termin mit { $other } nun doch ausführen.
visit_handed_over =
    .subject = { $other } kann am { $date } nicht kommen
    .lead = Wir suchen jemand anderen. Sie können warten, den Termin verschieben oder ihn kostenlos absagen.
visit_taken_back =
    .subject = { $other } kann am { $date } doch kommen
    .lead = Ihr Termin bleibt, wie er war.
visit_free_again =
    .subject = Der Termin am { $date } wäre doch möglich
    .lead = Wir mussten Ihren Termin mit { $other } absagen. Die Zeit ist wieder frei, Sie können sie noch einmal buchen.
visit_local_time_changed =
    .subject = Bitte sehen Sie nach der Uhrzeit Ihres Termins am { $date }
    .lead = Am Ort des Termins gelten neue Regeln für die Uhrzeit. Der Termin ist im selben Moment wie zuvor, aber die Uhren zeigen dort eine andere Zeit.
visit_completed =
    .subject = Wie war Ihre Massage?
    .lead = Ihr Termin mit { $other } ist vorbei. Eine Bewertung hilft anderen und sagt { $other }, wie es war.
no_show_reported =
    .subject = Der Termin am { $date } hat nicht stattgefunden
    .lead = { $other } hat gemeldet, dass Sie nicht da waren. Stimmt das nicht, sagen Sie es bitte in der App.
no_show_contested =
    .subject = { $other } sieht es anders
    .lead = { $other } sagt, am { $date } da gewesen zu sein. Unser Team geht dem nach.
no_show_upheld =
    .subject = Der Termin am { $date }: geklärt
    .lead = Es steht fest, dass niemand zur Massage gekommen ist.
no_show_rejected =
    .subject = Der Termin am { $date }: geklärt
    .lead = Es steht fest, dass zur Massage jemand da war.
visit_stopped =
    .subject = Der Termin am { $date } wurde vorzeitig beendet
    .lead = Der Termin mit { $other } wurde abgebrochen. Was daraus folgt, steht beim Termin.
charge_lowered =
    .subject = Der Termin am { $date } kostet weniger
    .lead = Unser Team hat gesenkt, was für den Termin mit { $other } zu zahlen ist.
visit_reminder =
    .subject = { $side ->
        [client] Erinnerung: Ihre Massage am { $date }
       *[therapist] Erinnerung: Ihr Termin am { $date }
    }
    .lead = { $side ->
        [client] { $other } kommt bald zu Ihnen.
       *[therapist] Ihr Termin mit { $other } steht bevor.
    }
news =
    .subject = Bei Knead gibt es etwas für Sie
    .lead = Bitte öffnen Sie die App, um es zu lesen. Es gehört nicht in eine E-Mail.
credential_verified =
    .subject = Ihr Nachweis ist geprüft
    .lead = Wir haben ihn geprüft. Er gilt ab jetzt für Ihre Termine.
credential_rejected =
    .subject = Ihr Nachweis wurde nicht anerkannt
    .lead = Wir konnten ihn nicht anerkennen. Die Gründe, und was Sie tun können, stehen beim Nachweis.
credential_info_requested =
    .subject = Wir haben eine Frage zu Ihrem Nachweis
    .lead = Wir brauchen noch etwas, bevor wir entscheiden können. Was es ist, steht beim Nachweis.
credential_suspended =
    .subject = Ihr Nachweis ruht
    .lead = Er gilt zurzeit nicht für Ihre Termine. Die Gründe stehen beim Nachweis.
credential_reinstated =
    .subject = Ihr Nachweis gilt wieder
    .lead = Er ruht nicht mehr.
credential_revoked =
    .subject = Ihr Nachweis wurde widerrufen
    .lead = Er gilt nicht mehr für Ihre Termine. Die Gründe stehen beim Nachweis.
credential_decision_taken_back =
    .subject = Eine Entscheidung zu Ihrem Nachweis wurde zurückgenommen
    .lead = Er steht wieder so da wie zuvor.
credential_expires =
    .subject = Ihr Nachweis läuft bald ab
    .lead = Bitte erneuern Sie ihn und tragen Sie die Erneuerung rechtzeitig ein: Termine nach seinem Ende können nicht gebucht werden.
now_bookable =
    .subject = Sie können gebucht werden
    .lead = Alles ist beisammen. Ab jetzt werden Sie gefunden.
calendar_failing =
    .subject = Wir können Ihren Kalender nicht lesen
    .lead = Ein Kalender, den Sie verknüpft haben, antwortet seit zwei Tagen nicht. So lange gilt, was wir zuletzt gelesen haben. Bitte prüfen Sie seine Adresse.
webhook_disabled =
    .subject = Ein Webhook-Endpunkt wurde abgeschaltet
    .lead = Er hat unsere Nachrichten nicht angenommen, deshalb senden wir nichts mehr. Sehen Sie nach, was er geantwortet hat, beheben Sie es, schalten Sie ihn ein und holen Sie das Versäumte nach.
verify_email =
    .subject = { $code } ist Ihr Code
    .lead = Bitte geben Sie diesen Code in der App ein, um Ihre Adresse zu bestätigen. Er gilt eine halbe Stunde. Haben Sie ihn nicht angefordert, tun Sie nichts.
reset_password =
    .subject = Ein neues Passwort
    .lead = Für Ihr Konto wurde ein neues Passwort angefordert. Waren Sie es, geht es hier weiter. Wenn nicht, tun Sie nichts: Ihr Passwort bleibt, wie es ist.
change_email =
    .subject = { $code } ist Ihr Code
    .lead = Bitte geben Sie diesen Code in der App ein, um von jetzt an diese Adresse zu verwenden. Haben Sie ihn nicht angefordert, tun Sie nichts.
email_changed =
    .subject = Ihr Konto hat eine andere Adresse
    .lead = Ab jetzt melden Sie sich mit einer anderen E-Mail-Adresse an. Waren Sie es nicht, nehmen Sie es hier innerhalb von drei Tagen zurück.
password_changed =
    .subject = Ihr Passwort wurde geändert
    .lead = Alle anderen Geräte sind abgemeldet. Waren Sie es nicht, fordern Sie sofort ein neues Passwort an.
account_suspended =
    .subject = Ihr Konto ist gesperrt
    .lead = Sie können es zurzeit nicht benutzen. Halten Sie das für einen Irrtum, wenden Sie sich bitte an unser Team.
account_reinstated =
    .subject = Ihr Konto ist wieder offen
    .lead = Sie können es benutzen wie zuvor.
account_closing =
    .subject = Ihr Konto wird in 14 Tagen gelöscht
    .lead = Falls Sie das nicht verlangt haben oder es sich anders überlegen, melden Sie sich an und behalten Sie es. Danach kann es niemand zurückholen.
account_kept =
    .subject = Ihr Konto bleibt
    .lead = Es wird nicht gelöscht. Sie können es benutzen wie zuvor.
data_exported =
    .subject = Was wir über Sie gespeichert haben, wurde heruntergeladen
    .lead = Falls Sie das nicht waren, ändern Sie sofort Ihr Passwort: Wer das tat, war in Ihrem Namen angemeldet.
second_factor_added =
    .subject = Zur Anmeldung gehört jetzt ein zweiter Schritt
    .lead = Ihr Konto hat einen zweiten Faktor bekommen. Waren Sie es nicht, schreiben Sie sofort an unser Team.
second_factor_guessed =
    .subject = Jemand probiert Codes für Ihr Konto aus
    .lead = Zehn Codes hintereinander wurden als zweiter Faktor Ihres Kontos ausprobiert, von jemandem, der Ihr Passwort hat. Waren Sie es nicht, ändern Sie jetzt Ihr Passwort.
second_factor_removed =
    .subject = Zur Anmeldung gehört kein zweiter Schritt mehr
    .lead = Der zweite Faktor Ihres Kontos wurde entfernt. Waren Sie es nicht, schreiben Sie sofort an unser Team.
