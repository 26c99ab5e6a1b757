//! How the house tells what it is asked. Questions go through a bounded channel to the one owner of
//! the state, events come through one that forgets its oldest: HTTP never holds the house up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use super::events::{Stamped, WebEvent};
use super::metrics::Counters;
use super::promises::{PromiseView, RobotView};
use super::state::{GroupWhy, StateSnapshot};
use crate::domain::Timestamp;

/// Questions that wait; more are answered with 503.
const QUESTIONS_MAX: usize = 64;
/// Events kept for a slow client; one that is further behind misses the oldest and is told so.
pub(super) const EVENTS_MAX: usize = 1024;
/// How long the house may think about a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What the owner of the state is asked. Who asked may have gone away, so an answer that can't be
/// sent is no error.
#[derive(Debug)]
pub enum Question {
    State(oneshot::Sender<StateSnapshot>),
    Metrics(oneshot::Sender<(StateSnapshot, Counters)>),
    /// `None`: there is no such group.
    Why {
        group: String,
        answer: oneshot::Sender<Option<GroupWhy>>,
    },
    /// All promises that are not over, in any order.
    Promises(oneshot::Sender<Vec<PromiseView>>),
    /// The surveys and robots of the plan, by name.
    Robots(oneshot::Sender<Vec<RobotView>>),
    /// Stops a robot, or lets it call again. Answered when it is done; `false`: there is no such
    /// robot.
    SwitchRobot {
        name: String,
        stop: bool,
        answer: oneshot::Sender<bool>,
    },
}

/// Questions, as their answerer gets them.
pub type Answers = mpsc::Receiver<Question>;

/// HTTP's side: where it asks, and where it hears what happens.
#[derive(Clone)]
pub struct Feeds {
    questions: mpsc::Sender<Question>,
    pub(super) events: Events,
}

/// Where the house tells what happens. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    sender: broadcast::Sender<Arc<Stamped>>,
    last: Arc<AtomicU64>,
}

/// No answer: too many questions, or the house is starting or ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

impl Feeds {
    /// Both ends of the questions; events are told through [`Feeds::events`].
    pub fn new() -> (Self, Answers) {
        let (questions, answers) = mpsc::channel(QUESTIONS_MAX);
        let (sender, _) = broadcast::channel(EVENTS_MAX);
        let events = Events { sender, last: Arc::default() };
        (Self { questions, events }, answers)
    }

    pub fn events(&self) -> Events {
        self.events.clone()
    }

    pub(super) async fn state(&self) -> Result<StateSnapshot, NoAnswer> {
        self.ask(Question::State).await
    }

    pub(super) async fn metrics(&self) -> Result<(StateSnapshot, Counters), NoAnswer> {
        self.ask(Question::Metrics).await
    }

    pub(super) async fn why(&self, group: String) -> Result<Option<GroupWhy>, NoAnswer> {
        self.ask(|answer| Question::Why { group, answer }).await
    }

    pub(super) async fn promises(&self) -> Result<Vec<PromiseView>, NoAnswer> {
        self.ask(Question::Promises).await
    }

    pub(super) async fn robots(&self) -> Result<Vec<RobotView>, NoAnswer> {
        self.ask(Question::Robots).await
    }

    pub(super) async fn switch_robot(&self, name: String, stop: bool) -> Result<bool, NoAnswer> {
        self.ask(|answer| Question::SwitchRobot { name, stop, answer }).await
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(ask(reply)).map_err(|_| NoAnswer)?;
        timeout(ANSWER_WITHIN, answer).await.map_err(|_| NoAnswer)?.map_err(|_| NoAnswer)
    }
}

impl Events {
    /// Tells whoever listens. Costs next to nothing when nobody does.
    pub fn tell(&self, at: Timestamp, what: WebEvent) {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        if self.sender.receiver_count() > 0 {
            // The last listener may have gone in between.
            let _ = self.sender.send(Arc::new(Stamped { id, at, what }));
        }
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Stamped>> {
        self.sender.subscribe()
    }
}
