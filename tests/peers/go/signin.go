package main

// How the client gets in: with the SDK's own authorization code flow, or with a token that it was given.

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

// given is a token that somebody else obtained.
type given struct{ token string }

func (g given) TokenSource(context.Context) (oauth2.TokenSource, error) {
	return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: g.token}), nil
}

func (g given) Authorize(_ context.Context, _ *http.Request, answer *http.Response) error {
	return answer.Body.Close()
}

func (d *driver) authorization(w where) (auth.OAuthHandler, error) {
	if w.Token != "" {
		return given{w.Token}, nil
	}
	if w.Redirect == "" {
		return nil, nil
	}
	return auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		RedirectURL: w.Redirect,
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
			Metadata: &oauthex.ClientRegistrationMetadata{
				ClientName:   "Go peer",
				RedirectURIs: []string{w.Redirect},
				GrantTypes:   []string{"authorization_code", "refresh_token"},
			},
		},
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			var callback struct{ Code, State, Iss string }
			err := json.Unmarshal(d.ask("open", map[string]string{"url": args.URL, "redirect": w.Redirect}), &callback)
			return &auth.AuthorizationResult{Code: callback.Code, State: callback.State, Iss: callback.Iss}, err
		},
	})
}
