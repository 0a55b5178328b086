use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// What a browser of this family may be called, in the order in which they are tried.
const PROGRAMS: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// A cold start on a busy machine with two cores takes some seconds; this is a hang.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the browser is asked whether it listens.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A killed browser's children may write to its profile for a moment longer.
const REMOVALS_MAX: u32 = 50;

/// A headless browser with a profile of its own, which is ended and removed with this value.
pub struct Browser {
    process: Child,
    profile: Option<TempDir>,
    /// The address of its DevTools: host and port, and the path of the browser's own target.
    pub port: u16,
    /// See [`Browser::port`].
    pub path: String,
}

/// The first browser on the search path; the variable `CHROMIUM` names another.
pub fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &&str| std::env::split_paths(&directories).map(|at| at.join(name)).find(|path| path.is_file());
    PROGRAMS.iter().find_map(found)
}

impl Browser {
    /// Starts it and waits until it can be driven.
    pub fn start(program: &Path) -> Result<Browser, String> {
        let profile = TempDir::with_prefix("lab-pages-").map_err(|error| format!("no place for a profile: {error}"))?;
        let mut command = Command::new(program);
        command.args([
            "--headless",
            "--remote-debugging-port=0",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Containers often give too little shared memory for its own.
            "--disable-dev-shm-usage",
        ]);
        if rustix::process::getuid().is_root() {
            // Chromium refuses to build its sandbox as root, and the page is our own.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        // A group of its own, so that its many processes can be ended together.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let process = command.spawn().map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let mut browser = Browser { process, profile: Some(profile), port: 0, path: String::new() };
        browser.wait_for_address()?;
        Ok(browser)
    }

    /// The browser writes the port that it chose, and its target's path, into its profile.
    fn wait_for_address(&mut self) -> Result<(), String> {
        let profile = self.profile.as_ref().expect("only the end takes the profile");
        let file = profile.path().join("DevToolsActivePort");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("the browser ended at once: {status}"));
            }
            // The file is complete when the second line is there.
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n').filter(|(_, path)| path.starts_with('/')) {
                self.port = port.trim().parse().map_err(|error| format!("the browser's port `{port}`: {error}"))?;
                self.path = path.trim().to_owned();
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("the browser did not listen within {} s", START_TIMEOUT.as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The process has not been waited for, so its id, and its group's, belong to nobody else.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
        let Some(profile) = self.profile.take() else { return };
        for _ in 0..REMOVALS_MAX {
            match std::fs::remove_dir_all(profile.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => std::thread::sleep(LOOK_EVERY),
                Ok(()) | Err(_) => return,
            }
        }
    }
}
