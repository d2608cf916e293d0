# English. Each message has a subject and a lead; what else is in a letter comes from the blocks below.

weekday_1 = Monday
weekday_2 = Tuesday
weekday_3 = Wednesday
weekday_4 = Thursday
weekday_5 = Friday
weekday_6 = Saturday
weekday_7 = Sunday
month_1 = January
month_2 = February
month_3 = March
month_4 = April
month_5 = May
month_6 = June
month_7 = July
month_8 = August
month_9 = September
month_10 = October
month_11 = November
month_12 = December
date = { $weekday }, { $day } { $month } { $year }

hello = Hello { $name },
when = When
when_at = { $date }, { $from } to { $until }
zone = Time zone
at_home = By your clock
with = With
where = Where
proposed = Proposed
expires = Valid until
credential = Credential
code = Your code
open_visit = Open the visit
open_app = Open Knead
choose_password = Choose a new password
undo = Undo the change
footer = Knead sends you this because you have an account. The address at the door and anything about health stay in the app.
footer_settings = What we write to you about, and in which language:
unsubscribe = No more reminders:
unsubscribe_title = Reminders of visits
unsubscribe_ask = Do you want no more reminders by e-mail?
unsubscribe_button = No more reminders
unsubscribe_done = You get no more reminders by e-mail. In the settings of the app you can have them again.

visit_booked =
    .subject = { $side ->
        [client] Your massage on { $date }
       *[therapist] New visit on { $date }
    }
    .lead = { $side ->
        [client] Your visit is booked. { $other } comes to you.
       *[therapist] { $other } has booked a visit with you.
    }
visit_requested =
    .subject = A visit on { $date }: yes or no?
    .lead = { $other } would like a visit. The time is held for you until you answer, or until it lapses.
request_sent =
    .subject = Your request for { $date }
    .lead = We have asked { $other }. The time is held for you meanwhile, and we write again when there is an answer.
visit_confirmed =
    .subject = { $side ->
        [client] Confirmed: your massage on { $date }
       *[therapist] Confirmed: your visit on { $date }
    }
    .lead = { $side ->
        [client] { $other } has said yes and comes to you.
       *[therapist] You have confirmed the visit with { $other }.
    }
request_declined =
    .subject = No visit on { $date }
    .lead = { $other } cannot come at that time. Nothing is charged. Other therapists may be free.
request_expired =
    .subject = No answer for { $date }
    .lead = { $other } has not answered in time, so the request has lapsed. Nothing is charged. Other therapists may be free.
visit_cancelled =
    .subject = Cancelled: the visit on { $date }
    .lead = The visit with { $other } is cancelled. What that costs, if anything, is shown with the visit.
visit_called_off =
    .subject = Called off: the visit on { $date }
    .lead = The visit with { $other } cannot take place, and we had to call it off. { $side ->
        [client] What that costs, if anything, is shown with the visit.
       *[therapist] The reason is shown with the visit.
    }
visit_moved =
    .subject = Moved: your visit is now on { $date }
    .lead = The visit with { $other } has another time.
visit_reassigned =
    .subject = Somebody else comes on { $date }
    .lead = { $other } takes over your visit, at the same time. You may cancel it without a charge.
visit_taken_over =
    .subject = You take over a visit on { $date }
    .lead = The visit with { $other } is yours now.
visit_given_away =
    .subject = The visit on { $date } is no longer yours
    .lead = Another therapist takes it over. There is nothing left for you to do.
time_proposed =
    .subject = Another time for your visit on { $date }?
    .lead = { $other } proposes another time. Until you agree, the visit stands as it is.
proposal_declined =
    .subject = The visit on { $date } stays as it is
    .lead = { $other } does not agree to the other time. The visit stands as it was.
proposal_withdrawn =
    .subject = The visit on { $date } stays as it is
    .lead = { $other } has taken the proposal of another time back. The visit stands as it was.
visit_delayed =
    .subject = { $other } comes later on { $date }
    .lead = { $other } is running late. When your visit is expected to begin is shown with it.
visit_extended =
    .subject = The visit on { $date } lasts longer
    .lead = The visit with { $other } has a new end.
visit_at_risk =
    .subject = Your visit on { $date } is at risk
    .lead = As things stand, you may not carry out the visit with { $other }, because a credential is missing or no longer in force. If that stays so, the visit is called off.
visit_restored =
    .subject = Your visit on { $date } is safe again
    .lead = You may carry out the visit with { $other } after all.
visit_handed_over =
    .subject = { $other } cannot come on { $date }
    .lead = We are looking for somebody else. You may wait, move the visit, or cancel it without a charge.
visit_taken_back =
    .subject = { $other } can come on { $date } after all
    .lead = Your visit stands as it was.
