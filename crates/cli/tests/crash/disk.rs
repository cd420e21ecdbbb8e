//! Small disks that can be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A disk in memory, mounted as long as this lives.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts one on a folder. `None`, with the reason on standard error, where that is not allowed.
    pub(crate) fn mount(place: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(place).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", options, "belvedere-test"], place);
        if !mounted {
            let text = "skipped: a small disk cannot be mounted here, which takes the rights of root\n";
            // Nobody has to read it.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        mounted.then(|| Self(place.to_owned()))
    }

    /// Forbids writing, as a damaged disk does.
    pub(crate) fn forbid_writing(&self) {
        assert!(mount(&["-o", "remount,ro"], &self.0));
    }

    /// Takes all the space there is.
    pub(crate) fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.balloon()).unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    /// Takes every file that there may be.
    pub(crate) fn fill_with_files(&self) {
        let folder = self.balloon();
        fs::create_dir_all(&folder).unwrap();
        let mut number = 0;
        while File::create(folder.join(format!("{number}"))).is_ok() {
            number += 1;
        }
    }

    /// Gives space and files back.
    pub(crate) fn free(&self) {
        let balloon = self.balloon();
        if balloon.is_dir() {
            fs::remove_dir_all(balloon).unwrap();
        } else if balloon.exists() {
            fs::remove_file(balloon).unwrap();
        }
    }

    fn balloon(&self) -> PathBuf {
        self.0.join("balloon")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once for everybody who looks; those who still have files open keep them until they end.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], place: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(place).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
