//! A Java installation with a compiler.

use std::path::{Path, PathBuf};

/// Where systems and people put them, each below a directory of its own.
const PLACES: &[&str] = &["/usr/lib/jvm", "/opt", "/opt/java", "/usr/java"];

/// A Java installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jdk {
    home: PathBuf,
    /// The first number of its version.
    pub major: u32,
}

impl Jdk {
    /// The one that JAVA_HOME names if its version is enough, or else the oldest of this machine that is: it is the nearest
    /// to what a server was made for.
    pub fn of_at_least(major: u32) -> Option<Jdk> {
        let named = std::env::var_os("JAVA_HOME").and_then(|home| Jdk::at(Path::new(&home)));
        let enough = |jdk: &Jdk| jdk.major >= major;
        named.filter(enough).or_else(|| Jdk::all().filter(enough).min_by_key(|jdk| jdk.major))
    }

    /// Its programs: `java`, `javac`, `jar`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Where it is, as JAVA_HOME says it.
    pub fn home(&self) -> &Path {
        &self.home
    }

    fn all() -> impl Iterator<Item = Jdk> {
        let directories = PLACES.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let compilers: Vec<PathBuf> = std::env::split_paths(&on_path)
            .filter_map(|directory| directory.join("javac").canonicalize().ok())
            .collect();
        let homes = compilers.into_iter().filter_map(|compiler| compiler.ancestors().nth(2).map(Path::to_owned));
        homes.chain(directories.map(|directory| directory.path())).filter_map(|home| Jdk::at(&home))
    }

    fn at(home: &Path) -> Option<Jdk> {
        let whole = ["java", "javac", "jar"].iter().all(|program| home.join("bin").join(program).is_file());
        let release = std::fs::read_to_string(home.join("release")).ok().filter(|_| whole)?;
        Some(Jdk { home: home.to_owned(), major: major_of(&release)? })
    }
}

/// The file `release` of an installation has one line for its version.
fn major_of(release: &str) -> Option<u32> {
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.trim_matches('"');
    // Before Java 9 the versions began with `1.`: all of those are too old for anything here.
    version.split(['.', '-', '+', '_']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_file_that_every_installation_has() {
        assert_eq!(major_of("IMPLEMENTOR=\"Somebody\"\nJAVA_VERSION=\"25.0.3\"\n"), Some(25));
        assert_eq!(major_of("JAVA_VERSION=\"21\"\n"), Some(21));
        assert_eq!(major_of("JAVA_VERSION=\"1.8.0_402\"\n"), Some(1));
        assert_eq!(major_of("nothing"), None);
    }
}
