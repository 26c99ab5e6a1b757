//! The real binary in a folder of its own.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use allo::phone::{Call, CallOptions, From};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{eventually, prompts};

const ALLO: &str = env!("CARGO_BIN_EXE_allo");
/// Migrations, prompts and plans are loaded within this, also on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// RTP ports of a server, unless it needs more.
const PORTS: u16 = 400;
const STOP_MAX: Duration = Duration::from_secs(60);

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The text of the only dialplan, `dialplans/plan.kdl`.
    pub plan: String,
    /// CSV files for `allo crm import`; nothing is imported when both are empty.
    pub customers: String,
    pub orders: String,
    /// The folder of the recordings; `None`: those that are shipped.
    pub prompts: Option<PathBuf>,
    /// More lines for the section `[sip]`.
    pub sip: String,
    /// How many RTP ports; 0: 400.
    pub rtp_ports: u16,
    /// More lines for the section `[rtp]`.
    pub rtp: String,
    /// More sections for `allo.toml`; `{folder}` is the server's folder.
    pub settings: String,
    /// More arguments for `allo serve`.
    pub arguments: Vec<String>,
    /// The database; empty: a SQLite file in the server's folder. `{folder}` as above.
    pub database: String,
    /// A program with its arguments that becomes the server: `unshare --mount …`. `{folder}` as above.
    pub around: Vec<String>,
    /// More environment of the server.
    pub environment: Vec<(String, String)>,
}

/// A server that runs, or ran.
pub struct Server {
    folder: TempDir,
    child: Option<Child>,
    arguments: Vec<String>,
    around: Vec<String>,
    environment: Vec<(String, String)>,
    pub sip: SocketAddr,
    pub web: SocketAddr,
}

impl Server {
    /// Writes the files, imports the customers, starts the server and waits until it is healthy.
    pub async fn start(setup: Setup) -> Self {
        let mut server = Self::prepare(&setup);
        if !setup.customers.is_empty() || !setup.orders.is_empty() {
            server.import(&setup.customers, &setup.orders);
        }
        server.launch().await;
        server
    }

    /// Everything but the start.
    pub fn prepare(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sip, web) = (free_address(), free_address());
        let root = folder.path().display().to_string();
        let here = |text: &String| text.replace("{folder}", &root);
        let server = Self {
            child: None,
            arguments: setup.arguments.clone(),
            around: setup.around.iter().map(here).collect(),
            environment: setup.environment.clone(),
            folder,
            sip,
            web,
        };
        fs::create_dir(server.path("dialplans")).unwrap();
        server.write("dialplans/plan.kdl", &setup.plan);
        let database = match setup.database.as_str() {
            "" => format!("sqlite:{root}/allo.db"),
            _ => here(&setup.database),
        };
        let ports = if setup.rtp_ports == 0 { PORTS } else { setup.rtp_ports };
        let first_rtp = first_rtp_port();
        let toml = format!(
            "[sip]\nlisten = [\"udp:{sip}\", \"tcp:{sip}\"]\n{}\n\n\
             [rtp]\nports = \"{first_rtp}-{}\"\n{}\n\n\
             [web]\nlisten = \"{web}\"\n\n\
             [database]\nurl = \"{database}\"\n\n\
             [dialplans]\nfolder = \"{root}/dialplans\"\n\n\
             [prompts]\nfolder = \"{}\"\n\n{}\n",
            setup.sip,
            first_rtp + ports - 1,
            setup.rtp,
            setup.prompts.clone().unwrap_or_else(prompts).display(),
            here(&setup.settings),
        );
        server.write("allo.toml", &toml);
        server
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the server's folder, as an editor does: a new file in place of the old.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// Imports CSV files into the CRM; an empty one is none.
    pub fn import(&self, customers: &str, orders: &str) {
        let mut arguments = vec!["crm".to_owned(), "import".to_owned()];
        for (name, rows) in [("customers", customers), ("orders", orders)] {
            if !rows.is_empty() {
                let file = format!("{name}.csv");
                self.write(&file, rows);
                arguments.extend([format!("--{name}"), text(&self.path(&file)).to_owned()]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = self.allo(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a command of allo on this server's settings, to its end.
    pub fn allo(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(ALLO);
        command.args(arguments).arg("--config").arg(self.path("allo.toml"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// The arguments of the next start.
    pub fn serve_with(&mut self, arguments: Vec<String>) {
        self.arguments = arguments;
    }

    /// Starts the server and waits until `/health` says 200.
    pub async fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut words = self.around.iter().map(String::as_str).chain([ALLO]);
        let child = Command::new(words.next().unwrap_or(ALLO))
            .args(words)
            .arg("serve")
            .arg("--config")
            .arg(self.path("allo.toml"))
            .args(&self.arguments)
            .envs(self.environment.clone())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let (web, log) = (self.web, self.path("log"));
        let child = self.child.as_mut().unwrap();
        eventually("the server is healthy", START_MAX, async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", read(&log));
            }
            get(web, "/health").await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// Calls a number of this server.
    pub async fn call(&self, from: &str, number: &str) -> Call {
        self.call_with(from, number, |options| options).await
    }

    pub async fn call_with(
        &self,
        from: &str,
        number: &str,
        change: impl FnOnce(CallOptions) -> CallOptions,
    ) -> Call {
        let from = match from {
            "anonymous" => From::Anonymous,
            user => From::Number { user: user.to_owned(), display: None },
        };
        let options = change(CallOptions::new(self.sip, number, from));
        let mut call = Call::dial(options).await.unwrap();
        if let Err(why) = call.answered(Duration::from_secs(10)).await {
            panic!("{number}: {why}\n{}", self.log());
        }
        call
    }

    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("the server was started").id()
    }

    /// SIGTERM; waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.ended().await
    }

    /// SIGKILL; waits for the end.
    pub async fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.ended().await;
    }

    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.process_id()).unwrap();
        // SAFETY: kill(2) touches no memory, and the child is not yet waited for, so the id is its own.
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server was started");
        eventually("the server ends", STOP_MAX, async || child.try_wait().unwrap()).await
    }

    /// What it wrote to stdout and stderr.
    pub fn log(&self) -> String {
        read(&self.path("log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- log of the server\n{}", self.log());
        }
    }
}

/// Status and body of a GET.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(address, &format!("GET {path}"), "", "").await
}

/// Status and body of a POST with JSON.
pub async fn post(address: SocketAddr, path: &str, json: &str) -> io::Result<(u16, String)> {
    let length = json.len();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    ask(address, &format!("POST {path}"), &headers, json).await
}

async fn ask(
    address: SocketAddr,
    what: &str,
    headers: &str,
    body: &str,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// An address that is free for UDP and TCP now.
pub fn free_address() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Servers of tests that run at the same time use different ports, below those that the system
/// gives out by itself.
fn first_rtp_port() -> u16 {
    const FIRST: u32 = 16_384;
    let ports = u32::from(PORTS);
    let slots = (30_000 - FIRST) / ports;
    u16::try_from(FIRST + std::process::id() % slots * ports).unwrap()
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have UTF-8 names")
}
