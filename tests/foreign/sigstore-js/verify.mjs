// Verifies bundles with sigstore-js as released: node verify.mjs TRUSTED_ROOT KEY_PEM BUNDLE...
//
// Prints one line a bundle, `accepted FILE` or `refused FILE: WHY`. Exit status: 0 all were accepted, 1 at least one was
// refused, 2 it could not tell (usage, a file that cannot be read, packages not installed). Opens no socket. The key in
// KEY_PEM is the one that counts, whatever key a bundle hints at.

import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

async function load(trustedRootPath, keyPath) {
  const { bundleFromJSON } = await import('@sigstore/bundle');
  const { TrustedRoot } = await import('@sigstore/protobuf-specs');
  const { Verifier, toSignedEntity, toTrustMaterial } = await import('@sigstore/verify');
  const trustedRoot = TrustedRoot.fromJSON(JSON.parse(readFileSync(trustedRootPath, 'utf8')));
  const publicKey = createPublicKey(readFileSync(keyPath));
  const material = toTrustMaterial(trustedRoot, () => ({ publicKey, validFor: () => true }));
  const verifier = new Verifier(material, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 });
  return (text) => verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(text))));
}

const [trustedRootPath, keyPath, ...bundlePaths] = process.argv.slice(2);
let verify;
let bundles;
try {
  if (bundlePaths.length === 0) throw new Error('usage: node verify.mjs TRUSTED_ROOT KEY_PEM BUNDLE...');
  verify = await load(trustedRootPath, keyPath);
  bundles = bundlePaths.map((path) => [basename(path), readFileSync(path, 'utf8')]);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(2);
}

let refused = 0;
for (const [name, text] of bundles) {
  try {
    verify(text);
    console.log(`accepted ${name}`);
  } catch (error) {
    refused += 1;
    console.log(`refused ${name}: ${error.code ?? error.name}: ${error.message}`);
  }
}
process.exit(refused === 0 ? 0 : 1);