visit_free_again =
    .subject = The visit on { $date } could take place after all
    .lead = We had to call your visit with { $other } off. The time is free again: you may book it once more.
visit_local_time_changed =
    .subject = Please look at the time of your visit on { $date }
    .lead = The rules of the clock have changed where the visit takes place. The visit is at the same moment as before, and clocks there show another time.
visit_completed =
    .subject = How was your massage?
    .lead = Your visit with { $other } is over. A rating helps others, and tells { $other } how it was.
no_show_reported =
    .subject = The visit on { $date } did not take place
    .lead = { $other } has reported that you were not there. If that is not so, please say so in the app.
no_show_contested =
    .subject = { $other } sees it differently
    .lead = { $other } says to have been there on { $date }. Our staff look into it.
no_show_upheld =
    .subject = The visit on { $date }: settled
    .lead = It is settled that the therapist was not there.
no_show_rejected =
    .subject = The visit on { $date }: settled
    .lead = It is settled that the therapist was there.
visit_stopped =
    .subject = The visit on { $date } was ended early
    .lead = The visit with { $other } was broken off. What follows is shown with the visit.
charge_lowered =
    .subject = The visit on { $date } costs less
    .lead = Our staff have lowered what is paid for the visit with { $other }.
visit_reminder =
    .subject = { $side ->
        [client] Reminder: your massage on { $date }
       *[therapist] Reminder: your visit on { $date }
    }
    .lead = { $side ->
        [client] { $other } comes to you soon.
       *[therapist] Your visit with { $other } is coming up.
    }
news =
    .subject = There is something for you in Knead
    .lead = Please open the app to read it. It is not for a mail.
credential_verified =
    .subject = Your credential is verified
    .lead = We have verified it. It counts for your visits from now on.
credential_rejected =
    .subject = Your credential was not accepted
    .lead = We could not accept it. The reasons, and what you can do, are shown with it.
credential_info_requested =
    .subject = We have a question about your credential
    .lead = We need something more before we can decide. What it is, is shown with the credential.
credential_suspended =
    .subject = Your credential is suspended
    .lead = It does not count for your visits at present. The reasons are shown with it.
credential_reinstated =
    .subject = Your credential counts again
    .lead = It is no longer suspended.
credential_revoked =
    .subject = Your credential was revoked
    .lead = It does not count for your visits any more. The reasons are shown with it.
credential_decision_taken_back =
    .subject = A decision on your credential was taken back
    .lead = It stands as it did before.
credential_expires =
    .subject = Your credential runs out soon
    .lead = Please renew it, and enter the renewal in good time: visits after its end cannot be booked.
now_bookable =
    .subject = You can be booked
    .lead = Everything is in place. Clients find you from now on.
calendar_failing =
    .subject = We cannot read your calendar
    .lead = A calendar that you have linked has not answered for two days. Until it does, we go by what we read last. Please look at its address.
webhook_disabled =
    .subject = A webhook endpoint was disabled
    .lead = It did not take our messages, so we have stopped sending. Look at what it answered, mend it, enable it, and recover what was missed.
verify_email =
    .subject = { $code } is your code
    .lead = Please enter this code in the app to confirm your address. It is good for half an hour. If you did not ask for it, do nothing.
reset_password =
    .subject = A new password
    .lead = Somebody has asked for a new password for your account. If it was you, go on here. If not, do nothing: your password stays as it is.
change_email =
    .subject = { $code } is your code
    .lead = Please enter this code in the app to use this address from now on. If you did not ask for it, do nothing.
email_changed =
    .subject = Your account has another address
    .lead = From now on you sign in with another e-mail address. If it was not you, undo it here within three days.
password_changed =
    .subject = Your password was changed
    .lead = All other devices are signed out. If it was not you, ask for a new password at once.
account_suspended =
    .subject = Your account is suspended
    .lead = You cannot use it at present. Please write to our support if you think that this is a mistake.
account_reinstated =
    .subject = Your account is open again
    .lead = You can use it as before.
account_closing =
    .subject = Your account will be erased in 14 days
    .lead = If you did not ask for that, or have changed your mind, sign in and keep it. After that nobody can bring it back.
account_kept =
    .subject = Your account stays
    .lead = It is not going to be erased. You can use it as before.
data_exported =
    .subject = What we hold of you was downloaded
    .lead = If that was not you, change your password at once: whoever did so was signed in as you.
second_factor_added =
    .subject = Signing in now takes a second step
    .lead = A second factor was added to your account. If it was not you, write to our support at once.
second_factor_guessed =
    .subject = Somebody tries codes for your account
    .lead = Ten codes in a row were tried as the second factor of your account, by somebody who has your password. If it was not you, change your password now.
second_factor_removed =
    .subject = Signing in takes no second step any more
    .lead = The second factor of your account was removed. If it was not you, write to our support at once.
