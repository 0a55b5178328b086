//! A platform of its own for a test: the release binary, on a free port, over a directory of its own.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A start that rebuilds a burst's shard takes far less than a second; a machine under load takes longer.
const READY_MAX: Duration = Duration::from_secs(30);
/// A graceful stop answers what is in flight, and closes the log.
const STOP_MAX: Duration = Duration::from_secs(20);

/// A running platform; killed when dropped.
pub struct Platform {
    binary: PathBuf,
    address: SocketAddr,
    directory: PathBuf,
    child: Child,
}

/// The built program beside this one: the profiles' directories are neighbours.
pub fn built(program: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let target = own.ancestors().nth(2).ok_or("this program lies at the root of the disk")?;
    let path = target.join("release").join(program);
    let advice = "build it first: cargo build --release -p doorbuster -p doorbuster-load";
    if path.is_file() { Ok(path) } else { Err(format!("{}: not there; {advice}", path.display())) }
}

impl Platform {
    /// Starts it over `directory`, which is made, and waits until it is ready.
    pub fn start(directory: &Path) -> Result<Platform, String> {
        fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let binary = built("doorbuster")?;
        let address = free_address()?;
        let child = spawn(&binary, address, directory)?;
        let mut platform = Platform { binary, address, directory: directory.to_owned(), child };
        platform.wait_until_ready()?;
        Ok(platform)
    }

    /// Where the API and the console are.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Ends it as a power cut would, as far as the process is concerned, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|error| format!("the platform could not be killed: {error}"))?;
        self.child.wait().map_err(|error| format!("the platform could not be waited for: {error}"))?;
        self.child = spawn(&self.binary, self.address, &self.directory)?;
        self.wait_until_ready()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> Result<(), String> {
        let terminated = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        if !terminated.is_ok_and(|status| status.success()) {
            return Err("the platform could not be asked to stop".to_owned());
        }
        let began = Instant::now();
        while began.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return if status.success() { Ok(()) } else { Err(format!("the platform ended with {status}")) };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the platform did not stop in time".to_owned())
    }

    /// What it printed of its tokens: the buyer's and the admin's.
    pub fn tokens(&self) -> Result<(String, String), String> {
        let output = fs::read_to_string(self.directory.join("output")).map_err(|error| error.to_string())?;
        let find = |name: &str| {
            let line = output.lines().rev().find_map(|line| line.strip_prefix(name));
            line.map(|token| token.trim().to_owned()).ok_or(format!("the platform printed no token of {name}"))
        };
        Ok((find("buyer ")?, find("admin ")?))
    }

    /// A counter of its metrics page.
    pub fn metric(&self, name: &str) -> Result<u64, String> {
        let page = get(self.address, "/metrics").map_err(|error| format!("/metrics: {error}"))?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse().ok()).ok_or(format!("/metrics has no {name}"))
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < READY_MAX {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("the platform ended at its start with {status}: {}", self.said()));
            }
            if is_ready(self.address) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the platform was not ready in time: {}", self.said()))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.join("errors")).unwrap_or_default()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| error.to_string())
}

fn spawn(binary: &Path, address: SocketAddr, directory: &Path) -> Result<Child, String> {
    let append = |name: &str| File::options().create(true).append(true).open(directory.join(name));
    let output = append("output").map_err(|error| error.to_string())?;
    let errors = append("errors").map_err(|error| error.to_string())?;
    Command::new(binary)
        .args(["up", "--listen", &address.to_string(), "--data"])
        .arg(directory.join("data"))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{}: {error}", binary.display()))
}

fn is_ready(address: SocketAddr) -> bool {
    get(address, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// A burst fills the queue of new connections, and what is dropped there is sent again after one second, then after two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The whole answer of a plain HTTP server to one request, its head first; bounded in time.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
