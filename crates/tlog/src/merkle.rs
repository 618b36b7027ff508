//! Merkle trees over a growing list.
//!
//! Specification: RFC 6962 section 2.1 <https://www.rfc-editor.org/rfc/rfc6962#section-2.1>; verification as in RFC 9162
//! sections 2.1.3.2 and 2.1.4.2 <https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2>.
//!
//! ```text
//! leaf = SHA-256(00 ‖ bytes)      node = SHA-256(01 ‖ left ‖ right)      empty tree = SHA-256()
//! ```
//!
//! What makes proofs takes a function that returns the root of a *complete* subtree: node (level, index) covers the 2ˡᵉᵛᵉˡ
//! leaves from index·2ˡᵉᵛᵉˡ on. Such nodes never change, so tiles can hold them.

use wire::digest::Digest;

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// Returns the root of the complete subtree at (level, index).
pub type Nodes<'a, E> = dyn FnMut(u32, u64) -> Result<Hash, E> + 'a;

/// A proof does not show what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The position or the older size is not in the tree.
    #[error("position or older size {position} does not lie in a tree of size {size}")]
    Range {
        /// Position of the leaf, or the older size.
        position: u64,
        /// Size of the tree.
        size: u64,
    },
    /// Too many or too few hashes.
    #[error("proof has {found} hashes instead of {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// It leads to another root than stated.
    #[error("proof leads to another root")]
    Root,
}

/// Returns the hash of a leaf.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    hash(&[&[0], bytes])
}

/// Returns the hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

/// Returns the root of the tree without leaves.
pub fn empty_root() -> Hash {
    hash(&[])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = wire::digest::Hasher::new(wire::digest::Algorithm::Sha256);
    parts.iter().for_each(|part| hasher.update(part));
    match hasher.finish() {
        Digest::Sha256(bytes) => bytes,
        Digest::Sha512(_) => unreachable!("a SHA-256 hasher makes SHA-256 digests"),
    }
}

/// Returns the root over leaf hashes that are all at hand.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
            node_hash(&root(left), &root(right))
        }
    }
}

/// Returns the root of the tree of the first `size` leaves.
pub fn root_at<E>(size: u64, nodes: &mut Nodes<'_, E>) -> Result<Hash, E> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, nodes) }
}

/// Returns the hashes that lead from leaf `index` to the root of the tree of the first `size` leaves.
///
/// # Panics
/// If there is no such leaf.
pub fn inclusion_proof<E>(index: u64, size: u64, nodes: &mut Nodes<'_, E>) -> Result<Vec<Hash>, E> {
    assert!(index < size, "leaf {index} lies in a tree of size {size}");
    let mut siblings = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            siblings.push((middle, high));
            high = middle;
        } else {
            siblings.push((low, middle));
            low = middle;
        }
    }
    siblings.iter().rev().map(|(low, high)| range_root(*low, *high, nodes)).collect()
}

/// Returns the hashes that show that the tree of the first `old` leaves is the beginning of that of the first `size`.
///
/// # Panics
/// If `old` is larger than `size`.
pub fn consistency_proof<E>(old: u64, size: u64, nodes: &mut Nodes<'_, E>) -> Result<Vec<Hash>, E> {
    assert!(old <= size, "size {old} lies in a tree of size {size}");
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let mut siblings = Vec::new();
    let (mut low, mut high) = (0, size);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            siblings.push((middle, high));
            high = middle;
        } else {
            siblings.push((low, middle));
            low = middle;
        }
    }
    // Where the older tree is itself the left edge (RFC 6962's flag b), its root is known and stays out.
    if low != 0 {
        siblings.push((low, high));
    }
    siblings.iter().rev().map(|(low, high)| range_root(*low, *high, nodes)).collect()
}

/// Returns the root over leaves `low` to `high`: a range that RFC 6962's recursion meets, so `low` is aligned.
fn range_root<E>(low: u64, high: u64, nodes: &mut Nodes<'_, E>) -> Result<Hash, E> {
    let count = high - low;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return nodes(level, low >> level);
    }
    let middle = low + split(count);
    Ok(node_hash(&range_root(low, middle, nodes)?, &range_root(middle, high, nodes)?))
}

/// Returns the largest power of two below `count`, which is 2 at least.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Returns the root that an inclusion proof leads to.
pub fn inclusion_root(index: u64, size: u64, leaf: &Hash, proof: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::Range { position: index, size });
    }
    let inner = inner_len(index, size);
    let border = index.checked_shr(inner as u32).unwrap_or(0).count_ones() as usize;
    let expected = inner + border;
    if proof.len() != expected {
        return Err(ProofError::Length { found: proof.len(), expected });
    }
    let mut root = *leaf;
    for (level, sibling) in proof[..inner].iter().enumerate() {
        root = if index >> level & 1 == 0 { node_hash(&root, sibling) } else { node_hash(sibling, &root) };
    }
    Ok(proof[inner..].iter().fold(root, |root, sibling| node_hash(sibling, &root)))
}

/// How many levels lie below the point where leaf `index` joins the right edge of the tree.
fn inner_len(index: u64, size: u64) -> usize {
    (64 - (index ^ (size - 1)).leading_zeros()) as usize
}

/// Checks that `leaf` stands at `index` in the tree of `size` leaves with that root.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if inclusion_root(index, size, leaf, proof)? == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `old` leaves is the beginning of the tree of `size` leaves.
pub fn verify_consistency(old: u64, size: u64, old_root: &Hash, root: &Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if old > size {
        return Err(ProofError::Range { position: old, size });
    }
    if old == 0 || old == size {
        let same = if old == 0 { *old_root == empty_root() } else { old_root == root };
        return match (proof.len(), same) {
            (0, true) => Ok(()),
            (0, false) => Err(ProofError::Root),
            (found, _) => Err(ProofError::Length { found, expected: 0 }),
        };
    }
    let expected = consistency_len(old, size);
    if proof.len() != expected {
        return Err(ProofError::Length { found: proof.len(), expected });
    }
    // RFC 9162 2.1.4.2: where `old` is a power of two, its root is the first hash and was left out.
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (first, rest),
        None => return Err(ProofError::Length { found: 0, expected }),
    };
    let shift = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> shift, (size - 1) >> shift);
    let (mut old_found, mut found) = (*first, *first);
    for sibling in rest {
        if node & 1 == 1 || node == last {
            old_found = node_hash(sibling, &old_found);
            found = node_hash(sibling, &found);
            while node != 0 && node & 1 == 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            found = node_hash(&found, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if old_found == *old_root && found == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Returns how many hashes the consistency proof has, for 0 < `old` < `size`.
fn consistency_len(old: u64, size: u64) -> usize {
    let mut count = 0;
    let (mut low, mut high) = (0, size);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            high = middle
        } else {
            low = middle
        }
        count += 1;
    }
    count + usize::from(low != 0)
}

#[cfg(test)]
mod tests;
