//go:build tools

// Names Dex, so that the Go tool keeps what it needs in go.mod and go.sum, both pinned. Built by `./test providers`; how it is set up
// stands in ../dex.mjs.
package dex

import _ "github.com/dexidp/dex/cmd/dex"
