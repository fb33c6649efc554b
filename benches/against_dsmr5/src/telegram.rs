//! A telegram of DSMR 5.0 as a meter of three phases with gas sends it, for the benchmarks.

/// What the telegram says of a house.
pub(crate) struct House {
    /// The meter's clock, as `260115080000W`.
    pub(crate) clock: String,
    /// Energy taken from the grid, in Wh.
    pub(crate) import: u32,
    /// Energy given to it, in Wh.
    pub(crate) export: u32,
    /// Power taken, in W.
    pub(crate) watts: u32,
}

impl House {
    pub(crate) fn telegram(&self) -> Vec<u8> {
        let Self { clock, import, export, watts } = self;
        let kilo = |number: &u32, digits: usize| format!("{:0digits$}.{:03}", number / 1_000, number % 1_000);
        let lines = [
            "/OVN5\\2bench".to_owned(),
            String::new(),
            "1-3:0.2.8(50)".into(),
            format!("0-0:1.0.0({clock})"),
            "0-0:96.1.1(4530303434303037333832323436303139)".into(),
            format!("1-0:1.8.1({}*kWh)", kilo(import, 6)),
            "1-0:1.8.2(000245.467*kWh)".into(),
            format!("1-0:2.8.1({}*kWh)", kilo(export, 6)),
            "1-0:2.8.2(000000.321*kWh)".into(),
            "0-0:96.14.0(0001)".into(),
            format!("1-0:1.7.0({}*kW)", kilo(watts, 2)),
            "1-0:2.7.0(00.000*kW)".into(),
            "0-0:96.7.21(00005)".into(),
            "0-0:96.7.9(00003)".into(),
            "1-0:99.97.0(1)(0-0:96.7.19)(190326095015W)(0000002014*s)".into(),
            "1-0:32.32.0(00001)".into(),
            "1-0:52.32.0(00001)".into(),
            "1-0:72.32.0(00192)".into(),
            "1-0:32.36.0(00001)".into(),
            "1-0:52.36.0(00001)".into(),
            "1-0:72.36.0(00001)".into(),
            "0-0:96.13.0()".into(),
            format!("1-0:32.7.0({}.9*V)", 220 + watts % 20),
            "1-0:52.7.0(229.2*V)".into(),
            "1-0:72.7.0(222.9*V)".into(),
            "1-0:31.7.0(000*A)".into(),
            "1-0:51.7.0(000*A)".into(),
            "1-0:71.7.0(001*A)".into(),
            format!("1-0:21.7.0({}*kW)", kilo(watts, 2)),
            "1-0:41.7.0(00.000*kW)".into(),
            "1-0:61.7.0(00.055*kW)".into(),
            "1-0:22.7.0(00.000*kW)".into(),
            "1-0:42.7.0(00.000*kW)".into(),
            "1-0:62.7.0(00.000*kW)".into(),
            "0-1:24.1.0(003)".into(),
            "0-1:96.1.0(4730303339303031393336393930363139)".into(),
            format!("0-1:24.2.1({}0000W)(00246.138*m3)", &clock[..8]),
            "!".into(),
        ];
        let mut telegram = lines.join("\r\n").into_bytes();
        let crc = telegram.iter().fold(0_u16, |crc, byte| {
            (0..8).fold(
                crc ^ u16::from(*byte),
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 },
            )
        });
        telegram.extend(format!("{crc:04X}\r\n").bytes());
        telegram
    }
}
