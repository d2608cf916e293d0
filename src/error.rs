//! Every "no" that the service can say, and how it is said: RFC 9457 problem details.

use std::borrow::Cow;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// For how long a proved password counts for what asks for it anew.
pub const FRESH_SECONDS: i64 = 600;

/// The answer to an operation: a value, or a reason why not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $sentence:literal;)+) => {
        /// A rule of the domain that says no. The code is stable; the sentence is for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $name),+ }

        impl Refusal {
            /// Every refusal there is, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The stable code that clients act on.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// One sentence that says what the rule is.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),+ }
            }

            /// The status that the refusal is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }
        }
    };
}

/// What an operation refuses, for its description: refusals of its own, then lists that several operations share.
macro_rules! refused {
    ($($name:ident),* $(,)? $(..$shared:expr),*) => {
        [[$($crate::error::Refusal::$name),*].as_slice() $(, $shared)*].concat()
    };
}

pub(crate) use refused;

refusals! {
    /// Registration with an address that has an account.
    EmailTaken = CONFLICT "email_taken" "An account with this e-mail address exists already.";
    /// A booking by somebody whose address may be another's.
    EmailNotVerified = CONFLICT "email_not_verified" "Verify your e-mail address first, with the code that was mailed to it.";
    /// A mailed code that is wrong, was used, or came too late.
    CodeInvalid = UNPROCESSABLE_ENTITY "code_invalid" "The code is wrong, was used, or is over; ask for another one.";
    /// What takes a mail, where none are sent.
    MailNotSetUp = CONFLICT "mail_not_set_up" "This service sends no mails.";
    /// A password that is guessed soon.
    PasswordTooWeak = UNPROCESSABLE_ENTITY "password_too_weak" "This password is too easily guessed; take several words that do not belong together.";
    /// The password of whoever is signed in already.
    PasswordWrong = UNPROCESSABLE_ENTITY "password_wrong" "The password is wrong.";
    /// What asks for the password again.
    StepUpRequired = UNAUTHORIZED "step_up_required" "This operation needs the password anew; prove it with POST /v1/auth/step-up.";
    /// Log-in, with the right password.
    SecondFactorRequired = UNAUTHORIZED "second_factor_required" "This account has a second factor; complete the log-in with POST /v1/auth/login/second-factor.";
    /// What takes a grant, where staff need a second factor.
    SecondFactorNeeded = FORBIDDEN "second_factor_needed" "Staff of this service need a second factor; add one with POST /v1/me/totp.";
    /// A code of an app or a recovery code.
    SecondFactorWrong = UNPROCESSABLE_ENTITY "second_factor_wrong" "The second factor is missing, is wrong, or was used before.";
    /// A log-in that waited too long for its second factor, or was completed.
    ChallengeOver = UNPROCESSABLE_ENTITY "challenge_over" "This log-in is over; log in again.";
    /// A second one.
    SecondFactorOn = CONFLICT "second_factor_on" "The account has a second factor already.";
    /// What needs one.
    SecondFactorOff = CONFLICT "second_factor_off" "The account has no second factor yet.";
    /// Log-in, with the right password.
    AccountSuspended = FORBIDDEN "account_suspended" "This account is suspended; ask the staff of the service.";
    /// Log-in: the same answer for an unknown address and a wrong password.
    WrongPassword = UNAUTHORIZED "wrong_email_or_password" "The e-mail address or the password is wrong.";
    /// Refresh: unknown, expired, ended or used before.
    RefreshTokenInvalid = UNAUTHORIZED "refresh_token_invalid" "The refresh token is not valid; log in again.";
    /// The start was taken, lies outside the working hours or off the grid, or cannot be reached in time.
    SlotUnavailable = CONFLICT "slot_unavailable" "The therapist is not free for this visit at this time.";
    /// The hold has lapsed, was used, or never was the caller's.
    HoldExpired = CONFLICT "hold_expired" "This hold is not live; hold the slot again.";
    /// More slots held at a time than a client may.
    TooManyHolds = CONFLICT "too_many_holds" "A client holds at most three slots at a time, and one therapist's time at most 12 times in 24 hours.";
    /// One person cannot be in two places.
    ClientBusy = CONFLICT "client_busy" "You have another visit at this time.";
    /// More visits ahead than one client may have.
    TooManyOpenVisits = CONFLICT "too_many_open_visits" "You have as many visits ahead as one client may have; let one take place or call it off first.";
    /// More requests than one client may leave open.
    TooManyOpenRequests = CONFLICT "too_many_open_requests" "As many of your requests wait for an answer as one client may have; wait for one, or withdraw it.";
    /// Called off again and again.
    TooManyCancellations = CONFLICT "too_many_cancellations" "You have called off as many visits free of charge as one client may in 24 hours; book again later.";
    /// Moved to and fro.
    TooManyMoves = CONFLICT "too_many_moves" "A visit is moved at most 20 times; call it off, or agree on a time by a counter-offer.";
    /// Reported again and again.
    TooManyIncidents = CONFLICT "too_many_incidents" "You have reported five incidents of this visit; staff will ask where they need more.";
    /// A required credential is not usable on the day of the visit at its place.
    CredentialNotValid = UNPROCESSABLE_ENTITY "credential_not_valid" "The therapist holds no usable credential of a kind that is required at this place on this day.";
    /// The address is too far from the therapist's base.
    OutsideServiceArea = UNPROCESSABLE_ENTITY "outside_service_area" "The address lies outside the area that the therapist serves.";
    /// The start is too soon.
    NoticeTooShort = UNPROCESSABLE_ENTITY "notice_too_short" "The start is sooner than the therapist's minimum notice.";
    /// The start is too far ahead.
    BeyondHorizon = UNPROCESSABLE_ENTITY "beyond_horizon" "The start is further ahead than the therapist takes bookings.";
    /// Not this service, or not for so long.
    ServiceNotOffered = UNPROCESSABLE_ENTITY "service_not_offered" "The therapist does not offer this service for this duration here.";
    /// The therapist takes no bookings at present.
    NotAcceptingBookings = UNPROCESSABLE_ENTITY "not_accepting_bookings" "The therapist is not accepting bookings.";
    /// The client has blocked the therapist, or the other way round: who did is not told.
    Blocked = UNPROCESSABLE_ENTITY "blocked" "Bookings between these two are blocked.";
    /// The same block again.
    AlreadyBlocked = CONFLICT "already_blocked" "You have blocked this person already.";
    /// A review of a visit that did not take place, or not yet.
    VisitNotCompleted = CONFLICT "visit_not_completed" "Only a completed visit can be reviewed.";
    /// A second review by the same party.
    AlreadyReviewed = CONFLICT "already_reviewed" "You have reviewed this visit already.";
    /// A review more than 30 days after the visit.
    ReviewPeriodOver = CONFLICT "review_period_over" "A visit can be reviewed within 30 days of its completion.";
    /// Session notes before the visit has begun, or too long after it.
    SessionNotesClosed = CONFLICT "session_notes_closed" "Session notes are written from the start of a visit until 72 hours after its end.";
    /// More delays than anyone is to be told of.
    TooManyDelays = CONFLICT "too_many_delays" "A visit is delayed at most ten times: write to its client, or propose another time.";
    /// A message about a visit that is not agreed on, or is long over.
    ConversationClosed = CONFLICT "conversation_closed" "The parties of a visit write to each other from its confirmation until 24 hours after its end.";
    /// More messages than a visit needs.
    TooManyMessages = CONFLICT "too_many_messages" "Each party writes at most 100 messages about a visit: ring, or report an incident.";
    /// Staff who have no reason to read what others write.
    NoIncident = CONFLICT "no_incident" "Staff read what the parties write only while an incident of the visit is open.";
    /// An account whose visits are not over.
    VisitsOpen = CONFLICT "visits_open" "A visit is ahead or under way: let it take place, or call it off first.";
    /// An account that is to be erased.
    AccountClosing = CONFLICT "account_closing" "The account is to be erased; keep it first, with POST /v1/me/keep.";
    /// More exports than anyone needs.
    TooManyExports = TOO_MANY_REQUESTS "too_many_exports" "What is held of a person is exported at most five times in 24 hours.";
    /// The step does not lead on from the present state, or not for this party.
    InvalidTransition = CONFLICT "invalid_transition" "This step is not possible in the present state.";
    /// Calling off would cost a fee by now, so that nobody moves the visit alone.
    TooLateToMove = UNPROCESSABLE_ENTITY "too_late_to_move" "Calling the visit off would cost a fee by now: propose the time to the other party instead.";
    /// A visit for which a time is proposed already.
    CounterOfferOpen = CONFLICT "counter_offer_open" "A time is proposed for this visit already: it must be answered or withdrawn first.";
    /// More time off than anyone plans.
    TooMuchTimeOff = UNPROCESSABLE_ENTITY "too_much_time_off" "A therapist plans at most 500 times off that are not over.";
    /// More proposals for one visit than anyone needs.
    TooManyCounterOffers = CONFLICT "too_many_counter_offers" "A visit gets at most 20 counter-offers; agree on a time by other means.";
    /// Nobody answered in time.
    CounterOfferExpired = CONFLICT "counter_offer_expired" "This proposal has lapsed.";
    /// A step of a visit long before its time.
    TooEarly = CONFLICT "too_early" "It is too early for this step of the visit.";
    /// A visit that is to begin after its time.
    TooLate = CONFLICT "too_late" "The time of this visit is over; staff can still complete or stop it.";
    /// Someone else holds the claim, or the caller holds none.
    ClaimNotHeld = CONFLICT "claim_not_held" "Only the admin who holds the claim can decide; claim the credential first.";
    /// Another admin is reviewing.
    AlreadyClaimed = CONFLICT "already_claimed" "Another admin is reviewing this credential.";
    /// The number belongs to another therapist's credential.
    DuplicateClaim = CONFLICT "duplicate_claim" "A credential with this number is held by another therapist.";
    /// An admin's own credential.
    OwnCredential = CONFLICT "own_credential" "Nobody decides on a credential of their own.";
    /// The second approval of two by the same admin.
    SecondAdminNeeded = CONFLICT "second_admin_needed" "Another admin than the first must confirm this.";
    /// The second approval of something else than the first.
    ContentChanged = CONFLICT "content_changed" "The credential is not what was approved first; it must be reviewed anew.";
    /// Verifying against what was found.
    OverrideNotStated = UNPROCESSABLE_ENTITY "override_not_stated" "A check found another name or a disciplinary action: name it among the reason codes, and a second admin must confirm.";
    /// Reinstating what the authority acted against, or another's, since it was verified.
    ReinstatementBarred = UNPROCESSABLE_ENTITY "reinstatement_barred" "A check found another name or a disciplinary action that was not overridden when the credential was verified.";
    /// More credentials than one therapist can have.
    TooManyCredentials = UNPROCESSABLE_ENTITY "too_many_credentials" "A therapist keeps at most 100 credentials.";
    /// More credentials waiting for a decision than anyone holds.
    TooManyOpenCredentials = UNPROCESSABLE_ENTITY "too_many_open_credentials" "At most 30 credentials wait for a decision at a time: hand in or withdraw one of the others first.";
    /// Submitting without the document that the type asks for.
    EvidenceMissing = UNPROCESSABLE_ENTITY "evidence_missing" "This type of credential needs a document.";
    /// An insurance that pays too little, or in a currency that is not accepted.
    InsuranceBelowMinimum = UNPROCESSABLE_ENTITY "insurance_below_minimum" "The insurance pays less than the minimum.";
    /// A jurisdiction or a credential type that is there.
    CodeTaken = CONFLICT "code_taken" "This code is taken.";
    /// Deletion of a place that requirements, credential types, credentials or places within it name.
    JurisdictionInUse = CONFLICT "jurisdiction_in_use" "Requirements, credential types, credentials or places within it name this jurisdiction.";
    /// A second version of a requirement for days that have one.
    RequirementOverlaps = CONFLICT "requirement_overlaps" "This group has a requirement for some of these dates already.";
    /// Changed, the prefix and the place of a type would make other numbers of those that are entered.
    TypeInUse = CONFLICT "type_in_use" "Credentials of this type exist: its number prefix and its jurisdiction tell their numbers apart, and cannot change.";
    /// Another admin has added a version since this one's writer looked.
    VersionTaken = CONFLICT "version_taken" "The latest version is another than you took it for; read it, and number yours one higher.";
    /// Withdrawal of what is history, or is about to be.
    VersionInForce = CONFLICT "version_in_force" "A version can be withdrawn until a minute before it takes effect; add another one that replaces it.";
    /// Rules whose worked examples come out otherwise.
    RuleExamplesFail = UNPROCESSABLE_ENTITY "rule_examples_fail" "A worked example does not come out as it says; see `errors`.";
    /// A set of rules that was withdrawn, or whose time has come before it was published.
    RuleSetNotOpen = CONFLICT "rule_set_not_open" "This set of rules was withdrawn, or was to take effect before it was published; propose it anew.";
    /// Answers to another version of the questions than the one in force.
    QuestionnaireOutdated = CONFLICT "questionnaire_outdated" "The questions have changed since they were read; read them again. Answers that still fit can be sent again.";
    /// A visit that is not booked or begun without answers, by the policy of its place.
    CareAnswersNeeded = CONFLICT "care_answers_needed" "The questions about health must be answered first; see the recipient's questionnaires.";
    /// A visit that does not begin before its client has said again that nothing has changed.
    CareConfirmationNeeded = CONFLICT "care_confirmation_needed" "Whoever the visit is for must first say whether anything has changed since the answers.";
    /// A healthcare provider's word comes first.
    CareClearanceNeeded = UNPROCESSABLE_ENTITY "care_clearance_needed" "By what was answered, this needs a healthcare provider's clearance first.";
    /// Possible on another day.
    CareNotNow = UNPROCESSABLE_ENTITY "care_not_now" "By what was answered, this is not possible on this day.";
    /// Not this, for this person.
    CareNotSuitable = UNPROCESSABLE_ENTITY "care_not_suitable" "This does not suit the person whom the visit is for.";
    /// Firmer or longer than suits.
    CareLimitsExceeded = UNPROCESSABLE_ENTITY "care_limits_exceeded" "By what was answered, this goes beyond what suits; see `errors`.";
    /// No massage: a doctor.
    CareSeekHelp = UNPROCESSABLE_ENTITY "care_seek_help" "By what was answered, see a doctor, and do not book a massage now.";
    /// Younger than a rule of the place or the service lets them be.
    RecipientTooYoung = UNPROCESSABLE_ENTITY "recipient_too_young" "The person whom this is for is too young for it on that day; see `care.not_before`.";
    /// More people than one account books for.
    TooManyRecipients = UNPROCESSABLE_ENTITY "too_many_recipients" "An account keeps at most 20 recipients.";
    /// More answers in a day than anyone has.
    TooManyScreenings = TOO_MANY_REQUESTS "too_many_screenings" "A recipient is screened at most 20 times in 24 hours.";
    /// More links than a guest loses.
    TooManyInvitations = TOO_MANY_REQUESTS "too_many_invitations" "At most 5 links for a guest are made in 30 days.";
    /// A consent that the visit needs is not there.
    ConsentNeeded = CONFLICT "consent_needed" "This needs a consent of the person whom the visit is for.";
    /// Somebody else would have to agree or sign.
    GuardianNeeded = CONFLICT "guardian_needed" "This is for the person themself, or for the guardian of a minor.";
    /// More versions than anyone has use for.
    TooManyVersions = UNPROCESSABLE_ENTITY "too_many_versions" "A consultation or a treatment record has at most 50 versions.";
    /// A plan that the two agreed to runs.
    PlanOpen = CONFLICT "plan_open" "A plan of the two runs; end it first.";
    /// More measures than anyone has use for.
    TooManyMeasures = UNPROCESSABLE_ENTITY "too_many_measures" "A visit has at most 40 measures.";
    /// More words than anyone has use for.
    TooManyFeedbacks = UNPROCESSABLE_ENTITY "too_many_feedbacks" "At most 10 things are said after a visit, and 50 of a plan.";
    /// A consultation that not both have signed.
    SignatureNeeded = CONFLICT "signature_needed" "Client and therapist have to sign the consultation first.";
    /// A consultation that was signed, and changed since.
    SignatureVoid = CONFLICT "signature_void" "The consultation has changed since it was signed; sign it again.";
    /// More words than anyone has.
    TooManyConsents = TOO_MANY_REQUESTS "too_many_consents" "At most 50 consents of a recipient are recorded in 24 hours.";
    /// Nothing shows what a healthcare provider says.
    LetterMissing = UNPROCESSABLE_ENTITY "letter_missing" "A clearance needs a letter that shows it: upload one first.";
    /// Whoever decides has not read what they decide on.
    LetterUnread = CONFLICT "letter_unread" "Read every letter of the clearance before you decide on it.";
    /// A clearance that changes nothing.
    ClearanceNotValid = CONFLICT "clearance_not_valid" "By its provider, its services and its dates it lifts none of the rules that it names.";
    /// More clearances than anyone has use for.
    TooManyClearances = UNPROCESSABLE_ENTITY "too_many_clearances" "A recipient has at most 20 clearances that have not ended: withdraw one first.";
    /// More letters than anyone has use for.
    TooManyLetters = UNPROCESSABLE_ENTITY "too_many_letters" "A clearance has at most 5 letters, and those of a recipient at most 50 MB in all.";
    /// Somebody who gives grants, and would give or take their own.
    OwnGrants = CONFLICT "own_grants" "Nobody changes their own grants; ask another owner.";
    /// Nobody would be left who gives grants.
    LastOwner = CONFLICT "last_owner" "One owner has to stay.";
    /// The same key, another request.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "idempotency_key_reused" "This Idempotency-Key was used for a different request.";
    /// The same key, and the first request is still running.
    IdempotencyKeyInFlight = CONFLICT "idempotency_key_in_flight" "A request with this Idempotency-Key is still being carried out; try again shortly.";
    /// The header is required on this operation.
    IdempotencyKeyMissing = BAD_REQUEST "idempotency_key_missing" "This operation needs an Idempotency-Key header.";
    /// More addresses than one client may keep.
    TooManyAddresses = UNPROCESSABLE_ENTITY "too_many_addresses" "A client keeps at most 50 addresses.";
    /// More timetables ahead than anyone plans.
    TooManyTimetables = UNPROCESSABLE_ENTITY "too_many_timetables" "A therapist plans at most 50 timetables from today on.";
    /// More calendars than one therapist can have.
    TooManyCalendars = CONFLICT "too_many_calendars" "A therapist subscribes to at most five calendars.";
    /// A second subscription to one address.
    CalendarKnown = CONFLICT "calendar_known" "You subscribe to this calendar already.";
    /// A file without a byte.
    DocumentEmpty = UNPROCESSABLE_ENTITY "document_empty" "The file is empty.";
    /// Not one of the kinds of file that are taken, whatever it calls itself.
    DocumentTypeUnsupported = UNPROCESSABLE_ENTITY "document_type_unsupported" "A document is a PDF, a JPEG, a PNG, a WebP or a TIFF: save or scan it as one of these.";
    /// A picture as iPhones take it, which is not decoded here.
    DocumentHeic = UNPROCESSABLE_ENTITY "document_heic" "HEIC and AVIF pictures are not read here: send it as a JPEG (on an iPhone, choose Most Compatible among the camera's formats, or take a screenshot).";
    /// A TIFF of more than one page.
    DocumentSeveralPictures = UNPROCESSABLE_ENTITY "document_several_pictures" "This TIFF holds more than one picture: save it as a PDF.";
    /// It begins like one and is none, or is damaged.
    DocumentUnreadable = UNPROCESSABLE_ENTITY "document_unreadable" "The file is damaged or not what it begins as: save or scan it anew.";
    /// It asks for a password.
    DocumentEncrypted = UNPROCESSABLE_ENTITY "document_encrypted" "The PDF asks for a password: save it without one, or print it to a new PDF.";
    /// It holds scripts, forms or actions.
    DocumentActive = UNPROCESSABLE_ENTITY "document_active" "The PDF holds scripts, actions or media: print it to a new PDF, which leaves them out.";
    /// It carries other files.
    DocumentHasFiles = UNPROCESSABLE_ENTITY "document_has_files" "The PDF carries other files: print it to a new PDF, and send the other files by themselves.";
    /// It is another kind of file at the same time, or known to be harmful.
    DocumentUnsafe = UNPROCESSABLE_ENTITY "document_unsafe" "The file is a web page or an archive as well, or known to be harmful: scan or photograph the paper instead.";
    /// More pages than a reviewer should read.
    DocumentTooLong = UNPROCESSABLE_ENTITY "document_too_long" "A document has at most 30 pages.";
    /// A picture that would fill the memory.
    DocumentTooLarge = UNPROCESSABLE_ENTITY "document_too_large" "A picture has at most 40 megapixels and 12,000 pixels a side, and a file at most 10 MB also once it is written anew: save it smaller, or a photograph as JPEG.";
    /// More files than one credential needs.
    TooManyDocuments = UNPROCESSABLE_ENTITY "too_many_documents" "A credential has at most 10 documents.";
    /// More bytes of evidence than one account keeps.
    TooMuchEvidence = UNPROCESSABLE_ENTITY "too_much_evidence" "The documents of one account have at most 200 MB in all: remove one that was not handed in, or send a smaller one.";
    /// More files on their way than one account sends.
    TooManyUploads = TOO_MANY_REQUESTS "too_many_uploads" "An account sends at most four files at a time: send this one again once another has arrived.";
    /// The same list has taken effect already.
    RosterAlreadyApplied = CONFLICT "roster_already_applied" "This file was applied already; applying it again would change nothing.";
    /// A rule keeps the import from taking effect.
    RosterStopped = CONFLICT "roster_stopped" "A rule stops this import, see `stop_reasons`; only `rows_fell` can be overridden, with a note.";
    /// The import was not read yet, or is done with.
    RosterNotPreviewed = CONFLICT "roster_not_previewed" "Only an import that was read, and not applied yet, can be applied.";
    /// A later import of the source was applied.
    RosterNotLatest = CONFLICT "roster_not_latest" "A later import of this source has been applied; roll that one back first.";
    /// Another import of the source is taking effect or being taken back.
    RosterBusy = CONFLICT "roster_busy" "Another import of this source is being applied or rolled back; wait until it is done.";
    /// An address that messages cannot be sent to.
    NotPublic = UNPROCESSABLE_ENTITY "not_public" "This address is not public, or is the service's own: no message is sent there.";
    /// More endpoints than there can be.
    TooManyWebhookEndpoints = CONFLICT "too_many_webhook_endpoints" "There are 20 webhook endpoints at most; take one away first.";
    /// More API clients than there can be.
    TooManyApiClients = CONFLICT "too_many_api_clients" "There are 100 API clients at most; take one away first.";
    /// More keys of an API client than there can be.
    TooManyApiKeys = CONFLICT "too_many_api_keys" "An API client has five keys at most; revoke one first.";
    /// A message that was received, is under way, or is not to be sent any more.
    DeliveryNotRetriable = CONFLICT "delivery_not_retriable" "Only a message that waits or was given up is sent again.";
    /// A report that nobody has signed who may, or that is not fresh.
    SignatureInvalid = UNAUTHORIZED "signature_invalid" "The signature is missing, is wrong, or is not of the last five minutes.";
    /// A message to an endpoint that is sent none.
    EndpointDisabled = CONFLICT "endpoint_disabled" "This endpoint is disabled: enable it first.";
}

