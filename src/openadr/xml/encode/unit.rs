//! Writes units, with the fixed texts that the schema wants.

use crate::openadr::message::{CurrencyPer, PowerAttributes, PowerKind, SiScale, Unit};

use super::super::names::Ns;
use super::super::writer::Writer;

pub(super) fn optional(w: &mut Writer, unit: Option<&Unit>) {
    match unit {
        None => {}
        Some(Unit::Power(kind, scale, attributes)) => {
            let (element, description, units) = match kind {
                PowerKind::Real => ("powerReal", "RealPower", "W"),
                PowerKind::Apparent => ("powerApparent", "ApparentPower", "VA"),
                PowerKind::Reactive => ("powerReactive", "ReactivePower", "VAR"),
            };
            w.element(Ns::Power, element, |w| {
                item(w, Ns::Power, (description, units), Some(*scale));
                power_attributes(w, attributes);
            });
        }
        Some(Unit::Energy(kind, scale)) => {
            let (element, description, units) = match kind {
                PowerKind::Real => ("energyReal", "RealEnergy", "Wh"),
                PowerKind::Apparent => ("energyApparent", "ApparentEnergy", "VAh"),
                PowerKind::Reactive => ("energyReactive", "ReactiveEnergy", "VARh"),
            };
            w.element(Ns::Power, element, |w| item(w, Ns::Power, (description, units), Some(*scale)));
        }
        Some(Unit::Voltage(scale)) => {
            w.element(Ns::Power, "voltage", |w| item(w, Ns::Power, ("Voltage", "V"), Some(*scale)));
        }
        Some(Unit::Current(scale)) => oadr(w, "current", ("Current", "A"), Some(*scale)),
        Some(Unit::Frequency(scale)) => oadr(w, "frequency", ("Frequency", "Hz"), Some(*scale)),
        Some(Unit::Temperature(unit, scale)) => {
            oadr(w, "temperature", ("temperature", unit.as_str()), Some(*scale));
        }
        Some(Unit::Therm(scale)) => oadr(w, "Therm", ("Therm", "thm"), Some(*scale)),
        Some(Unit::Currency(per, code, scale)) => {
            // The list of descriptions has no word for therms.
            let description = if *per == CurrencyPer::Thm { CurrencyPer::Nothing } else { *per };
            oadr(w, per.as_str(), (description.as_str(), code), Some(*scale));
        }
        Some(Unit::PulseCount(factor)) => w.element(Ns::Oadr, "pulseCount", |w| {
            item(w, Ns::Oadr, ("pulse count", "count"), None);
            w.value(Ns::Oadr, "pulseFactor", factor);
        }),
        Some(Unit::Custom { description, units, scale }) => {
            oadr(w, "customUnit", (description, units), Some(*scale));
        }
        Some(Unit::GreenButton(feed)) => w.element(Ns::Oadr, "oadrGBDataDescription", |w| w.raw(feed)),
    }
}

fn oadr(w: &mut Writer, element: &str, texts: (&str, &str), scale: Option<SiScale>) {
    w.element(Ns::Oadr, element, |w| item(w, Ns::Oadr, texts, scale));
}

fn item(w: &mut Writer, ns: Ns, (description, units): (&str, &str), scale: Option<SiScale>) {
    w.text(ns, "itemDescription", description);
    w.text(ns, "itemUnits", units);
    w.optional(Ns::Scale, "siScaleCode", scale);
}

fn power_attributes(w: &mut Writer, attributes: &PowerAttributes) {
    w.element(Ns::Power, "powerAttributes", |w| {
        w.value(Ns::Power, "hertz", attributes.hertz);
        w.value(Ns::Power, "voltage", attributes.voltage);
        w.value(Ns::Power, "ac", attributes.ac);
    });
}
