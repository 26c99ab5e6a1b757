//! What the world tells the core, and what the core tells the world to do.
//!
//! Events are facts and may come late: an event about a call, a play or a lookup that is over is
//! ignored. A command that fails comes back as an event with the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::acd::OperatorState;
use crate::dialplan::Plan;
use crate::domain::{
    Attempt, Attendance, Calendar, CallFact, CallId, CallerId, CallerName, Customer, DoNotCall,
    EndReason, EndedBy, Key, KeySource, Language, LegId, Login, LookupId, Operator, Order,
    PhoneNumber, PhoneState, PlayId, Promise, PromiseId, Rating, RecordingId, RecordingNote,
    RingOutcome, RtpStatistics, ShopEvent, Timestamp, Visit,
};
use crate::speech::Catalogue;

/// A fact.
#[derive(Clone, Debug)]
pub enum Event {
    /// A caller's INVITE is waiting for a decision.
    CallOffered(Box<Offered>),
    /// There was no room for the leg's audio: `Answer` or `Dial` could not be carried out.
    NoRoom {
        leg: LegId,
    },
    /// The phone that called us acknowledged the answer: from now on, what is played is heard.
    Confirmed {
        leg: LegId,
    },
    /// A phone that was dialled rings.
    Ringing {
        leg: LegId,
    },
    /// A phone that was dialled was picked up; both sides can be heard.
    Answered {
        leg: LegId,
    },
    /// A phone that was dialled was not picked up. The last word about it.
    Unanswered {
        leg: LegId,
        outcome: RingOutcome,
    },
    /// A phone put its peer on hold, or took it back.
    Held {
        leg: LegId,
        is_held: bool,
    },
    /// A phone wants its peer connected with somebody else.
    TransferAsked {
        leg: LegId,
        target: TransferTarget,
    },
    KeyPressed {
        leg: LegId,
        key: Key,
        source: KeySource,
    },
    /// All recordings of a play were sent, or it was cut after `after_ms`.
    PlayEnded {
        leg: LegId,
        play: PlayId,
        cut_after_ms: Option<u64>,
    },
    LookupAnswered {
        call: CallId,
        lookup: LookupId,
        answer: LookupAnswer,
        took_ms: u64,
    },
    /// The signalling of a leg that was up, or offered, is over; of its media, `PlayEnded` and
    /// `MediaClosed` still follow.
    LegEnded {
        leg: LegId,
        by: EndedBy,
        reason: EndReason,
    },
    /// Nothing comes from a phone that was heard before; said again for as long as that lasts. It
    /// may be muted, or gone.
    MediaQuiet {
        leg: LegId,
    },
    /// Nothing came from the phone for too long.
    MediaDied {
        leg: LegId,
    },
    MediaClosed {
        leg: LegId,
        statistics: RtpStatistics,
    },
    /// The file of a conversation was closed.
    Recorded {
        call: CallId,
        note: RecordingNote,
    },
    /// The people who take calls, as the database knows them now.
    OperatorsReplaced {
        operators: Vec<Operator>,
        /// What each of them wants; who is not named stays as they are.
        attendance: BTreeMap<Login, Attendance>,
    },
    PhoneChanged {
        operator: Login,
        state: PhoneState,
    },
    /// Stays in the lines that ended today, before this start.
    VisitsRemembered {
        visits: Vec<Visit>,
    },
    /// Tips that callers heard in earlier days.
    TipsRemembered {
        heard: Vec<(String, RecordingId)>,
    },
    /// What is owed to customers, as the database knows it, and whom robots called lately. Once, at
    /// the start.
    PromisesRemembered {
        promises: Vec<Promise>,
        called: Vec<Called>,
    },
    /// A promise is in the database: from now on it survives anything.
    PromiseStored {
        promise: PromiseId,
    },
    /// A promise is not in the database: another one came of the same event before.
    PromiseRepeated {
        promise: PromiseId,
    },
    /// An attempt is in the database: the customer may be dialled.
    AttemptStored {
        promise: PromiseId,
        number: u32,
    },
    /// A rating is in the database.
    RatingStored {
        call: CallId,
    },
    /// Who is not to be called, as the database knows it now.
    DoNotCallReplaced {
        list: BTreeSet<DoNotCall>,
    },
    /// Something happened in the shop. Comes back as `ShopEventTaken`.
    ShopEvents {
        events: Vec<ShopEvent>,
    },
    /// An admin stopped a robot, or lets it go on.
    RobotSwitched {
        name: String,
        is_stopped: bool,
    },
    /// How many calls to numbers outside may be up, and begun in a second, over all trunks that work
    /// now; 0: none.
    TrunksChanged {
        calls_max: u32,
        starts_per_second: u32,
    },
    /// The wall clock was set, or a rehearsal begins.
    CalendarSet {
        calendar: Calendar,
    },
    /// New calls follow this plan; running calls keep theirs.
    PlanReplaced {
        plan: Arc<Plan>,
        catalogue: Arc<Catalogue>,
    },
    /// New calls are refused; running ones go on.
    DrainStarted,
    /// The drain's time is up: running calls are hung up.
    DrainEnded,
}

