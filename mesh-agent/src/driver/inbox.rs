//! Everything that can wake the driver.

use crate::probe::Finished;
use crate::store::{DiskNews, PersistedMarks};
use crate::uplink::Uploaded;
use everypath_protocol::id::{Epoch, Seq};
use mesh_agent_core::Input;
use mesh_agent_core::effect::Statement;
use mesh_agent_core::matrix::View;
use std::collections::VecDeque;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Somebody wants to see what the agent knows.
pub type Question = oneshot::Sender<View>;

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// The agent's deadline.
    Wakeup,
    /// Of the mesh, ready for the agent.
    Mesh(Box<Input>),
    /// A probe ended.
    ProbeFinished(Finished),
    /// Records are on disk.
    Persisted(Epoch, Seq),
    /// The file system of the buffer has little room left, or has room again.
    DiskRoom {
        /// Little.
        is_low: bool,
    },
    /// An upload ended.
    Uploaded(Uploaded),
    /// Statements that the disk or an aggregator remembered, checked.
    Statements(Vec<Statement>),
    /// Of the configuration of the mesh and what follows from it, ready for the agent.
    Settings(Box<Input>),
    /// The status page asks.
    Question(Question),
    /// The process shall end.
    Shutdown,
}

/// The driver's ends of all queues.
#[derive(Debug)]
pub struct Inbox {
    /// From the mesh.
    pub mesh: mpsc::Receiver<Input>,
    /// From the prober.
    pub probes: mpsc::Receiver<Finished>,
    /// From the disk.
    pub disk: DiskNews,
    /// From the uplink.
    pub uploads: mpsc::Receiver<Uploaded>,
    /// From greeter and memory.
    pub statements: mpsc::Receiver<Vec<Statement>>,
    /// From the status page.
    pub questions: mpsc::Receiver<Question>,
    /// From keeper, resolver and uplink.
    pub settings: mpsc::Receiver<Input>,
    /// From the operating system.
    pub shutdown: CancellationToken,
    seen: PersistedMarks,
    news: VecDeque<(Epoch, Seq)>,
    is_shutdown_told: bool,
    is_disk_low: bool,
}

