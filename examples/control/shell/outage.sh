#!/usr/bin/env bash
# Drives a running broker through an outage and an hour's time, with curl. It needs a broker:
#
#     mockbroker serve
#     bash examples/control/shell/outage.sh
#
# MOCKBROKER_CONTROL is the URL of the control API, by default that of `mockbroker serve`.
set -euo pipefail

control=${MOCKBROKER_CONTROL:-http://127.0.0.1:8080/__mockbroker__}

# Calls the control API: METHOD PATH [BODY]. Fails, and prints the message, if the API refuses.
call() {
    curl --silent --show-error --fail-with-body --request "$1" "$control$2" \
        --header 'Content-Type: application/json' ${3:+--data "$3"}
}

# Prints a member of the JSON on stdin that is a string.
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# Prints the status of a token request.
status() {
    curl --silent --output /dev/null --write-out '%{http_code}' --user "$client_id:$client_secret" \
        --data grant_type=client_credentials "$token_url" || true
}

expect() {
    [ "$2" = "$3" ] || { echo "$1: expected $3, got $2" >&2; exit 1; }
    echo "ok: $1"
}

broker=$(call POST /reset)
token_url=$(member token_url <<<"$broker")
api_url=$(member api_url <<<"$broker")
client=$(call POST /clients '{}')
client_id=$(member client_id <<<"$client")
client_secret=$(member client_secret <<<"$client")

# An outage: two answers with status 503, then a connection that is reset, then all is well.
call POST /faults/token '{"faults": [{"status": 503, "times": 2}, {"reset": true}]}' >/dev/null
expect "the first request of the outage" "$(status)" 503
expect "the second one" "$(status)" 503
expect "the reset connection" "$(status)" 000
expect "the request after it" "$(status)" 200

# An hour's time: a token works, and an hour later it does not.
token=$(curl --silent --user "$client_id:$client_secret" --data grant_type=client_credentials \
    "$token_url" | sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
vehicle() {
    curl --silent --output /dev/null --write-out '%{http_code}' \
        --header "Authorization: Bearer $token" "$api_url/vehicle/1111111111111111"
}
expect "a call with the token" "$(vehicle)" 200
call POST /clock/advance '{"seconds": 3600}' >/dev/null
expect "the same call an hour later" "$(vehicle)" 401

# What the broker saw, and what it was not asked.
call POST /journal/verify '{"url": "/v2/vehicle/1111111111111111", "status": 401, "times": 1}' >/dev/null
echo "ok: the journal has the call that was refused"
if call POST /journal/verify '{"method": "DELETE"}' >/dev/null; then
    echo "the journal has a DELETE" >&2
    exit 1
fi
echo "ok: the journal has no DELETE"
