//! The methods MT-COOL is compared with, one file each.
