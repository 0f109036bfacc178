#!/usr/bin/env bash
# Checks vectors.json with openssl and nothing of this project: the keys derived
# from each key, the fingerprints, each header's digest, which headers carry the
# MAC that their key gives, and which version-1 tokens are their id's. The file
# has one vector a line, for this.
set -euo pipefail
cd "$(dirname "$0")"

hmac() { openssl dgst -sha256 -mac HMAC -macopt "$1" -r | cut -c1-64; }
sha() { openssl dgst -sha256 -r | cut -c1-64; }
field() { sed -nE "s/.*\"$1\":\"(([^\"\\\\]|\\\\.)*)\".*/\1/p" <<<"$2"; }

failed=0 checked=0
same() {
	checked=$((checked + 1))
	[[ $2 == "$3" ]] || { printf '%s: got %s, want %s\n' "$1" "$2" "$3"; failed=1; }
}

derive() { printf 'qvm-remote/2 %s' "$2" | hmac "key:$1"; }

check_key() {
	local key
	key=$(field key "$1")
	same "request key of $key" "$(derive "$key" request)" "$(field request_key "$1")"
	same "result key of $key" "$(derive "$key" result)" "$(field result_key "$1")"
	same "fingerprint of $key" "$(printf %s "$key" | sha | cut -c1-32 | sed 's/..../& /g; s/ $//')" "$(field fingerprint "$1")"
}

check_header() {
	local name verdict key header direction=request good=no mac
	name=$(field name "$1") verdict=$(field verdict "$1") key=$(field key "$1") header=$(field header "$1")
	[[ $(field type "$1") != result ]] || direction=result
	same "digest of $name" "sha256:$(printf %b "$header" | sha)" "$(field digest "$1")"
	[[ $verdict != malformed ]] || return 0 # it has no MAC to speak of
	mac=$(printf %b "${header%%mac *}" | hmac "hexkey:$(derive "$key" "$direction")")
	[[ $header != *"mac $mac\\n" ]] || good=yes
	same "MAC of $name" "$good" "$([[ $verdict == good ]] && echo yes || echo no)"
}

check_legacy_token() {
	local name verdict id token want good=no
	name=$(field name "$1") verdict=$(field verdict "$1") id=$(field id "$1") token=$(field token "$1")
	want=$(printf %s "$id" | hmac "key:$(field key "$1")")
	[[ $token != "$want" && $token != "$want\\n" || ! $id =~ ^[A-Za-z0-9._-]+$ ]] || good=yes
	same "token: $name" "$good" "$([[ $verdict == good ]] && echo yes || echo no)"
	[[ $verdict != short ]] || same "length of the token: $name" yes "$([[ ${#token} -lt 64 ]] && echo yes || echo no)"
}

while IFS= read -r line; do
	case $line in
	*'"request_key"'*) check_key "$line" ;;
	*'"header"'*) check_header "$line" ;;
	*'"token"'*) check_legacy_token "$line" ;;
	esac
done <vectors.json

((checked > 50)) || { echo "only $checked things were checked"; failed=1; }
exit "$failed"
