//! Changes of bytes: single values, numbers of several bytes, pieces that are cut out, repeated, or taken from other seeds.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An input has at most this many bytes more than its seed.
const LONGEST_PIECE: usize = 64;
/// An input differs from its seed by at most this many changes.
const MOST_CHANGES: u32 = 6;
/// Numbers at which parsers fail more often than at others.
const EDGES: [u64; 14] =
    [0, 1, 2, 7, 8, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX];

/// A number that follows from `bytes` (FNV-1a).
pub(super) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Makes the inputs of a target.
pub(super) struct Mutator<'a> {
    name: &'a str,
    seeds: &'a [Vec<u8>],
    words: &'a [&'a str],
    repair: fn(&mut [u8]),
}

impl<'a> Mutator<'a> {
    pub(super) fn new(name: &'a str, seeds: &'a [Vec<u8>], words: &'a [&'a str], repair: fn(&mut [u8])) -> Self {
        Self { name, seeds, words, repair }
    }

    /// Input `number`: the first ones are the seeds themselves.
    pub(super) fn input(&mut self, number: u64) -> Vec<u8> {
        if let Some(seed) = self.seeds.get(number as usize) {
            return seed.clone();
        }
        let mut generator = ChaCha8Rng::seed_from_u64(digest(self.name.as_bytes()));
        generator.set_stream(number);
        let mut input = self.seeds.choose(&mut generator).cloned().unwrap_or_default();
        for _ in 0..generator.random_range(1..=MOST_CHANGES) {
            self.change(&mut input, &mut generator);
        }
        if generator.random_bool(0.5) {
            (self.repair)(&mut input);
        }
        input
    }

    fn change(&self, input: &mut Vec<u8>, generator: &mut ChaCha8Rng) {
        if input.is_empty() {
            input.push(generator.random());
        }
        let at = generator.random_range(0..input.len());
        let length = generator.random_range(1..=LONGEST_PIECE.min(input.len() - at));
        match generator.random_range(0..11) {
            0 => input[at] ^= 1 << generator.random_range(0..8),
            1 => input[at] = generator.random(),
            2 => {
                let edge = EDGES.choose(generator).copied().unwrap_or_default();
                let width = [1, 2, 4, 8].choose(generator).copied().unwrap_or(1);
                let bytes =
                    if generator.random() { edge.to_le_bytes() } else { (edge << (64 - 8 * width)).to_be_bytes() };
                let end = (at + width).min(input.len());
                input[at..end].copy_from_slice(&bytes[..end - at]);
            }
            3 => drop(input.drain(at..at + length)),
            4 => {
                let piece = input[at..at + length].to_vec();
                let place = generator.random_range(0..=input.len());
                input.splice(place..place, piece);
            }
            5 => {
                let piece: Vec<u8> = (0..length).map(|_| generator.random()).collect();
                input.splice(at..at, piece);
            }
            6 => input.truncate(at),
            7 => {
                let Some(other) = self.seeds.choose(generator).filter(|other| !other.is_empty()) else { return };
                let from = generator.random_range(0..other.len());
                let piece = other[from..other.len().min(from + 4 * LONGEST_PIECE)].to_vec();
                let end = (at + piece.len()).min(input.len());
                input.splice(at..end, piece);
            }
            8 | 9 if !self.words.is_empty() => {
                let word = self.words.choose(generator).copied().unwrap_or_default();
                let end = if generator.random() { at } else { at + length };
                input.splice(at..end, word.bytes());
            }
            _ => self.number(input, at, generator),
        }
    }

    /// Replaces the decimal number at or after `at` by another one.
    fn number(&self, input: &mut Vec<u8>, at: usize, generator: &mut ChaCha8Rng) {
        let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|offset| at + offset) else {
            input[at] = input[at].wrapping_add(1);
            return;
        };
        let end =
            input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |length| start + length);
        let texts = [
            "0",
            "-1",
            "1e999",
            "nan",
            "18446744073709551616",
            "9223372036854775807",
            "1048576",
            "16384",
            "65536",
            "0.5",
        ];
        let text = match generator.random_range(0..3) {
            0 => generator.random_range(0u32..100_000).to_string(),
            _ => texts.choose(generator).copied().unwrap_or_default().to_owned(),
        };
        input.splice(start..end, text.bytes());
    }
}
