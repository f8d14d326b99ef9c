//! [`Registry::builtin`]: the registry of everything that comes with the program.

use crate::suite::Registry;
use crate::{datasets, losses, methods, networks};

impl Registry {
    /// The data sets, networks, losses and methods that come with the program.
    pub fn builtin() -> Self {
        let all = datasets::entries().into_iter().fold(Self::empty(), Self::with_dataset);
        let all = networks::entries().into_iter().fold(all, Self::with_network);
        let all = losses::entries().into_iter().fold(all, Self::with_loss);
        methods::entries().into_iter().fold(all, Self::with_method)
    }
}
