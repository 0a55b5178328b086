//! Apache Kafka: one node that is broker and controller, from its libraries on Maven Central.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cache::{Cache, Recipe, create, remove, write};
use super::jdk::Jdk;
use super::launch::{Installed, Launch, Site};
use super::{Trouble, maven, tool};

const VERSION: &str = "4.3.1";
const JAVA_MIN: u32 = 17;
const PROJECT: &str = include_str!("kafka/pom.xml");
const LOGGING: &str = include_str!("kafka/log4j2.properties");
/// Any 16 bytes in base64 will do: nothing but this node ever meets it.
const CLUSTER_ID: &str = "ZG9vcmJ1c3Rlci1sYWItMQ";
/// Formatting is one start of a virtual machine, without a broker.
const FORMAT_MAX: Duration = Duration::from_secs(120);
/// How long the broker may take to answer a question about itself.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// A cluster of one node describes itself in some fifty bytes: more than this is no Kafka.
const ANSWER_BYTES_MAX: usize = 4096;

/// Kafka as it is installed here.
pub struct Kafka {
    directory: PathBuf,
    jdk: Jdk,
}

impl Kafka {
    /// Ports of its own beside the one that clients know: its controller's.
    pub const OFFSETS: &[u16] = &[0, 1];

    /// Installs it, if it is not yet.
    pub fn obtain(cache: &Cache) -> Result<Kafka, Trouble> {
        let jdk = Jdk::of_at_least(JAVA_MIN).ok_or_else(|| Trouble::Missing {
            reason: format!("there is no JDK of version {JAVA_MIN} or later"),
            remedy: "install one (Debian: default-jdk-headless) or set JAVA_HOME".to_owned(),
        })?;
        let project = PROJECT.replace("@version@", VERSION);
        let text = [&project, LOGGING, CLUSTER_ID, &properties(Path::new(""), &[0, 0])].concat();
        let recipe = Recipe { name: format!("kafka-{VERSION}"), text };
        let directory = cache.install(&recipe, |place| {
            maven::copy(cache, &jdk, &project, place, &place.join("lib"))?;
            write(&place.join("log4j2.properties"), LOGGING)?;
            format(&jdk, place).map_err(Trouble::Failed)
        })?;
        Ok(Kafka { directory, jdk })
    }
}

impl Installed for Kafka {
    fn version(&self) -> &str {
        VERSION
    }

    fn launches(&self, site: &Site) -> Result<Vec<Launch>, String> {
        let (data, file) = (site.directory.join("data"), site.directory.join("server.properties"));
        if !data.is_dir() {
            create(&data)?;
            for name in FORMATTED {
                let copied = fs::copy(self.directory.join(name), data.join(name));
                copied.map_err(|error| format!("{}: {error}", data.join(name).display()))?;
            }
        }
        write(&file, properties(&data, &site.ports))?;
        let mut arguments: Vec<OsString> = vec!["-Xms128m".into(), "-Xmx512m".into(), "-XX:+UseSerialGC".into()];
        arguments.extend(on_classpath(&self.directory));
        arguments.extend(["kafka.Kafka".into(), file.into()]);
        Ok(vec![Launch { name: "kafka".to_owned(), program: self.jdk.program("java"), arguments }])
    }
}

/// Asks whether it can be used: a broker that the cluster's own list names can be, while its port is open some time before.
pub fn ask(site: &Site) -> Result<(), String> {
    let brokers = brokers(site.address()).map_err(|error| error.to_string())?;
    if brokers == 1 { Ok(()) } else { Err(format!("the cluster names {brokers} brokers")) }
}

/// What formatting makes of a data directory. It says nothing of ports and paths, so that it is done once, at the
/// installation, and copied at each start, which takes the start of a virtual machine less.
const FORMATTED: &[&str] = &["meta.properties", "bootstrap.checkpoint"];

fn format(jdk: &Jdk, place: &Path) -> Result<(), String> {
    let (data, file) = (place.join("formatted"), place.join("format.properties"));
    write(&file, properties(&data, &[9092, 9093]))?;
    let mut command = Command::new(jdk.program("java"));
    command
        .args(on_classpath(place))
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"])
        .arg(&file);
    tool::run(&mut command, &place.join("format.log"), FORMAT_MAX)?;
    for name in FORMATTED {
        fs::rename(data.join(name), place.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    remove(&data)
}

fn on_classpath(directory: &Path) -> [OsString; 3] {
    let logging = format!("-Dlog4j2.configurationFile={}", directory.join("log4j2.properties").display());
    [logging.into(), "-cp".into(), directory.join("lib").join("*").into()]
}

/// One node that is everything, with the few partitions and threads that tests on a small machine need. Internal topics
/// have one copy, because there is nobody for another; groups do not wait for members to come.
fn properties(data: &Path, ports: &[u16]) -> String {
    let (broker, controller, data) = (ports[0], ports[1], data.display());
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{broker}
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
log.segment.bytes=67108864
num.partitions=3
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
background.threads=2
"
    )
}

/// Asks for the cluster's description, the request Metadata as <https://kafka.apache.org/protocol> writes it, and returns
/// how many brokers it names.
fn brokers(address: SocketAddr) -> std::io::Result<i32> {
    /// Key 3 in its version 1, in which an empty list means no topics; correlation 1, and a client id of no bytes.
    const REQUEST: &[u8] = &[0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(&(REQUEST.len() as u32).to_be_bytes())?;
    stream.write_all(REQUEST)?;
    let length = number(&mut stream)?;
    // Its correlation and the count of brokers are always there.
    if !(8..=ANSWER_BYTES_MAX as i32).contains(&length) || number(&mut stream)? != 1 {
        return Err(std::io::Error::other("what answers is not Kafka"));
    }
    number(&mut stream)
}

fn number(stream: &mut impl Read) -> std::io::Result<i32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}
