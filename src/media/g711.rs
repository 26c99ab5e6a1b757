//! ITU-T G.711: sixteen bits of a sample in eight, by A-law and µ-law.
//!
//! A-law codes the upper 13 bits of a sample, µ-law the upper 14 (tables 1a–2b). The sign is
//! handled in one's complement, so that each interval between decision values has its code on
//! both sides of zero. Decoding gives the middle of the interval, at the scale of 16 bits.

use std::sync::LazyLock;

use crate::domain::Codec;

/// A-law transmits with every second bit inverted.
const ALAW_EVEN_BITS: u8 = 0x55;
/// µ-law's curve starts 33 steps of the 14-bit scale to the left of zero.
const ULAW_BIAS: u16 = 33;
/// The largest biased magnitude of the 14-bit scale; beyond it, a sample is clipped.
const ULAW_CLIP: u16 = 0x1FFF;

static ALAW_TO_LINEAR: [i16; 256] = alaw_table();
static ULAW_TO_LINEAR: [i16; 256] = ulaw_table();

/// One sample to A-law.
pub fn encode_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let magnitude = magnitude.unsigned_abs() >> 4; // 11 bits
    // Segments 0 and 1 are one straight line; each further one is twice as coarse.
    let segment = bits(magnitude).saturating_sub(4);
    let step = magnitude >> segment.saturating_sub(1);
    (sign | (segment << 4) | low_half(step)) ^ ALAW_EVEN_BITS
}

/// One sample to µ-law.
pub fn encode_ulaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80, !sample) } else { (0, sample) };
    let biased = ((magnitude.unsigned_abs() >> 2) + ULAW_BIAS).min(ULAW_CLIP);
    // The bias makes bit 5 the lowest possible leading bit.
    let segment = bits(biased) - 6;
    let step = biased >> (segment + 1);
    !(sign | (segment << 4) | low_half(step))
}

/// One A-law byte to a sample.
pub fn decode_alaw(code: u8) -> i16 {
    ALAW_TO_LINEAR[usize::from(code)]
}

/// One µ-law byte to a sample.
pub fn decode_ulaw(code: u8) -> i16 {
    ULAW_TO_LINEAR[usize::from(code)]
}

/// One sample by `codec`.
pub fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcma => encode_alaw(sample),
        Codec::Pcmu => encode_ulaw(sample),
    }
}

/// The codes of all samples, by the sample's bits: for encoding whole recordings fast.
pub(super) struct Encoder([u8; 65_536]);

impl Encoder {
    pub fn of(codec: Codec) -> &'static Self {
        static ALAW: LazyLock<Box<Encoder>> = LazyLock::new(|| Encoder::fill(encode_alaw));
        static ULAW: LazyLock<Box<Encoder>> = LazyLock::new(|| Encoder::fill(encode_ulaw));
        match codec {
            Codec::Pcma => &ALAW,
            Codec::Pcmu => &ULAW,
        }
    }

    pub fn encode(&self, sample: i16) -> u8 {
        self.0[usize::from(sample.cast_unsigned())]
    }

    fn fill(encode: fn(i16) -> u8) -> Box<Self> {
        let mut codes = Box::new(Self([0; 65_536]));
        for sample in i16::MIN..=i16::MAX {
            codes.0[usize::from(sample.cast_unsigned())] = encode(sample);
        }
        codes
    }
}

/// One byte of `codec` to a sample.
pub fn decode(codec: Codec, code: u8) -> i16 {
    match codec {
        Codec::Pcma => decode_alaw(code),
        Codec::Pcmu => decode_ulaw(code),
    }
}

/// Audio of one codec as audio of another, sample by sample; both slices are equally long.
pub fn recode(from: Codec, to: Codec, audio: &[u8], recoded: &mut [u8]) {
    static ULAW_OF_ALAW: LazyLock<[u8; 256]> = LazyLock::new(|| ALAW_TO_LINEAR.map(encode_ulaw));
    static ALAW_OF_ULAW: LazyLock<[u8; 256]> = LazyLock::new(|| ULAW_TO_LINEAR.map(encode_alaw));
    let table: &[u8; 256] = match (from, to) {
        (Codec::Pcma, Codec::Pcma) | (Codec::Pcmu, Codec::Pcmu) => {
            return recoded.copy_from_slice(audio);
        }
        (Codec::Pcma, Codec::Pcmu) => &ULAW_OF_ALAW,
        (Codec::Pcmu, Codec::Pcma) => &ALAW_OF_ULAW,
    };
    for (recoded, &code) in recoded.iter_mut().zip(audio) {
        *recoded = table[usize::from(code)];
    }
}