/// Told by its code.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// A field that is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body, or `/name` of a query parameter, path segment or header.
    #[schema(example = "/email")]
    pub pointer: String,
    /// A stable code: `missing`, `unknown`, `duplicate`, `wrong_type`, `out_of_range`, or `invalid`, where no rule has one of its own.
    #[schema(example = "invalid")]
    pub code: Cow<'static, str>,
    /// One sentence for people.
    #[schema(example = "This is not an e-mail address.")]
    pub detail: String,
}

impl FieldError {
    /// An error with the general code `invalid`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: Cow::Borrowed("invalid"), detail: detail.into() }
    }
}

/// An answer that was given before: nothing is wrong, and nothing more is to be done.
pub trait Answer: std::fmt::Debug + Send + Sync {
    /// Its status.
    fn status(&self) -> StatusCode;

    /// The same answer again.
    fn respond(&self) -> HttpResponse;
}

/// Why an operation did not go on to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was carried out before, and this was the answer.
    #[error("answered before")]
    Answered(Box<dyn Answer>),
    /// The request could not be read at all.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Fields of the request are wrong.
    #[error("invalid: {0:?}")]
    Invalid(Vec<FieldError>),
    /// A rule of the domain says no.
    #[error("{}", .0.sentence())]
    Refused(Refusal),
    /// A rule of the domain says no to a step, and where the thing stands.
    #[error("{}", .0.sentence())]
    RefusedStep(Refusal, Box<Bearings>),
    /// A rule of the domain says no, to these fields.
    #[error("{}", .0.sentence())]
    RefusedFields(Refusal, Vec<FieldError>),
    /// What the person whom a visit is for has answered says no.
    #[error("{}", .0.sentence())]
    RefusedCare(Refusal, Box<CareRefused>),
    /// The password was right, and the second factor is to come.
    #[error("{}", .0.sentence())]
    RefusedLogin(Refusal, Box<Challenge>),
    /// No valid access token.
    #[error("unauthorized")]
    Unauthorized,
    /// Signed in, with the wrong role.
    #[error("forbidden")]
    Forbidden,
    /// No such resource, or not the caller's to know of.
    #[error("not found")]
    NotFound,
    /// The path exists, the method does not.
    #[error("method not allowed")]
    MethodNotAllowed(String),
    /// The caller accepts nothing that the service can send.
    #[error("not acceptable")]
    NotAcceptable,
    /// The body took too long to arrive.
    #[error("request timeout")]
    Timeout,
    /// The resource changed since the caller read it.
    #[error("precondition failed")]
    PreconditionFailed,
    /// The body is larger than the limit.
    #[error("payload too large")]
    TooLarge,
    /// The request's line and headers are larger than the limit.
    #[error("request header fields too large")]
    HeadTooLarge,
    /// The body is not of the type that the operation reads.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// A change needs `If-Match`.
    #[error("precondition required")]
    PreconditionRequired,
    /// Too many requests; try again after this many seconds.
    #[error("too many requests")]
    TooManyRequests(u64),
    /// The service cannot answer at present.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault of ours.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// The same for somebody else who asked the same.
    pub fn for_another(&self) -> Self {
        match self {
            Self::Malformed(why) => Self::Malformed(why.clone()),
            Self::Invalid(fields) => Self::Invalid(fields.clone()),
            Self::Refused(refusal)
            | Self::RefusedStep(refusal, _)
            | Self::RefusedFields(refusal, _)
            | Self::RefusedCare(refusal, _)
            | Self::RefusedLogin(refusal, _) => Self::Refused(*refusal),
            Self::NotFound => Self::NotFound,
            Self::TooManyRequests(seconds) => Self::TooManyRequests(*seconds),
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// A log-in that waits for its second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What names it.
    pub challenge_id: String,
    /// By what it can be completed.
    pub methods: &'static [&'static str],
}

