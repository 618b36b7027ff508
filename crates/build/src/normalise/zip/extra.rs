//! Extra fields: a list of `id, length, bytes` behind a member's name.

use super::super::NormaliseError;
use super::directory::{u16_at, u32_at, u64_at};

/// Zip64 sizes and offset.
const ZIP64: u16 = 0x0001;

/// Bytes that align a member in the file, as Android's zipalign writes them.
const ALIGNMENT: u16 = 0xd935;

/// What holds times and owners only.
const CHANCE: [(u16, &str); 6] = [
    (0x5455, "extra 0x5455"), // times, in UTC
    (0x5855, "extra 0x5855"), // times and owner, Info-ZIP's first
    (0x7855, "extra 0x7855"), // owner, Info-ZIP's second
    (0x7875, "extra 0x7875"), // owner, Info-ZIP's third
    (0x000a, "extra 0x000a"), // NTFS times
    (0x000d, "extra 0x000d"), // PKWARE's times and owner
];

/// A field that was taken out.
pub(super) struct Dropped {
    pub(super) field: &'static str,
    pub(super) value: String,
}

struct Field<'a> {
    id: u16,
    bytes: &'a [u8],
    value: &'a [u8],
}

fn fields<'a>(extra: &'a [u8], at: u64, path: &str) -> Result<Vec<Field<'a>>, NormaliseError> {
    let mut fields: Vec<Field<'a>> = Vec::new();
    let mut rest = extra;
    while !rest.is_empty() {
        let length = rest.get(2..4).map(|length| usize::from(u16_at(length, 0)));
        let bytes = length.and_then(|length| rest.get(..4 + length));
        let bytes = bytes.ok_or_else(|| NormaliseError::damaged(at, path, "malformed extra field"))?;
        let field = Field { id: u16_at(bytes, 0), bytes, value: &bytes[4..] };
        if fields.iter().any(|earlier| earlier.id == field.id) {
            let what = format!("the extra field {:#06x} stands twice", field.id);
            return Err(NormaliseError::damaged(at, path, what));
        }
        rest = &rest[bytes.len()..];
        fields.push(field);
    }
    Ok(fields)
}

/// Takes out what holds times and owners.
pub(super) fn without_chance(extra: &[u8], at: u64, path: &str) -> Result<(Vec<u8>, Vec<Dropped>), NormaliseError> {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for field in fields(extra, at, path)? {
        if field.id == ALIGNMENT {
            let what = "the member is aligned (zipalign), and would not be any more: normalise before aligning";
            return Err(NormaliseError::unsupported(at, path, what));
        }
        if field.id == 0x000d && field.value.len() > 12 {
            let what = "a link or device in PKWARE's own notation";
            return Err(NormaliseError::unsupported(at, path, what));
        }
        match CHANCE.iter().find(|(id, _)| *id == field.id) {
            Some(&(id, name)) => dropped.push(Dropped { field: name, value: shown(id, field.value) }),
            None => kept.extend_from_slice(field.bytes),
        }
    }
    Ok((kept, dropped))
}

fn shown(id: u16, value: &[u8]) -> String {
    match value {
        [_, time @ ..] if id == 0x5455 && time.len() >= 4 => format!("mtime {}", u32_at(time, 0)),
        _ => value.iter().take(24).map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The long numbers of a member, in the order in which the short ones are too short.
pub(super) struct Long<'a>(std::cell::Cell<Option<&'a [u8]>>);

impl<'a> Long<'a> {
    pub(super) fn read(extra: &'a [u8], at: u64, path: &str) -> Result<Long<'a>, NormaliseError> {
        let fields = fields(extra, at, path)?;
        Ok(Long(std::cell::Cell::new(fields.iter().find(|field| field.id == ZIP64).map(|field| field.value))))
    }

    /// Returns the short number, or the next long one if the short one says so.
    pub(super) fn or(&self, short: u32, at: u64, path: &str) -> Result<u64, NormaliseError> {
        let Some(value) = self.0.get().filter(|_| short == u32::MAX) else { return Ok(u64::from(short)) };
        if value.len() < 8 {
            return Err(NormaliseError::damaged(at, path, "a zip64 field that is too short"));
        }
        self.0.set(Some(&value[8..]));
        Ok(u64_at(value, 0))
    }
}

/// Where in the extra fields the long offset stands, behind the long sizes.
pub(super) fn long_offset(extra: &[u8], size: u32, packed: u32) -> Option<usize> {
    let mut at = 0;
    while extra.len() >= at + 4 {
        let length = usize::from(u16_at(extra, at + 2));
        if u16_at(extra, at) == ZIP64 {
            let before = [size, packed].iter().filter(|&&short| short == u32::MAX).count() * 8;
            return (before + 8 <= length).then_some(at + 4 + before);
        }
        at += 4 + length;
    }
    None
}
