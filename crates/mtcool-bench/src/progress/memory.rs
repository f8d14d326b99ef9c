//! The memory of this process.

/// The memory that this process holds, in bytes; `None` where the operating system does not tell it in `/proc`.
pub(super) fn resident() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_table() {
        assert_eq!(parse("Name:\tmtcool\nVmRSS:\t  123456 kB\nThreads:\t2\n"), Some(123_456 * 1024));
        assert_eq!((parse("Name:\tmtcool\n"), parse("VmRSS:\tmuch\n")), (None, None));
        if cfg!(target_os = "linux") {
            assert!(resident().unwrap() > 1 << 20);
        }
    }
}
