//! Libraries from Maven Central, with everything that they need.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::cache::{Cache, create, write};
use super::jdk::Jdk;
use super::{Trouble, tool};

/// The goal is named whole, so that no other version of it decides what is copied.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
/// Some fifty megabytes for the larger of the servers: minutes on a slow line, and far less than this on any other.
const COPY_MAX: Duration = Duration::from_secs(600);

/// Copies the libraries that `project` (the text of a project file) depends on into `jars`, which is made.
///
/// It is missing, not failed, when Maven is not here or cannot get it: both are mended outside of this program.
pub fn copy(cache: &Cache, jdk: &Jdk, project: &str, place: &Path, jars: &Path) -> Result<(), Trouble> {
    let missing = |reason: String, remedy: &str| Trouble::Missing { reason, remedy: remedy.to_owned() };
    if !super::on_path("mvn") {
        return Err(missing("there is no `mvn`".to_owned(), "install Maven (Debian: maven)"));
    }
    let file = place.join("pom.xml");
    write(&file, project)?;
    create(jars)?;
    // Two Mavens at once may write the same file of the user's repository.
    let _turn = cache.lock("maven")?;
    let mut command = Command::new("mvn");
    command
        .args(["--batch-mode", "--quiet", "--strict-checksums", "--file"])
        .arg(&file)
        .arg(COPY)
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .arg("-DincludeScope=runtime")
        .env("JAVA_HOME", jdk.home())
        .current_dir(place);
    tool::run(&mut command, &place.join("maven.log"), COPY_MAX).map_err(|why| {
        let remedy = "see whether Maven reaches its repository: it needs one once, and what it got is kept";
        missing(format!("its libraries did not come: {why}"), remedy)
    })
}
