//! What other readers call the quantities that the program names by their codes.

use openadr_ven::message::Decimal;

/// The unit as the program writes it.
pub(super) fn unit(other: &str) -> String {
    match other {
        "kVArh" => "kvarh",
        "kVAr" => "kvar",
        "m3ph" => "m3/h",
        "Deg" => "deg",
        other => other,
    }
    .to_owned()
}

/// The code of a figure of DSMR in base units, and what the program's number is to be multiplied by; `None` where no line says it alone.
pub(super) fn figure(name: &str) -> Option<(String, Decimal)> {
    let (thousand, one) = (Decimal::from(1000), Decimal::ONE);
    let words: Vec<&str> = name.split('_').collect();
    let direction = |word: &str| if word == "import" { 1 } else { 2 };
    let phase = |word: &str| Some(20 * word.strip_prefix('l')?.parse::<u8>().ok()?);
    let (code, scale) = match words[..] {
        [way @ ("import" | "export"), rate @ ("t1" | "t2"), "wh"] => {
            (format!("{}.8.{}", direction(way), &rate[1..]), thousand)
        }
        ["power", way @ ("import" | "export"), "w"] => (format!("{}.7.0", direction(way)), thousand),
        [l, "power", way, "w"] => (format!("{}.7.0", phase(l)? + direction(way)), thousand),
        [l, "current", "a"] => (format!("{}.7.0", phase(l)? + 11), one),
        [l, "voltage", "v"] => (format!("{}.7.0", phase(l)? + 12), one),
        // Sums and differences, and what is no figure.
        ["import" | "export", "wh"] | ["power", "net", "w"] => return None,
        ["crc" | "meter" | "mbus"] | ["timestamp", ..] => return None,
        _ => panic!("no figure is called {name}"),
    };
    Some((format!("1-0:{code}"), scale))
}

/// The code of a quantity of a HAN port.
pub(super) fn quantity(name: &str) -> String {
    let words: Vec<&str> = name.split('_').collect();
    let phase = |word: &str| 20 * word.trim_start_matches('l').parse::<u8>().unwrap();
    let kind = |kind: &str, direction: &str| match (kind, direction) {
        ("active", "import") => 1,
        ("active", "export") => 2,
        ("reactive", "import") => 3,
        ("reactive", "export") => 4,
        _ => panic!("no quantity is called {name}"),
    };
    match words[..] {
        ["list", "ver", "id"] => "1-0:0.2.129".to_owned(),
        ["current", l] => format!("1-0:{}.7.0", phase(l) + 11),
        ["voltage", l] => format!("1-0:{}.7.0", phase(l) + 12),
        [what, "power", direction, "total"] => format!("1-0:{}.8.0", kind(what, direction)),
        [what, "power", direction, l] => format!("1-0:{}.7.0", phase(l) + kind(what, direction)),
        [what, "power", direction] => format!("1-0:{}.7.0", kind(what, direction)),
        _ => panic!("no quantity is called {name}"),
    }
}

/// A server of SML as it is printed on the meter (DIN 43863-5), where it is written so.
pub(super) fn server(hex: &str) -> String {
    let octet = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    if hex.len() != 20 || !matches!(octet(0), 9 | 10) {
        return hex.to_owned();
    }
    let maker: String = (2..5).map(|at| char::from(octet(at))).collect();
    let number = u32::from_str_radix(&hex[12..], 16).unwrap();
    format!("{:X} {maker} {:02X} {number:08}", octet(1), octet(5))
}

/// The code of an address of IEC 62056-21.
pub(super) fn address(address: &str, heat: bool) -> String {
    if address.contains(':') {
        return address.trim_end_matches("*255").to_owned();
    }
    let (groups, stored) = address.split_once('*').unwrap_or((address, ""));
    let stored = stored.trim_start_matches('0');
    let stored = if stored.is_empty() { String::new() } else { format!("*{stored}") };
    let code = match (groups, heat) {
        ("F" | "F.F", _) => "0-0:97.97.0".to_owned(),
        ("6.8", true) => "6-0:1.0.0".to_owned(),
        ("6.26", true) => "6-0:2.0.0".to_owned(),
        _ => {
            let begin = match (groups.starts_with('C'), heat) {
                (true, _) => "0-0:",
                (false, true) => "6-128:",
                (false, false) => "1-0:",
            };
            let end = ".0".repeat(2 - groups.matches('.').count());
            format!("{begin}{}{end}", groups.replacen('C', "96", 1))
        }
    };
    code + &stored
}
