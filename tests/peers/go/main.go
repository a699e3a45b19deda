// Command peer is the official Go SDK as a peer of the gateway: a client that is driven in JSON lines (client.go, signin.go), or a server
// on stdio or Streamable HTTP (server.go, tools.go). The same peers in other languages are in the folders next door.
//
//	peer client
//	peer server --transport stdio|http [--port N] [--thing URI] [--stateless] [--json]
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: peer client | peer server --transport stdio|http [--port N] [--thing URI] [--stateless] [--json]")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var how serving
	flags.StringVar(&how.transport, "transport", "stdio", "stdio or http")
	flags.IntVar(&how.port, "port", 0, "where to listen on loopback")
	flags.StringVar(&how.thing, "thing", "peer://thing", "the resource that changes")
	flags.BoolVar(&how.stateless, "stateless", false, "no sessions")
	flags.BoolVar(&how.json, "json", false, "answer in JSON, not in event streams")
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	switch os.Args[1] {
	case "client":
		runClient(os.Stdin, os.Stdout)
	case "server":
		log.Fatal(serve(how))
	default:
		log.Fatalf("neither client nor server: %s", os.Args[1])
	}
}
