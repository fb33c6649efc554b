//! Reads bytes from a serial port, and opens it again whenever it goes away.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::metering::{Framing, LineSettings};
use tokio::io::AsyncReadExt as _;
use tokio_serial::{DataBits, Parity, SerialPortBuilderExt as _, SerialStream, StopBits};

/// A plug that is pulled and put back is found again within this.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const PIECE: usize = 4096;

/// A serial port and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortSettings {
    pub(crate) path: PathBuf,
    pub(crate) line: LineSettings,
}

/// A port that is open or will be.
#[derive(Debug)]
pub(crate) struct MeterPort {
    settings: PortSettings,
    open: Option<SerialStream>,
    wait: Duration,
    piece: Vec<u8>,
}

impl MeterPort {
    /// Opens nothing yet.
    pub(crate) fn new(settings: PortSettings) -> Self {
        Self { settings, open: None, wait: Duration::ZERO, piece: vec![0; PIECE] }
    }

    /// The next bytes, as many as there are. May be dropped at any moment without loss.
    ///
    /// # Errors
    ///
    /// Once for each time the port goes away or cannot be opened; the next call waits, and tries again.
    pub(crate) async fn read(&mut self) -> io::Result<&[u8]> {
        if self.open.is_none() {
            tokio::time::sleep(self.wait).await;
            self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            self.open = Some(open(&self.settings)?);
        }
        let Some(port) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        match port.read(&mut self.piece).await {
            // A port that was pulled out answers nothing, at once and for ever.
            Ok(0) => {
                self.open = None;
                Err(io::Error::new(io::ErrorKind::NotConnected, "it was unplugged"))
            }
            Ok(length) => {
                self.wait = Duration::ZERO;
                Ok(&self.piece[..length])
            }
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }
}

fn open(settings: &PortSettings) -> io::Result<SerialStream> {
    let (data, parity, stop) = match settings.line.framing {
        Framing::EightNone => (DataBits::Eight, Parity::None, StopBits::One),
        Framing::EightEven => (DataBits::Eight, Parity::Even, StopBits::One),
        Framing::EightNoneTwo => (DataBits::Eight, Parity::None, StopBits::Two),
        Framing::SevenEven => (DataBits::Seven, Parity::Even, StopBits::One),
    };
    let path = settings.path.to_string_lossy();
    let builder = tokio_serial::new(path, settings.line.baud).data_bits(data).parity(parity);
    Ok(builder.stop_bits(stop).open_native_async()?)
}
