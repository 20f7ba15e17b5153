#!/usr/bin/env bash
# The samples of each operation in `x-codeSamples`, for curl. The document shows the lines between
# "sample" and "end"; this script runs all of them against a service in every test run:
#
#   CLOAKROOM_URL=http://127.0.0.1:8000 username=ann openapi/samples/curl.sh
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
password='a long walk by the river'
new_password='a short walk by the sea'

register() {
    # sample register
    curl --cookie-jar cookies --json '{"username": "'"$username"'", "password": "'"$password"'"}' \
        "$CLOAKROOM_URL/register"
    # end
}

login() {
    # sample login
    curl --cookie-jar cookies --json '{"username": "'"$username"'", "password": "'"$password"'"}' \
        "$CLOAKROOM_URL/login"
    # end
}

readPrivate() {
    # sample readPrivate
    curl --cookie cookies "$CLOAKROOM_URL/private"
    # end
}

getSession() {
    # sample getSession
    curl --cookie cookies "$CLOAKROOM_URL/session"
    # end
}

confirmWithPassword() {
    # sample confirmWithPassword
    curl --cookie cookies --cookie-jar cookies --json '{"current_password": "'"$password"'"}' \
        "$CLOAKROOM_URL/session/confirm/password"
    # end
}

listSessions() {
    # sample listSessions
    curl --cookie cookies "$CLOAKROOM_URL/sessions?limit=50"
    # end
}

revokeSession() {
    # sample revokeSession
    curl --cookie cookies --request DELETE "$CLOAKROOM_URL/sessions/$id"
    # end
}

revokeOtherSessions() {
    # sample revokeOtherSessions
    curl --cookie cookies --request DELETE "$CLOAKROOM_URL/sessions"
    # end
}

getMe() {
    # sample getMe
    curl --cookie cookies "$CLOAKROOM_URL/me"
    # end
}

updateMe() {
    # sample updateMe
    curl --cookie cookies --request PATCH --json '{"display_name": "Alice Liddell"}' "$CLOAKROOM_URL/me"
    # end
}

changeEmail() {
    # sample changeEmail
    curl --fail-with-body --cookie cookies --request PUT --json '{"email": "'"$email"'"}' "$CLOAKROOM_URL/me/email"
    # end
}

confirmEmail() {
    # sample confirmEmail
    curl --cookie cookies --json '{"code": "'"$code"'"}' "$CLOAKROOM_URL/me/email/confirm"
    # end
}

requestPasswordReset() {
    # sample requestPasswordReset
    curl --fail-with-body --json '{"username": "'"$username"'"}' "$CLOAKROOM_URL/password-reset"
    # end
}

resetPassword() {
    # sample resetPassword
    curl --json '{"token": "'"$token"'", "new_password": "'"$new_password"'"}' \
        "$CLOAKROOM_URL/password-reset/confirm"
    # end
}

changePassword() {
    # sample changePassword
    curl --cookie cookies --cookie-jar cookies --request PUT \
        --json '{"current_password": "'"$password"'", "new_password": "'"$new_password"'"}' \
        "$CLOAKROOM_URL/me/password"
    # end
}

closeAccount() {
    # sample closeAccount
    curl --cookie cookies --request DELETE "$CLOAKROOM_URL/me"
    # end
}

createApiToken() {
    # sample createApiToken
    token=$(curl --cookie cookies --json '{"name": "Nightly build", "expires_in_days": 30}' \
        "$CLOAKROOM_URL/api-tokens" | grep --only-matching 'clk_[0-9A-Za-z]*')
    curl --oauth2-bearer "$token" "$CLOAKROOM_URL/private" # a program sends the token instead of a cookie
    # end
}

listApiTokens() {
    # sample listApiTokens
    curl --cookie cookies "$CLOAKROOM_URL/api-tokens?limit=50"
    # end
}

revokeApiToken() {
    # sample revokeApiToken
    curl --cookie cookies --request DELETE "$CLOAKROOM_URL/api-tokens/$id"
    # end
}

issueToken() {
    # sample issueToken
    curl --cookie cookies --json '{"audience": "https://api.example.org"}' "$CLOAKROOM_URL/token"
    # end
}

getJwks() {
    # sample getJwks
    curl "$CLOAKROOM_URL/.well-known/jwks.json"
    # end
}

forwardAuth() {
    # sample forwardAuth
    curl --include --cookie cookies "$CLOAKROOM_URL/forward-auth"
    # end
}

getLiveness() {
    # sample getLiveness
    curl --fail "$CLOAKROOM_URL/livez"
    # end
}

getReadiness() {
    # sample getReadiness
    curl --fail "$CLOAKROOM_URL/readyz"
    # end
}

logout() {
    # sample logout
    curl --cookie cookies --cookie-jar cookies --request POST "$CLOAKROOM_URL/logout"
    # end
}

# expect WORDS OPERATION: runs a sample and fails if its answer does not contain the words.
expect() {
    local answer
    answer=$("$2" 2>/dev/null) || { echo "$2 failed" >&2; exit 1; }
    [[ $answer == *"$1"* ]] || { echo "$2 answered: $answer" >&2; exit 1; }
}

expect "$username" register
cp cookies first
id=$(getSession 2>/dev/null | sed 's/.*"id": *"\([^"]*\)".*/\1/')
expect '"ok":true' login
expect 'get some private data' readPrivate
expect '"current":true' getSession
expect '"confirmed_until"' confirmWithPassword
expect "$id" listSessions
expect "$username" getMe
expect 'Alice Liddell' updateMe
email=$username@example.org
expect '' changeEmail
code=00000-00000 # the right one is in the mail
expect 'code_refused' confirmEmail
expect '' requestPasswordReset
token=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 # the right one is in the mail
expect 'reset_refused' resetPassword
expect 'Bearer' issueToken
expect '"kid"' getJwks
expect 'remote-user' forwardAuth
expect 'status' getLiveness
expect 'status' getReadiness
expect '' revokeSession
cp cookies second
cp first cookies
expect 'session_refused' readPrivate
cp second cookies
expect '"revoked":0' revokeOtherSessions
expect 'get some private data' createApiToken
expect 'Nightly build' listApiTokens
id=$(listApiTokens 2>/dev/null | sed 's/.*"id": *"\([^"]*\)".*/\1/')
expect '' revokeApiToken
expect '"api_tokens":[]' listApiTokens
expect '' changePassword
password=$new_password
expect 'get some private data' readPrivate
expect '' logout
expect 'not_authenticated' readPrivate
expect '"ok":true' login
expect '' closeAccount
expect 'session_refused' getMe
