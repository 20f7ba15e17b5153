package main

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"time"

	"example/cloakroom"
)

const username, password = "tiangolo", "secret2"

// check ends the program if a condition does not hold.
func check(ok bool, what string, args ...any) {
	if !ok {
		fmt.Fprintln(os.Stderr, append([]any{"FAILED:", what}, args...)...)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	url := os.Getenv("CLOAKROOM_URL")
	wrongPassword := os.Getenv("WRONG_PASSWORD") // the code that the service sends for it

	// A request without a session and a login with a wrong password are refused.
	ann := connect(url)
	_, _, err := ann.PrivateAPI.ReadPrivate(ctx).Execute()
	check(code(err) == "not_authenticated", "nobody reads", err)
	wrong := *cloakroom.NewCredentials(username, "secret3")
	_, answer, err := ann.LoginAPI.Login(ctx).Credentials(wrong).Execute()
	check(answer.StatusCode == 403, "a wrong password is refused", err)
	check(code(err) == wrongPassword, "and the code says so", err)
	_, err = visit(ctx, url, username, "secret3")
	words := "wrong user"
	if wrongPassword != "invalid_credentials" {
		words = "403 "
	}
	check(err != nil && strings.HasPrefix(err.Error(), words), "visit with a wrong password", err)

	// Two devices sign in, and the second one revokes the session of the first.
	credentials := *cloakroom.NewCredentials(username, password)
	credentials.SetRemember(true)
	there, _, err := ann.LoginAPI.Login(ctx).Credentials(credentials).Execute()
	check(err == nil && there.Ok, "sign in", err)
	data, _, err := ann.PrivateAPI.ReadPrivate(ctx).Execute()
	check(err == nil && data.Username == username, "read", err)
	here := connect(url)
	_, _, err = here.LoginAPI.Login(ctx).Credentials(*cloakroom.NewCredentials(username, password)).Execute()
	check(err == nil, "sign in elsewhere", err)
	page, _, err := here.SessionsAPI.ListSessions(ctx).Execute()
	check(err == nil, "list", err)
	var listed *cloakroom.Session
	for i, session := range page.Sessions {
		if session.Id == there.Session.Id {
			listed = &page.Sessions[i]
		}
	}
	check(listed != nil && listed.Remember && !listed.Current, "the session is listed")
	check(time.Since(listed.CreatedAt) < time.Minute, "it began just now", listed.CreatedAt)
	answer, err = here.SessionsAPI.RevokeSession(ctx, listed.Id).Execute()
	check(err == nil && answer.StatusCode == 204, "end it", err)
	_, err = here.SessionsAPI.RevokeSession(ctx, listed.Id).Execute()
	check(code(err) == "not_found", "end it again", err)
	_, _, err = ann.PrivateAPI.ReadPrivate(ctx).Execute()
	check(code(err) == "session_refused", "its cookie is refused", err)
	_, _, err = here.PrivateAPI.ReadPrivate(ctx).Execute()
	check(err == nil, "the other one is not", err)

	// The README's program revokes that session too, and its own at the end.
	secret, err := visit(ctx, url, username, password)
	check(err == nil && secret == "get some private data", "visit", err)
	_, _, err = here.PrivateAPI.ReadPrivate(ctx).Execute()
	check(code(err) == "session_refused", "visit ended the others", err)

	// A new user registers, changes the password and closes the account.
	bob := connect(url)
	rand.Seed(time.Now().UnixNano())
	somebody := *cloakroom.NewRegistration(fmt.Sprintf("go-late-%x", rand.Int63()), "a long walk by the river")
	made, _, err := bob.LoginAPI.Register(ctx).Registration(somebody).Execute()
	check(err == nil && made.Username == somebody.Username, "register", err)
	_, _, err = connect(url).LoginAPI.Register(ctx).Registration(somebody).Execute()
	check(code(err) == "username_taken", "register again", err)
	change := *cloakroom.NewPasswordChange(somebody.Password, "a short walk by the sea")
	_, err = bob.AccountsAPI.ChangePassword(ctx).PasswordChange(change).Execute()
	check(err == nil, "change the password", err)
	me, _, err := bob.AccountsAPI.GetMe(ctx).Execute()
	check(err == nil && me.Id == made.Id, "me", err)

	// This user has neither of the roles that a proxy asks for.
	_, err = bob.ProxiesAPI.ForwardAuth(ctx).Role([]string{"wiki-editor", "wiki-admin"}).Execute()
	check(code(err) == "role_needed", "a role", err)

	// This user signed in too long ago, so the client confirms the session and repeats the request.
	_, err = bob.AccountsAPI.CloseAccount(ctx).Execute()
	check(code(err) == "confirmation_required", "close the account without a confirmation", err)
	confirmation := *cloakroom.NewPasswordConfirmation("a short walk by the sea")
	confirmed, _, err := bob.SessionsAPI.ConfirmWithPassword(ctx).PasswordConfirmation(confirmation).Execute()
	check(err == nil && confirmed.ConfirmedUntil != nil, "confirm", err)

	// TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
	request := *cloakroom.NewApiTokenRequest("Nightly build")
	token, _, err := bob.APITokensAPI.CreateApiToken(ctx).ApiTokenRequest(request).Execute()
	check(err == nil, "create a token", err)
	byToken := context.WithValue(ctx, cloakroom.ContextAccessToken, token.Token)
	program := connect(url)
	data, _, err = program.PrivateAPI.ReadPrivate(byToken).Execute()
	check(err == nil && data.Username == made.Username, "read with a token", err)
	both := connect(url)
	_, _, err = both.LoginAPI.Login(ctx).Credentials(*cloakroom.NewCredentials(username, password)).Execute()
	check(err == nil, "sign in", err)
	me, _, err = both.AccountsAPI.GetMe(ctx).Execute()
	check(err == nil && me.Username == username, "the cookie alone", err)
	me, _, err = both.AccountsAPI.GetMe(byToken).Execute()
	check(err == nil && me.Username == made.Username, "the token decides", err)
	_, err = bob.APITokensAPI.RevokeApiToken(ctx, token.Id).Execute()
	check(err == nil, "revoke the token", err)
	_, _, err = program.PrivateAPI.ReadPrivate(byToken).Execute()
	check(code(err) == "token_refused", "read with a revoked token", err)
	_, _, err = both.AccountsAPI.GetMe(byToken).Execute()
	check(code(err) == "token_refused", "the token decides when it is revoked", err)

	// The confirmed session closes the account.
	_, err = bob.AccountsAPI.CloseAccount(ctx).Execute()
	check(err == nil, "close the account", err)
	_, _, err = bob.AccountsAPI.GetMe(ctx).Execute()
	check(code(err) == "not_authenticated", "it is gone", err)

	if mailbox := os.Getenv("MAILBOX"); mailbox != "" {
		recoverPassword(ctx, url, mailbox, fmt.Sprintf("go-%x", rand.Int63()))
	}
}

// recoverPassword confirms an address with the code from a mail, and sets a new password with the link from another.
func recoverPassword(ctx context.Context, url, mailbox, name string) {
	email := name + "@example.org"
	mailed := func(secret string) string {
		answer, err := http.Get(mailbox + "/" + secret + "/" + email)
		check(err == nil && answer.StatusCode == 200, "mail", err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		check(err == nil, "read the mail", err)
		return string(text)
	}
	cleo := connect(url)
	somebody := *cloakroom.NewRegistration(name, "a long walk by the river")
	somebody.SetEmail(email)
	made, _, err := cleo.LoginAPI.Register(ctx).Registration(somebody).Execute()
	check(err == nil && made.GetUnconfirmedEmail() == email, "register with an address", err)
	fromMail := *cloakroom.NewEmailConfirmation(mailed("code"))
	confirmed, _, err := cleo.AccountsAPI.ConfirmEmail(ctx).EmailConfirmation(fromMail).Execute()
	check(err == nil && confirmed.GetEmail() == email, "confirm the address", err)
	forgetful := connect(url)
	request := *cloakroom.NewPasswordResetRequest(email)
	_, err = forgetful.LoginAPI.RequestPasswordReset(ctx).PasswordResetRequest(request).Execute()
	check(err == nil, "request a link", err)
	reset := *cloakroom.NewPasswordReset(mailed("token"), "a short walk by the sea")
	_, err = forgetful.LoginAPI.ResetPassword(ctx).PasswordReset(reset).Execute()
	check(err == nil, "set a new password", err)
	_, err = forgetful.LoginAPI.ResetPassword(ctx).PasswordReset(reset).Execute()
	check(code(err) == "reset_refused", "the link works once", err)
	_, _, err = cleo.AccountsAPI.GetMe(ctx).Execute()
	check(code(err) == "session_refused", "the sessions end", err)
	credentials := *cloakroom.NewCredentials(email, "a short walk by the sea")
	signedIn, _, err := forgetful.LoginAPI.Login(ctx).Credentials(credentials).Execute()
	check(err == nil && signedIn.Ok, "sign in by address", err)
}
