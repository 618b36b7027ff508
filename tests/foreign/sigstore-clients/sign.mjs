// Signs with sigstore-js as released, by a certificate that it gets for a token: node sign.mjs SERVER DIRECTORY [BUNDLE...]
//
// SERVER is certificate authority, log and time-stamp authority; DIRECTORY has token, artifact and trusted_root.json. Writes
// js-blob.json and js-dsse.json, then verifies them and the other bundles. Exit status 0: all are as they should be.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { DSSEBundleBuilder, FulcioSigner, MessageSignatureBundleBuilder, RekorWitness, TSAWitness } from '@sigstore/sign';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const [server, directory, ...others] = process.argv.slice(2);
const read = (name) => readFileSync(join(directory, name));
const artifact = read('artifact');
const token = read('token').toString();
const options = () => ({
  signer: new FulcioSigner({ fulcioBaseURL: server, identityProvider: { getToken: async () => token }, retry: 0 }),
  witnesses: [new RekorWitness({ rekorBaseURL: server, majorApiVersion: 2, retry: 0 }), new TSAWitness({ tsaBaseURL: server, retry: 0 })],
});
const statement = Buffer.from(JSON.stringify({
  _type: 'https://in-toto.io/Statement/v1', predicateType: 'https://example.org/anything/v1', predicate: {},
  subject: [{ name: 'artifact', digest: { sha256: createHash('sha256').update(artifact).digest('hex') } }],
}));
const blob = await new MessageSignatureBundleBuilder(options()).create({ data: artifact });
const dsse = await new DSSEBundleBuilder(options()).create({ data: statement, type: 'application/vnd.in-toto+json' });
writeFileSync(join(directory, 'js-blob.json'), JSON.stringify(bundleToJSON(blob)));
writeFileSync(join(directory, 'js-dsse.json'), JSON.stringify(bundleToJSON(dsse)));

const root = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(read('trusted_root.json'))));
const verifier = new Verifier(root, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 });
for (const name of ['js-blob.json', 'js-dsse.json', ...others]) {
  const bundle = bundleFromJSON(JSON.parse(read(name)));
  verifier.verify(toSignedEntity(bundle, bundle.content.$case === 'messageSignature' ? artifact : undefined));
  console.log(`verified ${name}`);
}
