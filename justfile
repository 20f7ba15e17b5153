# The commands of a contributor; `just` lists them. CONTRIBUTING.md says them without just.

# List the commands
default:
    @just --list --unsorted

# Serve with the two demo users, at http://127.0.0.1:8000
run *arguments:
    cargo run -- serve --demo {{ arguments }}

# Check types and lints
check:
    cargo clippy --locked --workspace --all-targets -- --deny warnings

# Format the code
format:
    cargo fmt --all

# Run the tests that need only Rust; arguments select them, as in `just test --test api throttle::`
test *arguments:
    cargo test --locked {{ arguments }}

# Run everything, as CI does
all:
    tests/all

# Renew the committed OpenAPI document
document:
    cargo run --quiet -- openapi > openapi/openapi.json
    cargo run --quiet -- openapi --format yaml > openapi/openapi.yaml

# Renew the reference pages of the book
reference:
    RENEW=1 cargo test --locked --test structure documentation

# Build the book and check its links
book:
    tests/e2e/book

# Run the browser tests and keep their screenshots in target/screenshots
browser *tests:
    ONLY="{{ tests }}" tests/e2e/browser/run

# Measure the figures that the server guarantees
figures:
    tests/perf/figures
