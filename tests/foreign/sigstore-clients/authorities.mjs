// Certificate authority, log of certificates and time-stamp authority of @sigstore/mock: node authorities.mjs DIRECTORY
//
// Writes DIRECTORY/key.pem, certificate.pem (valid ten minutes from now) and authorities.json (a trusted root without
// transparency logs), then prints `ready http://127.0.0.1:PORT`, where time-stamps are given at /api/v1/timestamp: for
// JSON, as sigstore-js asks, and for DER, as RFC 3161 and sigstore-python do.

import { generateKeyPairSync, createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { initializeCA, initializeCTLog, initializeTSA, tsaHandler } from '@sigstore/mock';

const directory = process.argv[2];
const b64 = (bytes) => Buffer.from(bytes).toString('base64');
const pair = (namedCurve) => generateKeyPairSync('ec', { namedCurve });
const spki = (key) => key.publicKey.export({ format: 'der', type: 'spki' });
const pem = (label, der) => `-----BEGIN ${label}-----\n${b64(der).match(/.{1,64}/g).join('\n')}\n-----END ${label}-----\n`;

const keys = { ca: pair('P-384'), ct: pair('P-256'), tsa: pair('P-384'), signer: pair('P-256') };
const ct = await initializeCTLog(keys.ct);
const ca = await initializeCA(keys.ca, ct);
const tsa = await initializeTSA(keys.tsa);
// Whole seconds: sigstore-js cannot read every fraction that the mock writes.
tsa.getCurrentTime = () => new Date(Math.floor(Date.now() / 1000) * 1000);
const issuer = 'https://issuer.example.org';
const certificate = await ca.issueCertificate({
  publicKey: spki(keys.signer),
  subjectAltName: 'https://example.org/app/release.yml@refs/tags/v1',
  extensions: [
    { oid: '1.3.6.1.4.1.57264.1.1', value: issuer, legacy: true },
    { oid: '1.3.6.1.4.1.57264.1.8', value: issuer },
  ],
});
writeFileSync(join(directory, 'key.pem'), keys.signer.privateKey.export({ format: 'pem', type: 'pkcs8' }));
writeFileSync(join(directory, 'certificate.pem'), pem('CERTIFICATE', certificate));

const validFor = { start: '2020-01-01T00:00:00Z' };
const authority = (uri, ...certificates) => ({
  subject: { organization: 'sigstore.mock', commonName: 'sigstore' }, uri, validFor,
  certChain: { certificates: certificates.map((der) => ({ rawBytes: b64(der) })) },
});
writeFileSync(join(directory, 'authorities.json'), JSON.stringify({
  certificateAuthorities: [authority('https://fulcio.example.org', ca.rootCertificate)],
  ctlogs: [{
    baseUrl: 'https://ct.example.org', hashAlgorithm: 'SHA2_256', logId: { keyId: b64(createHash('sha256').update(spki(keys.ct)).digest()) },
    publicKey: { rawBytes: b64(spki(keys.ct)), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
  }],
  timestampAuthorities: [authority('https://tsa.example.org', tsa.intCertificate, tsa.rootCertificate)],
}));

// The contents of a DER element, and what follows it.
function element(der) {
  let size = der[1];
  let at = 2;
  if (size & 0x80) {
    at += size & 0x7f;
    size = Number(`0x${der.subarray(2, at).toString('hex')}`);
  }
  return { content: der.subarray(at, at + size), rest: der.subarray(at + size) };
}

// TimeStampReq ::= SEQUENCE { version, messageImprint SEQUENCE { hashAlgorithm, hashedMessage }, … }
async function stamp(der) {
  const imprint = element(element(element(der).content).rest).content;
  const artifactHash = element(element(imprint).rest).content;
  if (artifactHash.length !== 32) throw new Error('only SHA-256 is stamped');
  const response = await tsa.timestamp({
    artifactHash, hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', nonce: 7, policyOID: '1.2.3.4', certReq: true,
  });
  return { statusCode: 201, response, contentType: 'application/timestamp-reply' };
}

const json = tsaHandler(tsa).fn;
const server = createServer(async (request, answer) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const isJson = (request.headers['content-type'] ?? '').includes('json');
  const { statusCode, response, contentType } = isJson ? await json(body.toString()) : await stamp(body);
  answer.writeHead(statusCode, { 'content-type': contentType ?? 'text/plain' });
  answer.end(response);
});
server.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
