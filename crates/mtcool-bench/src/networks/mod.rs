//! The networks that come with the program, built from an experiment's table `network`.

mod labels;
mod lenet;
mod unet;

use crate::suite::NetworkEntry;

/// All networks.
pub(crate) fn entries() -> Vec<NetworkEntry> {
    vec![lenet::entry(), unet::entry()]
}
