"""Signs, logs and verifies with sigstore-python as released: python log.py SERVER STAMPS DIRECTORY [BUNDLE...]

SERVER is the log (Rekor v2), STAMPS the time-stamp authority; DIRECTORY has key.pem, certificate.pem and
trusted_root.json. Writes py-blob.json and py-dsse.json, then verifies them and the other bundles that are named.
Exit status 0: all are as they should be. Nothing of the client is patched; only the certificate is brought, since
there is no issuer of tokens here.
"""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from sigstore._internal.rekor import RekorClientError
from sigstore._internal.rekor.client_v2 import RekorV2Client
from sigstore._internal.timestamp import TimestampAuthorityClient
from sigstore.dsse import StatementBuilder, Subject
from sigstore.models import Bundle, TrustedRoot
from sigstore.sign import Signer, SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

server, stamps, directory, *others = sys.argv[1:]
directory = Path(directory)
artifact = b"made by hand\n"
root = TrustedRoot.from_file(str(directory / "trusted_root.json"))
rekor = RekorV2Client(server)
context = SigningContext(
    fulcio=None, rekor=rekor, trusted_root=root, tsa_clients=[TimestampAuthorityClient(f"{stamps}/api/v1/timestamp")]
)


class Token:
    """Stands for an identity whose certificate was issued already."""

    def in_validity_period(self):
        return True


signer = Signer(Token(), context, cache=False)
signer._Signer__cached_signing_certificate = load_pem_x509_certificate((directory / "certificate.pem").read_bytes())
signer._Signer__cached_private_key = load_pem_private_key((directory / "key.pem").read_bytes(), None)

blob = signer.sign_artifact(artifact)
(directory / "py-blob.json").write_text(blob.to_json())
subject = Subject(name="artifact", digest={"sha256": "58" * 32})
statement = StatementBuilder([subject], "https://example.org/anything/v1", {}).build()
(directory / "py-dsse.json").write_text(signer.sign_dsse(statement).to_json())

verifier = Verifier(trusted_root=root)
policy = Identity(
    identity="https://example.org/app/release.yml@refs/tags/v1", issuer="https://issuer.example.org"
)
for name in ["py-blob.json", "py-dsse.json", *others]:
    bundle = Bundle.from_json((directory / name).read_bytes())
    if "dsse" in name:
        verifier.verify_dsse(bundle, policy)
    else:
        verifier.verify_artifact(artifact, bundle, policy)
    kind = bundle.log_entry._inner.kind_version
    print(f"verified {name} {kind.kind} {kind.version}")

# The same entry again is refused with 409, and the client says so.
signature = blob.signature
from sigstore.hashes import Hashed  # noqa: E402
from sigstore_models.common.v1 import HashAlgorithm  # noqa: E402
import hashlib  # noqa: E402

hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=hashlib.sha256(artifact).digest())
try:
    rekor.create_entry(rekor._build_hashed_rekord_request(hashed, signature, blob.signing_certificate))
    print("again logged twice")
except RekorClientError as error:
    print(f"again {error.__cause__.response.status_code if error.__cause__ else error}")
