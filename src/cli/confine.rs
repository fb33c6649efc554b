//! Keeps what the process knows and writes from other users of the machine.

/// From now on nobody but root looks into our memory, no crash writes it to a disk, and what is made is its owner's alone.
///
/// Keys and tokens live in memory, where rustls keeps those that it has read. Children begin anew in this: what a program may do with
/// its own memory is its own affair, but the limit on core files and the mask it inherits.
pub(super) fn confine() {
    use nix::sys::stat::{Mode, umask};
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::debug!("core files are not switched off: {error}");
    }
    undumpable();
}

/// Neither other processes of the same user nor a crash get at the memory (prctl(2), `PR_SET_DUMPABLE`).
#[cfg(target_os = "linux")]
fn undumpable() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!("others of the same user may look into the memory: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn undumpable() {}
