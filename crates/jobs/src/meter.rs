//! What a job used of the machine while processes read files for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Adds up what calls used. Cheap to clone; clones share their numbers.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    peak_memory_bytes: AtomicU64,
    bytes_read: AtomicU64,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    first: Option<String>,
    failed: Option<String>,
    count: u64,
}

/// What was used so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Most memory of one process, in bytes; `None`: none was measured.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes read by all processes; `None`: none was measured.
    pub bytes_read: Option<u64>,
    /// The file that an error is about, else the first one.
    pub input_file: Option<String>,
    /// Number of files given to read.
    pub input_files: u64,
}

impl Meter {
    /// Notes what one process used for one call.
    pub fn note(&self, peak_memory_bytes: u64, bytes_read: u64) {
        self.0.peak_memory_bytes.fetch_max(peak_memory_bytes, Ordering::Relaxed);
        self.0.bytes_read.fetch_add(bytes_read, Ordering::Relaxed);
    }

    /// Notes a file, by its path inside the dataset, that is given to read.
    pub fn note_file(&self, path: &str) {
        let mut files = self.files();
        files.first.get_or_insert_with(|| path.to_owned());
        files.count += 1;
    }

    /// Notes the file that an error is about.
    pub fn note_failed_file(&self, path: &str) {
        self.files().failed = Some(path.to_owned());
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        let measured = |number: &AtomicU64| Some(number.load(Ordering::Relaxed)).filter(|number| *number > 0);
        let files = self.files();
        Usage {
            peak_memory_bytes: measured(&self.0.peak_memory_bytes),
            bytes_read: measured(&self.0.bytes_read),
            input_file: files.failed.clone().or_else(|| files.first.clone()),
            input_files: files.count,
        }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.0.files.lock().expect("never poisoned: no code panics while holding it")
    }
}

/// Looks at a process, from one moment on.
pub(crate) struct Gauge {
    process: u32,
    bytes_before: u64,
    noted_bytes: u64,
}

impl Gauge {
    /// Begins to look at a process; `None` where the system does not tell. Its peak of memory is counted from now on.
    pub(crate) fn start(process: u32) -> Option<Self> {
        // 5: only the peak is reset (proc_pid_clear_refs(5)).
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").ok()?;
        Some(Self { process, bytes_before: bytes_read(process)?, noted_bytes: 0 })
    }

    /// Notes what the process has used since the start. What is asked again counts once.
    pub(crate) fn note(&mut self, meter: &Meter) {
        // A process that has just died tells nothing any more; what was noted before stands.
        let (Some(peak), Some(bytes)) = (peak_memory_bytes(self.process), bytes_read(self.process)) else { return };
        let bytes = bytes.saturating_sub(self.bytes_before);
        meter.note(peak, bytes.saturating_sub(self.noted_bytes));
        self.noted_bytes = self.noted_bytes.max(bytes);
    }
}

fn peak_memory_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}

/// What the process asked the system to read, from the cache or the disk.
fn bytes_read(process: u32) -> Option<u64> {
    let counts = std::fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    counts.lines().find_map(|line| line.strip_prefix("rchar:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_compared_and_bytes_added() {
        let meter = Meter::default();
        assert_eq!(meter.usage(), Usage::default());
        meter.clone().note(5, 10);
        meter.note(3, 10);
        assert_eq!((meter.usage().peak_memory_bytes, meter.usage().bytes_read), (Some(5), Some(20)));
    }

    #[test]
    fn the_file_of_an_error_goes_before_the_first() {
        let meter = Meter::default();
        meter.note_file("a.csv");
        meter.note_file("b.csv");
        assert_eq!((meter.usage().input_file.as_deref(), meter.usage().input_files), (Some("a.csv"), 2));
        meter.note_failed_file("b.csv");
        assert_eq!(meter.usage().input_file.as_deref(), Some("b.csv"));
    }

    #[test]
    fn what_this_process_reads_and_holds_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 3 << 20]).unwrap();
        let meter = Meter::default();
        let mut gauge = Gauge::start(std::process::id()).unwrap();
        let content = std::fs::read(file.path()).unwrap();
        gauge.note(&meter);
        let usage = meter.usage();
        assert!(usage.bytes_read.unwrap() >= content.len() as u64);
        assert!(usage.peak_memory_bytes.unwrap() >= content.len() as u64);
    }
}
