# The commands people type. `./test` needs none of this: it is one script.

# what there is
default:
    @just --list

# the gateway with an embedded sign-in page and two built-in servers
demo *args:
    cargo run --release -- demo {{args}}

# every check, or the named steps (`just test unit interop`)
test *steps:
    ./test {{steps}}

# the quick checks: format, house rules, clippy
check:
    ./test format house licences clippy

fmt:
    cargo fmt --all

# a speed reading beside hyper and nginx, into docs/benchmarks
bench *args:
    python3 -B tests/load/run.py {{args}}

# instructions of a call, counted by callgrind and held against tests/load/instructions.json
instructions *args:
    python3 -B tests/load/instructions.py {{args}}

# what two and three gateways cost; prints the tables of docs/scaling.md
scaling *args:
    python3 -B tests/load/scaling.py {{args}}

# F8 and F9 in full size, release build: 10,000 idle streams, 2,000 slow sockets; the figures are printed
load size="10000":
    PORTUNUS_LOAD={{size}} cargo test --release --locked -p portunus --test load -- --nocapture --test-threads 1

# F1 and its like in full length: 500 kills of each kind under load; the figures are printed
faults kills="500":
    PORTUNUS_KILLS={{kills}} ./test faults

# write anew what comes out of the declared settings: the JSON schemas and the tables of docs/configuration.md
schema:
    cargo run -p portunus -- schema config > docs/schema/config.schema.json
    cargo run -p portunus -- schema mcp > docs/schema/mcp.schema.json
    PORTUNUS_WRITE_TABLES=1 cargo test --locked -p portunus --lib the_tables_of_the_documentation

# screenshots of every page, light, dark and narrow, into .test/screenshots
screenshots:
    ./test browser

# each test in a process of its own, once; words choose tests by name
alone *words:
    python3 tests/repeat/alone.py {{words}}

# the suite so many times in a row; beside `stress -c 4` it must pass too
repeat times="10":
    for n in $(seq {{times}}); do ./test unit || exit 1; done
