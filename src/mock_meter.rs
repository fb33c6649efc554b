//! Smart meters to test against, on pseudo-terminals: DSMR P1, and several of Modbus on one line.

mod modbus;
mod player;

use std::fs::File;
use std::io::{self, Write as _};
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use crate::daemon::clock::Clock;
use crate::metering::{Channel, Simulator};
use crate::openadr::message::Decimal;
use crate::time::{Span, Timestamp};

pub use modbus::MockModbusLine;
pub(crate) use modbus::ModbusVoice;
pub(crate) use player::{Player, Voice};

/// A meter that sends telegrams until it is dropped.
///
/// Its port is a link in a folder of the caller's, so that it keeps its name when it is unplugged and plugged in again.
#[derive(Debug)]
pub struct MockMeter {
    shared: Arc<Shared>,
    path: PathBuf,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Option<Line>>,
    written: Mutex<Vec<Written>>,
    stopped: std::sync::atomic::AtomicBool,
}

/// Both ends of the pseudo-terminal; holding the far end keeps it alive while nobody has it open.
#[derive(Debug)]
struct Line {
    near: File,
    far: File,
}

/// What a telegram said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its clock.
    pub at: Timestamp,
    /// Register of energy taken from the grid, in Wh.
    pub import: Decimal,
    /// Register of energy given to the grid, in Wh.
    pub export: Decimal,
    /// Power taken from the grid, in W; negative: given to it.
    pub net_power: Decimal,
    /// The meter was plugged in, so that it reached the line.
    pub plugged: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MockMeter {
    /// Starts a meter of DSMR 5 that sends a telegram at every whole multiple of `every`; its port is `folder/name`.
    ///
    /// # Errors
    ///
    /// Where the system has no pseudo-terminals, or the link cannot be made.
    pub fn start(folder: &Path, name: &str, every: Duration) -> io::Result<Self> {
        let path = folder.join(name);
        let shared = Arc::new(Shared {
            line: Mutex::new(Some(plug_in(&path)?)),
            written: Mutex::new(Vec::new()),
            stopped: std::sync::atomic::AtomicBool::new(false),
        });
        let (meter, clock) = (shared.clone(), Clock::start());
        std::thread::spawn(move || meter.run(clock, Span::from_std(every)));
        Ok(Self { shared, path })
    }

    /// The port.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that was sent, oldest first.
    #[must_use]
    pub fn written(&self) -> Vec<Written> {
        lock(&self.shared.written).clone()
    }

    /// Puts any bytes on the line, as noise does.
    ///
    /// # Errors
    ///
    /// Where it is not plugged in.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match lock(&self.shared.line).as_mut() {
            Some(line) => line.near.write_all(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Pulls the plug: the port is gone, and who has it open notices.
    pub fn unplug(&self) {
        lock(&self.shared.line).take();
        drop(std::fs::remove_file(&self.path));
    }

    /// Plugs it in again under the same name.
    ///
    /// # Errors
    ///
    /// As [`MockMeter::start`].
    pub fn plug_in(&self) -> io::Result<()> {
        let line = plug_in(&self.path)?;
        *lock(&self.shared.line) = Some(line);
        Ok(())
    }
}

impl Drop for MockMeter {
    fn drop(&mut self) {
        self.shared.stopped.store(true, std::sync::atomic::Ordering::Relaxed);
        self.unplug();
    }
}

/// A pseudo-terminal that is a plain line, and the path of its far end.
fn plain_line() -> io::Result<(Line, PathBuf)> {
    let (near, far, target) = pseudo_terminal()?;
    // Otherwise the system would echo, and turn line ends, until somebody opens it as a serial port.
    let mut settings = tcgetattr(&far)?;
    cfmakeraw(&mut settings);
    tcsetattr(&far, SetArg::TCSANOW, &settings)?;
    Ok((Line { near, far }, target))
}

fn plug_in(path: &Path) -> io::Result<Line> {
    let (line, target) = plain_line()?;
    // What an earlier meter left behind.
    drop(std::fs::remove_file(path));
    std::os::unix::fs::symlink(target, path)?;
    Ok(line)
}

/// Both ends and the path of the far one. They are closed in programs that are started meanwhile, which else would keep the line alive
/// when it is unplugged; and the near end does not wait, as a meter does not wait for a reader: what nobody takes is lost.
#[cfg(target_os = "linux")]
fn pseudo_terminal() -> io::Result<(File, File, PathBuf)> {
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    use std::os::unix::fs::OpenOptionsExt as _;
    let near = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    grantpt(&near)?;
    unlockpt(&near)?;
    let path = PathBuf::from(ptsname_r(&near)?);
    let mut far = std::fs::OpenOptions::new();
    let far = far.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(&path)?;
    Ok((OwnedFd::from(near).into(), far, path))
}

/// The same in two steps, where the system has no single one.
#[cfg(not(target_os = "linux"))]
fn pseudo_terminal() -> io::Result<(File, File, PathBuf)> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let pair = nix::pty::openpty(None, None)?;
    for end in [&pair.master, &pair.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let path = nix::unistd::ttyname(&pair.slave)?;
    Ok((pair.master.into(), pair.slave.into(), path))
}

impl Shared {
    fn run(&self, clock: Clock, every: Span) {
        let mut next = clock.now().wall.floor_to(every) + every;
        let mut simulator = Simulator::v5(next);
        while !self.stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let wait = next - clock.now().wall;
            if wait > Span::ZERO {
                std::thread::sleep(wait.min(Span::from_millis(200)).to_std());
                continue;
            }
            let telegram = simulator.telegram(next);
            let plugged = match lock(&self.line).as_mut() {
                Some(line) => line.near.write_all(&telegram).is_ok(),
                None => false,
            };
            let reading = simulator.reading();
            let value = |value: Option<Decimal>| value.unwrap_or_default();
            lock(&self.written).push(Written {
                at: next,
                import: value(reading.get(Channel::Import)),
                export: value(reading.get(Channel::Export)),
                net_power: value(reading.net_power()),
                plugged,
            });
            next += every;
        }
    }
}