/// What was wished for beyond what suits, and what is possible instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CareRefused {
    /// The fields that go beyond it.
    pub errors: Vec<FieldError>,
    /// What is possible instead.
    pub care: CareInstead,
}

/// What a person whom a visit does not suit is told. It tells of their health, so that nobody else is given it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CareInstead {
    /// What the rules say to them.
    #[schema(example = json!(["Bruises come easily with blood thinners."]))]
    pub advice: Vec<String>,
    /// The first day from which it is possible again, where that can be told.
    pub not_before: Option<NaiveDate>,
    /// Services that suit instead, by slug, the mildest outcome first.
    #[schema(example = json!(["swedish"]))]
    pub alternatives: Vec<String>,
}

/// Where a thing stands of which a step was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearings {
    /// From when on the step may be taken, where it is too early.
    pub not_before: Option<DateTime<Utc>>,
    /// Where the thing stands.
    pub state: String,
    /// The steps that the caller may take of it now.
    pub allowed: Vec<String>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<FieldError> for Error {
    fn from(field: FieldError) -> Self {
        Self::Invalid(vec![field])
    }
}

/// The one map from a database failure to a problem. What a caller could have caused is refused before a
/// query runs, or by name at the query; what is left is unavailability or our own fault.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let unavailable = match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
            sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        };
        if unavailable { Self::Unavailable(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}

/// SQLSTATEs that say "not now": lost connections (08), no resources (53), a server on its way up or down
/// (57), lock and statement time-outs, and a transaction that lost a race (40).
fn is_passing(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("08" | "40" | "53" | "57")) || sqlstate == "55P03" || sqlstate == "25P03"
}

