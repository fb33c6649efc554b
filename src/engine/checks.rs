//! Checks an event before the handler is asked: is it for us, is it of a kind that we know, does it make sense?
//!
//! The first fault decides, and the event is answered with its code and optOut (rule 48).
//!
//! **Reading of the standard:** rule 69 lets a SIMPLE signal have any type, rule 116 wants `level`; any is taken. The numbers of the
//! intervals (rule 2) are not looked at: they say nothing that their order does not.

use crate::openadr::message::{
    CurrencyPer, Decimal, EiEvent, EiTarget, EventSignal, Float, Interval, MarketContext, PowerKind,
    ResponseCode, SignalName, SignalType, Unit, VenId, VtnId,
};
use crate::time::Span;

use super::settings::Settings;

/// What is wrong with an event.
pub(super) type Fault = (ResponseCode, String);

/// Who we are, and to whom, for the question whether an event is for us.
#[derive(Clone, Copy)]
pub(super) struct Us<'s> {
    pub(super) settings: &'s Settings,
    pub(super) ven_id: &'s VenId,
    /// Who tells us.
    pub(super) vtn_id: &'s VtnId,
}

impl Us<'_> {
    /// Checks an event.
    pub(super) fn check(self, event: &EiEvent) -> Result<(), Fault> {
        self.check_context(&event.descriptor.market_context)?;
        self.check_target(&event.target)?;
        for signal in &event.signals {
            self.check_signal(signal)?;
            self.check_signal_target(signal)?;
            for (index, interval) in signal.intervals.iter().enumerate() {
                let value = check_form(signal, index, interval)?;
                check_range(signal, index, value)?;
            }
            check_durations(event, signal)?;
        }
        Ok(())
    }

    /// Whether it is for a programme of ours; compared as URIs (rule 512).
    fn check_context(self, context: &MarketContext) -> Result<(), Fault> {
        let ours = &self.settings.market_contexts;
        let is = |our: &MarketContext| our.normalised() == context.normalised();
        if ours.is_empty() || ours.iter().any(is) {
            return Ok(());
        }
        Err((ResponseCode::TARGET_MISMATCH, format!("market context {context} is not served here")))
    }

    /// Several entries are alternatives, none at all means us (rule 22). Ids are compared case-sensitively (rule 512).
    fn check_target(self, target: &EiTarget) -> Result<(), Fault> {
        if target.is_empty() || self.is_named_by(target) {
            return Ok(());
        }
        Err((
            ResponseCode::TARGET_MISMATCH,
            "its target names neither us nor a resource or group of ours".into(),
        ))
    }

    fn is_named_by(self, target: &EiTarget) -> bool {
        let Settings { resources, groups, .. } = self.settings;
        target.ven_ids.contains(self.ven_id)
            || target.resource_ids.iter().any(|id| resources.contains(id))
            || target.group_ids.iter().chain(&target.group_names).any(|name| groups.contains(name))
    }

    /// What a signal is for must be known (rule 112): device classes (rule 111), or something that is ours all the same.
    fn check_signal_target(self, signal: &EventSignal) -> Result<(), Fault> {
        let Some(target) = &signal.target else { return Ok(()) };
        let classes = &target.end_device_assets;
        let only_classes = EiTarget { end_device_assets: classes.clone(), ..EiTarget::default() } == *target;
        let known = |class: &String| DEVICE_CLASSES.contains(&class.as_str()) || class.starts_with("x-");
        if (only_classes && classes.iter().all(known)) || self.is_named_by(target) {
            return Ok(());
        }
        let why = format!("which resource signal {} is for cannot be told", signal.signal_id);
        Err((ResponseCode::DEPLOYMENT_ERROR, why))
    }

    /// Any signal that is not supported spoils the whole event (rule 109).
    fn check_signal(self, signal: &EventSignal) -> Result<(), Fault> {
        if self.settings.signals.contains(&signal.name) || is_standard(signal) {
            return Ok(());
        }
        let unit = if signal.unit.is_some() { "this unit" } else { "no unit" };
        let why =
            format!("signal {} of type {} with {unit} is not supported", signal.name, signal.signal_type);
        Err((ResponseCode::SIGNAL_NOT_SUPPORTED, why))
    }
}

/// The device classes that the signals of an event may be for (rule 111), spelt as there.
const DEVICE_CLASSES: &[&str] = &[
    "Thermostat",
    "Strip_Heater",
    "Baseboard_Heater",
    "Water_Heater",
    "Pool_Pump",
    "Sauna",
    "Hot_tub",
    "Smart_Appliance",
    "Irrigation_Pump",
    "Managed_Commercial_and_Industrial_Loads",
    "Simple_Residential_On_Off_Loads",
    "Exterior_Lighting",
    "Interior_Lighting",
    "Electric_Vehicle",
    "Generation_Systems",
    "Load_Control_Switch",
    "Smart_Inverter",
    "EVSE",
    "RESU",
    "Energy_Management_System",
    "Smart_Energy_Module",
    "Storage",
];

