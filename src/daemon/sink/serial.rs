//! Hands telegrams on to a serial port, which stays open from one to the next.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio_serial::{
    ClearBuffer, DataBits, FlowControl, SerialPort as _, SerialPortBuilderExt as _, SerialStream, StopBits,
};

use crate::hook::outcome::Try;
use crate::hook::settings::{Flow, Parity, SerialLine, SerialTarget};
use crate::time::Span;

use super::{Delivering, Message, Sink, telegram};

/// How often we look whether what was sent is out.
const LOOK: Duration = Duration::from_millis(5);

/// Sends to one port.
#[derive(Debug)]
pub(super) struct SerialSink {
    path: String,
    line: SerialLine,
    write_timeout: Span,
    /// `None` before the first telegram and after one that did not get out.
    port: Option<Port>,
}

impl SerialSink {
    /// Opens nothing yet.
    ///
    /// # Errors
    ///
    /// A line that no port can be set to.
    pub(super) fn new(target: &SerialTarget) -> Result<Self, String> {
        data_bits(target.line)?;
        stop_bits(target.line)?;
        let path = target.port.to_string_lossy().into_owned();
        Ok(Self { path, line: target.line, write_timeout: target.write_timeout, port: None })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let wrong = |error: io::Error| format!("{}: {error}", self.path);
        // Whatever ends this before all is out also closes the port: the next telegram must not follow half of this one.
        let mut port = match self.port.take() {
            Some(port) => port,
            None => Port::open(&self.path, self.line)?,
        };
        let late = |_| {
            format!(
                "{}: the telegram is not out within {}; does anybody read?",
                self.path, self.write_timeout
            )
        };
        let sent = tokio::time::timeout(self.write_timeout.to_std(), port.send(bytes)).await;
        sent.map_err(late)?.map_err(wrong)?;
        self.port = Some(port);
        Ok(())
    }
}

impl Sink for SerialSink {
    fn deliver<'s>(&'s mut self, message: &'s Message) -> Delivering<'s> {
        Box::pin(async move {
            let bytes = telegram::raw(message);
            self.send(&bytes).await.map_or_else(Try::unreachable, |()| Try::sent(None))
        })
    }
}

/// A port that is ours alone; what is not out when it is dropped never goes out.
#[derive(Debug)]
struct Port(SerialStream);

impl Port {
    fn open(path: &str, line: SerialLine) -> Result<Self, String> {
        let builder = tokio_serial::new(path, line.baud)
            .data_bits(data_bits(line)?)
            .stop_bits(stop_bits(line)?)
            .parity(match line.parity {
                Parity::None => tokio_serial::Parity::None,
                Parity::Even => tokio_serial::Parity::Even,
                Parity::Odd => tokio_serial::Parity::Odd,
            })
            .flow_control(match line.flow {
                Flow::None => FlowControl::None,
                Flow::XonXoff => FlowControl::Software,
                Flow::RtsCts => FlowControl::Hardware,
            });
        builder.open_native_async().map(Self).map_err(|error| format!("{path}: {error}"))
    }

    /// Sends bytes and waits until the system has handed on the last.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        while self.0.bytes_to_write()? > 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Else closing it waits for a reader that has stopped us. A port that is gone has nothing to throw away.
        self.0.clear(ClearBuffer::Output).ok();
    }
}

fn data_bits(line: SerialLine) -> Result<DataBits, String> {
    DataBits::try_from(line.data_bits)
        .map_err(|()| format!("line: data_bits = {}; expected 5, 6, 7 or 8", line.data_bits))
}

fn stop_bits(line: SerialLine) -> Result<StopBits, String> {
    StopBits::try_from(line.stop_bits)
        .map_err(|()| format!("line: stop_bits = {}; expected 1 or 2", line.stop_bits))
}
