//! Tests of the patch, on this machine's own vDSO.

use super::*;
use crate::sys::process as sys;

#[test]
fn only_the_named_functions_move() {
    let image = sys::vdso().expect("a vDSO");
    for clock in [false, true] {
        let patch = Patch::new(&image, clock).expect("a patch").expect("something to move");
        let mut patched = image.clone();
        let (at, symbols) = &patch.symbols;
        patched[*at as usize..*at as usize + symbols.len()].copy_from_slice(symbols);
        let table = Symbols::find(&patched).expect("still a symbol table");
        for &(name, place, is_clock) in REPLACED {
            let Some((_, before)) = table.named(&image, name) else { continue };
            let (_, after) = table.named(&patched, name).expect("the same names");
            let expected = if clock || !is_clock { patch.stub.0 + place } else { before };
            assert_eq!(after, expected, "{name}");
        }
        let original = table.named(&image, ORIGINAL).expect("the clock").1;
        let distance = quarter(&patch.stub.1, STUB_ORIGINAL).expect("a distance") as i32;
        assert_eq!(patch.stub.0 as i64 + STUB_ORIGINAL as i64 + 4 + i64::from(distance), original as i64);
    }
}

#[test]
fn what_is_no_vdso_is_refused() {
    let image = sys::vdso().expect("a vDSO");
    assert!(Patch::new(&[], true).is_err() && Patch::new(&image[..64], true).is_err());
    assert!(Patch::new(&image[..image.len() / 2], true).is_err());
    let mut full = image.clone();
    *full.last_mut().expect("bytes") = 1;
    assert_eq!(Patch::new(&full, true), Err("it has no room at its end"));
    for at in 0..64 {
        for byte in [0, 0x7f, 0xff] {
            let mut broken = image.clone();
            broken[at] = byte;
            // Whatever it says, reading ends.
            Patch::new(&broken, true).ok();
        }
    }
}
