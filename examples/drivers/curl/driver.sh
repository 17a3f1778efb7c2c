#!/usr/bin/env bash
# A client as it is written in shell scripts: curl, a token in a variable, and when it expires.
# Drives itself in JSON lines; see docs/drivers.md. Needs bash 5, curl and jq.
set -u
shopt -s lastpipe
declare -A config token until_seconds
ahead=0

now() { echo $((EPOCHSECONDS + ahead)); }

setting() { jq -r ".$1 // empty" <<<"${config[$client]}"; }

# curl's exit status, and in `status` and `body` what came.
fetch() {
    local answer
    answer=$(curl --silent --show-error --max-time "$(setting timeout)" \
        --write-out '\n%{http_code}' "$@" 2>&1) || {
        body=$answer status=0
        return 1
    }
    status=${answer##*$'\n'} body=${answer%$'\n'*}
}

get_token() {
    local code
    if [ -n "${token[$client]-}" ] && [ "$(now)" -lt "${until_seconds[$client]}" ]; then return; fi
    unset "token[$client]"
    if ! fetch --user "$(setting client_id):$(setting client_secret)" \
        --data grant_type=client_credentials "$(setting token_url)"; then
        fail transport "" "$body"
    elif [ "$status" != 200 ]; then
        code=$(jq -r '.error? // ""' <<<"$body" 2>/dev/null)
        fail oauth "$code" "status $status $code"
    elif ! token[$client]=$(jq -er '.access_token | strings | select(. != "")' <<<"$body" 2>/dev/null); then
        unset "token[$client]"
        fail malformed "" "there is no access_token"
    else
        until_seconds[$client]=$(($(now) + $(jq -r '.expires_in | floor' <<<"$body") - 30))
    fi
}

call() {
    local headers=() line
    jq -r '.headers | to_entries[] | "\(.key): \(.value)"' <<<"$asked" | while IFS= read -r line; do
        headers+=(--header "$line")
    done
    if [ "$(jq -r '.body' <<<"$asked")" != null ]; then
        headers+=(--data-raw "$(jq -r '.body' <<<"$asked")")
    fi
    fetch --request "$(jq -r .method <<<"$asked")" --header "Authorization: Bearer ${token[$client]}" \
        "${headers[@]}" "$(jq -r .url <<<"$asked")" || fail transport "" "$body"
}

say() { jq -nc --argjson id "$id" "$@"; }

fail() {
    say --arg kind "$1" --arg code "$2" --arg message "$3" \
        '{id: $id, err: {kind: $kind, code: $code, message: $message}}'
    failed=yes
}

while IFS= read -r asked; do
    id=$(jq .id <<<"$asked") op=$(jq -r .op <<<"$asked") client=$(jq -r '.client // ""' <<<"$asked")
    failed=
    case $op in
    hello) say '{id: $id, ok: {name: "curl", version: "1", capabilities: ["get_token", "request", "clock"]}}' ;;
    open) config[$client]=$(jq -c .config <<<"$asked") && say '{id: $id, ok: {}}' ;;
    get_token)
        get_token
        [ -n "$failed" ] || say --arg token "${token[$client]}" '{id: $id, ok: {access_token: $token}}'
        ;;
    request)
        get_token
        [ -n "$failed" ] || call
        [ -n "$failed" ] || say --argjson status "$((10#$status))" '{id: $id, ok: {status: $status}}'
        ;;
    advance) ahead=$((ahead + $(jq '.seconds | floor' <<<"$asked"))) && say '{id: $id, ok: {}}' ;;
    close) unset "config[$client]" "token[$client]" && say '{id: $id, ok: {}}' ;;
    bye) say '{id: $id, ok: {}}' && break ;;
    *) say '{id: $id, unsupported: true}' ;;
    esac
done