/// A leg that wants to be answered.
#[derive(Clone, Debug)]
pub struct Offered {
    pub call: CallId,
    pub leg: LegId,
    pub dialled: String,
    pub caller: CallerId,
    pub caller_name: Option<CallerName>,
    /// The operator who proved to be calling.
    pub account: Option<Login>,
    /// A phone of an operator may be behind this call without having said so yet.
    pub is_near_phone: bool,
    /// Where the call came from, unless it is a trunk or this machine: nobody vouches for the
    /// caller's number.
    pub stranger: Option<IpAddr>,
    /// The call takes the place of this leg.
    pub replaces: Option<LegId>,
}

/// An imperative.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// 180 to an offered leg.
    Ring {
        leg: LegId,
    },
    /// 200 to an offered leg.
    Answer {
        leg: LegId,
    },
    /// Refuses an offered leg.
    Reject {
        leg: LegId,
        why: Refusal,
    },
    /// Rings a phone. Comes back as `Ringing`, `Answered`, `Unanswered`, or `NoRoom`.
    Dial(Dial),
    /// Plays the recordings without a gap, after all that was ordered to be played before.
    Play {
        leg: LegId,
        play: PlayId,
        language: Language,
        recordings: Vec<RecordingId>,
    },
    /// Writes down what a caller says, until `StopMessage`, for at most so long. Comes back as
    /// `Recorded`.
    StartMessage {
        call: CallId,
        leg: LegId,
        max_ms: u64,
    },
    StopMessage {
        leg: LegId,
    },
    /// Cuts what is heard and forgets what was still to be played.
    StopPlaying {
        leg: LegId,
    },
    /// Lets two legs hear each other; cuts what both are playing.
    Bridge {
        one: LegId,
        other: LegId,
    },
    /// A bridged leg, and the other end of its bridge, hear only themselves again.
    Unbridge {
        leg: LegId,
    },
    /// Lets a supervisor hear an operator's conversation, and perhaps be heard.
    Monitor {
        supervisor: LegId,
        operator: LegId,
        mode: Monitoring,
    },
    /// Begins the file of a conversation; comes back as `Recorded` when it is closed.
    StartRecording {
        call: CallId,
        caller: LegId,
        operator: LegId,
    },
    PauseRecording {
        caller: LegId,
    },
    ResumeRecording {
        caller: LegId,
    },
    StopRecording {
        caller: LegId,
    },
    AcceptTransfer {
        leg: LegId,
    },
    RefuseTransfer {
        leg: LegId,
    },
    EndTransfer {
        leg: LegId,
        succeeded: bool,
    },
    /// What the lamps of colleagues' phones show of this one.
    SetLamp {
        lamp: String,
        state: LampState,
    },
    /// Tells those who watch what an operator does now.
    ShowOperator {
        operator: Login,
        state: OperatorState,
    },
    /// Keeps what an operator wants, over restarts.
    RememberAttendance {
        operator: Login,
        attendance: Attendance,
    },
    /// Keeps that a caller heard a tip.
    RememberTip {
        caller: String,
        tip: RecordingId,
    },
    /// Keeps a promise as it stands now; comes back as `PromiseStored`.
    StorePromise(Box<Promise>),
    /// Keeps an attempt: at its beginning, which comes back as `AttemptStored`, and with its outcome.
    StoreAttempt(Attempt),
    /// Keeps a rating; comes back as `RatingStored`.
    StoreRating {
        call: CallId,
        rating: Rating,
    },
    /// The customer wants no more such calls. Keeps it, and who said so: `key 9 in CALL`.
    Forbid {
        forbidden: DoNotCall,
        source: String,
    },
    /// This event of the shop was seen to; a promise that came of it is stored before.
    ShopEventTaken {
        key: String,
        /// Why a robot does not call for it.
        problem: Option<String>,
    },
    /// Writes something back into the CRM, with a row for the audit.
    WriteCrm {
        call: CallId,
        phone: PhoneNumber,
        write: CrmWrite,
    },
    /// Tells those who watch how a promise stands.
    ShowPromise {
        promise: Box<Promise>,
        news: PromiseNews,
    },
    LookUp {
        call: CallId,
        lookup: LookupId,
        request: LookupRequest,
        deadline_ms: Option<u64>,
    },
    CancelLookup {
        call: CallId,
        lookup: LookupId,
    },
    /// Asks the phone of a leg that is up whether it is still there. Comes back as `LegEnded` if it
    /// is not; else nothing does.
    Probe {
        leg: LegId,
    },
    /// Ends a leg, whether it is up or still rings.
    Hangup {
        leg: LegId,
        by: EndedBy,
        reason: EndReason,
    },
    /// Stores a fact of the call's life.
    Record {
        call: CallId,
        fact: CallFact,
    },
}

