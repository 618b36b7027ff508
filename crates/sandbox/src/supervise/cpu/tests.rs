//! Tests of the fixed CPU count.

use super::*;

#[test]
fn kernel_answers_where_it_can() {
    assert_eq!(count(2, &[0, 1, 2, 3]), Count::Real(vec![0, 1]));
    assert_eq!(count(2, &[0, 1]), Count::Real(vec![0, 1]));
    assert_eq!(count(3, &[0, 1]), Count::Told(vec![0, 1]), "fewer than wanted");
    assert_eq!(count(2, &[4, 5, 6]), Count::Told(vec![4, 5]), "numbers that a program would not expect");
}

#[test]
fn masks_have_that_many_bits() {
    for cpus in [1, 2, 63, 64, 65, 1024] {
        let mask = affinity_mask(cpus, 128).expect("a mask");
        assert_eq!(mask.iter().map(|byte| byte.count_ones()).sum::<u32>(), cpus);
        assert_eq!(mask.len() % 8, 0);
    }
    assert_eq!(affinity_mask(65, 8), Err(libc::EINVAL), "too small");
    assert_eq!(affinity_mask(1, 12), Err(libc::EINVAL), "no multiple of a word");
    assert_eq!(affinity_mask(1, 0), Err(libc::EINVAL));
}

#[test]
fn cpuinfo_repeats_the_first() {
    let machine = "processor\t: 0\nmodel name\t: X\ncpu MHz\t\t: 2596.118\nsiblings\t: 8\ncore id\t\t: 0\n\nprocessor\t: 1\nmodel name\t: Y\n\n";
    let text = cpuinfo(machine, 2);
    let expected = "processor\t: 0\nmodel name\t: X\ncpu MHz\t\t: 1000.000\nsiblings\t: 2\ncore id\t\t: 0\n\nprocessor\t: 1\nmodel name\t: X\ncpu MHz\t\t: 1000.000\nsiblings\t: 2\ncore id\t\t: 1\n\n";
    assert_eq!(text, expected);
}
