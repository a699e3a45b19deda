package main

// The SDK's server: its transports, resources, prompts and completions. Its tools are in tools.go. What it offers is the same, word for
// word, as what the servers next door offer; the exercises that use it are in ../exercises.mjs.

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type serving struct {
	transport       string
	port            int
	thing           string
	stateless, json bool
}

// story is what the process remembers, for all its clients.
type story struct {
	thing     string
	touched   atomic.Int64
	cancelled atomic.Int64
	server    *mcp.Server
}

func serve(how serving) error {
	s := &story{thing: how.thing}
	s.server = mcp.NewServer(&mcp.Implementation{Name: "go-peer", Version: "1.0.0"}, &mcp.ServerOptions{
		Instructions:       "A peer of the gateway, in Go.",
		CompletionHandler:  complete,
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
	})
	s.addTools()
	s.addResources()
	s.server.AddPrompt(&mcp.Prompt{
		Name:        "greet",
		Description: "Greets somebody.",
		Arguments:   []*mcp.PromptArgument{{Name: "name", Description: "Whom to greet.", Required: true}},
	}, greet)
	if how.transport == "stdio" {
		return s.server.Run(context.Background(), &mcp.StdioTransport{})
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.server }, &mcp.StreamableHTTPOptions{
		Stateless:                    how.stateless,
		JSONResponse:                 how.json,
		PropagateRequestCancellation: true,
	})
	at := fmt.Sprintf("127.0.0.1:%d", how.port)
	log.Printf("listening at http://%s/mcp", at)
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler)
	return http.ListenAndServe(at, mux)
}

func (s *story) addResources() {
	s.server.AddResource(&mcp.Resource{URI: s.thing, Name: "thing", Description: "Changes when it is touched.", MIMEType: "text/plain"},
		func(_ context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return readable(request.Params.URI, fmt.Sprintf("touched %d times", s.touched.Load())), nil
		})
	s.server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: s.thing + "/numbers/{number}", Name: "number", MIMEType: "text/plain"},
		func(_ context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			uri := request.Params.URI
			return readable(uri, "number "+uri[strings.LastIndex(uri, "/")+1:]), nil
		})
}

func readable(uri, text string) *mcp.ReadResourceResult {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: uri, MIMEType: "text/plain", Text: text}}}
}

func greet(_ context.Context, request *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	return &mcp.GetPromptResult{
		Description: "A greeting",
		Messages:    []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "hello " + request.Params.Arguments["name"]}}},
	}, nil
}

func complete(_ context.Context, request *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	values := []string{}
	for _, name := range []string{"Ada", "Alan", "Grace"} {
		if strings.HasPrefix(name, request.Params.Argument.Value) {
			values = append(values, name)
		}
	}
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values, Total: len(values)}}, nil
}
