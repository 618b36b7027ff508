#!/bin/sh
# Makes certificates with OpenSSL that RFC 5280 judges in different ways: make.sh > paths.txt
#
# A line each: NAME ISSUER BASE64. Keys are thrown away; `make.sh` needs no network. Valid from 2026-01-01 to 2046.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# make NAME ISSUER SUBJECT EXTENSIONS...: issued by ISSUER, or by itself
make() {
    name=$1 issuer=$2 subject=$3
    shift 3
    openssl ecparam -name prime256v1 -genkey -noout -out "$name.key"
    openssl req -new -key "$name.key" -subj "/CN=$subject" -out "$name.csr" 2>/dev/null
    printf '[x]\n' >"$name.ext"
    for extension in "$@"; do printf '%s\n' "$extension" >>"$name.ext"; done
    : >"$name.index"
    mkdir -p "$name.new"
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s.index\nnew_certs_dir=%s.new\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nemail_in_dn=no\nunique_subject=no\n[p]\ncommonName=supplied\n' "$name" "$name" >"$name.cnf"
    if [ "$issuer" = self ]; then by="-selfsign -keyfile $name.key"; else by="-cert $issuer.crt -keyfile $issuer.key"; fi
    # shellcheck disable=SC2086
    openssl ca -batch -config "$name.cnf" $by -in "$name.csr" -out "$name.crt" -notext -startdate 20260101000000Z \
        -enddate 20460101000000Z -extfile "$name.ext" -extensions x 2>/dev/null
    printf '%s %s %s\n' "$name" "$issuer" "$(openssl x509 -in "$name.crt" -outform der | base64 -w0)"
}

ca='basicConstraints=critical,CA:true'
sign='keyUsage=critical,keyCertSign,cRLSign'
use='keyUsage=critical,digitalSignature'
code='extendedKeyUsage=codeSigning'
unknown='1.2.3.4=critical,ASN1:UTF8String:x'

make root self root "$ca" "$sign"
make middle root middle "$ca" "$sign" "$code"
make leaf middle leaf "$use" "$code"
make leaf-without-usage middle leaf "$code"
make leaf-for-encryption middle leaf 'keyUsage=critical,keyEncipherment' "$code"
make leaf-without-purpose middle leaf "$use"
make leaf-for-servers middle leaf "$use" 'extendedKeyUsage=serverAuth'
make leaf-with-unknown middle leaf "$use" "$code" "$unknown"
make leaf-with-harmless middle leaf "$use" "$code" '1.2.3.4=ASN1:UTF8String:x'
make leaf-authority middle leaf "$ca" 'keyUsage=critical,digitalSignature,keyCertSign' "$code"
make stamper middle stamper "$use" 'extendedKeyUsage=critical,timeStamping'
make middle-for-all root middle "$ca" "$sign"
make stamper-good middle-for-all stamper "$use" 'extendedKeyUsage=critical,timeStamping'
make stamper-not-critical middle-for-all stamper "$use" 'extendedKeyUsage=timeStamping'
make stamper-and-code middle-for-all stamper "$use" 'extendedKeyUsage=critical,timeStamping,codeSigning'
make middle-no-authority root middle 'basicConstraints=critical,CA:false' "$sign"
make leaf-of-no-authority middle-no-authority leaf "$use" "$code"
make middle-not-critical root middle 'basicConstraints=CA:true' "$sign"
make leaf-of-not-critical middle-not-critical leaf "$use" "$code"
make middle-without-signing root middle "$ca" "$use"
make leaf-of-without-signing middle-without-signing leaf "$use" "$code"
make middle-for-servers root middle "$ca" "$sign" 'extendedKeyUsage=serverAuth'
make leaf-of-for-servers middle-for-servers leaf "$use" "$code"
make middle-constrained root middle "$ca" "$sign" 'nameConstraints=permitted;email:example.org'
make leaf-of-constrained middle-constrained leaf "$use" "$code"
make middle-with-unknown root middle "$ca" "$sign" "$unknown"
make leaf-of-with-unknown middle-with-unknown leaf "$use" "$code"
make short-root self short 'basicConstraints=critical,CA:true,pathlen:0' "$sign"
make long-middle short-root middle "$ca" "$sign"
make leaf-too-long long-middle leaf "$use" "$code"
make leaf-of-short short-root leaf "$use" "$code"

# A request for a certificate, without name and attributes; its key is thrown away.
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj / -out "$here/request.pem"
