//! Holds what lists mean that do not say it themselves, from a file that users can edit.

use serde::Deserialize;

use crate::metering::obis::ObisCode;
use crate::openadr::message::Decimal;

use super::axdr::Data;
use super::units::{Kind, kind};

/// The models that come with the program.
pub(crate) const BUILT_IN: &str = include_str!("models.toml");

/// Why a file of models is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadModels {
    #[error("{0}")]
    Syntax(String),
    #[error("model {model}: \"{code}\" is no OBIS code")]
    Code { model: String, code: String },
    #[error("model {model}: \"{scale}\" is no scale: a number above 0")]
    Scale { model: String, scale: String },
    #[error("there is no model {name}; there are {known}")]
    Unknown { name: String, known: String },
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    model: Vec<WrittenModel>,
}

/// A model as it is written; `models.toml` says what the fields mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenModel {
    name: String,
    text: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    described: bool,
    current: Option<String>,
    voltage: Option<String>,
    power: Option<String>,
    energy: Option<String>,
    power_factor: Option<String>,
    frequency: Option<String>,
    #[serde(default)]
    orders: Vec<Vec<String>>,
}

/// What the lists of a maker's meters mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    name: String,
    /// A text of the list begins so.
    text: Option<String>,
    /// The meter's type begins so.
    device: Option<String>,
    described: bool,
    /// One unit of what is sent, for the kinds whose unit is another than that of the measure.
    scales: Vec<(Kind, Decimal)>,
    orders: Vec<Vec<ObisCode>>,
}

/// The models that are known, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListModels {
    models: Vec<Model>,
    /// The user has named the first.
    named: bool,
}

impl ListModels {
    /// Reads a file of models, as [`BUILT_IN`] is one.
    ///
    /// # Errors
    ///
    /// Where it is none; the message says what and where.
    pub(crate) fn parse(text: &str) -> Result<Self, BadModels> {
        let written: Written = toml::from_str(text).map_err(|fault| BadModels::Syntax(fault.to_string()))?;
        let models = written.model.into_iter().map(WrittenModel::read).collect::<Result<_, _>>()?;
        Ok(Self { models, named: false })
    }

    /// The same, and the model of that name is that of the meter, whatever its lists look like.
    ///
    /// # Errors
    ///
    /// [`BadModels::Unknown`].
    pub(crate) fn named(mut self, name: &str) -> Result<Self, BadModels> {
        let Some(at) = self.models.iter().position(|model| model.name == name) else {
            let known: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
            return Err(BadModels::Unknown { name: name.to_owned(), known: known.join(", ") });
        };
        self.models[..=at].rotate_right(1);
        self.named = true;
        Ok(self)
    }

    /// What stands at each place of a list of values alone, and the model that says so.
    pub(super) fn order(&self, values: &[Data<'_>]) -> Option<(&Model, &[ObisCode])> {
        let fits = |order: &&Vec<ObisCode>| {
            order.len() == values.len()
                && values.iter().any(|value| matches!(value, Data::Number(_)))
                && order.iter().zip(values).all(|(code, value)| may_be(*code, value))
        };
        self.models.iter().find_map(|model| Some((model, model.orders.iter().find(fits)?.as_slice())))
    }

    /// The model of a list with codes and without scales: `text` is asked for one of its texts, `device` for the meter's type.
    pub(super) fn of(
        &self,
        described: bool,
        text: &dyn Fn(&str) -> bool,
        device: &dyn Fn(&str) -> bool,
    ) -> Option<&Model> {
        if self.named {
            return self.models.first();
        }
        self.models.iter().find(|model| {
            model.described == described
                && (described || model.text.is_some())
                && model.text.as_deref().is_none_or(text)
                && model.device.as_deref().is_none_or(device)
        })
    }
}

/// Where a quantity must stand, a number does, or nothing where a phase is missing; where a name or a clock must, none does.
fn may_be(code: ObisCode, value: &Data<'_>) -> bool {
    let is_number = matches!(value, Data::Number(_));
    match code {
        code if kind(code).is_some() => is_number || *value == Data::Null,
        ObisCode([0, _, 1 | 25 | 42, ..] | [0, _, 96, 1 | 13, ..] | [1, _, 0, ..]) => !is_number,
        _ => true,
    }
}

impl Model {
    /// One unit of a quantity as it is sent.
    pub(super) fn scale(&self, of: Kind) -> Decimal {
        self.scales.iter().find(|(kind, _)| *kind == of).map_or(Decimal::ONE, |(_, scale)| *scale)
    }
}

impl WrittenModel {
    fn read(self) -> Result<Model, BadModels> {
        let scales = [
            (Kind::Current, self.current),
            (Kind::Voltage, self.voltage),
            (Kind::Power, self.power),
            (Kind::Energy, self.energy),
            (Kind::PowerFactor, self.power_factor),
            (Kind::Frequency, self.frequency),
        ];
        let name = self.name;
        let scale = |(kind, scale): (Kind, Option<String>)| {
            let scale = scale?;
            let read = Decimal::from_str_exact(&scale).ok().filter(|scale| *scale > Decimal::ZERO);
            Some(
                read.map(|scale| (kind, scale))
                    .ok_or_else(|| BadModels::Scale { model: name.clone(), scale }),
            )
        };
        let code = |text: &String| {
            ObisCode::parse(text).ok_or_else(|| BadModels::Code { model: name.clone(), code: text.clone() })
        };
        let order = |order: &Vec<String>| order.iter().map(code).collect::<Result<_, _>>();
        Ok(Model {
            scales: scales.into_iter().filter_map(scale).collect::<Result<_, _>>()?,
            orders: self.orders.iter().map(order).collect::<Result<_, _>>()?,
            text: self.text,
            device: self.r#type,
            described: self.described,
            name,
        })
    }
}
