//! Opens a serial port for us alone, and sets it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_serial::{DataBits, Parity, SerialPort as _, SerialPortBuilderExt as _, SerialStream, StopBits};

use crate::metering::{Framing, LineSettings};

/// How often we look whether what was sent is out.
const LOOK: Duration = Duration::from_millis(5);
/// What the library says of a port that is locked.
const LOCKED: &str = "Unable to acquire exclusive lock on serial port";
/// Names of ports that stay the same, whatever is plugged in beside them.
const BY_ID: &str = "/dev/serial/by-id";

/// A port that is ours alone: it is opened in exclusive mode (`TIOCEXCL`), and locked (`flock`) against those who may open it anyway.
#[derive(Debug)]
pub(super) struct SerialLine {
    stream: SerialStream,
}

impl SerialLine {
    pub(super) fn open(path: &Path, line: LineSettings) -> io::Result<Self> {
        let (data, parity, stop) = bits(line.framing);
        let builder = tokio_serial::new(path.to_string_lossy(), line.baud);
        let builder = builder.data_bits(data).parity(parity).stop_bits(stop);
        let stream = builder.open_native_async().map_err(|error| match error.description.as_str() {
            LOCKED => io::Error::new(io::ErrorKind::ResourceBusy, "another program reads it"),
            _ => error.into(),
        })?;
        Ok(Self { stream })
    }

    pub(super) async fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.stream.read(piece).await
    }

    /// Sends bytes and waits until the last has left: what comes next may be another speed.
    pub(super) async fn send(&mut self, bytes: &[u8], line: LineSettings) -> io::Result<()> {
        // The system knows of its own buffer only; what the adapter still holds is reckoned.
        let mut out = std::pin::pin!(tokio::time::sleep(line.time_of(bytes.len()).to_std()));
        self.stream.write_all(bytes).await?;
        while self.stream.bytes_to_write()? > 0 {
            tokio::time::sleep(LOOK).await;
        }
        out.as_mut().await;
        Ok(())
    }

    pub(super) fn set(&mut self, line: LineSettings) -> io::Result<()> {
        let (data, parity, stop) = bits(line.framing);
        self.stream.set_baud_rate(line.baud)?;
        self.stream.set_data_bits(data)?;
        self.stream.set_parity(parity)?;
        Ok(self.stream.set_stop_bits(stop)?)
    }
}

const fn bits(framing: Framing) -> (DataBits, Parity, StopBits) {
    match framing {
        Framing::EightNone => (DataBits::Eight, Parity::None, StopBits::One),
        Framing::EightEven => (DataBits::Eight, Parity::Even, StopBits::One),
        Framing::EightNoneTwo => (DataBits::Eight, Parity::None, StopBits::Two),
        Framing::SevenEven => (DataBits::Seven, Parity::Even, StopBits::One),
    }
}

/// The name of a port that stays the same when it is plugged in again, where it has one and this is not it.
pub(crate) fn by_id(port: &Path) -> Option<PathBuf> {
    by_id_in(Path::new(BY_ID), port)
}

fn by_id_in(folder: &Path, port: &Path) -> Option<PathBuf> {
    if port.starts_with(folder) {
        return None;
    }
    let device = port.canonicalize().ok()?;
    let names = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    names.into_iter().find(|name| name.canonicalize().is_ok_and(|target| target == device))
}

#[cfg(test)]
mod tests {
    use super::by_id_in;

    #[test]
    fn the_name_that_stays_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (port, other) = (folder.path().join("ttyUSB0"), folder.path().join("ttyUSB1"));
        let names = folder.path().join("by-id");
        std::fs::create_dir(&names).unwrap();
        for port in [&port, &other] {
            std::fs::write(port, "").unwrap();
        }
        std::os::unix::fs::symlink("../ttyUSB0", names.join("usb-P1_A1")).unwrap();
        assert_eq!(by_id_in(&names, &port), Some(names.join("usb-P1_A1")));
        assert_eq!(by_id_in(&names, &names.join("usb-P1_A1")), None, "it is that already");
        assert_eq!(by_id_in(&names, &other), None);
        assert_eq!(by_id_in(&folder.path().join("none"), &port), None);
    }
}
