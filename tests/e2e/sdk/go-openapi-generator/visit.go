package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"

	"example/cloakroom"
)

func connect(url string) *cloakroom.APIClient {
	jar, _ := cookiejar.New(nil) // keeps the cookie; an empty jar cannot fail
	configuration := cloakroom.NewConfiguration()
	configuration.Servers = cloakroom.ServerConfigurations{{URL: url}}
	configuration.HTTPClient = &http.Client{Jar: jar}
	return cloakroom.NewAPIClient(configuration)
}

// code tells why a call was refused, or nothing if it was not.
func code(err error) string {
	var refusal *cloakroom.GenericOpenAPIError
	if errors.As(err, &refusal) {
		if problem, ok := refusal.Model().(cloakroom.Problem); ok {
			return problem.Code
		}
	}
	return ""
}

func visit(ctx context.Context, url, username, password string) (string, error) {
	client := connect(url)
	credentials := *cloakroom.NewCredentials(username, password)
	_, _, err := client.LoginAPI.Login(ctx).Credentials(credentials).Execute()
	if code(err) == "invalid_credentials" {
		return "", errors.New("wrong user name or password")
	}
	if err != nil {
		return "", err // for example with a new code
	}

	secret, _, err := client.PrivateAPI.ReadPrivate(ctx).Execute()
	if err != nil {
		return "", err
	}
	list, _, err := client.SessionsAPI.ListSessions(ctx).Limit(20).Execute()
	if err != nil {
		return "", err
	}
	for _, session := range list.Sessions {
		if !session.Current {
			client.SessionsAPI.RevokeSession(ctx, session.Id).Execute()
		}
	}
	_, err = client.SessionsAPI.Logout(ctx).Execute()
	return secret.Private, err
}
