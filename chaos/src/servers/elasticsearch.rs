//! Elasticsearch: one node, from its libraries on Maven Central, where its distribution is not.
//!
//! What the distribution adds is not here: scripts, reindexing and updates by query, analyzers of languages, security.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cache::{Cache, Recipe, create, write};
use super::jdk::Jdk;
use super::launch::{Installed, Launch, Site};
use super::{Trouble, maven, tool};

const PROJECT: &str = include_str!("elasticsearch/pom.xml");
const LAUNCHER: &str = include_str!("elasticsearch/Launcher.java");
const ROOT_MODULE: &str = include_str!("elasticsearch/RootModule.java");
const LOGGING: &str = include_str!("elasticsearch/log4j2.properties");
/// Two small classes; a busy machine makes it slow.
const COMPILE_MAX: Duration = Duration::from_secs(120);

/// A version, what it needs, and how the two classes that start it are written for it.
struct Edition {
    version: &'static str,
    java_min: u32,
    /// What follows the directory when modules are loaded.
    modules: &'static str,
    /// What a module is given to make its handlers of.
    services: &'static str,
}

/// The newest first: the second is for machines whose Java is too old for it, such as Debian 12's.
const EDITIONS: &[Edition] = &[
    Edition { version: "9.5.3", java_min: 21, modules: ", false", services: "RestHandlersServices services" },
    Edition {
        version: "8.19.21",
        java_min: 17,
        modules: "",
        services: "org.elasticsearch.common.settings.Settings settings, \
                   org.elasticsearch.common.io.stream.NamedWriteableRegistry registry, \
                   org.elasticsearch.rest.RestController controller, \
                   org.elasticsearch.common.settings.ClusterSettings ofCluster, \
                   org.elasticsearch.common.settings.IndexScopedSettings ofIndex, \
                   org.elasticsearch.common.settings.SettingsFilter filter, \
                   org.elasticsearch.cluster.metadata.IndexNameExpressionResolver resolver",
    },
];

/// Elasticsearch as it is installed here.
pub struct Elasticsearch {
    edition: &'static Edition,
    directory: PathBuf,
    jdk: Jdk,
}

impl Elasticsearch {
    /// Its ports: HTTP's, and the one by which nodes would talk to each other.
    pub const OFFSETS: &[u16] = &[0, 100];

    /// Installs the newest version for which there is a Java here, if it is not yet.
    pub fn obtain(cache: &Cache) -> Result<Elasticsearch, Trouble> {
        let found = EDITIONS.iter().find_map(|edition| Some((edition, Jdk::of_at_least(edition.java_min)?)));
        let (edition, jdk) = found.ok_or_else(|| Trouble::Missing {
            reason: "there is no JDK of version 17 or later".to_owned(),
            remedy: "install one of version 21 or later (Debian: default-jdk-headless) or set JAVA_HOME".to_owned(),
        })?;
        let sources = Sources::of(edition);
        // Classes of a later Java cannot be read by an earlier one.
        let java = jdk.major.to_string();
        let text =
            [&sources.project, &sources.launcher, &sources.root_module, LOGGING, &java].map(String::from).concat();
        let recipe = Recipe { name: format!("elasticsearch-{}", edition.version), text };
        let directory = cache.install(&recipe, |place| {
            maven::copy(cache, &jdk, &sources.project, place, &place.join("lib"))?;
            arrange(edition, &jdk, &sources, place).map_err(Trouble::Failed)
        })?;
        Ok(Elasticsearch { edition, directory, jdk })
    }
}

