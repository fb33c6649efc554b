//! Decides which registers are asked for together.

use super::frame::Request;
use super::map::{Register, RegisterMap};
use crate::openadr::message::Decimal;
use crate::time::Span;

/// Registers that one request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    function: u8,
    address: u16,
    count: u16,
    /// It is asked for in each so manieth round.
    pub(super) every: u32,
    /// Which numbers of the map it holds, by their places there.
    numbers: Vec<usize>,
    /// The meter has said that it has no such registers: until then it is not asked again.
    pub(super) rests_until: Option<Span>,
}

/// As few blocks as the meter allows: neighbours are asked for together.
pub(super) fn blocks(map: &RegisterMap) -> Vec<Block> {
    let mut sorted: Vec<(usize, &Register)> = map.registers.iter().enumerate().collect();
    sorted.sort_by_key(|(_, register)| (register.every, register.function, register.address, register.end()));
    let mut blocks: Vec<Vec<(usize, &Register)>> = Vec::new();
    for (place, register) in sorted {
        match blocks.last_mut() {
            Some(block) if fits(block, register, map) => block.push((place, register)),
            _ => blocks.push(vec![(place, register)]),
        }
    }
    blocks.iter().filter_map(|block| Block::of(block)).collect()
}

/// The register may be asked for together with these.
fn fits(block: &[(usize, &Register)], register: &Register, map: &RegisterMap) -> bool {
    let end = block.iter().map(|(_, register)| register.end()).max();
    let ([(_, first), ..], Some(end)) = (block, end) else { return false };
    (first.every, first.function) == (register.every, register.function)
        && u32::from(register.address) <= end + u32::from(map.gap)
        && end.max(register.end()) - u32::from(first.address) <= u32::from(map.most)
}

impl Block {
    /// Of numbers of the map in the order of their addresses; `None` where there are none.
    fn of(numbers: &[(usize, &Register)]) -> Option<Self> {
        let (_, first) = numbers.first()?;
        let end = numbers.iter().map(|(_, register)| register.end()).max()?;
        Some(Self {
            function: first.function,
            address: first.address,
            count: u16::try_from(end.checked_sub(first.address.into())?).ok()?,
            every: first.every,
            numbers: numbers.iter().map(|(place, _)| *place).collect(),
            rests_until: None,
        })
    }

    pub(super) fn request(&self, unit: u8) -> Request {
        Request { unit, function: self.function, address: self.address, count: self.count }
    }

    /// Its numbers in two halves, so that a register that the meter lacks leaves the others; `None` where it is one alone.
    pub(super) fn halves(&self, map: &RegisterMap) -> Option<[Self; 2]> {
        let numbers: Vec<(usize, &Register)> =
            self.numbers.iter().filter_map(|place| Some((*place, map.registers.get(*place)?))).collect();
        let (left, right) = numbers.split_at(numbers.len() / 2);
        Some([Self::of(left)?, Self::of(right)?])
    }
}

/// The values in the reply to a request, each with the place of its register in the map.
pub(super) fn values(map: &RegisterMap, request: Request, bytes: &[u8]) -> Vec<(usize, Option<Decimal>)> {
    let value = |(place, register): (usize, &Register)| {
        let from = 2 * usize::from(register.address.checked_sub(request.address)?);
        let bytes = bytes.get(from..)?.get(..2 * usize::from(register.form.registers()))?;
        (register.function == request.function).then(|| (place, register.value(bytes)))
    };
    map.registers.iter().enumerate().filter_map(value).collect()
}
