//! The data sets that come with the program. Each implements [`Suite`](crate::suite::Suite).

mod batches;
mod copies;
mod folder;
mod hrf_av;
mod mnist;
mod on_card;
mod refuge;

use crate::suite::DatasetEntry;

/// All data sets.
pub(crate) fn entries() -> Vec<DatasetEntry> {
    vec![mnist::entry(), refuge::entry(), hrf_av::entry(), folder::entry()]
}
