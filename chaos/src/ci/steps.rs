/// One step of the gate.
#[derive(Clone, Debug)]
pub struct Step {
    /// What `--from` and `--only` call it.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Run one after the other; the first that fails ends the step. A command that begins with `lab` is this program.
    pub commands: &'static [&'static [&'static str]],
    /// The step is ended after this time, and has failed. The bound is several times what the step takes on two
    /// cores from a cold start, so that only a hang reaches it.
    pub minutes_max: u64,
    /// Without this program the step is skipped, by name.
    pub needs: Option<Need>,
}

/// A program that not every machine has.
#[derive(Clone, Debug)]
pub struct Need {
    pub program: &'static str,
    /// What is lost without it.
    pub without: &'static str,
}

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
        needs: Some(Need {
            program: "cargo-deny",
            without: "bans are not checked, licences and sources are, by the step before; `cargo install cargo-deny --locked` gets it",
        }),
    },
    Step {
        name: "clippy",
        about: "no warning in any target of the workspace",
        commands: &[&["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]],
        minutes_max: 15,
        needs: None,
    },
    Step {
        name: "test",
        about: "every test of the workspace",
        commands: &[&["cargo", "test", "--workspace", "--locked"]],
        minutes_max: 20,
        needs: None,
    },
];
