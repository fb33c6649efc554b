//! Every file of `examples/hooks`, as a user would take it: with other addresses, paths and secrets, against a real counterpart.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod dry_run;
mod home_assistant;
mod operations;
mod pvoutput;
mod readings_api;
mod receiver;
mod serial_copy;
mod telegram_forward;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::House;

/// A meter that sends no telegram but those of the test.
const NEVER: Duration = Duration::from_secs(86_400);
/// Nobody listens there.
const NO_VTN: &str = "https://127.0.0.1:9";

/// The text of an example, on its way to be a configuration.
struct Example(String);

impl Example {
    /// That file, for a VEN of that house with that VTN.
    fn of(name: &str, house: &House, vtn: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hooks").join(format!("{name}.toml"));
        let certs = |file: &str| house.path("certs").join(file).display().to_string();
        Self(std::fs::read_to_string(path).unwrap())
            .with("/var/lib/ven", &house.path("state").display().to_string())
            .with("https://vtn.example.org/OpenADR2/Simple/2.0b", vtn)
            .with("/etc/ven/ca.pem", &certs("ca.pem"))
            .with("/etc/ven/ven.pem", &certs("ven.pem"))
            .with("/etc/ven/ven.key", &certs("ven.key"))
            .with("AA:BB:CC:DD:EE:FF:00:11:22:33", house.certificates.vtn_fingerprint())
    }

    /// Has another text in place of what stands there.
    fn with(self, old: &str, new: &str) -> Self {
        assert!(self.0.contains(old), "\"{old}\" is not in the example:\n{}", self.0);
        Self(self.0.replace(old, new))
    }

    /// Has another line below the one that begins so.
    fn below(self, beginning: &str, line: &str) -> Self {
        let lines = self.0.lines().map(|known| match known.starts_with(beginning) {
            true => format!("{known}\n{line}\n"),
            false => format!("{known}\n"),
        });
        let found: String = lines.collect();
        assert!(found.len() > self.0.len() + line.len(), "no line begins with {beginning}:\n{}", self.0);
        Self(found)
    }

    /// Has a secret in a file of its own where the example has it elsewhere.
    fn secret(self, house: &House, old: &str, secret: &str) -> Self {
        let name = Path::new(old).file_name().unwrap().to_str().unwrap();
        let file = house.write_secret(name, &format!("{secret}\n"));
        self.with(old, &file.display().to_string())
    }

    /// Its meter is there.
    fn metered(self, port: &Path) -> Self {
        self.with("/dev/serial/by-id/usb-P1", &port.display().to_string())
    }

    /// Has more behind it.
    fn and(self, more: &str) -> Self {
        Self(format!("{}\n{more}\n", self.0))
    }

    /// Writes it down.
    fn save(self, house: &House) -> PathBuf {
        let path = house.path("ven.toml");
        std::fs::write(&path, self.0).unwrap();
        path
    }
}

/// What `ven hooks` says, and whether it was content.
fn hooks(configuration: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ven"));
    let output = command.arg("hooks").args(arguments).arg("--config").arg(configuration).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A telegram of a DSMR 4 meter without a clock, with its checksum (CRC-16/ARC over all from `/` to `!`).
fn telegram(import_kwh: &str, export_kwh: &str) -> Vec<u8> {
    let text = format!(
        "/OVN5\\HOUSE\r\n\r\n1-3:0.2.8(42)\r\n0-0:96.1.1(4530303434303037333338313235323137)\r\n\
         1-0:1.8.1({import_kwh}*kWh)\r\n1-0:1.8.2(000000.000*kWh)\r\n\
         1-0:2.8.1({export_kwh}*kWh)\r\n1-0:2.8.2(000000.000*kWh)\r\n\
         1-0:1.7.0(00.350*kW)\r\n1-0:2.7.0(00.000*kW)\r\n!"
    );
    let step = |crc: u16, byte: u8| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    };
    let crc = text.bytes().fold(0, step);
    format!("{text}{crc:04X}\r\n").into_bytes()
}
