use crate::servers::Server;

/// One step of the gate.
#[derive(Clone, Debug)]
pub struct Step {
    /// What `--from` and `--only` call it.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Run one after the other; the first that fails ends the step. A command that begins with `lab` is this program, one
    /// that begins with `sim` the simulator beside it.
    pub commands: &'static [&'static [&'static str]],
    /// The step is ended after this time, and has failed. The bound is several times what the step takes on two
    /// cores from a cold start, so that only a hang reaches it.
    pub minutes_max: u64,
    /// What not every machine has: without it the step is skipped, by name.
    pub needs: Option<Need>,
}

/// What a step needs beside the toolchain.
#[derive(Clone, Debug)]
pub enum Need {
    /// A program of the path.
    Program {
        name: &'static str,
        /// What is lost without it.
        without: &'static str,
    },
    /// Servers of its own, which the commands find by their environment. The step runs with those that can be had here, and
    /// names the others.
    Servers(&'static [Server]),
}

/// `serve` and `migrate`, which the default build leaves out.
const PRODUCTION: &str = "doorbuster/production";

/// The simulator as the step `test` has built it, which costs nothing after that step. Optimised further it runs faster
/// and takes longer to build than these steps have to run.
const SIMULATOR: &[&str] = &["cargo", "test", "--workspace", "--locked", "--no-run", "--test", "meta"];

/// The tests of the whole workspace are named, so that what the step `test` has built is what runs: of one package
/// alone, cargo would build many crates with other features once more.
const DIFFERENTIAL_SIMULATED: &[&str] = &[
    "env",
    "DIFFERENTIAL_SEQUENCES=100000",
    "cargo",
    "test",
    "--workspace",
    "--locked",
    "--test",
    "differential",
    "the_scripts_on_the_simulated_server_are_their_models",
];

const DIFFERENTIAL_SERVER: &[&str] = &[
    "env",
    "DIFFERENTIAL_SERVER_SEQUENCES=2000",
    "cargo",
    "test",
    "--workspace",
    "--locked",
    "--test",
    "differential",
    "the_scripts_on_a_real_server_are_their_models_too",
];

/// The gate, cheapest first: what fails fast is asked before what takes minutes.
pub const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "every source is laid out by rustfmt",
        commands: &[&["cargo", "fmt", "--all", "--check"]],
        minutes_max: 2,
        needs: None,
    },
    Step {
        name: "tidy",
        about: "the repository keeps its own rules of style",
        commands: &[&["lab", "tidy"]],
        minutes_max: 2,
        needs: None,
    },
    Step {
        name: "licences",
        about: "the lock file keeps to deny.toml's licences and sources",
        commands: &[&["lab", "licences"]],
        minutes_max: 5,
        needs: None,
    },
    Step {
        name: "deny",
        about: "cargo-deny's bans, licences and sources",
        // Not `advisories`: their database is a git repository, and the gate fetches none.
        commands: &[&["cargo", "deny", "check", "bans", "licenses", "sources"]],
        minutes_max: 5,
        needs: Some(Need::Program {
            name: "cargo-deny",
            without: "bans are not checked, licences and sources are, by the step before; `cargo install cargo-deny --locked` gets it",
        }),
    },
    Step {
        name: "clippy",
        about: "no warning in any target of the workspace",
        commands: &[&[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            PRODUCTION,
            "--locked",
            "--",
            "-D",
            "warnings",
        ]],
        minutes_max: 15,
        needs: None,
    },
    Step {
        name: "test",
        about: "every test of the workspace, adapters against the real servers",
        commands: &[&["cargo", "test", "--workspace", "--features", PRODUCTION, "--locked"]],
        minutes_max: 30,
        needs: Some(Need::Servers(&[Server::Kafka, Server::Spanner, Server::Elasticsearch])),
    },
    Step {
        name: "explore",
        about: "every interleaving of the ledger's small scopes, as far as two minutes each allow",
        commands: &[SIMULATOR, &["sim", "explore", "--states-max", "300000", "--minutes-max", "1"]],
        minutes_max: 15,
        needs: None,
    },
    Step {
        name: "meta",
        about: "the same seeds are the same runs in two processes",
        commands: &[
            SIMULATOR,
            &["sim", "meta", "--seeds", "200"],
            &["sim", "meta", "--world", "wire", "--seeds", "20"],
        ],
        minutes_max: 10,
        needs: None,
    },
    Step {
        name: "coverage",
        about: "every kind of fault changed an outcome, every moment was reached",
        commands: &[
            SIMULATOR,
            &["sim", "coverage", "--seeds", "1000"],
            &["sim", "coverage", "--world", "wire", "--seeds", "200"],
        ],
        minutes_max: 10,
        needs: None,
    },
    Step {
        name: "differential",
        about: "the scripts in the simulated server against their models, a hundred thousand sequences",
        commands: &[DIFFERENTIAL_SIMULATED],
        minutes_max: 20,
        needs: None,
    },
    Step {
        name: "differential-server",
        about: "the scripts in a real server against their models, two thousand sequences",
        commands: &[DIFFERENTIAL_SERVER],
        minutes_max: 10,
        needs: Some(Need::Program { name: "redis-server", without: "the scripts have not run in a real server" }),
    },
    Step {
        name: "zoo",
        about: "the canary, the scripts' bugs and two others, planted and found",
        commands: &[SIMULATOR, &["sim", "zoo", "--sample"]],
        minutes_max: 15,
        needs: None,
    },
    Step {
        name: "release",
        about: "the platform and the load tool as they are deployed",
        commands: &[&["cargo", "build", "--release", "--locked", "-p", "doorbuster", "-p", "doorbuster-load"]],
        minutes_max: 20,
        needs: None,
    },
    Step {
        name: "burst",
        about: "a thousand units, twenty thousand buyers, and the oracle",
        commands: &[
            &["lab", "burst", "--", "burst", "--stock", "1000", "--buyers", "20000"],
            &["lab", "burst", "--", "mixed", "--sales", "2", "--skus", "200", "--shards", "4", "--operator"],
        ],
        minutes_max: 10,
        needs: None,
    },
    Step {
        name: "kills",
        about: "the same burst, killed at twenty moments and restarted on the same data",
        commands: &[&[
            "lab",
            "burst",
            "--rounds",
            "20",
            "--kill",
            "--spread-ms",
            "4000",
            "--",
            "burst",
            "--stock",
            "1000",
            "--buyers",
            "20000",
        ]],
        minutes_max: 20,
        needs: None,
    },
    Step {
        name: "pages",
        about: "the console in a headless Chromium, against a platform of its own",
        commands: &[&["lab", "pages", "--own"]],
        minutes_max: 10,
        needs: Some(Need::Program { name: "chromium", without: "the console is not tried in a browser" }),
    },
];
