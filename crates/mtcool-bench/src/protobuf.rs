//! Messages in the wire format of Protocol Buffers, as far as files for other programs need it.

/// A message that is being written: its fields, one after the other. A field that is written several times is a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

/// How the value of a field is stored: the lowest three bits in front of it.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

impl Message {
    /// Adds a whole number, also one of the types `bool` and `enum`.
    #[must_use]
    pub(crate) fn integer(mut self, field: u32, value: i64) -> Self {
        self.begin(field, Wire::Varint);
        // A negative number is written as its two's complement.
        self.varint(value as u64);
        self
    }

    /// Adds a number of the type `float`.
    #[must_use]
    pub(crate) fn float(mut self, field: u32, value: f32) -> Self {
        self.begin(field, Wire::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a number of the type `double`.
    #[must_use]
    pub(crate) fn double(mut self, field: u32, value: f64) -> Self {
        self.begin(field, Wire::Fixed64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds bytes.
    #[must_use]
    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.begin(field, Wire::Length);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Adds a text.
    #[must_use]
    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// Adds a message.
    #[must_use]
    pub(crate) fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// Adds the fields of `other`.
    #[must_use]
    pub(crate) fn with(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        self
    }

    /// Adds a list of whole numbers.
    #[must_use]
    pub(crate) fn integers(self, field: u32, values: &[i64]) -> Self {
        values.iter().fold(self, |message, &value| message.integer(field, value))
    }

    /// Adds a list of texts.
    #[must_use]
    pub(crate) fn texts(self, field: u32, values: &[&str]) -> Self {
        values.iter().fold(self, |message, value| message.text(field, value))
    }

    /// Adds a list of messages.
    #[must_use]
    pub(crate) fn messages(self, field: u32, values: &[Self]) -> Self {
        values.iter().fold(self, |message, value| message.message(field, value))
    }

    /// The bytes of the message.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the message.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn begin(&mut self, field: u32, wire: Wire) {
        self.varint((u64::from(field) << 3) | wire as u64);
    }

    /// Seven bits per byte, the lowest first; the highest bit of a byte says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Reads messages back, for tests.
#[cfg(test)]
pub(crate) mod reading {
    /// The value of a field.
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) enum Field {
        Integer(u64),
        Fixed32([u8; 4]),
        Fixed64([u8; 8]),
        Bytes(Vec<u8>),
    }

    impl Field {
        pub(crate) fn bytes(&self) -> &[u8] {
            let Self::Bytes(bytes) = self else { panic!("{self:?} has no length") };
            bytes
        }

        pub(crate) fn message(&self) -> Vec<(u32, Self)> {
            fields(self.bytes())
        }
    }

    /// The fields of a message, in order.
    pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u32, Field)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let field = match tag & 7 {
                0 => Field::Integer(varint(&mut bytes)),
                1 => Field::Fixed64(take(&mut bytes, 8).try_into().unwrap()),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    Field::Bytes(take(&mut bytes, length).to_vec())
                }
                5 => Field::Fixed32(take(&mut bytes, 4).try_into().unwrap()),
                other => panic!("wire type {other}"),
            };
            found.push(((tag >> 3) as u32, field));
        }
        found
    }

    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let length = 1 + bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
        let digits = take(bytes, length).iter().rev();
        digits.fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f))
    }
}

#[cfg(test)]
mod tests {
    use super::reading::{Field, fields};
    use super::*;

    #[test]
    fn messages_are_read_back() {
        let inner = Message::default().integer(1, -1).float(2, 0.5);
        let message = Message::default().integer(7, 300).double(100, 2.0).message(3, &inner).text(4, "é");
        let found = fields(&message.into_bytes());
        assert_eq!(found[0], (7, Field::Integer(300)));
        assert_eq!(found[1], (100, Field::Fixed64(2.0f64.to_le_bytes())));
        let inner = vec![(1, Field::Integer(u64::MAX)), (2, Field::Fixed32(0.5f32.to_le_bytes()))];
        assert_eq!((found[2].0, found[2].1.message()), (3, inner));
        assert_eq!((found[3].0, found[3].1.bytes()), (4, "é".as_bytes()));
    }

    #[test]
    fn fields_have_the_bytes_of_the_specification() {
        // The two examples of the documentation of Protocol Buffers.
        assert_eq!(Message::default().integer(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").into_bytes(), *b"\x12\x07testing");
        let inner = Message::default().integer(1, 150);
        assert_eq!(Message::default().message(3, &inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_one = Message::default().integer(1, -1).into_bytes();
        assert_eq!((minus_one.len(), minus_one[10]), (11, 1));
        assert_eq!(Message::default().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().double(1, 1.0).into_bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        // A field number above 15 needs two bytes.
        assert_eq!(Message::default().integer(20, 1).into_bytes(), [0xa0, 0x01, 0x01]);
    }

    #[test]
    fn a_list_is_a_repeated_field() {
        let numbers = Message::default().integers(8, &[1, 300]);
        assert_eq!(numbers, Message::default().integer(8, 1).integer(8, 300));
        let texts = Message::default().texts(1, &["a", ""]);
        assert_eq!(texts.clone().into_bytes(), [0x0a, 1, b'a', 0x0a, 0]);
        assert_eq!(Message::default().with(&texts).with(&numbers), texts.clone().with(&numbers));
        let both = Message::default().messages(1, &[texts.clone(), numbers.clone()]);
        assert_eq!(both, Message::default().message(1, &texts).message(1, &numbers));
    }
}
