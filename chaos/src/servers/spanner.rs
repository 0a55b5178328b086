//! Google's emulator of Spanner. It is in no package registry: it is used from where somebody has installed it.

use std::path::{Path, PathBuf};

use super::Trouble;
use super::launch::{Installed, Launch, Site};

/// Where Google's packages put it.
const PLACES: &[&str] = &[
    "/usr/lib/google-cloud-sdk/bin/cloud_spanner_emulator",
    "/usr/share/google-cloud-sdk/bin/cloud_spanner_emulator",
    "/opt/google-cloud-sdk/bin/cloud_spanner_emulator",
];
/// Names another place.
const DIRECTORY: &str = "SPANNER_EMULATOR_DIR";
/// Set to 1, commits are aborted at random, as they are in production.
const FAULTS: &str = "SPANNER_FAULTS";

/// The emulator where it is installed.
pub struct Spanner {
    directory: PathBuf,
}

impl Spanner {
    /// Its ports: gRPC's, and ten above it REST's, which is the distance that clients expect.
    pub const OFFSETS: &[u16] = &[0, 10];

    /// Finds it.
    pub fn obtain() -> Result<Spanner, Trouble> {
        let named = std::env::var_os(DIRECTORY).map(PathBuf::from);
        let places = named.into_iter().chain(PLACES.iter().map(PathBuf::from));
        let whole = |place: &Path| ["gateway_main", "emulator_main"].iter().all(|name| place.join(name).is_file());
        places.into_iter().find(|place| whole(place)).map(|directory| Spanner { directory }).ok_or_else(|| {
            Trouble::Missing {
                reason: "there is no gateway_main and emulator_main, and no package registry has them".to_owned(),
                remedy: format!("install google-cloud-cli-spanner-emulator from Google, or set {DIRECTORY}"),
            }
        })
    }
}

impl Installed for Spanner {
    fn version(&self) -> &str {
        // Its programs do not say which they are.
        "emulator"
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>, String> {
        let flags = [
            ("-hostname", "127.0.0.1".to_owned()),
            ("-grpc_port", site.ports[0].to_string()),
            ("-http_port", site.ports[1].to_string()),
            ("-grpc_binary", self.directory.join("emulator_main").display().to_string()),
        ];
        let mut arguments: Vec<_> = flags.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect();
        if std::env::var_os(FAULTS).is_some_and(|value| value == "1") {
            arguments.push("-enable_fault_injection".into());
        }
        Ok(vec![Launch { name: "spanner".to_owned(), program: self.directory.join("gateway_main"), arguments }])
    }
}

/// Asks whether it can be used: a call by REST goes through both of its processes.
pub fn ask(site: &Site) -> Result<(), String> {
    super::ask_by_http(site.address_of(1), "/v1/projects/lab/instanceConfigs")
}
