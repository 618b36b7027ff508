use std::convert::Infallible;

use wire::mutation::Mutator;

use super::*;

/// The leaves and roots of the test tree of certificate-transparency (`merkletree/merkle_tree_test.cc`).
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const INCLUSION: [(u64, u64, &[&str]); 5] = [
    (0, 1, &[]),
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];
const CONSISTENCY: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hashes(list: &[&str]) -> Vec<Hash> {
    list.iter().map(|hex| bytes(hex).try_into().expect("32 bytes")).collect()
}

/// A tree with all its complete subtrees at hand.
struct Table(Vec<Vec<Hash>>);

impl Table {
    fn new(leaves: Vec<Hash>) -> Table {
        let mut levels = vec![leaves];
        while levels[levels.len() - 1].len() > 1 {
            let below = &levels[levels.len() - 1];
            levels.push(below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        Table(levels)
    }

    fn numbered(size: u64) -> Table {
        Table::new((0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect())
    }

    fn nodes(&self) -> impl FnMut(u32, u64) -> Result<Hash, Infallible> {
        |level, index| Ok(self.0[level as usize][index as usize])
    }

    fn root(&self, size: u64) -> Hash {
        root_at(size, &mut self.nodes()).expect("infallible")
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(index, size, &mut self.nodes()).expect("infallible")
    }

    fn consistency(&self, old: u64, size: u64) -> Vec<Hash> {
        consistency_proof(old, size, &mut self.nodes()).expect("infallible")
    }
}

#[test]
fn roots_and_proofs_are_those_of_certificate_transparency() {
    let leaves: Vec<Hash> = LEAVES.iter().map(|hex| leaf_hash(&bytes(hex))).collect();
    let roots = hashes(&ROOTS);
    let tree = Table::new(leaves.clone());
    for (size, expected) in roots.iter().enumerate() {
        assert_eq!(root(&leaves[..size]), *expected, "size {size}");
        assert_eq!(tree.root(size as u64), *expected, "size {size}");
    }
    for (index, size, expected) in INCLUSION {
        assert_eq!(tree.inclusion(index, size), hashes(expected), "{index} in {size}");
        let leaf = &leaves[index as usize];
        assert_eq!(verify_inclusion(index, size, leaf, &hashes(expected), &roots[size as usize]), Ok(()));
    }
    for (old, size, expected) in CONSISTENCY {
        assert_eq!(tree.consistency(old, size), hashes(expected), "{old} to {size}");
        let (old_root, root) = (&roots[old as usize], &roots[size as usize]);
        assert_eq!(verify_consistency(old, size, old_root, root, &hashes(expected)), Ok(()));
    }
}

#[test]
fn every_leaf_of_every_size_is_proved() {
    let tree = Table::numbered(600);
    for size in (1..=260).chain(510..=514).chain([600]) {
        let root = tree.root(size);
        for index in 0..size {
            let proof = tree.inclusion(index, size);
            let leaf = &tree.0[0][index as usize];
            assert_eq!(verify_inclusion(index, size, leaf, &proof, &root), Ok(()), "{index} in {size}");
        }
    }
}

#[test]
fn every_older_size_is_proved() {
    let tree = Table::numbered(300);
    let sizes: Vec<u64> = (0..=64).chain(250..=260).chain([300]).collect();
    for &size in &sizes {
        for &old in sizes.iter().filter(|old| **old <= size) {
            let proof = tree.consistency(old, size);
            let result = verify_consistency(old, size, &tree.root(old), &tree.root(size), &proof);
            assert_eq!(result, Ok(()), "{old} to {size}");
        }
    }
}

/// All proofs that differ from this one in one place.
fn changed(proof: &[Hash], mutator: &mut Mutator) -> Vec<Vec<Hash>> {
    let mut all = vec![[proof, &[[7; 32]]].concat(), [&[[7; 32]], proof].concat()];
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        flipped[at][mutator.below(32)] ^= 1 << mutator.below(8);
        all.push(flipped);
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push(shorter);
        let mut swapped = proof.to_vec();
        swapped.swap(at, (at + 1) % proof.len());
        if swapped != proof {
            all.push(swapped);
        }
    }
    all
}

#[test]
fn a_changed_proof_never_verifies() {
    let mut mutator = Mutator::new(10);
    let tree = Table::numbered(70);
    for size in 1..=70 {
        let root = tree.root(size);
        for number in 0..size {
            let leaf = &tree.0[0][number as usize];
            let proof = tree.inclusion(number, size);
            for proof in changed(&proof, &mut mutator) {
                assert!(verify_inclusion(number, size, leaf, &proof, &root).is_err(), "{number} in {size}");
            }
            for other in (0..size).filter(|other| *other != number) {
                assert!(verify_inclusion(other, size, leaf, &proof, &root).is_err(), "{number} as {other} in {size}");
            }
            assert!(verify_inclusion(number, size, &[9; 32], &proof, &root).is_err());
            assert!(verify_inclusion(number, size, leaf, &proof, &[9; 32]).is_err());
        }
    }
}

#[test]
fn a_changed_history_never_verifies() {
    let mut mutator = Mutator::new(11);
    let tree = Table::numbered(40);
    for size in 1..=40 {
        for old in 0..=size {
            let (old_root, root, proof) = (tree.root(old), tree.root(size), tree.consistency(old, size));
            for proof in changed(&proof, &mut mutator) {
                assert!(verify_consistency(old, size, &old_root, &root, &proof).is_err(), "{old} to {size}");
            }
            assert!(verify_consistency(old, size, &[9; 32], &root, &proof).is_err(), "{old} to {size}");
            // From nothing every history follows.
            let follows = verify_consistency(old, size, &old_root, &[9; 32], &proof).is_ok();
            assert_eq!(follows, old == 0, "{old} to {size}");
        }
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let hash = [1; 32];
    assert_eq!(verify_inclusion(5, 5, &hash, &[], &hash), Err(ProofError::Range { position: 5, size: 5 }));
    assert_eq!(verify_inclusion(0, 0, &hash, &[], &hash), Err(ProofError::Range { position: 0, size: 0 }));
    assert_eq!(verify_consistency(6, 5, &hash, &hash, &[]), Err(ProofError::Range { position: 6, size: 5 }));
    for index in [0, 1, u64::MAX / 2, u64::MAX - 1] {
        let found = verify_inclusion(index, u64::MAX, &hash, &[], &hash);
        assert!(matches!(found, Err(ProofError::Length { found: 0, .. })), "{found:?}");
        assert!(verify_inclusion(index, u64::MAX, &hash, &[hash; 64], &hash).is_err());
    }
    let found = verify_consistency(u64::MAX - 1, u64::MAX, &hash, &hash, &[]);
    assert!(matches!(found, Err(ProofError::Length { found: 0, .. })), "{found:?}");
}
