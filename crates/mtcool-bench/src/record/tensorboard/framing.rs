//! Records of a TFRecord file: length, checksum of the length, content, checksum of the content.

/// The polynomial of CRC-32C (Castagnoli), its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// CRC-32C of each byte.
const TABLE: [u32; 256] = table();
/// What a masked checksum adds.
const MASK: u32 = 0xa282_ead8;
/// Bytes of the length and its checksum.
const HEAD: usize = 12;

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}

/// The checksum in files: rotated, so that a checksum over data that holds checksums is no special value.
fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(MASK).to_le_bytes()
}

/// The record with this content.
pub(super) fn framed(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), content, &masked(content)].concat()
}

/// The content of the first record in `bytes`, and what is behind the record; `None` if there is no whole and undamaged record.
pub(super) fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let length: [u8; 8] = head.first_chunk().copied()?;
    let (content, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(length)).ok()?)?;
    let (checksum, rest) = rest.split_at_checked(4)?;
    (head[8..] == masked(&length) && checksum == masked(content)).then_some((content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4, and the check value of the algorithm.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn records_are_found_one_after_the_other_and_damage_ends_the_list() {
        let bytes = [framed(b"first"), framed(b""), framed(&[7; 300])].concat();
        let (first, rest) = next(&bytes).unwrap();
        let (second, rest) = next(rest).unwrap();
        let (third, rest) = next(rest).unwrap();
        assert_eq!((first, second, third), (&b"first"[..], &b""[..], &[7; 300][..]));
        assert!(rest.is_empty() && next(rest).is_none());
        for at in 0..framed(b"first").len() {
            let mut damaged = framed(b"first");
            damaged[at] ^= 1;
            assert!(next(&damaged).is_none(), "byte {at}");
            assert!(next(&framed(b"first")[..at]).is_none(), "{at} bytes");
        }
        // A length that no memory holds.
        let length = u64::MAX.to_le_bytes();
        assert!(next(&[&length[..], &masked(&length), &[0; 4]].concat()).is_none());
    }
}
