//! Updates that meet, or were killed.

use super::{NEWER, REFUSED, Server, Signer, Trial, inode, name_here, names, release_of, script};
use std::fs;

/// Newer than what runs, older than [`NEWER`].
const BETWEEN: &str = "98.0.0";

impl Trial<'_> {
    /// Lets two updates meet, lets somebody else replace the program meanwhile, and kills one.
    ///
    /// # Panics
    /// When something is not as it must be.
    pub async fn run_together(&self) {
        let good = Signer::new(1);
        self.two_at_once(&good).await;
        self.somebody_else(&good).await;
        self.killed(&good).await;
    }

    /// A server that has one release and gives it when it is told to.
    async fn slow(&self, version: &str, good: &Signer) -> Server {
        let name = name_here(self.program, version);
        Server::holding_back(version, &name, good.sign(&release_of(self.program, version), &name)).await
    }

    async fn two_at_once(&self, good: &Signer) {
        let (slow, fast) = (self.slow(BETWEEN, good).await, self.slow(NEWER, good).await);
        fast.give();
        let folder = self.folder();
        let first = self.command(&folder, &slow, good, &[]).spawn().expect("it starts");
        slow.was_asked().await;
        let (code, out, err) = self.call(&folder, &fast, good, &[]).await;
        assert!(code == REFUSED && err.contains("is under way"), "the second one: {code}\n{out}\n{err}");
        slow.give();
        let first = first.wait_with_output().await.expect("it ends");
        assert!(first.status.success(), "the first one: {}", String::from_utf8_lossy(&first.stderr));
        assert_eq!(names(folder.path()), [self.program.to_owned(), format!("{}.old", self.program)]);
    }

    /// Without the second look, the version that this one fetched would take the place of the newer one.
    async fn somebody_else(&self, good: &Signer) {
        let server = self.slow(BETWEEN, good).await;
        let folder = self.folder();
        let place = folder.path().join(self.program);
        let calling = self.command(&folder, &server, good, &[]).spawn().expect("it starts");
        server.was_asked().await;
        let other = folder.path().join("other");
        fs::write(&other, script(self.program, NEWER)).and_then(|()| fs::rename(&other, &place)).expect("a disk");
        let theirs = inode(&place);
        server.give();
        let ended = calling.wait_with_output().await.expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(REFUSED) && said.contains("was replaced"), "{}: {said}", ended.status);
        assert_eq!(inode(&place), theirs, "what somebody else put there stays");
        assert_eq!(names(folder.path()), [self.program], "something was left behind");
    }

    async fn killed(&self, good: &Signer) {
        let server = self.slow(NEWER, good).await;
        let folder = self.folder();
        let mut calling = self.command(&folder, &server, good, &[]).spawn().expect("it starts");
        server.was_asked().await;
        calling.kill().await.expect("it runs");
        assert!(names(folder.path()).len() > 1, "it had begun");
        server.give();
        let (code, out, err) = self.call(&folder, &server, good, &[]).await;
        assert!(code == 0 && out.contains("is in place"), "{code}\n{out}\n{err}");
        assert_eq!(names(folder.path()), [self.program.to_owned(), format!("{}.old", self.program)]);
    }
}
