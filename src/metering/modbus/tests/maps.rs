//! Maps as people write them.

use std::collections::BTreeSet;

use super::super::map::{BUILT_IN, BadMap, RegisterMap};
use super::{alike, built_in, code};
use crate::metering::decoder::Framing;
use crate::openadr::message::Decimal;

const SMALL: &str = r#"
    name = "small"
    serial = { baud = 9600, framing = "8N1" }
    function = 4
    type = "f32"
    registers = [{ name = "import", obis = "1-0:1.8.0", address = 72, unit = "kWh" }]
"#;

#[test]
fn every_built_in_map_counts_energy_and_has_unmistakable_registers() {
    let mut names = BTreeSet::new();
    for (name, _) in BUILT_IN {
        let map = built_in(name);
        assert!(names.insert(map.name.clone()), "{name}");
        assert!(map.registers.iter().any(|register| register.code == code("1-0:1.8.0")), "{name}");
        let places: BTreeSet<_> = map.registers.iter().map(|at| (at.function, at.address)).collect();
        assert_eq!(places.len(), map.registers.len(), "{name}");
    }
    assert!(RegisterMap::built_in("eastron-sdm999").is_none());
}

#[test]
fn what_a_register_does_not_say_the_map_says() {
    let map = built_in("abb-b-series");
    assert_eq!((map.serial.baud, map.serial.framing), (19_200, Framing::EightEven));
    let of = |text| map.registers.iter().find(|register| register.code == code(text)).unwrap();
    let power = of("1-0:16.7.0");
    assert_eq!((power.function, power.address, power.scale), (3, 0x5B14, Decimal::new(1, 2)));
    assert_eq!((power.absent, power.every), (Some(0x7FFF_FFFF), 1));
    assert_eq!(of("1-0:1.8.0").absent, Some(u64::MAX));
    assert_eq!(alike().registers[0].scale, Decimal::ONE);
    let other = SMALL.replace("unit = ", "function = 3, type = \"u16\", absent = \"8000\", unit = ");
    let register = &RegisterMap::parse(&other).unwrap().registers[0];
    assert_eq!((register.function, register.absent), (3, Some(0x8000)));
}

#[test]
fn the_example_of_the_documentation_is_a_map() {
    let lines = include_str!("../map.rs").lines().map(|line| line.trim_start_matches("//!").trim_start());
    let example: Vec<&str> =
        lines.skip_while(|line| *line != "```toml").skip(1).take_while(|line| *line != "```").collect();
    let map = RegisterMap::parse(&example.join("\n")).unwrap();
    assert_eq!((map.most, map.gap, map.registers.len()), (80, 16, 2));
    assert_eq!((map.registers[1].scale, map.registers[1].every), (Decimal::new(1, 1), 10));
}

#[test]
fn a_wrong_map_is_told_by_what_is_wrong() {
    for (from, to, told) in [
        ("function = 4", "", "register \"import\": `function` must be 3 or 4, here or for the whole map"),
        ("function = 4", "function = 6", "register \"import\": `function` must be 3 or 4"),
        ("type = \"f32\"", "", "register \"import\": `type` must be given"),
        ("1-0:1.8.0", "1.8.0", "register \"import\": `obis` must be a code"),
        ("address = 72", "address = 65535", "register \"import\": `address` must be"),
        ("address = 72", "address = 65536", "65536"),
        ("kWh", "furlong", "register \"import\": `unit` must be a unit"),
        ("unit", "scale = \"0\", unit", "register \"import\": `scale` must be a decimal"),
        ("unit", "scale = \"a\", unit", "register \"import\": `scale` must be a decimal"),
        ("unit", "absent = \"FFFF\", unit", "register \"import\": `absent` must be 8 hexadecimal digits"),
        ("unit", "absent = \"+FFFFFFF\", unit", "register \"import\": `absent` must be 8 hexadecimal digits"),
        ("unit", "every = 0, unit", "register \"import\": `every` must be above zero"),
        ("unit", "unti = 1, unit", "unknown field `unti`"),
        ("\"f32\"", "\"f23\"", "unknown variant `f23`"),
        ("8N1", "9N1", "`framing` must be \"8N1\""),
        ("9600", "0", "`baud` must be above zero"),
        ("function = 4", "function = 4\nmost = 126", "`most` must be from 4 to 125"),
        ("function = 4", "function = 4\nmost = 3", "`most` must be from 4 to 125"),
        (
            "\"kWh\" }",
            "\"kWh\" }, { name = \"import\", obis = \"1-0:2.8.0\", address = 1 }",
            "called \"import\"",
        ),
        ("\"kWh\" }", "\"kWh\" }, { name = \"i\", obis = \"1-0:1.8.0\", address = 1 }", "the code 1-0:1.8.0"),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let found = RegisterMap::parse(&SMALL.replace(from, to)).unwrap_err().to_string();
        assert!(found.contains(told), "{to}: {found}");
    }
    let none = BadMap::Key { key: "registers", expected: "one at least".to_owned() };
    let start = SMALL.find("registers").unwrap();
    assert_eq!(RegisterMap::parse(&format!("{}registers = []", &SMALL[..start])), Err(none));
}
