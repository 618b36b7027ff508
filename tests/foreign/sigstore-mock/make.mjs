// Makes bundles with the Fulcio, certificate transparency log, time-stamp authority and Rekor of @sigstore/mock:
// npm install && node make.mjs > ../sigstore/mock.json
//
// The output is kept, so that tests need no npm: {"root": trusted root, "artifact": text, "bundles": {NAME: bundle}}.
// `good` and the other names that begin so verify; in each of the others one part comes from somebody else or some other time.

import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { initializeCA, initializeCTLog, initializeTLog, initializeTSA } from '@sigstore/mock';

// The mock's authorities begin now, whatever clock they are given.
const NOW = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000);
const ARTIFACT = 'made by a mock\n';
const ISSUER = 'https://issuer.example.org';
const SUBJECT = 'https://example.org/app/release.yml@refs/tags/v1';
const b64 = (bytes) => Buffer.from(bytes).toString('base64');
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const pair = (namedCurve) => generateKeyPairSync('ec', { namedCurve });
const pem = (label, der) => `-----BEGIN ${label}-----\n${b64(der).match(/.{1,64}/g).join('\n')}\n-----END ${label}-----\n`;
const later = (minutes) => new Date(NOW.getTime() + minutes * 60_000);

async function instance(clock = NOW) {
  const keys = { ca: pair('P-384'), ct: pair('P-256'), tsa: pair('P-384'), log: pair('P-256') };
  const ct = await initializeCTLog(keys.ct, clock);
  return {
    keys, ct,
    ca: await initializeCA(keys.ca, ct, clock),
    tsa: await initializeTSA(keys.tsa, clock),
    log: await initializeTLog('https://rekor.example.org', keys.log, clock),
  };
}

const ours = await instance();
const other = await instance();
const but = (service, change) => Object.assign(Object.create(service), change);
const lateTsa = but(ours.tsa, { getCurrentTime: () => later(11) });
const lateLog = but(ours.log, { getCurrentTime: () => later(11).getTime() });
const caWithoutLog = but(ours.ca, { ctLog: undefined });
const caWithOtherLog = but(ours.ca, { ctLog: other.ct });
// A log with our log's name and number, but another key.
const caWithForgedLog = but(ours.ca, { ctLog: but(other.ct, { logID: ours.ct.logID }) });

const extensions = [{ oid: '1.3.6.1.4.1.57264.1.1', value: ISSUER, legacy: true }, { oid: '1.3.6.1.4.1.57264.1.8', value: ISSUER }];

