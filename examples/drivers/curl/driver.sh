#!/usr/bin/env bash
# A client as it is written in shell scripts: curl, a token in a variable, and when it expires.
# Drives itself in JSON lines; see docs/drivers.md. Needs bash 5, curl and jq.
set -u
shopt -s lastpipe
declare -A token_url user timeout token until_seconds
ahead=0

now() { echo $((EPOCHSECONDS + ahead)); }

# Sets variables to what jq finds in a JSON text: assign TEXT NAME=FILTER...
assign() {
    local text=$1 pair program=
    shift
    for pair in "$@"; do program+=" ${pair%%=*}=\\(${pair#*=})"; done
    eval "$(jq -r "@sh \"$program\"" <<<"$text")"
}

# curl's exit status, and in `status` and `body` what came.
fetch() {
    local answer
    answer=$(curl --silent --show-error --max-time "${timeout[$client]}" \
        --write-out '\n%{http_code}' "$@" 2>&1) || {
        body=$answer status=0
        return 1
    }
    status=${answer##*$'\n'} body=${answer%$'\n'*}
}

get_token() {
    local code found= seconds=
    if [ -n "${token[$client]-}" ] && [ "$(now)" -lt "${until_seconds[$client]}" ]; then return; fi
    unset "token[$client]"
    if ! fetch --user "${user[$client]}" --data grant_type=client_credentials \
        "${token_url[$client]}"; then
        fail transport "" "$body"
    elif [ "$status" != 200 ]; then
        code=$(jq -r '.error? // ""' <<<"$body" 2>/dev/null)
        fail oauth "$code" "status $status $code"
    else
        assign "$body" 'found=.access_token | strings' \
            'seconds=.expires_in | tonumber? // 0 | floor' 2>/dev/null
        if [ -z "$found" ]; then
            fail malformed "" "access_token is missing"
        else
            token[$client]=$found until_seconds[$client]=$(($(now) + seconds - 30))
        fi
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
    assign "$asked" 'id=.id | tojson' op=.op 'client=.client // ""'
    failed=
    case $op in
    hello) say '{id: $id, ok: {name: "curl", version: "1", capabilities: ["get_token", "request", "clock"]}}' ;;
    open)
        assign "$asked" token_url[$client]=.config.token_url timeout[$client]=.config.timeout \
            'user[$client]=.config | "\(.client_id):\(.client_secret)"'
        say '{id: $id, ok: {}}'
        ;;
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
    close) unset "token[$client]" && say '{id: $id, ok: {}}' ;;
    bye) say '{id: $id, ok: {}}' && break ;;
    *) say '{id: $id, unsupported: true}' ;;
    esac
done
