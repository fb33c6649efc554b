//! `ven meter detect` finds meters of every kind, and what it prints is all that it takes to read them.

use openadr_ven::mock_vtn::KeyKind;

use super::{run, sim, text, ven_meter};
use crate::support::{House, PATIENCE, Process};

/// A meter that plays, and what is to be found.
struct Meter {
    simulated: &'static [&'static str],
    /// What is printed behind the name and the source.
    settings: &'static str,
    /// How the last line that is told begins.
    found: &'static str,
}

const METERS: [Meter; 8] = [
    Meter {
        simulated: &[],
        settings: "protocol = \"dsmr\"\nbaud = 115200\nframing = \"8N1\"\n",
        found: "found: dsmr of meter 4F50454E",
    },
    // A pseudo-terminal has no parity, so what is spoken in 7E1 arrives as 8N1 there. A line that has it is in the tests of the search.
    Meter {
        simulated: &["--baud", "9600", "--framing", "7E1"],
        settings: "protocol = \"dsmr\"\nbaud = 9600\nframing = \"8N1\"\n",
        found: "found: dsmr of meter 4F50454E",
    },
    Meter {
        simulated: &["--protocol", "sml"],
        settings: "protocol = \"sml\"\nbaud = 9600\nframing = \"8N1\"\n",
        found: "found: sml of meter 1 OVN",
    },
    // Mode C: it waits to be asked.
    Meter {
        simulated: &["--protocol", "iec62056-21"],
        settings: "protocol = \"iec62056-21\"\nbaud = 300\nframing = \"7E1\"\n",
        found: "found: iec62056-21, OVN5",
    },
    // Mode D: it does not.
    Meter {
        simulated: &["--protocol", "iec62056-21", "--push"],
        settings: "protocol = \"iec62056-21\"\nmode = \"push\"\nbaud = 9600\nframing = \"8N1\"\n",
        found: "found: iec62056-21 of meter 12345678",
    },
    // HDLC.
    Meter {
        simulated: &["--protocol", "dlms"],
        settings: "protocol = \"dlms\"\nbaud = 2400\nframing = \"8E1\"\n",
        found: "found: dlms of meter 4F50454E",
    },
    Meter {
        simulated: &["--protocol", "modbus", "--map", "eastron-sdm630"],
        settings: "protocol = \"modbus\"\nunit = 1\nmap = \"eastron-sdm630\"\nbaud = 9600\nframing = \"8N1\"\n",
        found: "found: modbus, address 1, which answers as eastron-sdm630 does",
    },
    Meter {
        simulated: &["--protocol", "modbus", "--map", "abb-b-series", "--unit", "2"],
        settings: "protocol = \"modbus\"\nunit = 2\nmap = \"abb-b-series\"\nbaud = 19200\nframing = \"8E1\"\n",
        found: "found: modbus, address 2, which answers as abb-b-series does",
    },
];

#[test]
fn meters_of_every_kind_are_found_and_read_by_what_is_printed() {
    std::thread::scope(|scope| {
        for meter in &METERS {
            scope.spawn(|| meter.is_found_and_read());
        }
    });
}

impl Meter {
    fn is_found_and_read(&self) {
        let sim = sim(self.simulated);
        let port = sim.port.to_str().unwrap();
        let (section, told) = detected(port);
        let source = "[[meter]]\nname = \"main\"\nsource = \"serial:PORT\"\n";
        assert_eq!(section.replace(port, "PORT"), format!("{source}{}", self.settings), "{told}");
        assert!(told.starts_with("listening at 115200 8N1\n"), "{told}");
        assert!(told.lines().last().unwrap().starts_with(self.found), "{told}");
        let house = House::new(KeyKind::P256);
        let configuration = house.configure("https://127.0.0.1:9", &section);
        let reading = Process::start(ven_meter(&["read", "--json", "--config"]).arg(configuration));
        reading.wait_for("\"obis\":\"1-0:1.8.", 0);
        reading.terminate();
    }
}

/// What stands on stdout for the configuration, and what is told on stderr; it takes a minute at most.
#[expect(clippy::disallowed_methods, reason = "a person waits for it")]
fn detected(port: &str) -> (String, String) {
    let begun = std::time::Instant::now();
    let output = run(&["detect", port]);
    let took = begun.elapsed();
    let (section, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && took < PATIENCE, "{took:?}: {section}{told}");
    (section, told)
}