/// Why an offered leg is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownNumber,
    /// No room: ports, calls, or a drain under way.
    Overloaded,
    /// Who calls must prove to be an operator first.
    Unauthenticated,
    Forbidden,
    /// The phone that was dialled is in a call.
    Busy,
}

/// A call that we make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    pub leg: LegId,
    pub to: Destination,
    /// Whose number the phone shows. Empty, for a number outside: that of the trunk.
    pub from: String,
    /// What the phone shows beside the number.
    pub display: Option<String>,
    pub auto_answer: bool,
    pub ring_ms: u64,
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// All phones of an operator.
    Operator(Login),
    /// A number of the outside world, by these trunks, the preferred one first; none: by any.
    Number { number: PhoneNumber, trunks: Vec<String> },
}

/// A robot called a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    pub phone: PhoneNumber,
    /// The robot's name in the plan.
    pub robot: String,
    pub at: Timestamp,
}

/// What is written back into the CRM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrmWrite {
    /// Points for the customer, and why.
    Bonus { points: i64, reason: String },
    /// What the customer decided about an order.
    OrderStatus { order: String, status: String },
}

/// What happened to a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromiseNews {
    Made,
    Changed,
    /// It will be late unless somebody sees to it.
    Late,
    /// The due time passed.
    Overdue,
    Over,
}

/// Where a phone wants its peer to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    /// Blind: to what it would have dialled.
    Dialled(String),
    /// Attended: to the other end of this leg of the same phone.
    Leg(LegId),
}

/// How a supervisor takes part in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Monitoring {
    /// Hears both, is heard by nobody.
    #[default]
    Listen,
    /// Is heard by the operator.
    Whisper,
    /// Is heard by both.
    Barge,
}

/// What the lamp of a colleague's phone shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LampState {
    Off,
    Ringing,
    On,
}

/// A question to the CRM.
#[derive(Clone, Debug, PartialEq)]
pub enum LookupRequest {
    /// All customers with this number, each with the orders.
    Customers {
        phone: PhoneNumber,
    },
    Order {
        number: String,
    },
}

/// What the CRM answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LookupAnswer {
    Customers(Vec<Customer>),
    Order(Option<Order>),
    /// Failed, too slow, or not asked because it failed just before.
    Unavailable {
        why: String,
    },
}
