//! Finds out what a recording speaks.

use crate::metering::{Protocol, ProtocolSettings, Refused, Telegram, Why};

/// So much of a recording is tried; all of it where that has nothing good.
const TRIED: usize = 256 * 1024;
const PIECE: usize = 4096;

/// How well a decoder understands: telegrams, frames that want a key, bytes of frames that are damaged.
type Score = (usize, usize, usize);

/// The settings of the protocol that understands most; of equals, the first.
pub(super) fn recognise(
    bytes: &[u8],
    settings: impl Fn(Protocol) -> anyhow::Result<Option<ProtocolSettings>>,
) -> anyhow::Result<ProtocolSettings> {
    let begin = bytes.get(..TRIED).unwrap_or(bytes);
    let (score, best) = best(begin, &settings)?;
    if score.0 > 0 {
        return Ok(best);
    }
    // What cannot be proved to be a meter's shows at least what it speaks.
    let open = |protocol| {
        let mut settings = settings(protocol)?;
        if let Some(sealing) = settings.as_mut().and_then(ProtocolSettings::sealing) {
            sealing.unauthenticated = true;
        }
        Ok(settings)
    };
    let (score, found) = self::best(bytes, open)?;
    let mut chosen = if score.0 > 0 { found } else { best };
    // It is understood as was asked for nevertheless.
    let mut asked = settings(chosen.protocol())?;
    let asked = asked.as_mut().and_then(ProtocolSettings::sealing).map(|sealing| sealing.unauthenticated);
    if let (Some(sealing), Some(asked)) = (chosen.sealing(), asked) {
        sealing.unauthenticated = asked;
    }
    Ok(chosen)
}

fn best(
    bytes: &[u8],
    settings: impl Fn(Protocol) -> anyhow::Result<Option<ProtocolSettings>>,
) -> anyhow::Result<(Score, ProtocolSettings)> {
    let mut best = None;
    for (_, protocol) in Protocol::WORDS {
        let Some(mut settings) = settings(*protocol)? else { continue };
        // Nobody answers to a recording.
        if let ProtocolSettings::Iec62056 { pull, .. } = &mut settings {
            *pull = None;
        }
        let score = score(bytes, &settings);
        if best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, settings));
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("no protocol is known"))
}

fn score(bytes: &[u8], settings: &ProtocolSettings) -> Score {
    let mut decoder = settings.decoder();
    let mut score = (0, 0, 0);
    let mut count = |outcome: Result<Telegram, Refused>| match outcome {
        Ok(_) => score.0 += 1,
        Err(refused) if matches!(refused.why, Why::KeyMissing | Why::WrongKey | Why::Tag) => score.1 += 1,
        Err(refused) if matches!(refused.why, Why::Crc { .. } | Why::Replayed { .. }) => {
            score.2 += refused.bytes.len();
        }
        Err(_) => {}
    };
    for piece in bytes.chunks(PIECE) {
        decoder.push(piece);
        std::iter::from_fn(|| decoder.next()).for_each(&mut count);
    }
    decoder.quiet();
    std::iter::from_fn(|| decoder.next()).for_each(count);
    score
}
