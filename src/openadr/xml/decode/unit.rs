//! Reads units: whatever may stand in for `emix:itemBase`.

use crate::openadr::message::{
    CurrencyPer, Decimal, PowerAttributes, PowerKind, SiScale, TemperatureUnit, Unit,
};

use super::super::cursor::{Children, Element};
use super::super::error::XmlError;
use super::super::names::Ns;
use super::{interval, text};

/// The unit, if the next element is one.
pub(super) fn optional(c: &mut Children<'_>) -> Result<Option<Unit>, XmlError> {
    c.next_if(|element| matches!(element.name(), (Some(ns), name) if is_unit(ns, name))).map(unit).transpose()
}

fn is_unit(ns: Ns, name: &str) -> bool {
    let others =
        ["current", "frequency", "temperature", "Therm", "pulseCount", "customUnit", "oadrGBDataDescription"];
    (ns == Ns::Power && (power_kind(name).is_some() || name == "voltage"))
        || (ns == Ns::Oadr && (CurrencyPer::from_token(name).is_some() || others.contains(&name)))
}

/// Power or energy of which kind: `power:powerReal` to `power:energyReactive`.
fn power_kind(name: &str) -> Option<(bool, PowerKind)> {
    let (is_power, kind) = match name.strip_prefix("power") {
        Some(kind) => (true, kind),
        None => (false, name.strip_prefix("energy")?),
    };
    let kind = match kind {
        "Real" => PowerKind::Real,
        "Apparent" => PowerKind::Apparent,
        "Reactive" => PowerKind::Reactive,
        _ => return None,
    };
    Some((is_power, kind))
}

fn unit(element: Element<'_>) -> Result<Unit, XmlError> {
    let (ns, name) = element.name();
    let mut c = element.children()?;
    if name == "oadrGBDataDescription" {
        let unit = Unit::GreenButton(interval::feed(&mut c)?);
        c.end()?;
        return Ok(unit);
    }
    // The names of the children are of the namespace of the unit itself.
    let ns = if ns == Some(Ns::Power) { Ns::Power } else { Ns::Oadr };
    let description = c.expect(ns, "itemDescription")?;
    let units = c.expect(ns, "itemUnits")?;
    if name == "pulseCount" {
        let unit = Unit::PulseCount(c.expect(Ns::Oadr, "pulseFactor")?.value()?);
        c.end()?;
        return Ok(unit);
    }
    let scale = c.expect(Ns::Scale, "siScaleCode")?.lookup(SiScale::from_token)?;
    let unit = match name {
        "voltage" => Unit::Voltage(scale),
        "current" => Unit::Current(scale),
        "frequency" => Unit::Frequency(scale),
        "Therm" => Unit::Therm(scale),
        "temperature" => Unit::Temperature(units.lookup(TemperatureUnit::from_token)?, scale),
        "customUnit" => Unit::Custom { description: text(description)?, units: text(units)?, scale },
        _ => match (power_kind(name), CurrencyPer::from_token(name)) {
            (Some((true, kind)), _) => Unit::Power(kind, scale, attributes(&mut c)?),
            (Some((false, kind)), _) => Unit::Energy(kind, scale),
            (None, Some(per)) => Unit::Currency(per, units.token()?.into_owned(), scale),
            (None, None) => return Err(element.unexpected("a unit", name)),
        },
    };
    c.end()?;
    Ok(unit)
}

fn attributes(c: &mut Children<'_>) -> Result<PowerAttributes, XmlError> {
    let mut inner = c.expect(Ns::Power, "powerAttributes")?.children()?;
    let attributes = PowerAttributes {
        hertz: inner.expect(Ns::Power, "hertz")?.value::<Decimal>()?,
        voltage: inner.expect(Ns::Power, "voltage")?.value::<Decimal>()?,
        ac: inner.expect(Ns::Power, "ac")?.boolean()?,
    };
    inner.end()?;
    Ok(attributes)
}