/// Turns the violation of a named constraint into a refusal, at the query that may violate it.
pub trait OnConstraint<T> {
    /// `refusal` where `constraint` was violated; any other failure stays what it is.
    fn on_constraint(self, constraint: &str, refusal: Refusal) -> Result<T>;
}

impl<T> OnConstraint<T> for std::result::Result<T, sqlx::Error> {
    fn on_constraint(self, constraint: &str, refusal: Refusal) -> Result<T> {
        self.map_err(|error| match &error {
            sqlx::Error::Database(database) if database.constraint() == Some(constraint) => refusal.into(),
            _ => error.into(),
        })
    }
}

tokio::task_local! {
    /// The id of the request that the task answers. It lies down here because every problem quotes it.
    pub static REQUEST_ID: String;
}

/// The id of the request being answered; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URN that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:knead:problem:slot_unavailable")]
    pub kind: String,
    /// The status in words.
    #[schema(example = "Conflict")]
    pub title: &'static str,
    /// The HTTP status again.
    #[schema(example = 409)]
    pub status: u16,
    /// One sentence about this occurrence.
    #[schema(example = "The therapist is not free for this visit at this time.")]
    pub detail: String,
    /// A stable code that clients act on.
    #[schema(example = "slot_unavailable")]
    pub code: Cow<'static, str>,
    /// The request's id, to be quoted when asking for help.
    #[schema(example = "0198c0de-0000-7000-8000-000000000000")]
    pub request_id: String,
    /// The fields that are wrong; absent where none is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// From when on a step may be taken for which it is too early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// Where the thing stands of which a step was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "confirmed")]
    pub state: Option<String>,
    /// The steps that the caller may take of it now, where one was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["cancel", "on_the_way"]))]
    pub allowed: Option<Vec<String>>,
    /// What is possible instead, where the visit does not suit the caller or a minor of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub care: Option<CareInstead>,
    /// What names a log-in that waits for its second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "bm90LWEtcmVhbC10b2tlbi1idXQtb2YtdGhlLXNpemU")]
    pub challenge_id: Option<String>,
    /// By what such a log-in can be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["totp", "recovery_code"]))]
    pub methods: Option<&'static [&'static str]>,
}