impl Installed for Elasticsearch {
    fn version(&self) -> &str {
        self.edition.version
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>, String> {
        let (configuration, temporary) = (site.directory.join("config"), site.directory.join("tmp"));
        create(&configuration)?;
        create(&temporary)?;
        write(&configuration.join("elasticsearch.yml"), self.settings(site))?;
        write(&configuration.join("log4j2.properties"), LOGGING)?;
        let property = |name: &str, value: &Path| OsString::from(format!("-D{name}={}", value.display()));
        let lib = self.directory.join("lib");
        // The first compiler only: the node is up in half the time, and no benchmark is made of it.
        let mut arguments: Vec<OsString> = [
            "-Xms512m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
        ]
        .map(OsString::from)
        .to_vec();
        arguments.extend([
            property("es.path.home", &self.directory),
            property("es.path.conf", &configuration),
            property("java.io.tmpdir", &temporary),
            "-Des.distribution.type=tar".into(),
            // Its own vector library is not among the libraries; Java's is slower and the same.
            "-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false".into(),
            "-Djava.net.preferIPv4Stack=true".into(),
            "-cp".into(),
            format!("{0}:{0}/*", lib.display()).into(),
            "Launcher".into(),
        ]);
        Ok(vec![Launch { name: "elasticsearch".to_owned(), program: self.jdk.program("java"), arguments }])
    }
}

/// Asks whether it can be used.
pub fn ask(site: &Site) -> Result<(), String> {
    super::ask_by_http(site.address(), "/_cluster/health?wait_for_status=yellow&timeout=1s")
}

impl Elasticsearch {
    fn settings(&self, site: &Site) -> String {
        let (home, directory) = (self.directory.display(), site.directory.display());
        let (http, transport) = (site.ports[0], site.ports[1]);
        // A test machine's disk may be nearly full, which is no reason to refuse to write.
        format!(
            "\
cluster.name: lab
node.name: lab
node.processors: 2
path.home: {home}
path.data: {directory}/data
path.logs: {directory}/logs
network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}
discovery.type: single-node
cluster.routing.allocation.disk.threshold_enabled: false
"
        )
    }
}

/// The texts that an edition is made of.
struct Sources {
    project: String,
    launcher: String,
    root_module: String,
}

impl Sources {
    fn of(edition: &Edition) -> Sources {
        Sources {
            project: PROJECT.replace("@version@", edition.version),
            launcher: LAUNCHER.replace("@modules@", edition.modules),
            root_module: ROOT_MODULE.replace("@services@", edition.services),
        }
    }
}

/// Makes a home of the copied libraries: modules apart from the rest, as the node looks for them.
fn arrange(edition: &Edition, jdk: &Jdk, sources: &Sources, place: &Path) -> Result<(), String> {
    let (lib, modules) = (place.join("lib"), place.join("modules"));
    create(&place.join("plugins"))?;
    let transport = modules.join("transport-netty4");
    create(&transport)?;
    for entry in fs::read_dir(&lib).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let of_transport =
            name.to_string_lossy().starts_with("netty-") || name.to_string_lossy().starts_with("transport-netty4");
        if of_transport {
            fs::rename(lib.join(&name), transport.join(&name)).map_err(|error| error.to_string())?;
        }
    }
    describe(edition, &transport, "transport-netty4", "org.elasticsearch.transport.netty4.Netty4Plugin")?;
    compile(jdk, place, "Launcher", &sources.launcher, &lib)?;
    let (root, classes) = (modules.join("lab-root"), place.join("classes"));
    create(&root)?;
    describe(edition, &root, "lab-root", "lab.RootModule")?;
    compile(jdk, place, "RootModule", &sources.root_module, &classes)?;
    let mut pack = Command::new(jdk.program("jar"));
    pack.args(["--create", "--file"]).arg(root.join("lab-root.jar")).arg("-C").arg(&classes).arg(".");
    tool::run(&mut pack, &place.join("jar.log"), COMPILE_MAX)
}

fn describe(edition: &Edition, module: &Path, name: &str, class: &str) -> Result<(), String> {
    let version = edition.version;
    let lines = format!(
        "name={name}\ndescription={name}\nclassname={class}\nversion={version}\nelasticsearch.version={version}\n\
         java.version={}\nextended.plugins=\nhas.native.controller=false\n",
        edition.java_min
    );
    write(&module.join("plugin-descriptor.properties"), lines)
}

fn compile(jdk: &Jdk, place: &Path, class: &str, source: &str, classes: &Path) -> Result<(), String> {
    let file = place.join(format!("{class}.java"));
    write(&file, source)?;
    let mut command = Command::new(jdk.program("javac"));
    command.args(["-nowarn", "-proc:none", "-cp"]).arg(place.join("lib").join("*")).arg("-d").arg(classes).arg(&file);
    tool::run(&mut command, &place.join("javac.log"), COMPILE_MAX)
}
