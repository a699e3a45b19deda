package main

// The JSON lines between a client and whoever drives it: verbs come in, results, questions and news go out. What the verbs do is in
// client.go.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// order is one line that comes in: a verb with its arguments, or the answer to a question.
type order struct {
	ID       int             `json:"id"`
	Verb     string          `json:"verb"`
	Where    where           `json:"where"`
	Era      string          `json:"era"`
	Roots    json.RawMessage `json:"roots"`
	Name     string          `json:"name"`
	Args     map[string]any  `json:"args"`
	Progress bool            `json:"progress"`
	URI      string          `json:"uri"`
	Level    string          `json:"level"`
	Ref      json.RawMessage `json:"ref"`
	Argument json.RawMessage `json:"argument"`
	Call     int             `json:"call"`
	Answer   int             `json:"answer"`
	Result   json.RawMessage `json:"result"`
}

// where a server is: at a URL, with a token or with the client's own sign-in, or behind a command. A silent one does not answer a GET
// before it has something to tell, for which this SDK's client waits: it is not asked.
type where struct {
	URL      string   `json:"url"`
	Token    string   `json:"token"`
	Redirect string   `json:"redirect"`
	Silent   bool     `json:"silent"`
	Command  string   `json:"command"`
	Args     []string `json:"args"`
}

type wire struct {
	mu      sync.Mutex
	out     *json.Encoder
	next    int
	waiting map[int]chan json.RawMessage
}

func newWire(out io.Writer) *wire {
	return &wire{out: json.NewEncoder(out), waiting: map[int]chan json.RawMessage{}}
}

func (w *wire) say(message map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.out.Encode(message); err != nil {
		panic(err)
	}
}

// ask puts a question to the driver and waits for its answer.
func (w *wire) ask(method string, params any) json.RawMessage {
	answered := make(chan json.RawMessage, 1)
	w.mu.Lock()
	w.next++
	number := w.next
	w.waiting[number] = answered
	w.mu.Unlock()
	w.say(map[string]any{"ask": number, "method": method, "params": params})
	return <-answered
}

func (w *wire) done(id int, result any, err error) {
	if err == nil {
		w.say(map[string]any{"id": id, "result": result})
		return
	}
	told := map[string]any{"message": err.Error()}
	var refused *jsonrpc.Error
	if errors.As(err, &refused) {
		told["code"], told["message"] = refused.Code, refused.Message
		if len(refused.Data) > 0 {
			told["data"] = refused.Data
		}
	}
	w.say(map[string]any{"id": id, "error": told})
}

// attend hands every order to `perform`, each in a goroutine of its own, until nobody speaks any more.
func (w *wire) attend(in io.Reader, perform func(order) (any, error)) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var heard order
		if err := json.Unmarshal(lines.Bytes(), &heard); err != nil {
			panic(fmt.Sprintf("%v in %s", err, lines.Bytes()))
		}
		if heard.Answer != 0 {
			w.mu.Lock()
			waiting := w.waiting[heard.Answer]
			delete(w.waiting, heard.Answer)
			w.mu.Unlock()
			waiting <- heard.Result
			continue
		}
		go func() {
			result, err := perform(heard)
			w.done(heard.ID, result, err)
		}()
	}
}
