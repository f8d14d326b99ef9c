//! Where the files of a data set are.

use std::path::Path;

/// The folders from which a data set is opened.
#[derive(Clone, Copy, Debug)]
pub struct DataPlace<'a> {
    /// The folder of the data.
    pub folder: &'a Path,
    /// The folder for what was decoded or computed from the data; all files in it may be deleted at any time.
    pub cache: &'a Path,
}
