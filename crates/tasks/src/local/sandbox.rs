//! The sandbox of bubblewrap: a file system of the system's programs and the attempt's folder, no other processes, no network
//! unless it is wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::wrapper::Plan;
use crate::place::{FILES, OUTPUT};

/// The program.
pub(super) const PROGRAM: &str = "bwrap";

/// What programs of the system need, where it is there.
const SYSTEM: [&str; 16] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/mime.types",
];

/// Arguments up to the `--` before the program.
pub(super) fn arguments(folder: &Path, plan: &Plan) -> Vec<OsString> {
    let mut all: Vec<OsString> = ["--unshare-all", "--die-with-parent", "--new-session"].map(OsString::from).to_vec();
    if plan.network {
        all.push("--share-net".into());
    }
    for (option, place) in [("--proc", "/proc"), ("--dev", "/dev"), ("--tmpfs", "/tmp")] {
        all.extend([option.into(), place.into()]);
    }
    let mut bind = |option: &str, path: PathBuf| all.extend([option.into(), path.clone().into(), path.into()]);
    for path in SYSTEM {
        bind("--ro-bind-try", path.into());
    }
    for path in &plan.binds {
        bind("--ro-bind-try", path.clone());
    }
    bind("--ro-bind", folder.to_owned());
    // Later ones lie over earlier ones.
    bind("--bind", folder.join(FILES));
    bind("--bind", folder.join(OUTPUT));
    all.extend(["--chdir".into(), folder.join(FILES).into()]);
    all
}

/// Whether a sandbox can be made here by this user.
pub(super) fn works(user: Option<u32>) -> bool {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(PROGRAM);
    command.args(["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "/bin/true"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user).current_dir("/");
    }
    command.status().is_ok_and(|status| status.success())
}
