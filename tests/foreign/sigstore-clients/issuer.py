"""An issuer of identity tokens on this machine, with a key of its own: python issuer.py [SECONDS]

Prints its URL on the first line. Discovery and keys are where OpenID Connect has them; GET /token?email=ADDRESS is a token for
that address (verified), good for five minutes, or for SECONDS. It stops when its standard input ends.
"""

import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

lifetime = int(sys.argv[1]) if len(sys.argv) > 1 else 300
key = ec.generate_private_key(ec.SECP256R1())


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(issuer, email):
    now = int(time.time())
    head = {"alg": "ES256", "kid": "1", "typ": "JWT"}
    claims = {"iss": issuer, "aud": "sigstore", "sub": email, "email": email, "email_verified": True}
    claims |= {"iat": now, "nbf": now, "exp": now + lifetime}
    signed = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
    numbers = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + encode(b"".join(number.to_bytes(32, "big") for number in numbers))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlparse(self.path)
        numbers = key.public_key().public_numbers()
        jwk = {"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256"}
        jwk |= {"x": encode(numbers.x.to_bytes(32, "big")), "y": encode(numbers.y.to_bytes(32, "big"))}
        answers = {
            "/.well-known/openid-configuration": lambda: json.dumps({"issuer": issuer, "jwks_uri": issuer + "/keys"}),
            "/keys": lambda: json.dumps({"keys": [jwk]}),
            "/token": lambda: token(issuer, parse_qs(url.query)["email"][0]),
        }
        answer = answers.get(url.path)
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write(answer().encode() if answer else b"")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
issuer = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()
print(issuer, flush=True)
sys.stdin.read()
