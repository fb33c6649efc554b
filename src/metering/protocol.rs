//! Knows the protocols by name: how the line of each is set, how long its meters may be silent, and who decodes it.

use std::fmt;

use crate::openadr::message::Decimal;
use crate::time::Span;

use super::channel::Channel;
use super::ciphered::{CounterGuard, Keys, Opener};
use super::decoder::{Decoder, Framing, LineSettings};
use super::dlms::{DlmsDecoder, ListModels};
use super::dsmr::{LUXEMBOURG_AUTHENTICATION_KEY, P1Decoder};
use super::iec62056_21::{BadPull, IecDecoder, PullSettings};
use super::modbus::{ModbusDecoder, ModbusSettings};
use super::pulses::{PulseDecoder, PulseForm};
use super::s0::{PulseFlow, PulseSettings};
use super::series::Series;
use super::sml::SmlDecoder;

/// What a meter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    /// P1 of DSMR and its relatives, IEC 62056-21 mode D that says the same.
    Dsmr,
    /// The Smart Message Language of German meters.
    Sml,
    /// What meters push by DLMS/COSEM through their HAN ports.
    Dlms,
    /// IEC 62056-21, asked (modes A to C) or not (mode D).
    Iec62056,
    /// Modbus RTU.
    Modbus,
    /// Pulses of an S0 output.
    S0,
}

impl Protocol {
    /// Every protocol by the word of the configuration.
    pub(crate) const WORDS: &[(&'static str, Self)] = &[
        (Self::Dsmr.word(), Self::Dsmr),
        (Self::Sml.word(), Self::Sml),
        (Self::Dlms.word(), Self::Dlms),
        (Self::Iec62056.word(), Self::Iec62056),
        (Self::Modbus.word(), Self::Modbus),
        (Self::S0.word(), Self::S0),
    ];

    /// The word of the configuration.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Dsmr => "dsmr",
            Self::Sml => "sml",
            Self::Dlms => "dlms",
            Self::Iec62056 => "iec62056-21",
            Self::Modbus => "modbus",
            Self::S0 => "s0",
        }
    }
}

/// What it takes to open what a meter encrypts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sealing {
    pub(crate) keys: Option<Keys>,
    /// What nothing proves to be the meter's is taken, if it looks as what meters say.
    pub(crate) unauthenticated: bool,
    /// The frame counters as they were at the end of the last run.
    pub(crate) counters: CounterGuard,
}

impl Sealing {
    /// `usual`: the authentication key of those who are given none.
    fn opener(&self, usual: Option<[u8; 16]>) -> Opener {
        let usual = usual.filter(|_| !self.unauthenticated);
        let keys = self.keys.clone().map(|keys| match usual {
            Some(usual) => keys.or_authenticated_by(usual),
            None => keys,
        });
        Opener::new(keys, self.unauthenticated, self.counters.clone())
    }
}

/// What a decoder is told; secrets are not shown.
#[derive(Clone, Debug)]
pub(crate) enum ProtocolSettings {
    Dsmr {
        /// What the meter's clock is ahead of UTC in winter, where it does not say so.
        clock_base: Span,
        sealing: Sealing,
    },
    Sml,
    Dlms {
        /// As above.
        clock_base: Span,
        sealing: Sealing,
        /// What lists mean that do not say it themselves.
        models: ListModels,
    },
    Iec62056 {
        /// As above.
        clock_base: Span,
        /// How the meter is asked; `None`: it speaks by itself.
        pull: Option<PullSettings>,
    },
    Modbus(ModbusSettings),
    S0 {
        settings: PulseSettings,
        form: PulseForm,
        /// Pulses that were counted before.
        count: u64,
    },
}

impl ProtocolSettings {
    pub(crate) const fn protocol(&self) -> Protocol {
        match self {
            Self::Dsmr { .. } => Protocol::Dsmr,
            Self::Sml => Protocol::Sml,
            Self::Dlms { .. } => Protocol::Dlms,
            Self::Iec62056 { .. } => Protocol::Iec62056,
            Self::Modbus(_) => Protocol::Modbus,
            Self::S0 { .. } => Protocol::S0,
        }
    }

