//! The programs that a run needs, built as the lab was.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::LOOK_EVERY;
use crate::{repository_root, stop};

/// Copies, removed when this is dropped: a build of somebody else must not change a program under the processes that are
/// started again.
pub struct Programs {
    pub doorbuster: PathBuf,
    pub load: PathBuf,
    _directory: tempfile::TempDir,
}

impl Programs {
    /// Builds them where something has changed.
    pub fn build() -> Result<Programs, String> {
        println!("building the platform and the load tool");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "-p", "doorbuster", "-p", "doorbuster-load"])
            .args(["--features", "doorbuster/production"])
            .current_dir(repository_root())
            .status();
        if !built.map_err(|error| format!("cargo: {error}"))?.success() {
            return Err("the platform could not be built".to_owned());
        }
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let beside = own.parent().ok_or("this program lies nowhere")?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let copy = |program: &str| {
            let copy = directory.path().join(program);
            std::fs::copy(beside.join(program), &copy).map_err(|error| format!("{program}: {error}"))?;
            Ok::<PathBuf, String>(copy)
        };
        Ok(Programs { doorbuster: copy("doorbuster")?, load: copy("load")?, _directory: directory })
    }
}

/// A program that does one thing and ends; ended when this is dropped before.
pub struct Tool(Child);

impl Tool {
    pub fn start(command: &mut Command) -> Result<Tool, String> {
        let child = command.stdin(Stdio::null()).spawn();
        child.map(Tool).map_err(|error| format!("{}: {error}", command.get_program().display()))
    }

    /// Waits until it ends; one that does not in time, or when this program is told to stop, is made to.
    pub fn wait(mut self, most: Duration) -> Result<ExitStatus, String> {
        let began = Instant::now();
        while began.elapsed() < most && stop::asked().is_none() {
            if let Some(status) = self.0.try_wait().map_err(|error| error.to_string())? {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // It has not said anything, so nothing holds.
        let _ = self.0.kill();
        self.0.wait().map_err(|error| error.to_string())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
