//! The release binary in a folder of its own, with its own plan, recordings and database.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::process::{self, Usage};

/// Where the server lives.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
pub const SIP: SocketAddrV4 = SocketAddrV4::new(SERVER, 7060);
const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 7080);
/// Two ports for each call, and those of a call that ended rest for a while.
const RTP_PORTS: (u16, u16) = (8_000, 65_535);
const START_MAX: Duration = Duration::from_secs(60);
const PLAN: &str = include_str!("plan.kdl");
/// Longer than any measurement.
const LONG: Duration = Duration::from_secs(360);
/// What the recording after a key sounds like, as A-law and as a sample; see `latency`.
pub const AFTER_KEY_SAMPLE: i16 = 8_000;

/// A server that runs until it is dropped.
pub struct Server {
    pub folder: TempDir,
    child: Child,
}

impl Server {
    /// Files are written, then `prepare` may put something into the database, then it starts.
    pub fn start(prepare: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        write_files(folder.path()).context("writing the server's files")?;
        prepare(folder.path())?;
        let log = File::create(folder.path().join("log"))?;
        let binary = binary();
        let child = Command::new(&binary)
            .args(["serve", "--config", "allo.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} (make bench builds it)", binary.display()))?;
        let mut server = Self { folder, child };
        server.until_healthy()?;
        Ok(server)
    }

    fn until_healthy(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_healthy() {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "the server ended:\n{}", self.log());
            ensure!(began.elapsed() < START_MAX, "the server does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id()).with_context(|| format!("the server died:\n{}", self.log()))
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What is used while `work` is done.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> anyhow::Result<(T, Spent)> {
        let (before, idle, began) = (self.usage()?, process::machine_idle(), Instant::now());
        let result = work();
        let (after, time) = (self.usage()?, began.elapsed());
        let idle = process::machine_idle().saturating_sub(idle).as_secs_f64();
        let all = time.as_secs_f64() * process::cores() as f64;
        let spent = Spent {
            time,
            cpu: after.cpu.saturating_sub(before.cpu),
            busy: 1.0 - (idle / all).min(1.0),
            after,
        };
        Ok((result, spent))
    }
}

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub time: Duration,
    /// Of the server.
    pub cpu: Duration,
    /// Share of the whole machine that was not idle.
    pub busy: f64,
    pub after: Usage,
}

impl Spent {
    /// Of one core.
    pub fn cores(&self) -> f64 {
        self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ALLO_BENCH_BINARY`, or what cargo built beside this benchmark, with the same optimisations.
fn binary() -> PathBuf {
    std::env::var_os("ALLO_BENCH_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_allo").into(), PathBuf::from)
}

fn is_healthy() -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect(WEB)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /health HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

fn write_files(folder: &Path) -> anyhow::Result<()> {
    let (first, last) = RTP_PORTS;
    let toml = format!(
        "[sip]\nlisten = [\"udp:{SIP}\", \"tcp:{SIP}\"]\n\n\
         [sip.limits]\ncalls = 60000\ncalls-per-second = 100000\n\
         calls-per-second-per-source = 100000\n\n\
         [rtp]\nports = \"{first}-{last}\"\ndead-after = \"1h\"\n\n\
         [web]\nlisten = \"{WEB}\"\n\n[database]\nurl = \"sqlite:allo.db\"\n"
    );
    fs::write(folder.join("allo.toml"), toml)?;
    fs::create_dir(folder.join("dialplans"))?;
    fs::write(folder.join("dialplans/plan.kdl"), PLAN)?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
    fs::create_dir(folder.join("prompts"))?;
    symlink(shipped.join("en"), folder.join("prompts/en"))?;
    write_prompts(&folder.join("prompts/ru"), &shipped.join("ru")).context("recordings")
}

/// The shipped recordings, and ours.
fn write_prompts(folder: &Path, shipped: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join("bench"))?;
    for entry in fs::read_dir(shipped)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            symlink(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    let catalogue = fs::read_to_string(shipped.join("catalogue.tsv"))?;
    let ours = "bench/long\tдолгая запись\nbench/after-key\tпосле кнопки\n";
    fs::write(folder.join("catalogue.tsv"), catalogue + ours)?;
    let samples = LONG.as_secs() * 8_000;
    // A saw: as good as speech for those who copy bytes, and never `AFTER_KEY_SAMPLE`.
    write_wav(
        &folder.join("bench/long.wav"),
        (0..samples).map(|n| (n * 37 % 8_000) as i16 - 8_000),
    )?;
    write_wav(&folder.join("bench/after-key.wav"), (0..8_000).map(|_| AFTER_KEY_SAMPLE))?;
    Ok(())
}

fn write_wav(file: &Path, samples: impl Iterator<Item = i16>) -> anyhow::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(file, spec)?;
    for sample in samples {
        writer.write_sample(sample)?;
    }
    Ok(writer.finalize()?)
}