/// Name, type and unit as in table 1 of the profile (rule 104).
fn is_standard(signal: &EventSignal) -> bool {
    use SignalType::{
        Delta, Level, LoadControlCapacity, LoadControlLevelOffset, LoadControlPercentOffset,
        LoadControlSetpoint, Multiplier, Price, PriceMultiplier, PriceRelative, Setpoint,
    };
    let none = signal.unit.is_none();
    let currency =
        |per: &[CurrencyPer]| matches!(&signal.unit, Some(Unit::Currency(found, ..)) if per.contains(found));
    let energy = matches!(
        &signal.unit,
        Some(Unit::Energy(PowerKind::Real | PowerKind::Apparent | PowerKind::Reactive, _))
    );
    let power = matches!(&signal.unit, Some(Unit::Power(..)));
    let price = |per| match signal.signal_type {
        Price | PriceRelative => currency(&[per]),
        PriceMultiplier => none,
        Delta
        | Level
        | Multiplier
        | Setpoint
        | LoadControlCapacity
        | LoadControlLevelOffset
        | LoadControlPercentOffset
        | LoadControlSetpoint => false,
    };
    match (&signal.name, signal.signal_type) {
        (SignalName::Simple | SignalName::SimpleLowerCase, _) => none,
        (SignalName::ElectricityPrice | SignalName::EnergyPrice, _) => price(CurrencyPer::KWh),
        (SignalName::DemandCharge, _) => price(CurrencyPer::KW),
        (SignalName::BidPrice, Price) => currency(&[CurrencyPer::Nothing, CurrencyPer::KWh, CurrencyPer::KW]),
        (SignalName::BidLoad, Setpoint) | (SignalName::LoadDispatch, Setpoint | Delta | Level) => power,
        (SignalName::BidEnergy, Setpoint) | (SignalName::ChargeState, Setpoint | Delta) => energy,
        (SignalName::ChargeState | SignalName::LoadDispatch, Multiplier) => none,
        (
            SignalName::LoadControl,
            LoadControlCapacity | LoadControlLevelOffset | LoadControlPercentOffset | LoadControlSetpoint,
        ) => none,
        _ => false,
    }
}

/// Exactly one finite number in each interval (rule 100).
fn check_form(signal: &EventSignal, index: usize, interval: &Interval) -> Result<Decimal, Fault> {
    match interval.signal_value().map(Float::exact) {
        Some(Some(value)) => Ok(value),
        Some(None) => {
            let why = format!("interval {index} of signal {} has no finite value", signal.signal_id);
            Err((ResponseCode::INVALID_DATA, why))
        }
        None => {
            let why = format!("interval {index} of signal {} needs one payloadFloat", signal.signal_id);
            Err((ResponseCode::COMPLIANCE_ERROR, why))
        }
    }
}

/// The values that table 1 allows (rules 9, 104).
fn check_range(signal: &EventSignal, index: usize, value: Decimal) -> Result<(), Fault> {
    let (lowest, highest, whole) = match (&signal.name, signal.signal_type) {
        (SignalName::Simple | SignalName::SimpleLowerCase, _) => (0, 3, true),
        (SignalName::ChargeState, SignalType::Multiplier)
        | (SignalName::LoadControl, SignalType::LoadControlCapacity) => (0, 1, false),
        (SignalName::LoadDispatch, SignalType::Level) => (-10, 10, true),
        _ => return Ok(()),
    };
    let inside = Decimal::from(lowest) <= value && value <= Decimal::from(highest);
    if inside && (!whole || value.fract().is_zero()) {
        return Ok(());
    }
    let number = if whole { "a whole number" } else { "a number" };
    let why = format!(
        "value {value} in interval {index} of signal {} is not {number} from {lowest} to {highest}",
        signal.name
    );
    Err((ResponseCode::INVALID_DATA, why))
}

/// The intervals of each signal fill the event (rules 8, 102); an open end is filled by anything (rule 47).
fn check_durations(event: &EiEvent, signal: &EventSignal) -> Result<(), Fault> {
    let (start, lasts) = (event.active_period.start, event.active_period.duration);
    if lasts.is_zero() {
        return Ok(());
    }
    let mut at = start;
    for (index, interval) in signal.intervals.iter().enumerate() {
        let Some(duration) = interval.duration else {
            let why = format!("interval {index} of signal {} has no duration", signal.signal_id);
            return Err((ResponseCode::COMPLIANCE_ERROR, why));
        };
        at = duration.after(at);
    }
    let (filled, whole): (Span, Span) = (at - start, lasts.after(start) - start);
    if filled == whole {
        return Ok(());
    }
    let why = format!("the intervals of signal {} last {filled}, the event {whole}", signal.signal_id);
    Err((ResponseCode::INVALID_DATA, why))
}
