//! Clocks that run wrong: those of single processes, through libfaketime, never the machine's.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A clock that processes may be started with.
pub(crate) struct WrongClock {
    library: PathBuf,
    told: PathBuf,
}

impl WrongClock {
    /// One that is right so far. `None`, with the reason on standard error, where libfaketime is not installed.
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        let library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
            .map(|machine| PathBuf::from(format!("/usr/lib/{machine}/faketime/libfaketimeMT.so.1")))
            .into_iter()
            .find(|path| path.exists());
        if library.is_none() {
            // Nobody has to read it.
            let _ =
                std::io::stderr().write_all(b"skipped: libfaketime is not installed (apt-get install libfaketime)\n");
        }
        let clock = Self { library: library?, told: folder.join("clock") };
        clock.tell("+0");
        Some(clock)
    }

    /// The variables of processes that have this clock. Only the time of day is wrong: what the system counts since its
    /// start goes on, as it does when somebody sets a clock.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", path(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", path(&self.told)),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Sets it: `+3600`, `-3600`, `+0`, or with another speed, `+0 x2`.
    pub(crate) fn tell(&self, time: &str) {
        let fresh = self.told.with_extension("fresh");
        fs::write(&fresh, format!("{time}\n")).unwrap();
        fs::rename(fresh, &self.told).unwrap();
    }
}
