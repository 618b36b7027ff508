//! Laws over seeded archives: what no rule touches stays; what chance wrote goes; damage is refused or harmless.

use tar::EntryType;

use super::super::{Kind, Settings};
use super::golden::SAMPLES;
use super::made::{
    Chance, Random, Shape, TarMember, ZipMember, ar, field, tar, tar_members, try_tar_members, zip, zip_members,
};
use super::{EPOCH, recompressing, run, run_with};

const SEEDS: u64 = 60;

fn content(random: &mut Random) -> Vec<u8> {
    let size = [0, 1, 511, 512, 513, 3000][random.below(6)];
    (0..size).map(|_| b"ab\n"[random.below(3)]).collect()
}

/// Files, directories, links and hard links, some with long names.
fn tar_content(random: &mut Random) -> Vec<TarMember> {
    let member = |path: String, kind, mode, link, content| TarMember { path, kind, mode, link, content };
    let mut members = Vec::new();
    for number in 0..1 + random.below(8) {
        let long = "x".repeat([1, 60, 150, 200][random.below(4)]);
        let directory = format!("d{number}");
        members.push(member(directory.clone(), EntryType::Directory, 0o755 - random.below(2) as u32, None, Vec::new()));
        let mode = [0o644, 0o755, 0o4755, 0o600][random.below(4)];
        let path = format!("{directory}/{long}");
        members.push(member(path.clone(), EntryType::Regular, mode, None, content(random)));
        let target = format!("../{}", "t".repeat(1 + random.below(150)));
        members.push(member(format!("{directory}/link"), EntryType::Symlink, 0o777, Some(target), Vec::new()));
        if random.below(2) == 0 {
            members.push(member(format!("a{number}"), EntryType::Link, mode, Some(path), Vec::new()));
        }
    }
    members
}

#[test]
fn tars_of_one_content_have_one_normal_form_and_keep_all_that_is_content() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let shape = [Shape::Gnu, Shape::Ustar, Shape::Pax][random.below(3)];
        let mut members = tar_content(&mut random);
        if shape == Shape::Ustar {
            members
                .retain(|member| member.path.len() < 100 && member.link.as_ref().is_none_or(|link| link.len() < 100));
        }
        let first = tar(&members, shape, Chance { mtime: u64::from(EPOCH) + 5, uid: 1000, name: "alice" });
        let (normal, report) = run(&first, Kind::Tar);
        assert_eq!(tar_members(&first), tar_members(&normal), "seed {seed}");
        assert_eq!(report.notes, Vec::<String>::new(), "seed {seed}");
        // The other build finds its files in another order; hard links still follow what they name.
        random.shuffle(&mut members);
        members.sort_by_key(|member| member.kind == EntryType::Link);
        let second = tar(&members, shape, Chance { mtime: u64::from(EPOCH) + 77_777, uid: 1, name: "bob" });
        assert!(run(&second, Kind::Tar).0 == normal, "seed {seed}: two builds differ");
    }
}

fn zip_content(random: &mut Random) -> Vec<ZipMember> {
    let mut members = Vec::new();
    let names =
        ["META-INF/", "META-INF/MANIFEST.MF", "p-1.dist-info/RECORD", "p-1.dist-info/METADATA", "p/a", "p/b", "z"];
    let count = random.below(names.len() + 1);
    for name in &names[..count] {
        let zip64 = random.below(4) == 0;
        members.push(ZipMember {
            name: (*name).to_owned(),
            content: if name.ends_with('/') { Vec::new() } else { content(random) },
            deflate: random.below(2) == 0 && !name.ends_with('/'),
            mode: [0o100_644, 0o100_755, 0o120_777][random.below(3)],
            descriptor: if zip64 { [0, 20, 24][random.below(3)] } else { [0, 12, 16][random.below(3)] },
            zip64,
            ..ZipMember::default()
        });
    }
    members
}

/// What chance writes beside the content.
fn zip_chance(random: &mut Random, members: &mut [ZipMember]) {
    for member in members.iter_mut() {
        member.dos = (random.below(0xc000) as u16, 0x5000 + random.below(0x1000) as u16);
        let time = (random.below(1 << 30) as u32).to_le_bytes();
        member.local_extra = field(0xcafe, b"kept");
        member.central_extra = Vec::new();
        if random.below(2) == 0 {
            member.local_extra.extend(field(0x5455, &[&[3_u8][..], &time, &time].concat()));
            member.central_extra.extend(field(0x5455, &[&[3_u8][..], &time].concat()));
            member.central_extra.extend(field(0x7875, &[1, 4, 1, 2, 3, 4, 4, 1, 2, 3, 4]));
        }
    }
    random.shuffle(members);
}

#[test]
fn zips_of_one_content_have_one_normal_form_and_keep_all_that_is_content() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let kind = [Kind::Zip, Kind::Jar, Kind::Wheel][random.below(3)];
        let mut members = zip_content(&mut random);
        let prefix: &[u8] = if random.below(3) == 0 { b"#!/usr/bin/env python3\n" } else { b"" };
        zip_chance(&mut random, &mut members);
        let first = zip(prefix, &members, b"kept");
        let (normal, _) = run(&first, kind);
        assert!(normal.starts_with(prefix) && normal.ends_with(b"kept"), "seed {seed}");
        let (kept, order) = zip_members(&normal);
        assert_eq!(zip_members(&first).0, kept, "seed {seed}");
        if kind == Kind::Jar && !order.is_empty() {
            assert_eq!(order.first().map(String::as_str), Some("META-INF/"), "seed {seed}");
        }
        if kind == Kind::Wheel && order.len() > 2 {
            assert_eq!(order.last().map(String::as_str), Some("p-1.dist-info/RECORD"), "seed {seed}");
        }
        zip_chance(&mut random, &mut members);
        assert!(run(&zip(prefix, &members, b"kept"), kind).0 == normal, "seed {seed}: two builds differ");
    }
}

