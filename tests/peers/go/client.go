package main

// The SDK's client: what each verb of the driver does with it. How it signs in is in signin.go, how it is spoken to in wire.go.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var revisions = map[string]string{"legacy": "2025-11-25", "modern": "2026-07-28"}

type driver struct {
	*wire
	mu      sync.Mutex
	session *mcp.ClientSession
	calls   map[int]context.CancelFunc
	// What each request carries: the log level of the modern era, which has no sessions to set one for.
	meta mcp.Meta
}

func runClient(in io.Reader, out io.Writer) {
	d := &driver{wire: newWire(out), calls: map[int]context.CancelFunc{}}
	d.attend(in, d.perform)
}

func (d *driver) perform(o order) (any, error) {
	ctx := context.Background()
	switch o.Verb {
	case "connect":
		return d.connect(ctx, o)
	case "callOff":
		d.mu.Lock()
		defer d.mu.Unlock()
		if cancel, found := d.calls[o.Call]; found {
			cancel()
		}
		return nil, nil
	case "call":
		return d.call(ctx, o)
	case "close":
		return nil, d.session.Close()
	case "tools":
		return field(d.session.ListTools(ctx, nil))("tools")
	case "prompts":
		return field(d.session.ListPrompts(ctx, nil))("prompts")
	case "resources":
		return field(d.session.ListResources(ctx, nil))("resources")
	case "templates":
		return field(d.session.ListResourceTemplates(ctx, nil))("resourceTemplates")
	case "read":
		return d.session.ReadResource(ctx, &mcp.ReadResourceParams{URI: o.URI})
	case "prompt":
		return d.session.GetPrompt(ctx, &mcp.GetPromptParams{Name: o.Name, Arguments: texts(o.Args)})
	case "complete":
		return d.complete(ctx, o)
	case "subscribe":
		return nil, d.session.Subscribe(ctx, &mcp.SubscribeParams{URI: o.URI})
	case "unsubscribe":
		return nil, d.session.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: o.URI})
	case "wantLogs":
		return nil, d.wantLogs(ctx, o.Level)
	}
	return nil, fmt.Errorf("no verb %q", o.Verb)
}

func (d *driver) connect(ctx context.Context, o order) (any, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "go-peer", Version: "1.0.0"}, d.options())
	var roots []*mcp.Root
	if err := json.Unmarshal(o.Roots, &roots); err != nil {
		return nil, err
	}
	client.AddRoots(roots...)
	transport, err := d.transport(o.Where)
	if err != nil {
		return nil, err
	}
	d.meta = nil
	d.session, err = client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: revisions[o.Era]})
	if err != nil {
		return nil, err
	}
	told := d.session.InitializeResult()
	return map[string]any{"protocol": told.ProtocolVersion, "server": told.ServerInfo, "instructions": told.Instructions}, nil
}

func (d *driver) transport(w where) (mcp.Transport, error) {
	if w.Command != "" {
		return &mcp.CommandTransport{Command: exec.Command(w.Command, w.Args...)}, nil
	}
	handler, err := d.authorization(w)
	if err != nil {
		return nil, err
	}
	return &mcp.StreamableClientTransport{Endpoint: w.URL, OAuthHandler: handler, DisableStandaloneSSE: w.Silent}, nil
}

func (d *driver) options() *mcp.ClientOptions {
	return &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{
			RootsV2:     &mcp.RootCapabilities{},
			Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{}},
		},
		CreateMessageHandler: func(_ context.Context, request *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			var result mcp.CreateMessageResult
			err := json.Unmarshal(d.ask("sampling/createMessage", request.Params), &result)
			return &result, err
		},
		ElicitationHandler: func(_ context.Context, request *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			var result mcp.ElicitResult
			err := json.Unmarshal(d.ask("elicitation/create", request.Params), &result)
			return &result, err
		},
		ResourceUpdatedHandler: func(_ context.Context, told *mcp.ResourceUpdatedNotificationRequest) {
			d.say(map[string]any{"told": "updated", "uri": told.Params.URI})
		},
		LoggingMessageHandler: func(_ context.Context, told *mcp.LoggingMessageRequest) {
			d.say(map[string]any{"told": "log", "params": told.Params})
		},
		ProgressNotificationHandler: func(_ context.Context, told *mcp.ProgressNotificationClientRequest) {
			d.say(map[string]any{"told": "progress", "id": told.Params.ProgressToken, "progress": told.Params})
		},
	}
}

func (d *driver) call(ctx context.Context, o order) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	d.calls[o.ID] = cancel
	d.mu.Unlock()
	params := &mcp.CallToolParams{Name: o.Name, Arguments: o.Args, Meta: mcp.Meta{}}
	for key, value := range d.meta {
		params.Meta[key] = value
	}
	if o.Progress {
		params.SetProgressToken(o.ID)
	}
	return d.session.CallTool(ctx, params)
}

func (d *driver) complete(ctx context.Context, o order) (any, error) {
	var params mcp.CompleteParams
	params.Ref = &mcp.CompleteReference{}
	if err := json.Unmarshal(o.Ref, params.Ref); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(o.Argument, &params.Argument); err != nil {
		return nil, err
	}
	return field(d.session.Complete(ctx, &params))("completion")
}

func (d *driver) wantLogs(ctx context.Context, level string) error {
	if d.session.InitializeResult().ProtocolVersion >= revisions["modern"] {
		d.meta = mcp.Meta{mcp.MetaKeyLogLevel: level}
		return nil
	}
	return d.session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: mcp.LoggingLevel(level)})
}

// field picks one member out of a result as it stands in JSON.
func field[T any](result *T, err error) func(string) (any, error) {
	return func(name string) (any, error) {
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(result)
		if err != nil {
			return nil, err
		}
		members := map[string]json.RawMessage{}
		err = json.Unmarshal(text, &members)
		return members[name], err
	}
}

func texts(args map[string]any) map[string]string {
	made := map[string]string{}
	for name, value := range args {
		made[name] = fmt.Sprint(value)
	}
	return made
}
