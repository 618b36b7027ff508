// Signs, logs and verifies with sigstore-js as released: node log.mjs SERVER STAMPS DIRECTORY
//
// SERVER is the log (Rekor v2), STAMPS the time-stamp authority; DIRECTORY has key.pem, certificate.pem and
// trusted_root.json. Writes js-blob.json and js-dsse.json, then verifies every bundle named on the rest of the line, or
// these two. Exit status 0: all are as they should be.

import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { DSSEBundleBuilder, MessageSignatureBundleBuilder, RekorWitness, TSAWitness } from '@sigstore/sign';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const [rekorBaseURL, tsaBaseURL, directory, ...others] = process.argv.slice(2);
const read = (name) => readFileSync(join(directory, name), 'utf8');
const privateKey = createPrivateKey(read('key.pem'));
const certificate = read('certificate.pem');
const artifact = Buffer.from('made by hand\n');
const signer = { sign: async (data) => ({ signature: sign('sha256', data, privateKey), key: { $case: 'x509Certificate', certificate } }) };
const options = { signer, witnesses: [new RekorWitness({ rekorBaseURL, majorApiVersion: 2, retry: 0 }), new TSAWitness({ tsaBaseURL, retry: 0 })] };

const statement = Buffer.from(JSON.stringify({
  _type: 'https://in-toto.io/Statement/v1', predicateType: 'https://example.org/anything/v1', predicate: {},
  subject: [{ name: 'artifact', digest: { sha256: '58a5fdc8b38cbd5c8ee54aee4e6ac9c2d2ee8a5b6f5e0c4a1f3f6b6b8a2f2b0d' } }],
}));
const blob = await new MessageSignatureBundleBuilder(options).create({ data: artifact });
const dsse = await new DSSEBundleBuilder(options).create({ data: statement, type: 'application/vnd.in-toto+json' });
writeFileSync(join(directory, 'js-blob.json'), JSON.stringify(bundleToJSON(blob)));
writeFileSync(join(directory, 'js-dsse.json'), JSON.stringify(bundleToJSON(dsse)));

const root = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(read('trusted_root.json'))));
const verifier = new Verifier(root, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 });
for (const name of ['js-blob.json', 'js-dsse.json', ...others]) {
  const bundle = bundleFromJSON(JSON.parse(read(name)));
  const isBlob = bundle.content.$case === 'messageSignature';
  verifier.verify(toSignedEntity(bundle, isBlob ? artifact : undefined));
  const { kind, version } = bundle.verificationMaterial.tlogEntries[0].kindVersion;
  console.log(`verified ${name} ${kind} ${version}`);
}

// The same entry again is refused with 409, and the client says so.
const twice = (bundle) => new RekorWitness({ rekorBaseURL, majorApiVersion: 2, retry: 0 }).testify(bundle.content, certificate);
const refused = await twice(blob).then(() => 'logged twice', (error) => String(error.cause?.statusCode ?? error));
console.log(`again ${refused}`);