#[test]
fn libraries_of_one_content_have_one_normal_form() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let contents: Vec<Vec<u8>> = (0..random.below(5)).map(|_| content(&mut random)).collect();
        let members: Vec<(&str, &[u8])> = contents.iter().map(|content| ("one.o/", content.as_slice())).collect();
        let (normal, _) = run(&ar(&members, 1_800_000_000, 1000), Kind::Ar);
        assert!(run(&ar(&members, 5, 77), Kind::Ar).0 == normal, "seed {seed}");
        assert!(ar(&members, 0, 0) == normal, "seed {seed}: all but times and owners stays, byte for byte");
    }
}

#[test]
fn damage_is_refused_or_its_normal_form_holds_as_any_other() {
    let (mut refused, mut taken) = (0, 0);
    for (index, (name, kind, _, builds)) in SAMPLES.into_iter().enumerate() {
        let mut random = Random::new(1000 + index as u64);
        let rounds = if matches!(kind, Kind::TarXz | Kind::Deb) { 60 } else { 250 };
        for _ in 0..rounds {
            let damaged = random.mutate(builds[0]);
            for settings in [recompressing(), Settings::at(EPOCH)] {
                match run_with(&damaged, kind, &settings) {
                    Ok(_) => taken += 1,
                    Err(error) => {
                        assert!(!error.to_string().is_empty(), "{name}");
                        refused += 1;
                    }
                }
            }
        }
    }
    // Most of an archive is covered by checksums; names, modes and text are not.
    assert!(refused > 1000 && taken > 100, "{refused} refused, {taken} taken");
}

/// Changes bytes of one header, and gives it its checksum again.
fn tampered(random: &mut Random, tar: &[u8]) -> Vec<u8> {
    let mut out = tar.to_vec();
    let headers: Vec<usize> = (0..tar.len()).step_by(512).filter(|&at| &tar[at + 257..at + 262] == b"ustar").collect();
    let header = headers[random.below(headers.len())];
    for _ in 0..=random.below(2) {
        let field = [0..100, 100..108, 108..124, 124..136, 136..148, 156..157, 157..257, 257..265, 345..512];
        let field = field[random.below(9)].clone();
        let byte = [0, b' ', b'7', b'a', b'/', 0x80, 0xff, random.below(256) as u8][random.below(8)];
        out[header + field.start + random.below(field.len())] = byte;
    }
    out[header + 148..header + 156].fill(b' ');
    let sum: u32 = out[header..header + 512].iter().map(|&byte| u32::from(byte)).sum();
    out[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out
}

#[test]
fn tampered_headers_are_refused_or_keep_all_that_is_content() {
    let (mut refused, mut held) = (0, 0);
    for (name, _, _, builds) in SAMPLES.into_iter().filter(|sample| sample.1 == Kind::Tar) {
        let mut random = Random::new(name.len() as u64);
        for _ in 0..400 {
            let tampered = tampered(&mut random, builds[0]);
            let Ok((normal, _)) = run_with(&tampered, Kind::Tar, &recompressing()) else {
                refused += 1;
                continue;
            };
            if let Ok(Some(members)) = try_tar_members(&tampered) {
                assert_eq!(Some(members), try_tar_members(&normal).expect("as before"), "{name}");
                held += 1;
            }
        }
    }
    assert!(refused > 100 && held > 500, "{refused} refused, {held} held");
}

#[test]
fn tampered_zips_are_refused_or_keep_all_that_is_content() {
    let (mut refused, mut held) = (0, 0);
    let zips = |kind| matches!(kind, Kind::Zip | Kind::Jar | Kind::Wheel);
    for (_, kind, _, builds) in SAMPLES.into_iter().filter(|sample| zips(sample.1)) {
        let mut random = Random::new(builds[0].len() as u64);
        for _ in 0..1500 {
            let tampered = random.mutate(builds[0]);
            match run_with(&tampered, kind, &recompressing()) {
                Err(_) => refused += 1,
                Ok((normal, _)) => {
                    assert_eq!(zip_members(&tampered).0, zip_members(&normal).0);
                    held += 1;
                }
            }
        }
    }
    assert!(refused > 1000 && held > 100, "{refused} refused, {held} held");
}

#[test]
fn a_damaged_member_is_never_taken() {
    let (name, kind, _, builds) = SAMPLES.into_iter().find(|sample| sample.1 == Kind::Jar).expect("a jar");
    let jar = builds[0];
    let content = jar.windows(2).position(|window| window == b"b\n" || window == b"a\n").or_else(|| {
        // Deflated: right behind the first local header's name and extra field.
        Some(30 + usize::from(jar[26]) + usize::from(jar[28]))
    });
    let mut damaged = jar.to_vec();
    damaged[content.expect("it has one")] ^= 0xff;
    let error = run_with(&damaged, kind, &recompressing()).expect_err(name);
    let text = error.to_string();
    assert!(text.contains("byte ") && text.contains('`'), "what and where: {text}");
}
