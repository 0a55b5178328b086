//! A copy of the repository in which bugs are planted: the product's own text stays clean.
//!
//! One copy serves all bugs, one after the other, and the profile is the one that tests are built with: the compiler then
//! builds again only what a bug touches, and keeps the rest of that crate too.

use super::Mutant;
use crate::plan::World;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The copy.
pub struct Scratch {
    tree: PathBuf,
    target: PathBuf,
    binaries: PathBuf,
    /// Held until this is dropped: two hunts in one copy would find each other's bugs.
    _turn: File,
}

impl Scratch {
    /// Brings the copy up to date with what is in the working directory. Files that are the same are left alone: their
    /// times tell the compiler that nothing changed.
    ///
    /// # Errors
    /// When git cannot list the files, one cannot be copied, or the turn of this hunt cannot be waited for.
    pub fn of(root: &Path) -> Result<Scratch, String> {
        let zoo = root.join("target/zoo");
        let (tree, target, binaries) = (zoo.join("tree"), zoo.join("target"), zoo.join("bin"));
        std::fs::create_dir_all(&binaries).map_err(|error| format!("{}: {error}", zoo.display()))?;
        let turn = wait_for_turn(&zoo.join("turn")).map_err(|error| format!("{}: {error}", zoo.display()))?;
        let scratch = Scratch { tree, target, binaries, _turn: turn };
        let files = listed(root)?;
        for file in &files {
            copy(&root.join(file), &scratch.tree.join(file))?;
        }
        scratch.remove_others(&scratch.tree, &files)?;
        Ok(scratch)
    }

    /// Plants a bug, builds the simulator with it, and takes the bug out again. Returns the program. With the disk it has the
    /// embedded platform, which takes longer to build.
    ///
    /// # Errors
    /// When the bug no longer applies or does not compile; says which text or what the compiler said.
    pub fn build(&self, mutant: &Mutant, with_disk: bool) -> Result<PathBuf, String> {
        let mut clean: Vec<(PathBuf, String)> = Vec::new();
        let mut planted = Ok(());
        for edit in &mutant.edits {
            let file = self.tree.join(&edit.file);
            planted = edit.changed(&self.tree).and_then(|changed| {
                let before = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                clean.push((file.clone(), before));
                write(&file, &changed)
            });
            if planted.is_err() {
                break;
            }
        }
        let built = planted.and_then(|()| self.compile(mutant, with_disk));
        // Backwards: a file that was edited twice ends as it was before the first.
        for (file, text) in clean.iter().rev() {
            write(file, text)?;
        }
        built
    }

    fn compile(&self, mutant: &Mutant, with_disk: bool) -> Result<PathBuf, String> {
        let id = &mutant.id;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // From one bug to the next a line changes: whoever builds everything else once still wants these incremental.
        command.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "1");
        command.args(["build", "--quiet", "--locked", "-p", "doorbuster-sim", "--bin", "sim"]);
        match mutant.world {
            World::Fast if with_disk => command.args(["--no-default-features", "--features", "disk"]),
            World::Fast => command.arg("--no-default-features"),
            World::Wire => &mut command,
        };
        let output = command.output().map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("mutant {id} does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let program = self.binaries.join(id);
        let copied = std::fs::copy(self.target.join("debug/sim"), &program);
        copied.map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(program)
    }

    fn remove_others(&self, directory: &Path, files: &BTreeSet<PathBuf>) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", directory.display());
        for entry in std::fs::read_dir(directory).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            let below = path.strip_prefix(&self.tree).expect("it was found below the tree");
            if path.is_dir() {
                self.remove_others(&path, files)?;
            } else if !files.contains(below) {
                std::fs::remove_file(&path).map_err(wrong)?;
            }
        }
        Ok(())
    }
}

/// Returns when no other process hunts in this copy.
fn wait_for_turn(path: &Path) -> std::io::Result<File> {
    let file = File::create(path)?;
    if file.try_lock().is_err() {
        eprintln!("another hunt is under way: this one waits for it");
        file.lock()?;
    }
    Ok(file)
}

/// What belongs to the repository: committed, or new and not ignored.
fn listed(root: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let mut command = Command::new("git");
    command.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let output = command.output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let names = String::from_utf8(output.stdout).map_err(|error| format!("a file's name: {error}"))?;
    let files = names.split_terminator('\0').map(PathBuf::from);
    // A file that was removed and not yet committed is still listed.
    Ok(files.filter(|file| root.join(file).is_file()).collect())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", from.display());
    let text = std::fs::read(from).map_err(wrong)?;
    if std::fs::read(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::create_dir_all(to.parent().expect("it is below the tree")).map_err(wrong)?;
    std::fs::write(to, text).map_err(wrong)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
