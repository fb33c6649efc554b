//! `serial-copy.toml`: telegrams go to a second cable and to whoever connects, octet by octet.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use openadr_ven::mock_meter::MockMeter;
use openadr_ven::mock_vtn::KeyKind;

use super::{Example, NEVER, NO_VTN, telegram};
use crate::support::{House, PATIENCE, Process, until};

/// The other end of a second cable, under a name that stays the same.
struct Cable {
    path: PathBuf,
    /// The near end, and the far one, which keeps the line alive while the VEN has it not open.
    ends: Option<(File, File)>,
    /// Everything that came since it was plugged in.
    got: Vec<u8>,
}

impl Cable {
    fn plugged_in(path: PathBuf) -> Self {
        let mut cable = Self { path, ends: None, got: Vec::new() };
        cable.plug_in();
        cable
    }

    fn plug_in(&mut self) {
        let near =
            posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let target = ptsname_r(&near).unwrap();
        let far = File::options().read(true).write(true).open(&target).unwrap();
        let mut settings = tcgetattr(&far).unwrap();
        cfmakeraw(&mut settings);
        tcsetattr(&far, SetArg::TCSANOW, &settings).unwrap();
        std::os::unix::fs::symlink(target, &self.path).unwrap();
        self.ends = Some((File::from(OwnedFd::from(near)), far));
        self.got.clear();
    }

    fn unplug(&mut self) {
        self.ends = None;
        std::fs::remove_file(&self.path).unwrap();
    }

    /// Waits until what came ends so; returns all of it.
    fn until_end(&mut self, end: &[u8]) -> Vec<u8> {
        let Self { ends, got, .. } = self;
        let near = &mut ends.as_mut().unwrap().0;
        until("the telegram on the second cable", || {
            let mut piece = [0; 4096];
            // Nothing to read is an error too.
            if let Ok(length) = near.read(&mut piece) {
                got.extend_from_slice(&piece[..length]);
            }
            got.ends_with(end)
        });
        got.clone()
    }
}

/// Somebody who reads telegrams from the network.
struct Reader(TcpStream);

impl Reader {
    /// Reads as many octets as that, and no less.
    fn reads(&mut self, expected: &[u8]) {
        let mut octets = vec![0; expected.len()];
        self.0.read_exact(&mut octets).unwrap();
        assert_eq!(String::from_utf8_lossy(&octets), String::from_utf8_lossy(expected));
    }
}

fn configuration(house: &House, meter: &Path, cable: &Path) -> PathBuf {
    Example::of("serial-copy", house, NO_VTN)
        .metered(meter)
        .with("/dev/serial/by-id/usb-second-cable", &cable.display().to_string())
        .with("listen = \"127.0.0.1:2001\"", "listen = \"127.0.0.1:0\"")
        .save(house)
}

#[test]
fn serial_copy_hands_on_every_octet_and_finds_a_cable_that_was_unplugged() {
    let house = House::new(KeyKind::P256);
    let meter = MockMeter::start(house.folder.path(), "meter", NEVER).unwrap();
    let mut cable = Cable::plugged_in(house.path("second-cable"));
    let ven = Process::ven(&configuration(&house, meter.path(), &cable.path));
    let address = ven.address("telegrams can be read at tcp://");
    house.wait_for_socket();
    let connect = || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Reader(stream)
    };
    let mut reader = connect();
    let first = telegram("000001.000", "000000.000");
    assert!(first.windows(2).filter(|pair| pair == b"\r\n").count() > 5, "lines end as a meter ends them");
    meter.send(&first).unwrap();
    assert_eq!(cable.until_end(&first), first);
    reader.reads(&first);

    // One with a wrong checksum is nobody's; the next one is.
    let mut damaged = telegram("000002.000", "000000.000");
    let last_digit = damaged.len() - 3;
    damaged[last_digit] = if damaged[last_digit] == b'0' { b'1' } else { b'0' };
    meter.send(&damaged).unwrap();
    let second = telegram("000003.000", "000000.000");
    meter.send(&second).unwrap();
    assert_eq!(cable.until_end(&second), [first, second.clone()].concat());
    reader.reads(&second);

    cable.unplug();
    let missed = telegram("000004.000", "000000.000");
    meter.send(&missed).unwrap();
    // The network is not held up by a cable.
    reader.reads(&missed);
    let mut later = connect();
    cable.plug_in();
    let third = telegram("000005.000", "000000.000");
    meter.send(&third).unwrap();
    let came = cable.until_end(&third);
    assert!(came == third || came == [missed, third.clone()].concat(), "{}", String::from_utf8_lossy(&came));
    reader.reads(&third);
    // Who comes later gets what is said from then on.
    later.reads(&third);
    ven.terminate();
}