/// How many bits the number needs: 0–16.
fn bits(number: u16) -> u8 {
    number.checked_ilog2().map_or(0, |log| u8::try_from(log + 1).unwrap_or(16))
}

/// The lower four bits.
fn low_half(number: u16) -> u8 {
    number.to_le_bytes()[0] & 0xF
}

const fn alaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let plain = code as u8 ^ ALAW_EVEN_BITS;
        let segment = (plain >> 4) & 0x7;
        let step = ((plain & 0xF) as i16) << 4;
        let magnitude = if segment == 0 { step + 0x008 } else { (step + 0x108) << (segment - 1) };
        table[code] = if plain & 0x80 != 0 { magnitude } else { -magnitude };
        code += 1;
    }
    table
}

const fn ulaw_table() -> [i16; 256] {
    const BIAS: i16 = (ULAW_BIAS as i16) << 2;
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let plain = !(code as u8);
        let segment = (plain >> 4) & 0x7;
        let step = ((plain & 0xF) as i16) << 3;
        let magnitude = ((step + BIAS) << segment) - BIAS;
        table[code] = if plain & 0x80 == 0 { magnitude } else { -magnitude };
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_middle_are_those_of_the_tables() {
        // G.711 tables 1a/1b and 2a/2b, scaled to 16 bits.
        for (code, sample) in [(0xD5, 8), (0x55, -8), (0xAA, 32_256), (0x2A, -32_256), (0xC5, 264)]
        {
            assert_eq!(decode_alaw(code), sample, "{code:02X}");
        }
        for (code, sample) in [(0xFF, 0), (0x7F, 0), (0x80, 32_124), (0x00, -32_124), (0xEF, 132)] {
            assert_eq!(decode_ulaw(code), sample, "{code:02X}");
        }
        assert_eq!((encode_alaw(i16::MAX), encode_alaw(i16::MIN)), (0xAA, 0x2A));
        assert_eq!((encode_ulaw(i16::MAX), encode_ulaw(i16::MIN)), (0x80, 0x00));
    }

    #[test]
    fn silence_is_coded_as_silence() {
        for codec in Codec::ALL {
            assert_eq!(encode(codec, 0), codec.silence());
            assert_eq!(Encoder::of(codec).encode(-5), encode(codec, -5));
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=255 {
            assert_eq!(encode_alaw(decode_alaw(code)), code);
            // µ-law has two zeros; the negative one is never sent.
            let expected = if code == 0x7F { 0xFF } else { code };
            assert_eq!(encode_ulaw(decode_ulaw(code)), expected);
        }
    }

    #[test]
    fn recoding_is_decoding_and_encoding() {
        let all: Vec<u8> = (0..=255).collect();
        let mut recoded = [0; 256];
        for (from, to) in [(Codec::Pcma, Codec::Pcmu), (Codec::Pcmu, Codec::Pcma)] {
            recode(from, to, &all, &mut recoded);
            let expected: Vec<u8> =
                all.iter().map(|&code| encode(to, decode(from, code))).collect();
            assert_eq!(recoded[..], expected);
        }
        recode(Codec::Pcma, Codec::Pcma, &all, &mut recoded);
        assert_eq!(recoded[..], all);
    }

    #[test]
    fn louder_samples_never_get_a_quieter_code() {
        for codec in Codec::ALL {
            let decoded = (i16::MIN..=i16::MAX).map(|sample| decode(codec, encode(codec, sample)));
            assert!(decoded.is_sorted(), "{codec:?}");
        }
    }

    #[test]
    fn the_error_of_coding_is_at_most_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let loud = i32::from(sample).abs();
            let alaw = (i32::from(decode_alaw(encode_alaw(sample))) - i32::from(sample)).abs();
            let ulaw = (i32::from(decode_ulaw(encode_ulaw(sample))) - i32::from(sample)).abs();
            assert!(alaw <= 16 + loud / 32, "{sample}: {alaw}");
            assert!(ulaw <= 8 + loud / 24, "{sample}: {ulaw}");
        }
    }
}
