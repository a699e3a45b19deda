package main

// The tools of the server. The rest of it is in server.go.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type none struct{}

type (
	call   = mcp.CallToolRequest
	result = mcp.CallToolResult
)

type message struct {
	Message string `json:"message"`
}

type prompt struct {
	Prompt string `json:"prompt"`
}

type summands struct {
	A int `json:"a"`
	B int `json:"b"`
}

type sum struct {
	Sum int `json:"sum"`
}

type pace struct {
	Steps        int `json:"steps"`
	Milliseconds int `json:"milliseconds"`
}

type entry struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}

// tool adds one with typed arguments that answers for itself.
func tool[In any](s *story, name, description string, act func(context.Context, *call, In) (*result, error)) {
	mcp.AddTool(s.server, &mcp.Tool{Name: name, Description: description},
		func(ctx context.Context, request *call, in In) (*result, any, error) {
			said, err := act(ctx, request, in)
			return said, nil, err
		})
}

func (s *story) addTools() {
	tool(s, "echo", "Says it again.", func(_ context.Context, _ *call, in message) (*result, error) {
		return text(in.Message), nil
	})
	mcp.AddTool(s.server, &mcp.Tool{Name: "sum", Description: "Adds.", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, Title: "Sum"}},
		func(_ context.Context, _ *call, in summands) (*result, sum, error) {
			return nil, sum{in.A + in.B}, nil
		})
	tool(s, "parts", "Answers with a part of every kind.", parts)
	tool(s, "fail", "Fails, and says so in its result.", func(context.Context, *call, none) (*result, error) {
		return nil, errors.New("the kettle is empty")
	})
	tool(s, "refuse", "Is refused with an error of the protocol.", func(context.Context, *call, none) (*result, error) {
		return nil, &jsonrpc.Error{Code: -31042, Message: "no tea today", Data: json.RawMessage(`{"kettle":"empty"}`)}
	})
	s.addAskingTools()
	tool(s, "slow", "Takes its time.", s.slow)
	tool(s, "cancelled", "How many slow calls were called off.", func(context.Context, *call, none) (*result, error) {
		return text(fmt.Sprint(s.cancelled.Load())), nil
	})
	tool(s, "touch", "Changes the thing.", func(ctx context.Context, _ *call, _ none) (*result, error) {
		s.touched.Add(1)
		return text("touched"), s.server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: s.thing})
	})
	tool(s, "log", "Logs a message.", func(ctx context.Context, request *call, in entry) (*result, error) {
		err := request.Session.Log(ctx, &mcp.LoggingMessageParams{Level: mcp.LoggingLevel(in.Level), Logger: "peer", Data: in.Message})
		return text("logged"), err
	})
}

// Each asks once, and answers when it is called again with what was said: the SDK asks clients of the legacy era itself.
func (s *story) addAskingTools() {
	asking(s, "elicit", "Asks for a name in a form, and greets.", &mcp.ElicitParams{
		Mode:    "form",
		Message: "What is your name?",
		RequestedSchema: json.RawMessage(
			`{"type":"object","properties":{"name":{"type":"string","title":"Name"}},"required":["name"]}`),
	}, func(said mcp.InputResponse) string {
		answer := said.(*mcp.ElicitResult)
		if answer.Action != "accept" {
			return "no name: " + answer.Action
		}
		return fmt.Sprintf("hello %v", answer.Content["name"])
	})
	asking(s, "elicit_url", "Sends the person to a page.", &mcp.ElicitParams{
		Mode: "url", Message: "Please sign there.", URL: "https://example.com/sign-here", ElicitationID: "visit-1",
	}, func(said mcp.InputResponse) string { return "page: " + said.(*mcp.ElicitResult).Action })
	asking(s, "roots", "Lists the client's roots.", &mcp.ListRootsParams{}, func(said mcp.InputResponse) string {
		lines := []string{}
		for _, root := range said.(*mcp.ListRootsResult).Roots {
			lines = append(lines, root.Name+" "+root.URI)
		}
		return strings.Join(lines, "\n")
	})
	tool(s, "sample", "Asks the client's model.", func(_ context.Context, request *call, in prompt) (*result, error) {
		if said, found := request.Params.InputResponses["it"]; found {
			return text(said.(*mcp.CreateMessageWithToolsResult).Content[0].(*mcp.TextContent).Text), nil
		}
		return question(&mcp.CreateMessageParams{
			Messages:    []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: in.Prompt}}},
			MaxTokens:   50,
			Temperature: 0.5,
		}), nil
	})
}

func asking(s *story, name, description string, what mcp.InputRequest, answer func(mcp.InputResponse) string) {
	tool(s, name, description, func(_ context.Context, request *call, _ none) (*result, error) {
		if said, found := request.Params.InputResponses["it"]; found {
			return text(answer(said)), nil
		}
		return question(what), nil
	})
}

func question(what mcp.InputRequest) *result {
	return &result{InputRequests: mcp.InputRequestMap{"it": what}}
}

func (s *story) slow(ctx context.Context, request *call, in pace) (*result, error) {
	for step := 1; step <= in.Steps; step++ {
		if token := request.Params.GetProgressToken(); token != nil {
			told := &mcp.ProgressNotificationParams{
				ProgressToken: token, Progress: float64(step), Total: float64(in.Steps), Message: fmt.Sprintf("step %d", step),
			}
			if err := request.Session.NotifyProgress(ctx, told); err != nil && ctx.Err() == nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			s.cancelled.Add(1)
			return nil, ctx.Err()
		case <-time.After(time.Duration(in.Milliseconds) * time.Millisecond):
		}
	}
	return text(fmt.Sprintf("%d steps done", in.Steps)), nil
}

func parts(context.Context, *call, none) (*result, error) {
	return &result{
		Meta: mcp.Meta{"example.com/kept": "as it is"},
		Content: []mcp.Content{
			&mcp.TextContent{Text: "words", Annotations: &mcp.Annotations{Priority: 0.5, Audience: []mcp.Role{"user"}}},
			&mcp.ImageContent{MIMEType: "image/png", Data: []byte("not really a picture")},
			&mcp.AudioContent{MIMEType: "audio/wav", Data: []byte("not really a sound")},
			&mcp.ResourceLink{URI: "peer://linked", Name: "linked", MIMEType: "text/plain"},
			&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "peer://embedded", MIMEType: "text/plain", Text: "inside"}},
		},
	}, nil
}

func text(said string) *result {
	return &result{Content: []mcp.Content{&mcp.TextContent{Text: said}}}
}