async function bundle({ ca = ours.ca, tsa = ours.tsa, log = ours.log, dsse = false, stamp = true, ext = extensions, stamped, logged, set = true }) {
  const key = pair('P-256');
  const publicKey = key.publicKey.export({ format: 'der', type: 'spki' });
  const certificate = await ca.issueCertificate({ publicKey, subjectAltName: SUBJECT, extensions: ext });
  const payload = Buffer.from(JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1', subject: [{ name: 'artifact', digest: { sha256: sha256(ARTIFACT).toString('hex') } }],
    predicateType: 'https://example.org/anything/v1', predicate: {},
  }));
  const payloadType = 'application/vnd.in-toto+json';
  const message = dsse ? Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} ${payload}`) : Buffer.from(ARTIFACT);
  const signature = sign('sha256', message, key.privateKey);
  const leaf = pem('CERTIFICATE', logged ? await other.ca.issueCertificate({ publicKey, subjectAltName: SUBJECT, extensions: ext }) : certificate);
  const hash = (bytes) => ({ algorithm: 'sha256', value: sha256(bytes).toString('hex') });
  const entry = dsse
    ? { apiVersion: '0.0.1', kind: 'dsse', spec: { envelopeHash: hash('unknown'), payloadHash: hash(payload), signatures: [{ signature: b64(signature), verifier: b64(leaf) }] } }
    : { apiVersion: '0.0.1', kind: 'hashedrekord', spec: { data: { hash: hash(message) }, signature: { content: b64(signature), publicKey: { content: b64(leaf) } } } };
  const [made] = Object.values(await log.log(entry));
  const proof = made.verification.inclusionProof;
  const response = stamp && await tsa.timestamp({
    artifactHash: sha256(stamped ?? signature), hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', nonce: 7, policyOID: '1.2.3.4', certReq: true,
  });
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {
      certificate: { rawBytes: b64(certificate) },
      tlogEntries: [{
        logIndex: String(set ? made.logIndex : proof.logIndex), logId: { keyId: b64(Buffer.from(made.logID, 'hex')) },
        kindVersion: { kind: entry.kind, version: entry.apiVersion }, integratedTime: String(set ? made.integratedTime : 0),
        ...(set ? { inclusionPromise: { signedEntryTimestamp: made.verification.signedEntryTimestamp } } : {}),
        inclusionProof: { logIndex: String(proof.logIndex), rootHash: b64(Buffer.from(proof.rootHash, 'hex')), treeSize: String(proof.treeSize), hashes: proof.hashes, checkpoint: { envelope: proof.checkpoint } },
        canonicalizedBody: made.body,
      }],
      timestampVerificationData: { rfc3161Timestamps: response ? [{ signedTimestamp: b64(response) }] : [] },
    },
    ...(dsse
      ? { dsseEnvelope: { payload: b64(payload), payloadType, signatures: [{ sig: b64(signature) }] } }
      : { messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: b64(sha256(message)) }, signature: b64(signature) } }),
  };
}

const validFor = { start: '2026-11-01T00:00:00Z' };
const spki = (key) => key.publicKey.export({ format: 'der', type: 'spki' });
const log = (baseUrl, key) => ({ baseUrl, hashAlgorithm: 'SHA2_256', publicKey: { rawBytes: b64(spki(key)), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor }, logId: { keyId: b64(sha256(spki(key))) } });
const authority = (uri, ...certificates) => ({ subject: { organization: 'sigstore.mock', commonName: 'sigstore' }, uri, certChain: { certificates: certificates.map((der) => ({ rawBytes: b64(der) })) }, validFor });
const root = {
  mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  tlogs: [log('https://rekor.example.org', ours.keys.log)],
  certificateAuthorities: [authority('https://fulcio.example.org', ours.ca.rootCertificate)],
  ctlogs: [log('https://ct.example.org', ours.keys.ct)],
  timestampAuthorities: [authority('https://tsa.example.org', ours.tsa.intCertificate, ours.tsa.rootCertificate)],
};

const bundles = {
  'good blob': await bundle({}),
  'good attestation': await bundle({ dsse: true }),
  'good with a promise alone': await bundle({ stamp: false }),
  'good with a stamp alone': await bundle({ set: false }),
  'certificate of another authority': await bundle({ ca: other.ca }),
  'certificate without a timestamp of a log': await bundle({ ca: caWithoutLog }),
  'certificate known to another log': await bundle({ ca: caWithOtherLog }),
  'certificate of a forged log': await bundle({ ca: caWithForgedLog }),
  'certificate without an issuer': await bundle({ ext: [] }),
  'certificate with two issuers': await bundle({ ext: [extensions[0], { oid: '1.3.6.1.4.1.57264.1.8', value: 'https://other.example.org' }] }),
  'stamp of another authority': await bundle({ tsa: other.tsa }),
  'stamp after the certificate': await bundle({ tsa: lateTsa }),
  'stamp over something else': await bundle({ stamped: 'something else' }),
  'another log': await bundle({ log: other.log }),
  'promise after the certificate': await bundle({ log: lateLog, stamp: false }),
  'another certificate in the log': await bundle({ logged: true }),
  'neither stamp nor promise': await bundle({ stamp: false, set: false }),
};
console.log(JSON.stringify({ root, artifact: ARTIFACT, bundles }));
