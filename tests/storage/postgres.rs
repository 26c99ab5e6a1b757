//! A PostgreSQL server of our own in a temporary folder, on a Unix socket.

#![allow(dead_code, reason = "each test crate uses a part of this")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use allo::config::DatabaseUrl;
use tempfile::TempDir;

pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server. `None`, and a line on stderr, where PostgreSQL is not installed; with
    /// `ALLO_TEST_POSTGRES=required` that is a failure.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var("ALLO_TEST_POSTGRES").is_ok_and(|set| set == "required");
            assert!(!required, "PostgreSQL is required, but not installed");
            // Not by `eprintln!`, which the test harness keeps to itself when a test passes.
            let line = "skipped: PostgreSQL is not installed (apt-get install postgresql)\n";
            let _ = std::io::stderr().write_all(line.as_bytes());
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Self { programs, folder };
        let path = server.folder.path();
        if is_root() {
            // PostgreSQL refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(path));
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        run(server
            .command("initdb")
            .args(["--auth=trust", "--username=allo", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(server.data()));
        server.come_back();
        Some(server)
    }

    /// A new, empty database.
    pub fn database(&self, name: &str) -> DatabaseUrl {
        run(self
            .command("createdb")
            .args(["--username=allo", "-h"])
            .arg(self.folder.path())
            .arg(name));
        self.url(name).parse().unwrap()
    }

    /// How a database is named in settings.
    pub fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?host={}&user=allo", self.folder.path().display())
    }

    /// Kills the server and starts it again.
    pub fn restart(&self) {
        self.go_away();
        self.come_back();
    }

    /// Kills the server.
    pub fn go_away(&self) {
        run(self
            .command("pg_ctl")
            .args(["stop", "--wait", "--silent", "--mode=immediate", "-D"])
            .arg(self.data()));
    }

    /// Starts the server, with what it had.
    pub fn come_back(&self) {
        let path = self.folder.path();
        let options = format!("-F -c listen_addresses='' -k {}", path.display());
        run(self
            .command("pg_ctl")
            .args(["start", "--wait", "--silent", "-o", &options, "-l"])
            .arg(path.join("log"))
            .arg("-D")
            .arg(self.data()));
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--silent", "-D"]).arg(self.data());
        let _ = stop.status();
    }
}

/// The programs of the newest version that is installed.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command) {
    // The server inherits the streams and lives on, so there is nothing to wait for on a pipe.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
