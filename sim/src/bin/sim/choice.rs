//! Which world, as the command line says it.

use clap::ValueEnum;
use doorbuster_sim::plan::World;
use doorbuster_sim::runner::Runner;

/// A world by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The machines on an event heap.
    Fast,
    /// The shells over a simulated network.
    Wire,
    /// A world of a page with a planted bug, for trying the tools.
    #[value(hide = true)]
    Toy,
}

/// The world's options, the same for every verb.
#[derive(clap::Args, Clone, Debug)]
pub struct Where {
    /// The world; a plan in a file names its own.
    #[arg(long, value_enum)]
    pub world: Option<Choice>,
    /// Puts the process's id into the hash: `meta` must turn red.
    #[arg(long, hide = true)]
    pub leak: bool,
    /// Lets the simulated Redis run its scripts with this bug of the zoo in them; nothing is built for it.
    #[cfg(feature = "wire")]
    #[arg(long, value_name = "ID")]
    pub plant: Option<String>,
}

impl Where {
    /// What runs there; `otherwise` when the command line names no world.
    pub fn runner(&self, otherwise: World) -> Result<Runner, String> {
        #[cfg(feature = "wire")]
        if let Some(id) = &self.plant {
            doorbuster_sim::zoo::plant_in_scripts(id)?;
        }
        let runner = match self.world {
            Some(Choice::Toy) => Runner::toy(),
            Some(Choice::Fast) => Runner::of(World::Fast)?,
            Some(Choice::Wire) => Runner::of(World::Wire)?,
            None => Runner::of(otherwise)?,
        };
        Ok(if self.leak { runner.leaking() } else { runner })
    }

    /// The same options again, for a command line.
    pub fn words(&self) -> Vec<String> {
        let name = self.world.and_then(|choice| choice.to_possible_value());
        let mut words: Vec<String> =
            name.into_iter().flat_map(|name| ["--world".to_owned(), name.get_name().to_owned()]).collect();
        words.extend(self.leak.then(|| "--leak".to_owned()));
        #[cfg(feature = "wire")]
        words.extend(self.plant.iter().flat_map(|id| ["--plant".to_owned(), id.clone()]));
        words
    }

    /// The world whose faults are expected.
    pub fn world(&self) -> World {
        match self.world {
            Some(Choice::Wire) => World::Wire,
            Some(Choice::Fast | Choice::Toy) | None => World::Fast,
        }
    }
}