impl Inbox {
    /// All of them together.
    pub fn new(
        mesh: mpsc::Receiver<Input>,
        probes: mpsc::Receiver<Finished>,
        disk: DiskNews,
        uploads: mpsc::Receiver<Uploaded>,
        statements: mpsc::Receiver<Vec<Statement>>,
        questions: mpsc::Receiver<Question>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            mesh,
            probes,
            disk,
            uploads,
            statements,
            questions,
            settings: mpsc::channel(1).1,
            shutdown,
            seen: PersistedMarks::new(),
            news: VecDeque::new(),
            is_shutdown_told: false,
            is_disk_low: false,
        }
    }

    /// The same with a queue for what concerns the configuration of the mesh.
    #[must_use]
    pub fn with_settings(self, settings: mpsc::Receiver<Input>) -> Self {
        Self { settings, ..self }
    }

    /// Waits for one event, or until `deadline`.
    pub async fn next(&mut self, deadline: Option<Instant>) -> Event {
        if let Some(event) = self.ready() {
            return event;
        }
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shutdown.cancelled(), if !self.is_shutdown_told => {
                self.is_shutdown_told = true;
                Event::Shutdown
            }
            Some(finished) = self.probes.recv() => Event::ProbeFinished(finished),
            Some(input) = self.mesh.recv() => Event::Mesh(Box::new(input)),
            Some(input) = self.settings.recv() => Event::Settings(Box::new(input)),
            Some(uploaded) = self.uploads.recv() => Event::Uploaded(uploaded),
            Some(statements) = self.statements.recv() => Event::Statements(statements),
            Some(question) = self.questions.recv() => Event::Question(question),
            Ok(()) = self.disk.persisted.changed() => {
                self.read_marks();
                self.persisted_news().unwrap_or(Event::Wakeup)
            }
            Ok(()) = self.disk.state.changed() => self.room_news().unwrap_or(Event::Wakeup),
            () = timer => Event::Wakeup,
        }
    }

    /// One event that is there already. Outcomes of probes first: they carry the time of measuring, and are the many.
    pub fn ready(&mut self) -> Option<Event> {
        if self.shutdown.is_cancelled() && !self.is_shutdown_told {
            self.is_shutdown_told = true;
            return Some(Event::Shutdown);
        }
        if let Some(event) = self.persisted_news().or_else(|| self.room_news()) {
            return Some(event);
        }
        let probe = |inbox: &mut Self| inbox.probes.try_recv().ok().map(Event::ProbeFinished);
        let upload = |inbox: &mut Self| inbox.uploads.try_recv().ok().map(Event::Uploaded);
        let mesh = |inbox: &mut Self| inbox.mesh.try_recv().ok().map(|input| Event::Mesh(Box::new(input)));
        let question = |inbox: &mut Self| inbox.questions.try_recv().ok().map(Event::Question);
        let settings = |inbox: &mut Self| inbox.settings.try_recv().ok().map(|input| Event::Settings(Box::new(input)));
        let statements = |inbox: &mut Self| inbox.statements.try_recv().ok().map(Event::Statements);
        probe(self)
            .or_else(|| upload(self))
            .or_else(|| settings(self))
            .or_else(|| mesh(self))
            .or_else(|| question(self))
            .or_else(|| statements(self))
    }

    /// What is new of what is on disk. Waiting for a change marks it as seen, so this must follow every wait.
    fn read_marks(&mut self) {
        let marks = self.disk.persisted.borrow_and_update();
        let is_news = |(epoch, last): &(&Epoch, &Seq)| self.seen.get(epoch).is_none_or(|seen| seen < *last);
        self.news.extend(marks.iter().filter(is_news).map(|(epoch, last)| (*epoch, *last)));
        self.seen.clone_from(&marks);
    }

    fn room_news(&mut self) -> Option<Event> {
        let is_low = self.disk.state.borrow_and_update().is_low;
        (is_low != std::mem::replace(&mut self.is_disk_low, is_low)).then_some(Event::DiskRoom { is_low })
    }

    fn persisted_news(&mut self) -> Option<Event> {
        if self.disk.persisted.has_changed().unwrap_or(false) {
            self.read_marks();
        }
        self.news.pop_front().map(|(epoch, last)| Event::Persisted(epoch, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DiskState;
    use tokio::sync::watch;

    fn marks(all: &[(u64, u64)]) -> PersistedMarks {
        all.iter().map(|(epoch, last)| (Epoch(*epoch), Seq(*last))).collect()
    }

    #[tokio::test]
    async fn every_mark_is_told_once_whether_it_was_waited_for_or_not() {
        let (tell, persisted) = watch::channel(PersistedMarks::new());
        let shutdown = CancellationToken::new();
        let mut inbox = Inbox::new(
            mpsc::channel(1).1,
            mpsc::channel(1).1,
            DiskNews { persisted, state: watch::channel(DiskState::default()).1 },
            mpsc::channel(1).1,
            mpsc::channel(1).1,
            mpsc::channel(1).1,
            shutdown.clone(),
        );
        // Waited for: the mark comes while the driver sleeps.
        let (event, ()) = tokio::join!(inbox.next(None), async { drop(tell.send(marks(&[(1, 5)]))) });
        assert!(matches!(event, Event::Persisted(Epoch(1), Seq(5))), "{event:?}");
        // There already, for two epochs, one of them unchanged.
        tell.send(marks(&[(1, 5), (2, 1)])).unwrap();
        assert!(matches!(inbox.ready(), Some(Event::Persisted(Epoch(2), Seq(1)))));
        assert!(inbox.ready().is_none());
        shutdown.cancel();
        assert!(matches!(inbox.next(None).await, Event::Shutdown));
        assert!(inbox.ready().is_none(), "told once");
    }
}
