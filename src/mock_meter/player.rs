//! Plays meters of any protocol on a pseudo-terminal, those that speak by themselves and those that are asked.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Line, plain_line};
use crate::daemon::clock::Clock;
use crate::metering::SaidBytes;
use crate::time::{Span, Timestamp};

/// It looks this often whether it is to stop.
const LOOK: Span = Span::from_millis(200);

/// What a meter says.
pub(crate) trait Voice: Send {
    /// What it says by itself at that time.
    fn speak(&mut self, at: Timestamp) -> Vec<SaidBytes>;

    /// What it says to these bytes, which came at that speed and may be any piece of what it is sent.
    fn hear(&mut self, bytes: &[u8], baud: u32, at: Timestamp) -> Vec<SaidBytes>;
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
    let mut coming: VecDeque<(Timestamp, SaidBytes)> = VecDeque::new();
    while !stopped.load(Ordering::Relaxed) {
        let now = clock.now().wall;
        let mut said = Vec::new();
        if now >= next {
            said = voice.speak(next);
            next = now.floor_to(every) + every;
        }
        match line.near.read(&mut piece) {
            Ok(length) => {
                let baud = speed(&line)?;
                let heard = voice.hear(&piece[..length], baud, now);
                said.extend(heard.into_iter().enumerate().map(|(at, answer)| match at {
                    0 => SaidBytes { after: answer.after + on_the_line(length, baud), ..answer },
                    _ => answer,
                }));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        for said in said {
            let at = coming.back().map_or(now, |(at, _)| now.max(*at)) + said.after;
            coming.push_back((at, said));
        }
        while coming.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, said)) = coming.pop_front() {
                say(&mut line, said)?;
            }
        }
        let until = coming.front().map_or(next, |(at, _)| next.min(*at));
        let wait = (until - clock.now().wall).min(LOOK).max(Span::ZERO).micros() / 1000 + 1;
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        poll(&mut [PollFd::new(line.near.as_fd(), PollFlags::POLLIN)], wait)?;
    }
    Ok(())
}

/// How long so many bytes take on a real line, which a pseudo-terminal does not; the meter hears them no earlier.
fn on_the_line(bytes: usize, baud: u32) -> Span {
    let bits = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(10);
    Span::from_micros(bits.saturating_mul(1_000_000) / i64::from(baud.max(1)))
}

/// At another speed it is heard as noise; what nobody takes is lost, as on a real line.
fn say(line: &mut Line, said: SaidBytes) -> io::Result<()> {
    let speed = speed(line)?;
    let fits = said.line.is_none_or(|spoken| spoken.baud == speed);
    let bytes =
        if fits { said.bytes } else { said.bytes.iter().map(|byte| byte.wrapping_mul(31) | 0x80).collect() };
    match line.near.write_all(&bytes) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// The speed to which the reader has set the line.
fn speed(line: &Line) -> io::Result<u32> {
    Ok(rustix::termios::tcgetattr(&line.far)?.output_speed())
}
