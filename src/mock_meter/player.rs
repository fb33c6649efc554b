//! Plays meters of any protocol on a pseudo-terminal, those that speak by themselves and those that are asked.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Line, plain_line};
use crate::daemon::clock::Clock;
use crate::time::{Span, Timestamp};

/// It looks this often whether it is to stop.
const LOOK: Span = Span::from_millis(200);

/// What a meter says.
pub(crate) trait Voice: Send {
    /// What it says by itself at that time.
    fn speak(&mut self, at: Timestamp) -> Vec<u8>;

    /// What it says to these bytes, which may be any piece of what it is sent.
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8>;
}

/// A meter that plays until it is dropped.
#[derive(Debug)]
pub(crate) struct Player {
    stopped: Arc<AtomicBool>,
    port: PathBuf,
    link: Option<PathBuf>,
}

impl Player {
    /// Starts a meter that speaks at every whole multiple of `every`; `link`: a name for its port.
    ///
    /// # Errors
    ///
    /// Where the system has no pseudo-terminals, or the link cannot be made.
    pub(crate) fn start(voice: Box<dyn Voice>, every: Span, link: Option<&Path>) -> io::Result<Self> {
        let (line, port) = plain_line()?;
        if let Some(link) = link {
            std::os::unix::fs::symlink(&port, link)?;
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let playing = stopped.clone();
        std::thread::spawn(move || {
            if let Err(error) = play(line, voice, every, &playing) {
                tracing::warn!("the simulated meter has failed: {error}");
            }
        });
        Ok(Self { stopped, port, link: link.map(Path::to_owned) })
    }

    /// Where it is read.
    pub(crate) fn port(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.port)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(link) = &self.link {
            // Somebody may have taken it away.
            drop(std::fs::remove_file(link));
        }
    }
}

fn play(mut line: Line, mut voice: Box<dyn Voice>, every: Span, stopped: &AtomicBool) -> io::Result<()> {
    let clock = Clock::start();
    let mut next = clock.now().wall.floor_to(every) + every;
    let mut piece = [0; 4096];
    while !stopped.load(Ordering::Relaxed) {
        let now = clock.now().wall;
        if now >= next {
            let said = voice.speak(next);
            say(&mut line, &said)?;
            next = now.floor_to(every) + every;
            continue;
        }
        let wait = (next - now).min(LOOK).micros() / 1000 + 1;
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        poll(&mut [PollFd::new(line.near.as_fd(), PollFlags::POLLIN)], wait)?;
        match line.near.read(&mut piece) {
            Ok(length) => {
                let answer = voice.hear(&piece[..length]);
                say(&mut line, &answer)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What nobody takes is lost, as on a real line.
fn say(line: &mut Line, bytes: &[u8]) -> io::Result<()> {
    match line.near.write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
