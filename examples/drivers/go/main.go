// Drives golang.org/x/oauth2/clientcredentials in JSON lines; see docs/drivers.md. It has no
// `clock`: nothing moves the time that Go programs see.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type config struct {
	TokenURL     string  `json:"token_url"`
	ClientID     string  `json:"client_id"`
	ClientSecret string  `json:"client_secret"`
	Timeout      float64 `json:"timeout"`
	CAFile       string  `json:"ca_file"`
	Scope        string  `json:"scope"`
}

type request struct {
	ID      json.RawMessage   `json:"id"`
	Op      string            `json:"op"`
	Client  string            `json:"client"`
	Config  config            `json:"config"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body"`
	Count   int               `json:"count"`
}

type object = map[string]any

// client is what the library gives for one config: tokens, and an *http.Client that signs.
type client struct {
	tokens oauth2.TokenSource
	signed *http.Client
}

func open(c config) (client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return client{}, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	timeout := time.Duration(c.Timeout * float64(time.Second))
	plain := &http.Client{Transport: transport, Timeout: timeout}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, plain)
	library := clientcredentials.Config{
		ClientID:     c.ClientID,
		ClientSecret: c.ClientSecret,
		TokenURL:     c.TokenURL,
		Scopes:       strings.Fields(c.Scope),
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	tokens := library.TokenSource(ctx)
	return client{tokens, &http.Client{
		Transport: &oauth2.Transport{Source: tokens, Base: transport},
		Timeout:   timeout,
	}}, nil
}

func (c client) getToken() (string, error) {
	token, err := c.tokens.Token()
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

func (c client) call(r request) (int, error) {
	var body io.Reader
	if r.Body != nil {
		body = strings.NewReader(*r.Body)
	}
	asked, err := http.NewRequest(r.Method, r.URL, body)
	if err != nil {
		return 0, err
	}
	for name, value := range r.Headers {
		asked.Header.Set(name, value)
	}
	answer, err := c.signed.Do(asked)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func (c client) burst(count int) ([]string, error) {
	var group sync.WaitGroup
	tokens, failures := make([]string, count), make([]error, count)
	for n := range tokens {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			tokens[n], failures[n] = c.getToken()
		}(n)
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// errorOf returns the member err of an answer for an error of the library.
func errorOf(err error) object {
	kind, code := "malformed", ""
	var refused *oauth2.RetrieveError
	var network net.Error
	var wrapped *url.Error
	switch {
	case errors.As(err, &refused):
		kind = "http"
		var said struct{ Error string }
		if json.Unmarshal(refused.Body, &said) == nil && said.Error != "" {
			kind, code = "oauth", said.Error
		}
	case errors.As(err, &network) && network.Timeout():
		kind = "timeout"
	case errors.As(err, &wrapped):
		kind = "transport"
	}
	return object{"kind": kind, "code": code, "message": err.Error()}
}

var clients = map[string]client{}

func answer(r request) (object, error) {
	c := clients[r.Client]
	switch r.Op {
	case "hello":
		return object{"name": "golang.org/x/oauth2", "version": "0.3.0",
			"capabilities": []string{"get_token", "request", "burst"}}, nil
	case "open":
		opened, err := open(r.Config)
		clients[r.Client] = opened
		return object{}, err
	case "get_token":
		token, err := c.getToken()
		return object{"access_token": token}, err
	case "request":
		status, err := c.call(r)
		return object{"status": status}, err
	case "burst":
		tokens, err := c.burst(r.Count)
		return object{"access_tokens": tokens}, err
	case "close":
		delete(clients, r.Client)
		return object{}, nil
	case "bye":
		return object{}, nil
	}
	return nil, nil
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(bytes.TrimSpace(line), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		said := object{"id": r.ID}
		switch ok, err := answer(r); {
		case err != nil:
			said["err"] = errorOf(err)
		case ok == nil:
			said["unsupported"] = true
		default:
			said["ok"] = ok
		}
		text, _ := json.Marshal(said)
		fmt.Println(string(text))
		if r.Op == "bye" {
			return
		}
	}
}
