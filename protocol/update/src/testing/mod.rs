//! Archives that are signed, and a server that offers them, for tests of the two programs. Never part of a program.

mod archive;
mod cases;
mod server;
mod together;

pub use archive::{Signer, name_here, pack, release_of, script};
pub use cases::NEWER;
pub use server::{Releases, Server};

use cases::{Case, cases};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path as StdPath;
use std::process::Stdio;
use tokio::process::Command;

/// How both programs end when they refuse.
const REFUSED: i32 = 2;

/// A real program in a folder of its own, and how it is called.
#[derive(Debug)]
pub struct Trial<'a> {
    /// Its name.
    pub program: &'static str,
    /// Where it was built.
    pub built: &'a StdPath,
    /// What its environment variables begin with.
    pub prefix: &'static str,
    /// Behind `update`.
    pub arguments: Vec<String>,
}

impl Trial<'_> {
    /// Offers everything that must be refused, and at the end a good release.
    ///
    /// # Panics
    /// When something is not as it must be.
    pub async fn run_all(&self) {
        let good = Signer::new(1);
        for case in cases(self.program, &good) {
            let Case { title, release, name, elsewhere, bytes, arguments, says, is_refused } = case;
            let server = match elsewhere {
                Some(elsewhere) => Server::sending_on(release, &name, bytes, elsewhere).await,
                None => Server::with(release, &name, bytes).await,
            };
            let folder = self.folder();
            let before = inode(&folder.path().join(self.program));
            let (code, out, err) = self.call(&folder, &server, &good, arguments).await;
            let expected = if is_refused { (REFUSED, &err) } else { (0, &out) };
            assert!(code == expected.0 && expected.1.contains(says), "{title}: {code}\n{out}\n{err}");
            assert_eq!(inode(&folder.path().join(self.program)), before, "{title}: it was replaced");
            assert_eq!(names(folder.path()), [self.program], "{title}: something was left behind");
        }
        self.good_one(&good).await;
    }

    async fn good_one(&self, good: &Signer) {
        let name = name_here(self.program, NEWER);
        let archive = good.sign(&release_of(self.program, NEWER), &name);
        // As GitHub does, to where its files are.
        let server = Server::sending_on(NEWER, &name, archive, format!("/stored/{NEWER}/{name}")).await;
        let folder = self.folder();
        let place = folder.path().join(self.program);
        let before = inode(&place);
        let (code, out, err) = self.call(&folder, &server, good, &[]).await;
        assert!(code == 0 && out.contains("99.0.0 is in place") && out.contains("systemctl restart"), "{out}\n{err}");
        let old = format!("{}.old", self.program);
        assert_eq!(names(folder.path()), [self.program, &old]);
        assert_eq!(inode(&folder.path().join(&old)), before, "the old program is kept");
        let said = Command::new(&place).arg("--version").output().await.expect("it runs");
        assert_eq!(String::from_utf8_lossy(&said.stdout), format!("{} {NEWER}\n", self.program));
    }

    /// Calls `update` in a folder of its own with a good release on offer. Exit code, output, errors.
    ///
    /// # Panics
    /// On a machine that does not work.
    pub async fn with_good_release(&self) -> (i32, String, String) {
        let (good, name) = (Signer::new(1), name_here(self.program, NEWER));
        let server = Server::with(NEWER, &name, good.sign(&release_of(self.program, NEWER), &name)).await;
        let folder = self.folder();
        let (code, out, err) = self.call(&folder, &server, &good, &[]).await;
        let is_replaced = names(folder.path()).len() > 1;
        assert_eq!(is_replaced, code == 0, "{out}\n{err}");
        (code, out, err)
    }

    fn folder(&self) -> tempfile::TempDir {
        // Beside what was built: a name more for the same file must be on one file system.
        let folder = tempfile::tempdir_in(self.built.parent().expect("it lies in a folder")).expect("a folder");
        std::fs::hard_link(self.built, folder.path().join(self.program)).expect("a name more");
        folder
    }

    async fn call(
        &self,
        folder: &tempfile::TempDir,
        server: &Server,
        key: &Signer,
        more: &[&str],
    ) -> (i32, String, String) {
        let output = self.command(folder, server, key, more).output().await.expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    fn command(&self, folder: &tempfile::TempDir, server: &Server, key: &Signer, more: &[&str]) -> Command {
        let mut command = Command::new(folder.path().join(self.program));
        command.arg("update").args(&self.arguments).args(more);
        let variables = [
            ("ENABLED", "true".to_owned()),
            ("REPOSITORY", "everypath/everypath".to_owned()),
            ("API", server.api.clone()),
            ("KEYS", key.public()),
        ];
        for (name, value) in variables {
            command.env(format!("{}UPDATE__{name}", self.prefix), value);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

fn inode(path: &StdPath) -> u64 {
    std::fs::metadata(path).expect("it is there").ino()
}

fn names(folder: &StdPath) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let sorted: std::collections::BTreeSet<String> = names.collect();
    sorted.into_iter().collect()
}
