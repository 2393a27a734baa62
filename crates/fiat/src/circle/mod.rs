//! Circle Mint: dollars in by wire, USDC out to the chain; USDC in, dollars out by wire.