    /// Whether a decoder can be made of these settings.
    ///
    /// # Errors
    ///
    /// Says what is wrong with them.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Iec62056 { pull, .. } => {
                iec_decoder(pull.as_ref()).map(|_| ()).map_err(|error| error.to_string())
            }
            Self::Dsmr { .. } | Self::Sml | Self::Dlms { .. } | Self::Modbus(_) | Self::S0 { .. } => Ok(()),
        }
    }

    /// A decoder that has seen nothing yet; its settings were checked.
    pub(crate) fn decoder(&self) -> Box<dyn Decoder> {
        match self {
            Self::Dsmr { clock_base, sealing } => Box::new(P1Decoder::encrypted(
                *clock_base,
                sealing.opener(Some(LUXEMBOURG_AUTHENTICATION_KEY)),
            )),
            Self::Sml => Box::new(SmlDecoder::new()),
            Self::Dlms { clock_base, sealing, models } => {
                Box::new(DlmsDecoder::new(*clock_base, sealing.opener(None), models.clone()))
            }
            Self::Iec62056 { clock_base, pull } => {
                let decoder = iec_decoder(pull.as_ref()).unwrap_or_else(|_| IecDecoder::listening());
                Box::new(decoder.with_clock_base(*clock_base))
            }
            Self::Modbus(settings) => Box::new(ModbusDecoder::new(settings.clone())),
            Self::S0 { settings, form, count } => Box::new(PulseDecoder::new(*settings, *form, *count)),
        }
    }

    /// What it takes to open what the meter encrypts, where it may.
    pub(crate) const fn sealing(&mut self) -> Option<&mut Sealing> {
        match self {
            Self::Dsmr { sealing, .. } | Self::Dlms { sealing, .. } => Some(sealing),
            Self::Sml | Self::Iec62056 { .. } | Self::Modbus(_) | Self::S0 { .. } => None,
        }
    }

    /// Goes on counting where the last reading was.
    pub(crate) fn resume(&mut self, series: &Series) {
        if let Self::S0 { settings, count, .. } = self {
            let energy = match settings.flow {
                PulseFlow::Import => series.believed(Channel::Import),
                PulseFlow::Export => series.believed(Channel::Export),
            };
            let pulses = energy.unwrap_or_default() * Decimal::from(settings.per_kwh) / Decimal::from(1000);
            *count = pulses.round().try_into().unwrap_or(0);
        }
    }

    /// How the line of most of these meters is set as they leave the factory.
    pub(crate) fn usual_line(&self) -> LineSettings {
        match self {
            Self::Dsmr { .. } => LineSettings { baud: 115_200, framing: Framing::EightNone },
            Self::Dlms { .. } => LineSettings { baud: 2400, framing: Framing::EightEven },
            Self::Sml => LineSettings { baud: 9600, framing: Framing::EightNone },
            Self::Iec62056 { pull: None, .. } => LineSettings { baud: 9600, framing: Framing::SevenEven },
            Self::Iec62056 { pull: Some(pull), .. } => pull.line(),
            Self::Modbus(settings) => settings.map.serial,
            // The slower, the surer one pulse is one byte.
            Self::S0 { .. } => LineSettings { baud: 300, framing: Framing::EightNone },
        }
    }

    /// No meter is silent for longer, unless something is wrong.
    pub(crate) fn patience(&self) -> Span {
        const LEAST: Span = Span::from_seconds(30);
        match self {
            Self::Dsmr { .. } | Self::Sml | Self::Dlms { .. } | Self::Iec62056 { pull: None, .. } => LEAST,
            // A readout at 300 bits per second takes minutes.
            Self::Iec62056 { pull: Some(pull), .. } => (Span::MINUTE * 5).max(pull.every * 3),
            Self::Modbus(settings) => LEAST.max(settings.interval * 3),
            Self::S0 { .. } => LEAST,
        }
    }
}

fn iec_decoder(pull: Option<&PullSettings>) -> Result<IecDecoder, BadPull> {
    pull.map_or_else(|| Ok(IecDecoder::listening()), |pull| IecDecoder::asking(pull.clone()))
}

impl Framing {
    /// Every framing by its usual name.
    pub(crate) const WORDS: &[(&'static str, Self)] = &[
        ("8N1", Self::EightNone),
        ("8E1", Self::EightEven),
        ("8N2", Self::EightNoneTwo),
        ("7E1", Self::SevenEven),
    ];

    /// By the word of the configuration.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, framing)| *framing)
    }
}

impl fmt::Display for Framing {
    /// `8N1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, framing)| framing == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl LineSettings {
    /// How long so many bytes are on their way: a character is a start bit, its bits and its stop bits.
    pub(crate) fn time_of(self, bytes: usize) -> Span {
        let bits: i64 = match self.framing {
            Framing::EightNone | Framing::SevenEven => 10,
            Framing::EightEven | Framing::EightNoneTwo => 11,
        };
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Span::from_micros(bytes.saturating_mul(bits * 1_000_000) / i64::from(self.baud.max(1)))
    }

    /// What parts two frames of Modbus: 3.5 characters, and no less than 1.75 ms (MODBUS over Serial Line 1.02, 2.5.1.1).
    pub(crate) fn silence(self) -> Span {
        const LEAST: Span = Span::from_micros(1_750);
        Span::from_micros(self.time_of(7).micros() / 2).max(LEAST)
    }
}

impl fmt::Display for LineSettings {
    /// `9600 7E1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.baud, self.framing)
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, LineSettings, Protocol};
    use crate::time::Span;

    #[test]
    fn every_protocol_and_framing_has_a_word_of_its_own() {
        for (at, (_, protocol)) in Protocol::WORDS.iter().enumerate() {
            assert_eq!(*protocol as usize, at);
        }
        assert_eq!(Protocol::WORDS.len(), Protocol::S0 as usize + 1, "it is the last");
        for (word, framing) in Framing::WORDS {
            assert_eq!(framing.to_string(), *word);
        }
    }

    #[test]
    fn characters_take_their_time() {
        let slow = LineSettings { baud: 300, framing: Framing::SevenEven };
        assert_eq!(slow.time_of(6), Span::from_millis(200));
        let even = LineSettings { baud: 2400, framing: Framing::EightEven };
        assert_eq!(even.time_of(24), Span::from_millis(110));
        assert_eq!(even.to_string(), "2400 8E1");
    }
}