impl Error {
    /// The codes of what is no refusal of the domain.
    pub const CODES: [&str; 16] = [
        "malformed",
        "invalid",
        "unauthorized",
        "forbidden",
        "not_found",
        "method_not_allowed",
        "not_acceptable",
        "request_timeout",
        "precondition_failed",
        "payload_too_large",
        "headers_too_large",
        "unsupported_media_type",
        "precondition_required",
        "too_many_requests",
        "unavailable",
        "internal",
    ];

    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Invalid(_) => "invalid",
            Self::Refused(refusal)
            | Self::RefusedStep(refusal, _)
            | Self::RefusedFields(refusal, _)
            | Self::RefusedCare(refusal, _)
            | Self::RefusedLogin(refusal, _) => refusal.code(),
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::Timeout => "request_timeout",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge => "payload_too_large",
            Self::HeadTooLarge => "headers_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::PreconditionRequired => "precondition_required",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Unavailable(_) => "unavailable",
            Self::Answered(_) => "answered",
            Self::Internal(_) => "internal",
        }
    }

    fn detail(&self) -> String {
        let sentence = match self {
            Self::Malformed(detail) => return detail.clone(),
            Self::Refused(refusal)
            | Self::RefusedStep(refusal, _)
            | Self::RefusedFields(refusal, _)
            | Self::RefusedCare(refusal, _)
            | Self::RefusedLogin(refusal, _) => refusal.sentence(),
            Self::Invalid(_) => "One or more fields are not valid; see `errors`.",
            Self::Unauthorized => "This operation needs a valid access token.",
            Self::Forbidden => "Your role or your grants do not allow this.",
            Self::NotFound => "There is no such resource.",
            Self::MethodNotAllowed(_) => "This path does not know this method; see the Allow header.",
            Self::NotAcceptable => "The Accept header admits nothing that this operation answers with.",
            Self::Timeout => "The request took too long to arrive.",
            Self::PreconditionFailed => "The resource changed since you read it; read it again.",
            Self::TooLarge => "The body is larger than this operation accepts.",
            Self::HeadTooLarge => "The request's line and headers have at most 32 kB and 96 headers.",
            Self::UnsupportedMediaType => "The body is not of the media type that this operation reads.",
            Self::PreconditionRequired => "Send the resource's ETag in If-Match, so that no change of another is lost.",
            Self::TooManyRequests(_) => "Too many requests; try again after the time in Retry-After.",
            Self::Unavailable(_) => "The service cannot answer at present; try again shortly.",
            Self::Answered(_) => "This was answered before.",
            Self::Internal(_) => "Something went wrong on our side.",
        };
        sentence.to_owned()
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused(refusal)
            | Self::RefusedStep(refusal, _)
            | Self::RefusedFields(refusal, _)
            | Self::RefusedCare(refusal, _)
            | Self::RefusedLogin(refusal, _) => refusal.status(),
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Answered(answer) => answer.status(),
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Answered(answer) => return answer.respond(),
            Self::Internal(cause) => tracing::error!(cause, "internal error"),
            Self::Unavailable(cause) => tracing::warn!(cause, "unavailable"),
            _ => {}
        }
        let status = self.status_code();
        let mut response = HttpResponseBuilder::new(status);
        response.content_type("application/problem+json").insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            Self::MethodNotAllowed(allow) => {
                response.insert_header((header::ALLOW, allow.as_str()));
            }
            Self::TooManyRequests(seconds) => {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Self::Unavailable(_)
            | Self::Refused(
                Refusal::TooManyUploads
                | Refusal::TooManyScreenings
                | Refusal::TooManyConsents
                | Refusal::TooManyExports
                | Refusal::TooManyInvitations,
            ) => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            Self::Refused(Refusal::StepUpRequired) => {
                // RFC 9470, 3.
                let asked = format!("Bearer error=\"insufficient_user_authentication\", max_age={FRESH_SECONDS}");
                response.insert_header((header::WWW_AUTHENTICATE, asked));
            }
            Self::Refused(Refusal::SignatureInvalid) => {
                response.insert_header((header::WWW_AUTHENTICATE, "Standard-Webhooks"));
            }
            Self::Unauthorized
            | Self::RefusedLogin(..)
            | Self::Refused(Refusal::WrongPassword | Refusal::RefreshTokenInvalid) => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            _ => {}
        }
        let bearings = match self {
            Self::RefusedStep(_, bearings) => Some(bearings),
            _ => None,
        };
        let challenge = match self {
            Self::RefusedLogin(_, challenge) => Some(challenge),
            _ => None,
        };
        response.json(Problem {
            challenge_id: challenge.map(|challenge| challenge.challenge_id.clone()),
            methods: challenge.map(|challenge| challenge.methods),
            not_before: bearings.and_then(|bearings| bearings.not_before),
            state: bearings.map(|bearings| bearings.state.clone()),
            allowed: bearings.map(|bearings| bearings.allowed.clone()),
            kind: format!("urn:knead:problem:{}", self.code()),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
            code: Cow::Borrowed(self.code()),
            request_id: request_id(),
            errors: match self {
                Self::Invalid(errors) | Self::RefusedFields(_, errors) => errors.clone(),
                Self::RefusedCare(_, refused) => refused.errors.clone(),
                _ => Vec::new(),
            },
            care: match self {
                Self::RefusedCare(_, refused) => Some(refused.care.clone()),
                _ => None,
            },
        })
    }
}
