//! SIP programs that are not ours. A missing program fails the test: `make test` installs it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use allo::phone::Transport;

use super::eventually;
use super::server::free_address;

/// Runs SIPp to its end. `arguments` come before the target.
pub fn sipp(folder: &Path, target: SocketAddr, arguments: &[&str]) -> Output {
    let local = free_address();
    Command::new("sipp")
        .args(arguments)
        .args(["-i", "127.0.0.1", "-p", &local.port().to_string(), "-nostdin"])
        .arg(target.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("sipp runs (make test installs it)")
}

/// SIPp's own callee: answers, takes the BYE, and sends back the RTP that it gets.
pub struct SippCallee {
    child: Child,
    pub address: SocketAddr,
}

impl SippCallee {
    pub fn start(folder: &Path, transport: Transport) -> Self {
        let address = free_address();
        let transport = match transport {
            Transport::Udp => "u1",
            Transport::Tcp => "t1",
        };
        let child = Command::new("sipp")
            .args(["-t", transport])
            .args(["-sn", "uas", "-rtp_echo", "-nostdin", "-i", "127.0.0.1"])
            .args(["-mi", "127.0.0.1", "-p", &address.port().to_string()])
            .args(["-mp", &free_address().port().to_string()])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp runs (make test installs it)");
        Self { child, address }
    }
}

impl Drop for SippCallee {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The columns of SIPp's `-trace_stat` file: the last line's value.
pub fn sipp_statistic(folder: &Path, column: &str) -> u64 {
    let is_statistic = |path: &PathBuf| path.extension().is_some_and(|e| e == "csv");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(is_statistic).expect("sipp wrote statistics");
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let position = lines.next().unwrap().split(';').position(|name| name == column);
    let position = position.unwrap_or_else(|| panic!("no column {column}"));
    lines.last().unwrap().split(';').nth(position).unwrap().parse().unwrap()
}

/// baresip as a phone that records what it hears.
pub struct Baresip {
    child: Child,
    folder: PathBuf,
}

impl Baresip {
    /// Dials `uri` as `sip:USER@127.0.0.1`.
    pub fn dial(folder: &Path, user: &str, uri: &str) -> Self {
        let account = format!("<sip:{user}@127.0.0.1>;regint=0;answermode=manual\n");
        Self::launch(folder, &account, &silence(), &["-e", &format!("d{uri}")])
    }

    /// Registers as `user` at `server`, for a minute at a time.
    pub fn register(folder: &Path, user: &str, password: &str, server: SocketAddr) -> Self {
        let account =
            format!("<sip:{user}@{server}>;auth_pass={password};regint=60;answermode=manual\n");
        Self::launch(folder, &account, &silence(), &[])
    }

    /// The same, and picks up at once when it is called; speaks with these samples.
    pub fn answer(
        folder: &Path,
        user: &str,
        password: &str,
        server: SocketAddr,
        voice: &[i16],
    ) -> Self {
        let account =
            format!("<sip:{user}@{server}>;auth_pass={password};regint=60;answermode=auto\n");
        Self::launch(folder, &account, voice, &[])
    }

    fn launch(folder: &Path, account: &str, voice: &[i16], arguments: &[&str]) -> Self {
        let folder = folder.join("baresip");
        fs::create_dir_all(&folder).unwrap();
        let source = folder.join("voice.wav");
        allo::phone::wav::save(&source, voice).unwrap();
        // sndfile writes down what is decoded; the player itself has no sound card.
        let config = format!(
            "sip_listen 127.0.0.1:{}\ncall_max_calls 1\n\
             audio_player aubridge,nil\naudio_source aufile,{}\nsnd_path {}\n\
             module_path {}\nmodule stdio.so\nmodule g711.so\nmodule aufile.so\n\
             module aubridge.so\nmodule sndfile.so\n\
             module_tmp account.so\nmodule_app menu.so\n",
            free_address().port(),
            source.display(),
            folder.display(),
            modules().display(),
        );
        fs::write(folder.join("config"), config).unwrap();
        fs::write(folder.join("accounts"), account).unwrap();
        fs::write(folder.join("contacts"), "").unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("baresip")
            .arg("-f")
            .arg(&folder)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("baresip runs (make test installs it)");
        Self { child, folder }
    }

    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for a line of its log.
    pub async fn says(&self, text: &str, within: Duration) {
        let look = async || self.log().contains(text).then_some(());
        eventually(&format!("baresip says {text:?}"), within, look).await;
    }

    /// Has the program say goodbye.
    pub fn leave(&mut self) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: kill(2) touches no memory, and the child is not yet waited for.
        unsafe { libc::kill(pid, libc::SIGINT) };
        let _ = self.child.wait();
    }

    /// Ends the program; what it heard in the first of its calls.
    pub fn quit(self) -> Vec<i16> {
        self.quit_all().into_iter().next().expect("baresip recorded")
    }

    /// Ends the program; what it heard in each of its calls.
    pub fn quit_all(mut self) -> Vec<Vec<i16>> {
        self.leave();
        let files = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let mut files: Vec<PathBuf> = files.filter(is_heard).collect();
        files.sort();
        files.iter().map(|file| allo::phone::wav::load(file).unwrap()).collect()
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- log of baresip\n{}", self.log());
        }
    }
}

fn silence() -> Vec<i16> {
    vec![0; 8000 * 60]
}

/// Where Debian keeps baresip's modules; the folder's name depends on the release.
fn modules() -> PathBuf {
    let candidates = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"];
    candidates.map(PathBuf::from).into_iter().find(|path| path.is_dir()).expect("baresip's modules")
}
